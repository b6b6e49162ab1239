"""The loops over a book's positions that ask the functions of the enabled lending protocols, compiled.

Layer: lending. Import it through `tallyio.lending.fusion.fuse_lending`, which gives it the fused functions.
Margins and who holds what are `tallyio.lending.margins`.
"""

from __future__ import annotations

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
from tallyio.lending.layout import SIDES
from tallyio.lending.margins import (
    BANDS,
    COUNT,
    MARGINS,
    OWED,
    POSITIONS,
    SCRATCH,
    SECURED,
    VALUES_AT,
    WATCH,
    WATCH_COUNT,
    WATCHED,
    amount_at,
    join,
    look,
    set_margin,
    weight_at,
)
from tallyio.native.atomics import load, load_f64, store, store_f64, store_i32
from tallyio.native.jit import hot


@hot("float64(int64, int64, int64)", inline=True)
def _secured(book: int, position: int, k: int) -> float:
    """Return what balance k weighs as collateral."""
    return amount_at(balance_at(position, k) + COLLATERAL) * weight(book, position, k)


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


@hot("void(int64, int64, int64)")
def attach(book: int, columns: int, position: int) -> None:
    """Enter position id `position` among the holders of its sides, and set margin and band.

    The owner has made room in every side that it has a part in, and on the watch list.
    """
    at = load(load(columns, POSITIONS), position)
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        number, place = SIDES * reserve_of(balance), balance + PLACES
        secured, owed = _secured(book, at, k), amount_at(balance + DEBT)
        own = weight_at(at, k)
        store_f64(own, SECURED, secured)
        store_f64(own, OWED, owed)
        store(own, VALUES_AT, 8 * number)
        store_i32(place, 0, -1)
        store_i32(place, 1, -1)
        if secured > 0.0:
            join(columns, number, position, secured, place)
        if owed > 0.0:
            join(columns, number + 1, position, -owed, place + 4)
    set_margin(columns, position)
    look(columns, position)


@hot("void(int64, int64, int64, int64)")
def attach_all(book: int, columns: int, first: int, count: int) -> None:
    """Do what `attach` does for `count` ids from `first` on."""
    for position in range(first, first + count):
        attach(book, columns, position)


@hot("int64(int64, int64, int64, int64)")
def outdated(book: int, columns: int, found: int, room: int) -> int:
    """Write to `found` the ids whose collateral no longer weighs what it did; return how many there are.

    More than `room` are counted only.
    """
    positions, hits = load(columns, POSITIONS), 0
    for position in range(load(columns, COUNT)):
        at = load(positions, position)
        differs = False
        for k in range(count_of(at) if at != 0 else 0):
            own = weight_at(at, k)
            differs |= _secured(book, at, k) != load_f64(own, SECURED)
        if differs:
            if hits < room:
                store(found, hits, position)
            hits += 1
    return hits


@hot("int64(int64, int64, int64, int64, int64, int64)")
def sift(book: int, columns: int, time: int, number: int, found: int, room: int) -> int:
    """Write to `found` the ids that are liquidatable, or unknown, exactly; return how many there are.

    Looks at the watch list alone, and strikes from it who is safe. More than `room` are counted only.
    """
    watch, watched = load(columns, WATCH), load(columns, WATCHED)
    margins, bands = load(columns, MARGINS), load(columns, BANDS)
    positions, scratch = load(columns, POSITIONS), load(columns, SCRATCH)
    count, kept, hits = load(columns, WATCH_COUNT), 0, 0
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
    store(columns, WATCH_COUNT, kept)
    return hits


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
