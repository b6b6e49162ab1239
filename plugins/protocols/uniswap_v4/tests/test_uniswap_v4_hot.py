"""The compiled functions against the reference, on random pools and through random histories."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_protocol_uniswap_v4 import hot, reference
from tallyio_protocol_uniswap_v4.own import Own
from tallyio_protocol_uniswap_v4.reference import MAX_AMOUNT, Pool, calculate_swap_fee, new_pool

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.concentrated.reference_math import MAX_TICK, PIPS, get_sqrt_ratio_at_tick
from tallyio.native.jit import warm_all
from tests.v4_pools import GAS, Row, random_pool

INITIALIZE, SWAP, MODIFY_LIQUIDITY, PROTOCOL_FEE_UPDATED = range(4)
DYNAMIC = 0x800000
DATA = {
    INITIALIZE: ("uint24", "int24", "address", "uint160", "int24"),
    SWAP: ("int128", "int128", "uint160", "uint128", "int24", "uint24"),
    MODIFY_LIQUIDITY: ("int24", "int24", "int256", "bytes32"),
    PROTOCOL_FEE_UPDATED: ("uint24",),
}
"""What the events carry besides their topics."""

HOOK = "0x" + "00" * 20


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.quote_exact_out, hot.curve, hot.gas, hot.apply_log, hot.advance])
    made = Row()
    yield made
    made.memory.close()


def data_of(event: int, *values: object) -> bytes:
    return encode(DATA[event], values)


def wide_pool(draw: random.Random) -> Pool:
    """Return a random pool in which no walk is long."""
    while (pool := random_pool(draw)).tick_spacing < 10:
        pass
    return pool


POOLS = st.integers(0, 2**32).map(lambda seed: wide_pool(random.Random(seed)))
AMOUNTS = st.integers(0, 256).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amounts=st.lists(AMOUNTS, min_size=1, max_size=6), i=st.integers(0, 1))
def test_quotes_equal_the_reference(row: Row, pool: Pool, amounts: list[int], i: int) -> None:
    row.set(pool)
    for amount in amounts:
        assert row.quote(amount, i) == reference.quote(pool, amount, zero_for_one=i == 0)
        exact = reference.quote_exact_out(pool, amount, zero_for_one=i == 0)
        assert row.quote_exact_out(amount, i) == exact


def test_four_thousand_seeded_quotes_equal_the_reference(row: Row) -> None:
    """Amounts of the size that the pool has, so that most are paid."""
    draw, paid = random.Random(12), [0, 0]
    for _ in range(100):
        pool = wide_pool(draw)
        row.set(pool)
        for _ in range(20):
            i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(1, 100)) + 1
            bought = reference.quote(pool, amount, zero_for_one=i == 0)
            assert row.quote(amount, i) == bought
            wanted = draw.choice((bought, bought // 3)) or amount
            taken = reference.quote_exact_out(pool, wanted, zero_for_one=i == 0)
            assert row.quote_exact_out(wanted, i) == taken
            paid = [paid[0] + (bought > 0), paid[1] + (taken > 0)]
    assert min(paid) > 400


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amount=AMOUNTS.filter(bool), i=st.integers(0, 1))
def test_what_an_exact_output_takes_pays_that_output(row: Row, pool: Pool, amount: int, i: int) -> None:
    """And one unit less of input pays less: it is the least that does."""
    row.set(pool)
    if taken := row.quote_exact_out(amount, i):
        assert row.quote(taken, i) >= amount or row.quote(taken, i) == 0
        assert row.quote(taken - 1, i) <= amount


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
    if amount > MAX_AMOUNT + 1:
        assert (out, slope) == (0.0, 0.0)
    if exact == 0:
        return  # nothing paid, or beyond what the pool can take: a float may see the edge elsewhere
    outcome = reference.swap(pool, -amount, zero_for_one=i == 0)
    price = (pool.sqrt_price_x96 / 2**96) ** (2 if i == 0 else -2)
    most = max((abs(tick.liquidity_net) for tick in pool.ticks.values()), default=0) + pool.liquidity
    grain = most * len(pool.ticks) / 2**96 * max(1.0, price)
    assert slope >= 0.0
    assert abs(out - exact) <= 1e-9 * exact + (outcome.stops + 1) * (2 + 2 * price + grain)


@pytest.mark.parametrize("liquidity", [10**36, 10**37])
def test_amounts_that_no_balance_holds_are_refused(row: Row, liquidity: int) -> None:
    """The manager books int128: inputs and outputs beyond are 0, on both sides of the edge."""
    pool = new_pool(lp_fee=0, tick_spacing=60)
    pool.sqrt_price_x96 = 1 << 96
    pool.modify_liquidity(-887_220, 887_220, liquidity)
    row.set(pool)
    for amount in (MAX_AMOUNT - 1, MAX_AMOUNT, MAX_AMOUNT + 1, 2**255, 2**256 - 1):
        for i in (0, 1):
            assert row.quote(amount, i) == reference.quote(pool, amount, zero_for_one=i == 0)
            exact = reference.quote_exact_out(pool, amount, zero_for_one=i == 0)
            assert row.quote_exact_out(amount, i) == exact
    assert row.quote(MAX_AMOUNT, 0) > 0
    assert row.quote(MAX_AMOUNT + 1, 0) == 0


def test_an_output_or_input_that_no_balance_holds_is_refused(row: Row) -> None:
    """Far from a price of one, the other side leaves the range first."""
    pool = new_pool(lp_fee=3000, tick_spacing=60)
    pool.tick = 400_000
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(pool.tick)
    pool.modify_liquidity(-887_220, 887_220, 2**120)
    row.set(pool)
    edges = [last_that_pays(row, quote, i) for quote, i in ((row.quote, 0), (row.quote_exact_out, 1))]
    for edge, quote, exact, i in zip(
        edges,
        (row.quote, row.quote_exact_out),
        (reference.quote, reference.quote_exact_out),
        (0, 1),
        strict=True,
    ):
        assert 0 < edge < MAX_AMOUNT
        assert MAX_AMOUNT - 2**60 < quote(edge, i) <= MAX_AMOUNT
        for amount in (edge, edge + 1):
            assert quote(amount, i) == exact(pool, amount, zero_for_one=i == 0)


def last_that_pays(row: Row, quote: object, i: int) -> int:
    low, high = 0, 2**128
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if quote(middle, i) else (low, middle)  # type: ignore[operator]
    return low


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (2, -1), (-1, 2), (0, 2), (3, -2)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set(wide_pool(random.Random(2)))
    assert hot.quote(row.address, i, j, 10**6) == hot.quote_exact_out(row.address, i, j, 10**6) == 0
    assert hot.curve(row.address, i, j, 1e6) == (0.0, 0.0)


@given(protocol=st.integers(0, 1000), lp=st.integers(0, PIPS))
def test_the_swap_fee_is_what_both_take_one_after_the_other(protocol: int, lp: int) -> None:
    """Rounded up, never above all of the input, and above neither part alone."""
    fee = calculate_swap_fee(protocol, lp)
    exact = protocol * PIPS + lp * (PIPS - protocol)
    assert fee == -(-exact // PIPS) <= PIPS
    assert fee >= max(protocol, lp)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), lp=st.integers(0, PIPS), packed=st.integers(0, 1000 << 12 | 1000))
def test_a_row_that_follows_the_protocols_fee_is_a_fresh_row(
    row: Row, seed: int, lp: int, packed: int
) -> None:
    pool = wide_pool(random.Random(seed))
    pool.set_fees(lp_fee=lp)
    row.set(pool)
    assert row.apply(PROTOCOL_FEE_UPDATED, data_of(PROTOCOL_FEE_UPDATED, packed)) == LOG_APPLIED
    followed = row.raw
    pool.set_fees(protocol_fee=packed)
    row.set(pool)
    assert followed == row.raw


def test_a_history_of_events_leaves_the_row_of_the_final_state(row: Row) -> None:
    """All events in random order; after each, the row says what a fresh load would."""
    applied = reloaded = 0
    for seed in range(12):
        draw = random.Random(seed)
        pool = wide_pool(draw)
        row.set(pool)
        positions: list[tuple[int, int, int]] = []
        for _ in range(40):
            if row.apply(*change(pool, draw, positions)) == LOG_RELOAD:
                # The row had no room: the events contradict nothing, so the fresh one is complete.
                row.set(pool)
                reloaded += 1
                continue
            followed = row.contents
            row.set(pool)
            assert followed == row.contents
            applied += 1
    assert applied > 300
    assert reloaded > 0


def change(pool: Pool, draw: random.Random, positions: list[tuple[int, int, int]]) -> tuple[int, bytes]:
    """Change a pool somehow, and return the event that tells."""
    kind = draw.random()
    if kind < 0.1:
        packed = draw.randrange(1001) | draw.randrange(1001) << 12
        pool.set_fees(protocol_fee=packed)
        return PROTOCOL_FEE_UPDATED, data_of(PROTOCOL_FEE_UPDATED, packed)
    if kind < 0.4 and positions:
        lower, upper, amount = positions.pop(draw.randrange(len(positions)))
        pool.modify_liquidity(lower, upper, -amount)
        return MODIFY_LIQUIDITY, data_of(MODIFY_LIQUIDITY, lower, upper, -amount, bytes(32))
    if kind < 0.7:
        end = MAX_TICK // pool.tick_spacing
        lower, upper = sorted(draw.sample(range(-end, end + 1), 2))
        position = (lower * pool.tick_spacing, upper * pool.tick_spacing, draw.getrandbits(90) + 1)
        positions.append(position)
        pool.modify_liquidity(*position)
        return MODIFY_LIQUIDITY, data_of(MODIFY_LIQUIDITY, *position, bytes(32))
    return SWAP, data_of(SWAP, *move(pool, draw))


def move(pool: Pool, draw: random.Random) -> tuple[int, int, int, int, int, int]:
    """Put the price somewhere else, as a swap with a price limit would; sometimes exactly onto a tick."""
    before = pool.sqrt_price_x96
    inner = [at for at in pool.ticks if abs(at) < 800_000]
    tick = draw.choice([*inner, draw.randrange(-20_000, 20_000)])
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(tick) + draw.randrange(2)
    # A swap downwards that ends on an initialised tick leaves the tick below it.
    is_below = pool.sqrt_price_x96 == get_sqrt_ratio_at_tick(tick) and draw.random() < 0.5
    pool.tick = tick - is_below
    pool.liquidity = sum(entry.liquidity_net for at, entry in pool.ticks.items() if at <= pool.tick)
    i = 0 if pool.sqrt_price_x96 < before else 1
    taken = draw.choice((0, 10**9)) if pool.sqrt_price_x96 != before else 10**9
    amounts = (-taken, taken // 2) if i == 0 else (taken // 2, -taken)
    return *amounts, pool.sqrt_price_x96, pool.liquidity, pool.tick, pool.fees_pips[i]


def test_a_swap_with_another_fee_asks_for_a_reload(row: Row) -> None:
    """A hook set the fee, which emits nothing; the swap's direction tells which of both it should be."""
    pool = new_pool(lp_fee=3000, tick_spacing=60, protocol_fee=100 | 200 << 12)
    pool.sqrt_price_x96 = 1 << 96
    pool.modify_liquidity(-600, 600, 10**18)
    down, up = pool.fees_pips
    same = (pool.sqrt_price_x96, pool.liquidity, pool.tick)
    for amounts, fee, status in (
        ((-5, 4), down, LOG_APPLIED),
        ((4, -5), up, LOG_APPLIED),
        ((-5, 4), up, LOG_RELOAD),
        ((4, -5), down, LOG_RELOAD),
        ((-5, 0), down + 1, LOG_RELOAD),
        ((0, 0), 77, LOG_APPLIED),  # neither amounts nor price tell the direction, nor does it matter
    ):
        row.set(pool)
        assert row.apply(SWAP, data_of(SWAP, *amounts, *same, fee)) == status
    # Through a stretch without liquidity a swap takes nothing: the price tells.
    empty = new_pool(lp_fee=3000, tick_spacing=60, protocol_fee=100 | 200 << 12)
    empty.sqrt_price_x96 = 1 << 96
    for change_x96, fee, status in ((-1, down, LOG_APPLIED), (1, up, LOG_APPLIED), (1, down, LOG_RELOAD)):
        row.set(empty)
        moved = ((1 << 96) + change_x96, 0, -1 if change_x96 < 0 else 0)
        assert row.apply(SWAP, data_of(SWAP, 0, 0, *moved, fee)) == status


def test_a_dynamic_fee_is_believed_for_a_while_only(row: Row) -> None:
    pool = new_pool(lp_fee=3000, tick_spacing=60)
    pool.own = Own(lp_fee=3000, fee_seconds=30, fee_read_at=1_000)
    row.set(pool)
    ages = [hot.advance(row.address, timestamp) for timestamp in (1_000, 1_030, 1_031, 9_999)]
    assert ages == [LOG_IGNORED, LOG_IGNORED, LOG_RELOAD, LOG_RELOAD]
    row.set(new_pool(lp_fee=3000, tick_spacing=60))
    assert hot.advance(row.address, 2**40) == LOG_IGNORED


def test_initialize_opens_the_pool(row: Row) -> None:
    """The row of a pool that was not there yet has no fee either."""
    row.set(new_pool(lp_fee=0, tick_spacing=10), room=8)
    price = get_sqrt_ratio_at_tick(-33)
    assert row.quote(10**6, 0) == 0
    assert row.apply(INITIALIZE, data_of(INITIALIZE, 500, 10, HOOK, price, -33)) == LOG_APPLIED
    position = (-100, 100, 10**18)
    assert row.apply(MODIFY_LIQUIDITY, data_of(MODIFY_LIQUIDITY, *position, bytes(32))) == LOG_APPLIED
    pool = new_pool(lp_fee=500, tick_spacing=10)
    pool.sqrt_price_x96, pool.tick = price, -33
    pool.modify_liquidity(*position)
    assert row.quote(10**12, 0) == reference.quote(pool, 10**12, zero_for_one=True) > 0


def test_a_change_of_nothing_is_ignored(row: Row) -> None:
    """Collecting fees changes liquidity by 0."""
    row.set(wide_pool(random.Random(1)))
    before = row.raw
    data = data_of(MODIFY_LIQUIDITY, -60, 60, 0, bytes(32))
    assert row.apply(MODIFY_LIQUIDITY, data) == LOG_IGNORED
    assert row.raw == before


@pytest.mark.parametrize(
    ("event", "values"),
    [
        (SWAP, (-5, 4, 2**96, 10**6 + 1, 0, 3000)),  # liquidity that no tick gives
        (SWAP, (-5, 4, 2**96, 10**6, 60, 3000)),  # a tick at which there is none
        (SWAP, (-5, 4, 2**60, 0, 120, 3000)),  # a price that is not the tick's
        (MODIFY_LIQUIDITY, (-60, 60, -(10**6) - 1, bytes(32))),  # more than there is
        (MODIFY_LIQUIDITY, (-120, 60, -1, bytes(32))),  # at a tick that is not initialised
        (MODIFY_LIQUIDITY, (60, 60, 1, bytes(32))),  # between a tick and itself
        (MODIFY_LIQUIDITY, (-60, 2**23 - 1, 1, bytes(32))),  # a tick that does not exist
        (INITIALIZE, (DYNAMIC, 60, HOOK, 2**96, 0)),  # a hook may have set the fee already
        (INITIALIZE, (PIPS + 1, 60, HOOK, 2**96, 0)),
        (INITIALIZE, (3000, 60, HOOK, 2**96, 2**23 - 1)),
    ],
)
def test_an_event_that_contradicts_the_row_asks_for_a_reload(
    row: Row, event: int, values: tuple[object, ...]
) -> None:
    row.set(small_pool())
    assert row.apply(event, data_of(event, *values)) == LOG_RELOAD


def small_pool() -> Pool:
    pool = new_pool(lp_fee=3000, tick_spacing=60)
    pool.sqrt_price_x96 = 1 << 96
    pool.modify_liquidity(-60, 60, 10**6)
    return pool


@pytest.mark.parametrize("event", [-1, 0, 1, 2, 3, 4])
def test_data_of_another_length_asks_for_a_reload(row: Row, event: int) -> None:
    row.set(small_pool())
    assert row.apply(event, bytes(7 * 32)) == LOG_RELOAD
    assert row.apply(event, b"") == LOG_RELOAD


def test_a_tick_without_room_asks_for_a_reload(row: Row) -> None:
    row.set(small_pool(), room=0)
    status = row.apply(MODIFY_LIQUIDITY, data_of(MODIFY_LIQUIDITY, -1200, 1200, 5, bytes(32)))
    assert status == LOG_RELOAD


def test_gas_is_that_of_the_ticks_and_words_on_the_way(row: Row) -> None:
    pool = small_pool()
    pool.modify_liquidity(-6_000, 6_000, 10**6)
    pool.tick, pool.sqrt_price_x96 = 30, get_sqrt_ratio_at_tick(30)
    row.set(pool)
    assert hot.gas(row.address, 1, 0, 10) == GAS[0]
    outcome = reference.swap(pool, -12_000, zero_for_one=True)
    assert (outcome.ticks_crossed, outcome.stops) == (1, 2)
    assert hot.gas(row.address, 0, 1, 12_000) == GAS[0] + GAS[1] + GAS[2]
