"""The loops over a book's positions, compiled with the functions of the enabled lending protocols.

Layer: lending. Import it through `tallyio.lending.fusion.fuse_lending`, which gives it the fused functions.

A position's *margin* is a sum over its balances, `weight * value` for collateral and `-value` for debt, and
each side of a reserve has one value for all its holders. So a price that moves touches the holders of that
asset and nobody else, each with one multiplication and one addition.

The margin decides nothing; it says which positions the exact `health` need not look at. Let u be the values
that the margins were made with, v the true ones at the time asked for, and G the sum of weight * u over both
sides. The owner of the columns sees to |v / u - 1| <= t for every side, by `move` where it is more. Then the
exact rational margin differs from the stored one by at most t * G, the contract's own from that by at most
`relative_slack * (1 + t) * G` and `unit_slack` units for each balance, and the float sum from its rational
value by at most 2**-52 * (balances + moves since `refresh`) * 2 * G'. Here G' is the largest G since then:
the owner refreshes before any value has doubled, so G' <= 2 * G at that time, and before 2**24 moves. The
band of a position is `relative * G + absolute` with `relative` above twice the sum of all that: whoever is
above it is healthy.
"""

from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    LIQUIDATABLE,
    PLACES,
    RESERVE_COUNT,
    UNKNOWN,
    balance_at,
    count_of,
    reserve_of,
)
from tallyio.lending.fused import health, liquidate, values, weight
from tallyio.lending.layout import COLUMNS, SIDE, SIDES
from tallyio.native.atomics import load, load_f64, load_i32, store, store_f64, store_i32
from tallyio.native.jit import hot
from tallyio.native.u256 import load128, to_f64, u256


def _word(field: str) -> int:
    return COLUMNS.fields[field][1] // 8  # type: ignore[index]


_POSITIONS: Final = _word("positions")
_COUNT: Final = _word("position_count")
_MARGINS: Final = _word("margins")
_BANDS: Final = _word("bands")
_WATCHED: Final = _word("watched")
_WATCH: Final = _word("watch")
_WATCH_COUNT: Final = _word("watch_count")
_SIDES_AT: Final = _word("sides")
_SIDE_COUNT: Final = _word("side_count")
_RELATIVE: Final = _word("relative")
_ABSOLUTE: Final = _word("absolute")
_SCRATCH: Final = _word("scratch")

_SIDE_BYTES: Final = SIDE.itemsize
_VALUE: Final = 0
_IDS: Final = 1
_WEIGHTS: Final = 2
_HOLDERS: Final = 3


@hot("int64(int64, int64)", inline=True)
def _side(columns: int, number: int) -> int:
    return load(columns, _SIDES_AT) + number * _SIDE_BYTES


@hot("float64(int64)", inline=True)
def _amount(address: int) -> float:
    return to_f64(u256(load128(address)))


@hot("int64(int64, int64, int64, int64)")
def read_values(book: int, time: int, number: int, out: int) -> int:
    """Write the values of every side to `out`, float64 by side; return how many reserves have none.

    A reserve without a price has NaN on both sides: its holders' margins would be worth nothing.
    """
    unknown = 0
    for reserve in range(load(book, RESERVE_COUNT)):
        place = out + 8 * SIDES * reserve
        if values(book, reserve, time, number, place) == UNKNOWN:
            unknown += 1
            store_f64(place, 0, float("nan"))
            store_f64(place, 1, float("nan"))
    return unknown


@hot("void(int64, int64)", inline=True)
def _look(columns: int, position: int) -> None:
    """Put a position on the watch list if its margin is within its band, and it is not there yet."""
    # Written so that a margin which is no number is watched.
    is_safe = load_f64(load(columns, _MARGINS), position) > load_f64(load(columns, _BANDS), position)
    watched = load(columns, _WATCHED)
    if not is_safe and load(watched, position) == 0:
        count = load(columns, _WATCH_COUNT)
        store(watched, position, 1)
        store(load(columns, _WATCH), count, position)
        store(columns, _WATCH_COUNT, count + 1)


@hot("void(int64, int64, int64, float64, int64)", inline=True)
def _join(columns: int, number: int, position: int, amount: float, place: int) -> None:
    """Make `position` a holder of side `number`; `place` is where to note its place among them."""
    side = _side(columns, number)
    count = load(side, _HOLDERS)
    store_i32(load(side, _IDS), count, position)
    store_f64(load(side, _WEIGHTS), count, amount)
    store_i32(place, 0, count)
    store(side, _HOLDERS, count + 1)


@hot("void(int64, int64, int64)")
def attach(book: int, columns: int, position: int) -> None:
    """Enter position id `position` among the holders of its sides, and set margin and band.

    The owner has made room in every side that it has a part in, and on the watch list.
    """
    at = load(load(columns, _POSITIONS), position)
    margin, gross = 0.0, 0.0
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        number = SIDES * reserve_of(balance)
        secured = _amount(balance + COLLATERAL) * weight(book, at, k)
        owed = _amount(balance + DEBT)
        store_i32(balance + PLACES, 0, -1)
        store_i32(balance + PLACES, 1, -1)
        if secured > 0.0:
            _join(columns, number, position, secured, balance + PLACES)
            worth = secured * load_f64(_side(columns, number), _VALUE)
            margin, gross = margin + worth, gross + worth
        if owed > 0.0:
            _join(columns, number + 1, position, -owed, balance + PLACES + 4)
            worth = owed * load_f64(_side(columns, number + 1), _VALUE)
            margin, gross = margin - worth, gross + worth
    store_f64(load(columns, _MARGINS), position, margin)
    band = gross * load_f64(columns, _RELATIVE) + load_f64(columns, _ABSOLUTE)
    # Whoever owes nothing is never liquidated.
    store_f64(load(columns, _BANDS), position, band if margin < gross else -1.0)
    _look(columns, position)


@hot("void(int64, int64, int64)", inline=True)
def _leave(columns: int, number: int, place: int) -> None:
    """Take the holder at `place` out of side `number`; the last holder moves there."""
    side = _side(columns, number)
    last = load(side, _HOLDERS) - 1
    mover = load_i32(load(side, _IDS), last)
    store_i32(load(side, _IDS), place, mover)
    store_f64(load(side, _WEIGHTS), place, load_f64(load(side, _WEIGHTS), last))
    store(side, _HOLDERS, last)
    at = load(load(columns, _POSITIONS), mover)
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        if SIDES * reserve_of(balance) == number & -SIDES and (
            load_i32(balance + PLACES, number & 1) == last
        ):
            store_i32(balance + PLACES, number & 1, place)


@hot("void(int64, int64)")
def detach(columns: int, position: int) -> None:
    """Take position id `position` out of the holders of its sides; it stays on the watch list, healthy."""
    at = load(load(columns, _POSITIONS), position)
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        for which in range(SIDES):
            place = load_i32(balance + PLACES, which)
            if place >= 0:
                _leave(columns, SIDES * reserve_of(balance) + which, place)
                store_i32(balance + PLACES, which, -1)
    store_f64(load(columns, _MARGINS), position, float("inf"))
    store_f64(load(columns, _BANDS), position, 0.0)


@hot("int64(int64, int64, float64)")
def move(columns: int, number: int, value: float) -> int:
    """Give side `number` another value, and its holders the margins that follow; return how many."""
    side = _side(columns, number)
    by = value - load_f64(side, _VALUE)
    store_f64(side, _VALUE, value)
    ids, weights = load(side, _IDS), load(side, _WEIGHTS)
    margins, bands = load(columns, _MARGINS), load(columns, _BANDS)
    count = load(side, _HOLDERS)
    for k in range(count):
        position = load_i32(ids, k)
        margin = load_f64(margins, position) + load_f64(weights, k) * by
        store_f64(margins, position, margin)
        if not margin > load_f64(bands, position):
            _look(columns, position)
    return count


@hot("void(int64, int64)")
def refresh(columns: int, fresh: int) -> None:
    """Make all margins and bands anew, with the values at `fresh`, float64 by side."""
    margins, bands = load(columns, _MARGINS), load(columns, _BANDS)
    ids_count = load(columns, _COUNT)
    for position in range(ids_count):
        store_f64(margins, position, 0.0)
        store_f64(bands, position, 0.0)
    for number in range(load(columns, _SIDE_COUNT)):
        side, value = _side(columns, number), load_f64(fresh, number)
        store_f64(side, _VALUE, value)
        ids, weights = load(side, _IDS), load(side, _WEIGHTS)
        for k in range(load(side, _HOLDERS)):
            position, worth = load_i32(ids, k), load_f64(weights, k) * value
            store_f64(margins, position, load_f64(margins, position) + worth)
            store_f64(bands, position, load_f64(bands, position) + abs(worth))
    relative, absolute = load_f64(columns, _RELATIVE), load_f64(columns, _ABSOLUTE)
    for position in range(ids_count):
        margin, gross = load_f64(margins, position), load_f64(bands, position)
        if gross == 0.0:
            store_f64(margins, position, float("inf"))
        store_f64(bands, position, gross * relative + absolute if margin < gross else -1.0)
        _look(columns, position)


@hot("int64(int64, int64, int64, int64, int64, int64)")
def sift(book: int, columns: int, time: int, number: int, found: int, room: int) -> int:
    """Write to `found` the ids that are liquidatable, or unknown, exactly; return how many there are.

    Looks at the watch list alone, and strikes from it who is safe. More than `room` are counted only.
    """
    watch, watched = load(columns, _WATCH), load(columns, _WATCHED)
    margins, bands = load(columns, _MARGINS), load(columns, _BANDS)
    positions, scratch = load(columns, _POSITIONS), load(columns, _SCRATCH)
    count, kept, hits = load(columns, _WATCH_COUNT), 0, 0
    for k in range(count):
        position = load(watch, k)
        if load_f64(margins, position) > load_f64(bands, position):
            store(watched, position, 0)
            continue
        store(watch, kept, position)
        kept += 1
        status = health(book, load(positions, position), time, number, scratch)
        if status in (LIQUIDATABLE, UNKNOWN):
            if hits < room:
                store(found, hits, position)
            hits += 1
    store(columns, _WATCH_COUNT, kept)
    return hits


@hot("float64(int64, int64)")
def net_of(columns: int, balance: int) -> float:
    """Return what a balance adds to its position's margin: weighted collateral less debt."""
    net = 0.0
    for which in range(SIDES):
        place = load_i32(balance + PLACES, which)
        if place >= 0:
            side = _side(columns, SIDES * reserve_of(balance) + which)
            net += load_f64(load(side, _WEIGHTS), place) * load_f64(side, _VALUE)
    return net


@hot("float64(int64, int64)")
def margin_of(columns: int, position: int) -> float:
    """Return the margin of the POSITION at address `position`, made anew."""
    margin = 0.0
    for k in range(count_of(position)):
        margin += net_of(columns, balance_at(position, k))
    return margin


@hot("int64(int64, int64, int64, int64)")
def deaths(columns: int, reserve: int, ids: int, factors: int) -> int:
    """Write for each holder of a reserve at which factor on its price the margin is zero; return how many.

    `ids` and `factors` have room for the holders of both sides. 0 and below: no fall of this price alone
    does it; infinite: the price does not matter to the position.
    """
    count = 0
    for which in range(SIDES):
        side = _side(columns, SIDES * reserve + which)
        for k in range(load(side, _HOLDERS)):
            position = load_i32(load(side, _IDS), k)
            at = load(load(columns, _POSITIONS), position)
            for b in range(count_of(at)):
                balance = balance_at(at, b)
                # Whoever has both sides was met among the holders of the first.
                is_first = which == 0 or load_i32(balance + PLACES, 0) < 0
                if reserve_of(balance) == reserve and is_first:
                    net = net_of(columns, balance)
                    margin = load_f64(load(columns, _MARGINS), position)
                    store(ids, count, position)
                    store_f64(factors, count, 1.0 - margin / net if net != 0.0 else float("inf"))
                    count += 1
    return count


@hot("int64(int64, int64, int64, int64, int64)")
def health_of(book: int, position: int, time: int, number: int, out: int) -> int:
    """Write the exact health of the POSITION at address `position`."""
    return health(book, position, time, number, out)


@hot("int64(int64, int64)")
def place_of(position: int, reserve: int) -> int:
    """Return which balance of the POSITION at address `position` is in a reserve; -1: none."""
    for k in range(count_of(position)):
        if reserve_of(balance_at(position, k)) == reserve:
            return k
    return -1


@hot("int64(int64, int64, int64, int64, u256, int64, int64, int64)")
def liquidate_one(  # noqa: PLR0913, PLR0917 - one liquidation has this many facts
    book: int, position: int, collateral: int, debt: int, repay: int, time: int, number: int, out: int
) -> int:
    """Write what the contract would do, and return its verdict; -1: nothing is held in one of the reserves.

    `collateral` and `debt` are numbers of reserves.
    """
    taken, owed = place_of(position, collateral), place_of(position, debt)
    if taken < 0 or owed < 0:
        return -1
    return liquidate(book, position, taken, owed, repay, time, number, out)
