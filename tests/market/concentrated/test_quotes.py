"""The compiled quotes against the reference, on random pools."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyio.market.concentrated import changes, quotes, reference
from tallyio.market.concentrated.layout import (
    DIRECTION_BYTES,
    DIRECTIONS,
    ROOM_IN,
    ROOM_OUT,
    pack_row,
    stops_needed,
)
from tallyio.market.concentrated.reference import Pool
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
)
from tallyio.native.jit import warm_all
from tests.market.concentrated.pools import GAS, Row, move, random_pool, shaped_pool, stops

ENDLESS = 2**250


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([quotes.quote, quotes.quote_exact_out, quotes.curve, quotes.gas, changes.rebuild])
    made = Row()
    yield made
    made.memory.close()


POOLS = st.builds(
    lambda seed, positions: random_pool(random.Random(seed), positions),
    st.integers(0, 2**32),
    st.integers(0, 12),
)
AMOUNTS = st.integers(0, 256).flatmap(lambda bits: st.integers(0, (1 << bits) - 1))


def check(row: Row, pool: Pool, amount: int, i: int) -> tuple[int, int]:
    """Compare both quotes with the reference, and return them."""
    paid = reference.quote(pool, amount, zero_for_one=i == 0)
    taken = reference.quote_exact_out(pool, amount, zero_for_one=i == 0)
    assert row.quote(amount, i) == paid
    assert row.quote_exact_out(amount, i) == taken
    return paid, taken


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amounts=st.lists(AMOUNTS, min_size=1, max_size=8), i=st.integers(0, 1))
def test_a_quote_equals_the_reference(row: Row, pool: Pool, amounts: list[int], i: int) -> None:
    row.set(pool)
    for amount in amounts:
        check(row, pool, amount, i)


def test_thousands_of_seeded_quotes_equal_the_reference(row: Row) -> None:
    draw, paid, taken = random.Random(12), 0, 0
    for _ in range(80):
        pool = random_pool(draw, draw.randrange(1, 15))
        row.set(pool)
        for _ in range(20):
            quoted = check(row, pool, draw.getrandbits(draw.randrange(1, 110)), draw.randrange(2))
            paid, taken = paid + (quoted[0] > 0), taken + (quoted[1] > 0)
    assert min(paid, taken) > 500


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("spacing", [1, 10, 60])
def test_amounts_around_every_stop_equal_the_reference(row: Row, i: int, spacing: int) -> None:
    """What just reaches a stop, one less and one more, for every stop there is."""
    pool = shaped_pool(random.Random(31 + spacing), 6, (3000, 500), spacing, reach=3_000)
    row.set(pool)
    for at in stops(pool):
        price = get_sqrt_ratio_at_tick(at)
        if min(pool.ticks) <= at <= max(pool.ticks) and (price < pool.sqrt_price_x96) is (i == 0):
            done = reference.swap(pool, ENDLESS, zero_for_one=i == 0, limit_x96=price)
            for more in (-1, 0, 1):
                check(row, pool, max(0, done.amount_in + more), i)
                check(row, pool, max(0, done.amount_out + more), i)


@pytest.mark.parametrize("i", [0, 1])
@pytest.mark.parametrize("spacing", [1, 3])
def test_ends_of_words_that_the_row_does_not_mark_are_rounded_at(row: Row, i: int, spacing: int) -> None:
    """With a wide position and a small spacing, most ends of words are within a stop of the row."""
    pool = shaped_pool(random.Random(2), 1, (3000, 3000), spacing)
    pool.modify_liquidity(-60_000 * spacing, 60_000 * spacing, 10**14)
    row.set(pool)
    assert len(pool.ticks) < stops_needed(dict.fromkeys(pool.ticks, (0, 1)), spacing, falling=i == 0) < 300
    draw = random.Random(5)
    for bits in range(20, 90):
        check(row, pool, draw.getrandbits(bits), i)
    for at in range(-9, 9):
        price = get_sqrt_ratio_at_tick(256 * at * spacing - (spacing if i == 1 else 0))
        if (price < pool.sqrt_price_x96) is (i == 0):
            done = reference.swap(pool, ENDLESS, zero_for_one=i == 0, limit_x96=price)
            for more in (-1, 0, 1):
                check(row, pool, done.amount_in + more, i)
                check(row, pool, done.amount_out + more, i)


@pytest.mark.parametrize("i", [0, 1])
def test_a_pool_takes_and_pays_its_last_unit_and_not_one_more(row: Row, i: int) -> None:
    pool = shaped_pool(random.Random(5), 6, (3000, 100), 60)
    row.set(pool)
    most = reference.swap(pool, ENDLESS, zero_for_one=i == 0)
    assert check(row, pool, most.amount_in, i)[0] == most.amount_out > 0
    assert row.quote(most.amount_in + 1, i) == 0
    assert check(row, pool, most.amount_out, i)[1] > 0
    assert row.quote_exact_out(most.amount_out + 1, i) == 0


@pytest.mark.parametrize("spacing", [10, 60])
@pytest.mark.parametrize("tick", [-887_272, -887_200, 0, 887_200, 887_271])
@pytest.mark.parametrize("liquidity", [1, 10**18, 2**110])
def test_the_ends_of_the_price_range_equal_the_reference(
    row: Row, spacing: int, tick: int, liquidity: int
) -> None:
    """Down to the lowest and up to the highest limit, with arithmetic that overflows 256 bits in Solidity."""
    end = 887_272 // spacing * spacing
    pool = Pool((3000, 3000), spacing, get_sqrt_ratio_at_tick(tick), tick)
    pool.modify_liquidity(-end, end, liquidity)
    row.set(pool)
    draw = random.Random(tick)
    for i in (0, 1):
        for bits in (1, 20, 60, 100, 150, 190, 212, 250):
            check(row, pool, draw.getrandbits(bits) + 1, i)


def test_positions_to_the_very_ends_end_at_the_price_limits(row: Row) -> None:
    pool = Pool((3000, 3000), 8, 2**96, 0)
    pool.modify_liquidity(-887_272, 887_272, 10**20)
    row.set(pool)
    for i in (0, 1):
        most = reference.swap(pool, ENDLESS, zero_for_one=i == 0)
        for more in (-1, 0, 1):
            check(row, pool, most.amount_in + more, i)
            check(row, pool, most.amount_out + more, i)


def test_a_pool_may_start_at_the_lowest_price(row: Row) -> None:
    pool = Pool((3000, 3000), 8, MIN_SQRT_RATIO, MIN_TICK)
    pool.modify_liquidity(-887_272, 0, 10**20)
    row.set(pool)
    assert row.quote(10**18, 0) == 0
    assert check(row, pool, 10**15, 1)[0] > 0


@pytest.mark.parametrize("liquidity", [1, 2**31, 2**33, 2**63, 2**65, 2**97, 2**120, 2**126])
@pytest.mark.parametrize("tick", [-800_000, -443_637, -300_000, -1, 100_000, 443_635, 443_637, 800_000])
def test_the_last_step_equals_the_reference_in_every_size(row: Row, liquidity: int, tick: int) -> None:
    """Amounts, prices and liquidity on both sides of what the short divisions are made for."""
    pool = Pool((500, 500), 200, get_sqrt_ratio_at_tick(tick) + 1, tick)
    pool.modify_liquidity(-887_200, 887_200, liquidity)
    row.set(pool)
    draw = random.Random(tick + liquidity)
    for i in (0, 1):
        room = max(row.wide(DIRECTIONS + i * DIRECTION_BYTES + at) for at in (ROOM_IN, ROOM_OUT))
        for bits in (0, 20, 64, 95, 96, 97, 128, *([room.bit_length() - k for k in range(4)])):
            amount = draw.getrandbits(max(bits, 0)) | 1 << max(bits, 0)
            if amount < room:
                check(row, pool, amount, i)


def test_a_pool_that_is_not_initialised_pays_nothing(row: Row) -> None:
    row.set(Pool((3000, 3000), 60))
    assert row.quote(10**18, 0) == row.quote(10**18, 1) == row.quote_exact_out(1, 0) == 0
    assert quotes.curve(row.address, 0, 1, 1e18) == (0.0, 0.0)
    assert quotes.gas(row.address, 0, 1, 10**18) == GAS[0]


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (2, -1), (-1, 2), (0, 2), (3, -2), (-1, 1), (1, -1)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set(random_pool(random.Random(2), 5))
    assert quotes.quote(row.address, i, j, 10**6) == quotes.quote_exact_out(row.address, i, j, 10**6) == 0
    assert quotes.curve(row.address, i, j, 1e6) == (0.0, 0.0)
    assert quotes.gas(row.address, i, j, 10**6) == GAS[0]


def test_a_fee_of_everything_closes_a_direction(row: Row) -> None:
    pool = shaped_pool(random.Random(8), 6, (10**6, 3000), 60)
    row.set(pool)
    assert row.quote(10**6, 0) == row.quote_exact_out(1, 0) == 0
    assert quotes.curve(row.address, 0, 1, 1e6) == (0.0, 0.0)
    assert check(row, pool, 10**18, 1)[0] > 0


@settings(max_examples=40, deadline=None)
@given(pool=POOLS, amounts=st.tuples(AMOUNTS, AMOUNTS), i=st.integers(0, 1))
def test_a_larger_input_never_pays_less_while_the_pool_can_take_it(
    row: Row, pool: Pool, amounts: tuple[int, int], i: int
) -> None:
    row.set(pool)
    low, high = (row.quote(amount, i) for amount in sorted(amounts))
    assert low <= high or high == 0


@settings(max_examples=40, deadline=None)
@given(pool=POOLS, amount=AMOUNTS, i=st.integers(0, 1))
def test_exact_output_takes_no_more_than_what_pays_it(row: Row, pool: Pool, amount: int, i: int) -> None:
    """Selling what an exact output takes pays at least that output."""
    row.set(pool)
    if taken := row.quote_exact_out(amount, i):
        assert row.quote(taken, i) >= amount


@settings(max_examples=60, deadline=None)
@given(pool=POOLS, amount=AMOUNTS, i=st.integers(0, 1))
def test_the_float_curve_is_within_its_promise(row: Row, pool: Pool, amount: int, i: int) -> None:
    row.set(pool)
    exact = row.quote(amount, i)
    out, slope = quotes.curve(row.address, i, 1 - i, float(amount))
    if exact == 0:
        return  # nothing paid, or beyond what the pool can take: a float may see the edge elsewhere
    outcome = reference.swap(pool, amount, zero_for_one=i == 0)
    price = (pool.sqrt_price_x96 / 2**96) ** (2 if i == 0 else -2)
    per_stop = 2 + 2 * price
    grain = max(pool.liquidity, outcome.liquidity) / 2**96 * max(1.0, price)
    assert slope >= 0.0
    assert abs(out - exact) <= 1e-9 * exact + (outcome.stops + 1) * (per_stop + grain)


def test_the_slope_is_the_derivative(row: Row) -> None:
    pool = shaped_pool(random.Random(21), 8, (3000, 3000), 60)
    row.set(pool)
    for i, j in ((0, 1), (1, 0)):
        for amount in (1e6, 1e15, 1e20):
            low, high = (quotes.curve(row.address, i, j, amount * part)[0] for part in (0.999_999, 1.000_001))
            slope = quotes.curve(row.address, i, j, amount)[1]
            if high:
                assert slope == pytest.approx((high - low) / (amount * 2e-6), rel=1e-3)


def test_gas_grows_with_ticks_and_words(row: Row) -> None:
    draw = random.Random(8)
    for spacing in (10, 60, 200):
        pool = shaped_pool(draw, 10, (3000, 3000), spacing)
        row.set(pool)
        for bits in range(1, 100, 3):
            for i, j in ((0, 1), (1, 0)):
                amount = (1 << bits) - 1
                outcome = reference.swap(pool, amount, zero_for_one=i == 0)
                words = outcome.stops - outcome.ticks_crossed
                if outcome.amount_remaining == 0 and pool.liquidity:
                    exact = GAS[0] + outcome.ticks_crossed * GAS[1] + words * GAS[2]
                    # A tick at the end of a word is one stop of the reference, and a word is entered there.
                    slack = (outcome.ticks_crossed + 1) * GAS[2]
                    assert abs(quotes.gas(row.address, i, j, amount) - exact) <= slack


def test_the_rooms_are_what_reaches_the_first_stops(row: Row) -> None:
    draw = random.Random(6)
    for _ in range(10):
        pool = random_pool(draw, 8)
        move(pool, draw)
        row.set(pool)
        for i in (0, 1):
            stop = reference.next_initialized_tick_within_one_word(pool, pool.tick, lte=i == 0)
            price = get_sqrt_ratio_at_tick(stop)
            if price != pool.sqrt_price_x96 and pool.liquidity:
                done = reference.swap(pool, ENDLESS, zero_for_one=i == 0, limit_x96=price)
                direction = DIRECTIONS + i * DIRECTION_BYTES
                assert row.wide(direction + ROOM_IN) == done.amount_in
                assert row.wide(direction + ROOM_OUT) == done.amount_out


def test_limits_are_the_furthest_that_the_contract_accepts() -> None:
    assert get_sqrt_ratio_at_tick(-887_272) + 1 == LOWEST_LIMIT
    assert get_sqrt_ratio_at_tick(887_272) - 1 == HIGHEST_LIMIT


@pytest.mark.parametrize(("tick_spacing", "own"), [(0, b""), (32_768, b""), (60, bytes(65))])
def test_impossible_facts_do_not_make_a_row(tick_spacing: int, own: bytes) -> None:
    with pytest.raises(ValueError, match="no pool has tick spacing"):
        pack_row(
            sqrt_price_x96=1,
            liquidity=0,
            tick=0,
            fees_pips=(1, 1),
            tick_spacing=tick_spacing,
            ticks={},
            gas=GAS,
            own=own,
        )
