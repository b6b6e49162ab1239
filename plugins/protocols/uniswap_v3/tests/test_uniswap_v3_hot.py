"""The compiled functions against the reference, on random pools and through random histories."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_protocol_uniswap_v3 import hot, hot_math, hot_state, reference
from tallyio_protocol_uniswap_v3 import reference_math as math_reference
from tallyio_protocol_uniswap_v3.layout import ROOM_DOWN, ROOM_UP, pack_row, row_bytes
from tallyio_protocol_uniswap_v3.reference import HIGHEST_LIMIT, LOWEST_LIMIT, Pool

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

CAPACITY = 64
GAS = (100_000, 20_000, 3_000)
SPACINGS = {100: 1, 500: 10, 3000: 60, 10_000: 200}
INITIALIZE, SWAP, MINT, BURN = range(4)


class Row:
    """A row in native memory, and room for a log's data and topics behind it."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = capacity
        self.size = row_bytes(capacity)
        self.memory = Region(self.size + 1024)
        self.address = self.memory.address

    def set(self, pool: Pool) -> None:
        """Put a fresh row of `pool` there, complete."""
        self.memory.view("u1", self.size)[:] = bytearray(pool.row(tick_capacity=self.capacity, gas=GAS))
        assert hot_state.rebuild(self.address)

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return self.memory.view("u1", self.size).tobytes()

    def quote(self, amount: int, i: int) -> int:
        """Quote selling token `i`."""
        out: int = hot.quote(self.address, i, 1 - i, amount)
        return out

    def apply(self, event: int, *data: int, topics: tuple[int, ...] = ()) -> int:
        """Apply an event with these words of data and of topics after the first."""
        raw = b"".join((word % 2**256).to_bytes(32) for word in (*data, *topics))
        self.memory.view("u1", len(raw), self.size)[:] = bytearray(raw)
        start = self.address + self.size
        status: int = hot.apply_log(self.address, event, start + 32 * len(data), start, 32 * len(data))
        return status


def random_pool(draw: random.Random, positions: int, *, reach: int = 20_000) -> Pool:
    """Return a pool around a random price; some positions share ticks, and some cancel out there."""
    fee = draw.choice(list(SPACINGS))
    spacing = SPACINGS[fee]
    tick = draw.randrange(-reach, reach)
    low, high = (math_reference.get_sqrt_ratio_at_tick(at) for at in (tick, tick + 1))
    pool = Pool(fee, spacing, sqrt_price_x96=draw.randrange(low, high), tick=tick)
    for _ in range(positions):
        lower = draw.randrange(-reach // spacing, reach // spacing) * spacing
        width = draw.choice((1, 3, 20, 2 * reach // spacing)) * spacing
        amount = draw.getrandbits(draw.choice((1, 40, 70, 100))) + 1
        pool.modify_liquidity(lower, lower + width, amount)
        if draw.random() < 0.2:
            pool.modify_liquidity(lower + width, lower + 2 * width, amount)  # net 0, still initialised
    if draw.random() < 0.3:
        end = 887_272 // spacing * spacing
        pool.modify_liquidity(-end, end, draw.getrandbits(80) + 1)
    return pool


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.curve, hot.gas, hot.apply_log, hot_state.rebuild])
    made = Row()
    yield made
    made.memory.close()


POOLS = st.builds(
    lambda seed, positions: random_pool(random.Random(seed), positions),
    st.integers(0, 2**32),
    st.integers(0, 12),
)
AMOUNTS = st.integers(0, 256).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amounts=st.lists(AMOUNTS, min_size=1, max_size=8), i=st.integers(0, 1))
def test_a_quote_equals_the_reference(row: Row, pool: Pool, amounts: list[int], i: int) -> None:
    row.set(pool)
    for amount in amounts:
        wanted = reference.quote(pool, amount, zero_for_one=i == 0)
        assert row.quote(amount, i) == wanted


def test_three_thousand_seeded_quotes_equal_the_reference(row: Row) -> None:
    draw, paid = random.Random(12), 0
    for _ in range(60):
        pool = random_pool(draw, draw.randrange(1, 15))
        row.set(pool)
        for _ in range(50):
            amount, i = draw.getrandbits(draw.randrange(1, 110)), draw.randrange(2)
            wanted = reference.quote(pool, amount, zero_for_one=i == 0)
            assert row.quote(amount, i) == wanted
            paid += wanted > 0
    assert paid > 1000


@pytest.mark.parametrize("i", [0, 1])
def test_inputs_around_every_stop_equal_the_reference(row: Row, i: int) -> None:
    """The input that just reaches a stop, one less and one more, for every stop there is."""
    pool = random_pool(random.Random(31), 6, reach=3_000)
    row.set(pool)
    for stop in stops(pool, i):
        taken = input_to(pool, stop, i)
        for amount in (max(0, taken - 1), taken, taken + 1):
            wanted = reference.quote(pool, amount, zero_for_one=i == 0)
            assert row.quote(amount, i) == wanted


def stops(pool: Pool, i: int) -> list[int]:
    """Return the prices of all stops in a direction, within reach of the pool's ticks."""
    ticks = set(pool.ticks) | {word * 256 * pool.tick_spacing for word in range(-20, 20)}
    ticks |= {(word * 256 + 255) * pool.tick_spacing for word in range(-20, 20)}
    ends = [at for at in ticks if min(pool.ticks) <= at <= max(pool.ticks)]
    prices = [math_reference.get_sqrt_ratio_at_tick(at) for at in ends]
    return [price for price in prices if (price < pool.sqrt_price_x96) is (i == 0)]


def input_to(pool: Pool, price: int, i: int) -> int:
    endless = 2**250
    outcome = reference.swap(pool, endless, zero_for_one=i == 0, limit_x96=price)
    return endless - outcome.amount_remaining


@pytest.mark.parametrize("i", [0, 1])
def test_a_pool_takes_its_last_unit_and_not_one_more(row: Row, i: int) -> None:
    pool = random_pool(random.Random(5), 6)
    row.set(pool)
    limit = LOWEST_LIMIT if i == 0 else HIGHEST_LIMIT
    most = input_to(pool, limit, i)
    assert row.quote(most, i) == reference.quote(pool, most, zero_for_one=i == 0)
    assert row.quote(most, i) > 0
    assert row.quote(most + 1, i) == 0


@pytest.mark.parametrize("spacing", [1, 60])
@pytest.mark.parametrize("tick", [-887_272, -887_200, 0, 887_200, 887_271])
@pytest.mark.parametrize("liquidity", [1, 10**18, 2**110])
def test_the_ends_of_the_price_range_equal_the_reference(spacing: int, tick: int, liquidity: int) -> None:
    """Down to the lowest and up to the highest limit, with arithmetic that overflows 256 bits in Solidity."""
    end = 887_272 // spacing * spacing
    pool = Pool(3000, spacing, math_reference.get_sqrt_ratio_at_tick(tick), tick)
    pool.modify_liquidity(-end, end, liquidity)
    row, draw = Row(), random.Random(tick)
    row.set(pool)
    for i in (0, 1):
        for bits in (1, 20, 60, 100, 150, 190, 212, 250):
            amount = draw.getrandbits(bits) + 1
            wanted = reference.quote(pool, amount, zero_for_one=i == 0)
            assert row.quote(amount, i) == wanted


def test_a_pool_that_is_not_initialised_pays_nothing(row: Row) -> None:
    row.set(Pool(3000, 60))
    assert row.quote(10**18, 0) == row.quote(10**18, 1) == 0
    assert hot.curve(row.address, 0, 1, 1e18) == (0.0, 0.0)
    assert hot.gas(row.address, 0, 1, 10**18) == GAS[0]


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (2, -1), (-1, 2), (0, 2), (3, -2)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set(random_pool(random.Random(2), 5))
    assert hot.quote(row.address, i, j, 10**6) == 0
    assert hot.curve(row.address, i, j, 1e6) == (0.0, 0.0)


@settings(max_examples=40, deadline=None)
@given(pool=POOLS, amounts=st.tuples(AMOUNTS, AMOUNTS), i=st.integers(0, 1))
def test_a_larger_input_never_pays_less_while_the_pool_can_take_it(
    row: Row, pool: Pool, amounts: tuple[int, int], i: int
) -> None:
    row.set(pool)
    low, high = (row.quote(amount, i) for amount in sorted(amounts))
    assert low <= high or high == 0


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amount=AMOUNTS, i=st.integers(0, 1))
def test_the_float_curve_is_within_its_promise(row: Row, pool: Pool, amount: int, i: int) -> None:
    row.set(pool)
    exact = row.quote(amount, i)
    out, slope = hot.curve(row.address, i, 1 - i, float(amount))
    if exact == 0:
        return  # nothing paid, or beyond what the pool can take: a float may see the edge elsewhere
    outcome = reference.swap(pool, amount, zero_for_one=i == 0)
    price = (pool.sqrt_price_x96 / 2**96) ** (2 if i == 0 else -2)
    per_stop = 2 + 2 * price
    grain = max(pool.liquidity, outcome.liquidity) / 2**96 * max(1.0, price)
    assert slope >= 0.0
    assert abs(out - exact) <= 1e-9 * exact + (outcome.stops + 1) * (per_stop + grain)


def test_the_slope_is_the_derivative(row: Row) -> None:
    pool = random_pool(random.Random(21), 8)
    row.set(pool)
    for i, j in ((0, 1), (1, 0)):
        for amount in (1e6, 1e15, 1e20):
            low, high = (hot.curve(row.address, i, j, amount * part)[0] for part in (0.999_999, 1.000_001))
            slope = hot.curve(row.address, i, j, amount)[1]
            if high:
                assert slope == pytest.approx((high - low) / (amount * 2e-6), rel=1e-3)


def test_gas_grows_with_ticks_and_words(row: Row) -> None:
    pool = random_pool(random.Random(8), 10)
    row.set(pool)
    for bits in range(1, 100, 3):
        for i, j in ((0, 1), (1, 0)):
            amount = (1 << bits) - 1
            outcome = reference.swap(pool, amount, zero_for_one=i == 0)
            words = outcome.stops - outcome.ticks_crossed
            if outcome.amount_remaining == 0 and pool.liquidity:
                exact = GAS[0] + outcome.ticks_crossed * GAS[1] + words * GAS[2]
                # Words end one tick apart in the two directions: at each tick the count may differ by one.
                slack = (outcome.ticks_crossed + 1) * GAS[2]
                assert abs(hot.gas(row.address, i, j, amount) - exact) <= slack


PRICES = (
    st.integers(32, 160)
    .flatmap(lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1))
    .map(lambda price: min(max(price, LOWEST_LIMIT), HIGHEST_LIMIT))
)
LIQUIDITIES = st.integers(0, 128).flatmap(lambda bits: st.integers(1 << bits >> 1, (1 << bits) - 1))


@settings(deadline=None)
@given(prices=st.tuples(PRICES, PRICES), liquidity=LIQUIDITIES)
def test_amounts_between_prices_equal_the_reference(prices: tuple[int, int], liquidity: int) -> None:
    low, high = sorted(prices)
    for down, up, exact in (
        (hot_math.amount0_down, hot_math.amount0_up, math_reference.get_amount0_delta),
        (hot_math.amount1_down, hot_math.amount1_up, math_reference.get_amount1_delta),
    ):
        assert down(low, high, liquidity) == exact(low, high, liquidity, round_up=False)
        assert up(low, high, liquidity) == exact(low, high, liquidity, round_up=True)


@settings(deadline=None)
@given(
    price=PRICES, liquidity=LIQUIDITIES.filter(bool), amount=st.integers(0, 192).map(lambda bits: 1 << bits)
)
def test_prices_after_an_input_equal_the_reference(price: int, liquidity: int, amount: int) -> None:
    exact = math_reference.get_next_sqrt_price_from_input
    for added in (amount - 1, amount):
        after = hot_math.price_after_amount0(price, liquidity, added)
        assert after == exact(price, liquidity, added, zero_for_one=True)
        reached = exact(price, liquidity, added, zero_for_one=False)
        if reached <= HIGHEST_LIMIT:  # a swap stops there
            assert hot_math.price_after_amount1(price, liquidity, added) == reached


@settings(deadline=None)
@given(amount=st.integers(0, 2**192 - 1), fee=st.integers(0, 999_999))
def test_the_fee_is_taken_as_the_contract_takes_it(amount: int, fee: int) -> None:
    """`with_fee` is the sum of a full step, and the least input that completes it."""
    taken = hot_math.with_fee(amount, fee)
    assert taken == amount + math_reference.ceil_div(amount * fee, 10**6 - fee)
    assert hot_math.less_fee(taken, fee) == taken * (10**6 - fee) // 10**6 >= amount
    assert amount == 0 or hot_math.less_fee(taken - 1, fee) < amount


def test_every_tick_has_the_ratio_of_the_contract() -> None:
    draw = random.Random(4)
    near = [*range(-300, 301), 230_536, 262_144, 294_762, 524_288]
    for tick in (*near, *(draw.randrange(-887_272, 887_273) for _ in range(3_000)), -887_272, 887_272):
        exact = math_reference.get_sqrt_ratio_at_tick(tick)
        assert hot_math.sqrt_ratio_at_tick(tick) == min(max(exact, LOWEST_LIMIT), HIGHEST_LIMIT)


def test_a_history_of_events_leaves_the_row_of_the_final_state(row: Row) -> None:
    """Mint, Burn and Swap in random order; after each, the row is what a fresh load would be."""
    for seed in range(12):
        draw = random.Random(seed)
        pool = random_pool(draw, 4)
        row.set(pool)
        positions: list[tuple[int, int, int]] = []
        for _ in range(30):
            if positions and draw.random() < 0.4:
                lower, upper, amount = positions.pop(draw.randrange(len(positions)))
                pool.modify_liquidity(lower, upper, -amount)
                assert row.apply(BURN, amount, 0, 0, topics=(7, lower, upper)) == LOG_APPLIED
            elif len(pool.ticks) < CAPACITY - 2 and draw.random() < 0.6:
                lower = draw.randrange(-500, 500) * pool.tick_spacing
                position = (
                    lower,
                    lower + draw.randrange(1, 300) * pool.tick_spacing,
                    draw.getrandbits(90) + 1,
                )
                positions.append(position)
                pool.modify_liquidity(*position)
                assert row.apply(MINT, 9, position[2], 0, 0, topics=(7, *position[:2])) == LOG_APPLIED
            else:
                move(pool, draw)
                moved = (pool.sqrt_price_x96, pool.liquidity, pool.tick)
                assert row.apply(SWAP, 0, 0, *moved, topics=(1, 2)) == LOG_APPLIED
            applied = row.raw
            row.set(pool)
            assert applied == row.raw


def move(pool: Pool, draw: random.Random) -> None:
    """Put the price somewhere else, as a swap with a price limit would; sometimes exactly onto a tick."""
    inner = [at for at in pool.ticks if abs(at) < 800_000]
    tick = draw.choice([*inner, draw.randrange(-20_000, 20_000)])
    pool.sqrt_price_x96 = math_reference.get_sqrt_ratio_at_tick(tick) + draw.randrange(2)
    # A swap downwards that ends on an initialised tick leaves the tick below it.
    is_below = pool.sqrt_price_x96 == math_reference.get_sqrt_ratio_at_tick(tick) and draw.random() < 0.5
    pool.tick = tick - is_below
    pool.liquidity = sum(entry.liquidity_net for at, entry in pool.ticks.items() if at <= pool.tick)


def test_initialize_opens_the_pool(row: Row) -> None:
    row.set(Pool(500, 10))
    price = math_reference.get_sqrt_ratio_at_tick(-33)
    assert row.apply(INITIALIZE, price, -33) == LOG_APPLIED
    assert row.apply(MINT, 9, 10**18, 0, 0, topics=(7, -100, 100)) == LOG_APPLIED
    pool = Pool(500, 10, price, -33)
    pool.modify_liquidity(-100, 100, 10**18)
    assert row.quote(10**12, 0) == reference.quote(pool, 10**12, zero_for_one=True) > 0


def test_a_burn_of_nothing_is_ignored(row: Row) -> None:
    row.set(random_pool(random.Random(1), 3))
    before = row.raw
    assert row.apply(BURN, 0, 0, 0, topics=(7, -60, 60)) == LOG_IGNORED
    assert row.raw == before


def test_a_tick_without_room_asks_for_a_reload() -> None:
    row = Row(capacity=3)
    pool = Pool(3000, 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool)
    assert row.apply(MINT, 9, 5, 0, 0, topics=(7, -60, 120)) == LOG_APPLIED
    assert row.apply(MINT, 9, 5, 0, 0, topics=(7, -180, 120)) == LOG_RELOAD


@pytest.mark.parametrize(
    ("event", "data", "topics"),
    [
        (SWAP, (0, 0, 2**96, 10**6 + 1, 0), (1, 2)),  # liquidity that no tick gives
        (SWAP, (0, 0, 2**96, 10**6, 60), (1, 2)),  # a tick at which there is none
        (BURN, (10**6 + 1, 0, 0), (7, -60, 60)),  # more than there is
        (BURN, (1, 0, 0), (7, -120, 60)),  # at a tick that is not initialised
        (MINT, (10**6, 0, 0), (7, -60, 60)),  # data of another length
        (SWAP, (0, 0, 2**96, 0, 2**40), (1, 2)),  # a tick that does not exist
        (SWAP, (0, 0, 2**200, 0, 120), (1, 2)),  # a price that does not exist
        (INITIALIZE, (2**96, -(2**50)), ()),
        (MINT, (9, 1, 0, 0), (7, -60, 2**60)),
        (BURN, (1, 0, 0), (7, -(2**60), 60)),
        (4, (0,), ()),
        (-1, (0,), ()),
    ],
)
def test_an_event_that_contradicts_the_row_asks_for_a_reload(
    row: Row, event: int, data: tuple[int, ...], topics: tuple[int, ...]
) -> None:
    pool = Pool(3000, 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool)
    assert row.apply(event, *data, topics=topics) == LOG_RELOAD


def test_a_row_whose_liquidity_is_not_that_of_its_ticks_is_not_complete(row: Row) -> None:
    pool = random_pool(random.Random(3), 4)
    pool.liquidity += 1
    row.memory.view("u1", row.size)[:] = bytearray(pool.row(tick_capacity=CAPACITY, gas=GAS))
    assert not hot_state.rebuild(row.address)


@pytest.mark.parametrize(
    "wrong", [{"tick_spacing": 0}, {"tick_spacing": 16_384}, {"fee_pips": 10**6}, {"tick": 2**40}]
)
def test_a_row_of_impossible_facts_is_not_complete(row: Row, wrong: dict[str, int]) -> None:
    """Refused, and in finite time: a spacing of 0 would never reach the next stop."""
    pool = random_pool(random.Random(3), 4)
    for name, value in wrong.items():
        setattr(pool, name, value)
    row.memory.view("u1", row.size)[:] = bytearray(pool.row(tick_capacity=CAPACITY, gas=GAS))
    assert not hot_state.rebuild(row.address)


def test_more_ticks_than_room_do_not_make_a_row() -> None:
    with pytest.raises(ValueError, match="4 ticks do not fit into 3"):
        pack_row(
            sqrt_price_x96=1,
            liquidity=0,
            tick=0,
            fee_pips=1,
            tick_spacing=1,
            ticks=dict.fromkeys(range(4), (1, 0)),
            tick_capacity=3,
            gas=GAS,
        )


def test_the_rooms_are_the_inputs_that_reach_the_first_stops(row: Row) -> None:
    pool = random_pool(random.Random(6), 8)
    row.set(pool)
    for offset, i in ((ROOM_DOWN, 0), (ROOM_UP, 1)):
        room = int.from_bytes(row.raw[offset : offset + 32], "little")
        stop = reference.next_initialized_tick_within_one_word(pool, pool.tick, lte=i == 0)
        price = math_reference.get_sqrt_ratio_at_tick(stop)
        assert room == input_to(pool, price, i)
