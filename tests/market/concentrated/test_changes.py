"""Rows that follow a pool: after any history they are the rows of a fresh load."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from tallyio.market.concentrated import changes
from tallyio.market.concentrated.layout import OWN, PRICE_BYTES, contents
from tallyio.market.concentrated.reference import Pool
from tallyio.native.jit import warm_all
from tests.market.concentrated.pools import FEES, Row, move, random_pool, shaped_pool

ROOM = 900


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([changes.rebuild, changes.change_liquidity, changes.move_price, changes.set_fee])
    made = Row()
    yield made
    made.memory.close()


@pytest.mark.parametrize("seed", range(8))
def test_a_history_leaves_the_row_of_the_final_state(row: Row, seed: int) -> None:
    """Mints, burns, swaps, fees in random order; after each, bit for bit, the row that a rebuild makes."""
    draw, fresh = random.Random(seed), Row()
    for _ in range(3):
        pool = random_pool(draw, draw.randrange(5))
        row.set(pool, room=ROOM)
        positions: list[tuple[int, int, int]] = []
        for _ in range(40):
            change(draw, row, pool, positions)
            fresh.set(pool, room=ROOM)
            assert contents(row.raw) == contents(fresh.raw)
            assert contents(row.raw)[-1] == b""


def change(draw: random.Random, row: Row, pool: Pool, positions: list[tuple[int, int, int]]) -> None:
    """Change pool and row alike."""
    kind = draw.random()
    if positions and kind < 0.35:
        lower, upper, amount = positions.pop(draw.randrange(len(positions)))
        part = draw.choice((amount, amount // 2 + 1))
        if part < amount:
            positions.append((lower, upper, amount - part))
        pool.modify_liquidity(lower, upper, -part)
        assert changes.change_liquidity(row.address, lower, upper, 2**128 - part)
    elif kind < 0.65:
        lower, upper = random_range(draw, pool)
        amount = draw.getrandbits(draw.choice((3, 90))) + 1
        positions.append((lower, upper, amount))
        pool.modify_liquidity(lower, upper, amount)
        assert changes.change_liquidity(row.address, lower, upper, amount)
    elif kind < 0.92:
        move(pool, draw)
        before = row.raw
        assert changes.move_price(row.address, pool.sqrt_price_x96, pool.liquidity, pool.tick)
        assert row.raw[PRICE_BYTES:] == before[PRICE_BYTES:]
    else:
        i, fee = draw.randrange(2), draw.choice(FEES)
        pool.fees_pips = (fee, pool.fees_pips[1]) if i == 0 else (pool.fees_pips[0], fee)
        assert changes.set_fee(row.address, i, fee)


def random_range(draw: random.Random, pool: Pool) -> tuple[int, int]:
    """Return two ticks: new ones, ones that are there, or ends of words."""
    spacing = pool.tick_spacing
    if draw.random() < 0.06:
        end = (887_272 if spacing > 9 else 50_000) // spacing * spacing
        return -end, end
    words = [256 * spacing * k + at for k in range(-3, 3) for at in (0, -spacing)]
    near = [*pool.ticks, *words, *(spacing * draw.randrange(-400, 400) for _ in range(6))]
    first, second = draw.choice(near), draw.choice(near)
    return (first, first + spacing) if first == second else (min(first, second), max(first, second))


def test_ranges_without_liquidity_are_crossed_for_nothing(row: Row) -> None:
    """Two islands far apart; then a bridge between them comes and goes."""
    pool = Pool((3000, 3000), 1, 2**96, 0)
    pool.modify_liquidity(-100, 100, 10**18)
    pool.modify_liquidity(30_000, 30_100, 10**18)
    row.set(pool, room=ROOM)
    before = contents(row.raw)
    for delta in (10**17, -(10**17)):
        pool.modify_liquidity(-200, 30_050, delta)
        assert changes.change_liquidity(row.address, -200, 30_050, delta % 2**128)
        fresh = Row()
        fresh.set(pool, room=ROOM)
        assert contents(row.raw) == contents(fresh.raw)
    assert contents(row.raw) == before


def test_a_row_without_room_cannot_follow(row: Row) -> None:
    pool = Pool((3000, 3000), 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool, room=1)
    assert changes.change_liquidity(row.address, -60, 120, 5)
    assert not changes.change_liquidity(row.address, -180, 120, 5)


def test_a_row_without_room_for_the_ends_of_words_cannot_follow(row: Row) -> None:
    pool = Pool((3000, 3000), 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool, room=4)
    assert not changes.change_liquidity(row.address, -887_220, 887_220, 5)


def test_a_row_may_leave_no_liquidity_and_begin_again(row: Row) -> None:
    pool = Pool((3000, 3000), 10, 2**96, 0)
    row.set(pool, room=8)
    empty = contents(row.raw)
    assert changes.change_liquidity(row.address, -20, 30, 10**18)
    assert row.quote(1000, 0) > 0
    assert changes.change_liquidity(row.address, -20, 30, 2**128 - 10**18)
    assert contents(row.raw) == empty


def test_the_protocols_own_bytes_stay(row: Row) -> None:
    pool = shaped_pool(random.Random(4), 3, (500, 500), 10)
    raw = pool.row(own=b"mine", room=ROOM)
    row.memory.view("u1", len(raw))[:] = bytearray(raw)
    assert changes.rebuild(row.address)
    assert changes.change_liquidity(row.address, -20, 30, 10**18)
    row.size = len(raw)
    assert row.raw[OWN : OWN + 5] == b"mine\0"


@pytest.mark.parametrize(
    ("price", "liquidity", "tick"),
    [
        (2**96, 10**6 + 1, 0),  # liquidity that no tick gives
        (2**96, 10**6, 60),  # a tick at which there is none
        (2**96, 10**6, -61),
        (2**96 // 2, 10**6, 0),  # a price beyond the tick's range
        (2**97, 10**6, 0),
        (2**96, 0, 2**40),  # a tick that does not exist
        (2**96, 0, -(2**40)),
        (2**200, 0, 120),  # a price that does not exist
    ],
)
def test_a_price_that_contradicts_the_ticks_is_refused(
    row: Row, price: int, liquidity: int, tick: int
) -> None:
    pool = Pool((3000, 3000), 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool)
    assert not changes.move_price(row.address, price, liquidity, tick)


@pytest.mark.parametrize(
    ("lower", "upper", "delta"),
    [
        (-60, 60, -(10**6) - 1),  # more than there is
        (-120, 60, -1),  # at a tick that is not initialised
        (-60, 2**60, 1),
        (-(2**60), 60, 1),
        (60, -60, 1),
        (60, 60, 1),
    ],
)
def test_a_position_that_cannot_be_is_refused(row: Row, lower: int, upper: int, delta: int) -> None:
    pool = Pool((3000, 3000), 60, 2**96, 0)
    pool.modify_liquidity(-60, 60, 10**6)
    row.set(pool)
    assert not changes.change_liquidity(row.address, lower, upper, delta % 2**128)


@pytest.mark.parametrize(("i", "fee"), [(0, -1), (0, 10**6 + 1), (2, 5), (-1, 5)])
def test_a_fee_that_cannot_be_is_refused(row: Row, i: int, fee: int) -> None:
    row.set(shaped_pool(random.Random(4), 3, (500, 500), 10))
    assert not changes.set_fee(row.address, i, fee)


def test_a_row_whose_liquidity_is_not_that_of_its_ticks_is_not_complete(row: Row) -> None:
    pool = shaped_pool(random.Random(3), 4, (500, 500), 10)
    pool.liquidity += 1
    assert not row.place(pool)


@pytest.mark.parametrize("wrong", [{"fees_pips": (10**6 + 1, 0)}, {"fees_pips": (0, -1)}, {"tick": 2**40}])
def test_a_row_of_impossible_facts_is_not_complete(row: Row, wrong: dict[str, object]) -> None:
    pool = shaped_pool(random.Random(3), 4, (500, 500), 10)
    for name, value in wrong.items():
        setattr(pool, name, value)
    assert not row.place(pool)


def test_ticks_that_do_not_exist_are_not_complete(row: Row) -> None:
    pool = Pool((3000, 3000), 60, 2**96, 0)
    pool.modify_liquidity(-60, 887_280, 10**6)
    assert not row.place(pool)
