"""Margins of a book's positions, who holds what, and who is near the border, compiled.

Layer: lending. No function here asks a protocol's; those that do are in `tallyio.lending.program`.

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

from tallyio.lending.abi import COLLATERAL, DEBT, PLACES, balance_at, count_of, reserve_of
from tallyio.lending.layout import COLUMNS, SIDE, SIDES, WEIGHT
from tallyio.native.atomics import load, load_f64, load_i32, store, store_f64, store_i32
from tallyio.native.jit import hot
from tallyio.native.u256 import load128, to_f64, u256
from tallyio.native.vector import lowest_bit, not_above_f64_32


def _word(field: str) -> int:
    return COLUMNS.fields[field][1] // 8  # type: ignore[index]


POSITIONS: Final = _word("positions")
COUNT: Final = _word("position_count")
MARGINS: Final = _word("margins")
BANDS: Final = _word("bands")
WATCHED: Final = _word("watched")
WATCH: Final = _word("watch")
WATCH_COUNT: Final = _word("watch_count")
_SIDES_AT: Final = _word("sides")
_SIDE_COUNT: Final = _word("side_count")
_RELATIVE: Final = _word("relative")
_ABSOLUTE: Final = _word("absolute")
SCRATCH: Final = _word("scratch")
_VALUES: Final = _word("values")

_SIDE_BYTES: Final = SIDE.itemsize
_IDS: Final = 0
_WEIGHTS: Final = 1
_HOLDERS: Final = 2

_WEIGHT_BYTES: Final = WEIGHT.itemsize
SECURED: Final = 0
OWED: Final = 1
VALUES_AT: Final = 2
_NEXT: Final = WEIGHT.itemsize // 8
"""Words from one WEIGHT to the next."""
_LANES: Final = 32


@hot("int64(int64, int64)", inline=True)
def side_at(columns: int, number: int) -> int:
    """Return the address of the SIDE `number`."""
    return load(columns, _SIDES_AT) + number * _SIDE_BYTES


@hot("float64(int64)", inline=True)
def amount_at(address: int) -> float:
    """Return the 128-bit amount at an address as the nearest float64."""
    return to_f64(u256(load128(address)))


@hot("int64(int64, int64)", inline=True)
def weight_at(position: int, k: int) -> int:
    """Return the address of the WEIGHT of balance k of the POSITION at address `position`."""
    return position - _WEIGHT_BYTES * (k + 1)


@hot("void(int64, int64)", inline=True)
def look(columns: int, position: int) -> None:
    """Put a position on the watch list if its margin is within its band, and it is not there yet."""
    # Written so that a margin which is no number is watched.
    is_safe = load_f64(load(columns, MARGINS), position) > load_f64(load(columns, BANDS), position)
    watched = load(columns, WATCHED)
    if not is_safe and load(watched, position) == 0:
        count = load(columns, WATCH_COUNT)
        store(watched, position, 1)
        store(load(columns, WATCH), count, position)
        store(columns, WATCH_COUNT, count + 1)


@hot("void(int64, int64, int64, float64, int64)", inline=True)
def join(columns: int, number: int, position: int, amount: float, place: int) -> None:
    """Make `position` a holder of side `number`; `place` is where to note its place among them."""
    side = side_at(columns, number)
    count = load(side, _HOLDERS)
    store_i32(load(side, _IDS), count, position)
    store_f64(load(side, _WEIGHTS), count, amount)
    store_i32(place, 0, count)
    store(side, _HOLDERS, count + 1)


@hot("UniTuple(float64, 2)(int64, int64)")
def sums_of(columns: int, position: int) -> tuple[float, float]:
    """Return weighted collateral and debt of the POSITION at address `position`, at the sides' values."""
    # Two sums of each, so that an addition need not wait for the one before it.
    secured, owed, secured1, owed1 = 0.0, 0.0, 0.0, 0.0
    values, count = load(columns, _VALUES), count_of(position)
    own, last = weight_at(position, 0), weight_at(position, count - 1)
    while own > last:
        one, other = values + load(own, VALUES_AT), values + load(own, VALUES_AT - _NEXT)
        secured += load_f64(own, SECURED) * load_f64(one, 0)
        owed += load_f64(own, OWED) * load_f64(one, 1)
        secured1 += load_f64(own, SECURED - _NEXT) * load_f64(other, 0)
        owed1 += load_f64(own, OWED - _NEXT) * load_f64(other, 1)
        own -= 2 * _WEIGHT_BYTES
    if own == last:
        one = values + load(own, VALUES_AT)
        secured += load_f64(own, SECURED) * load_f64(one, 0)
        owed += load_f64(own, OWED) * load_f64(one, 1)
    return secured + secured1, owed + owed1


@hot("void(int64, int64)", inline=True)
def set_margin(columns: int, position: int) -> None:
    """Set margin and band of id `position`."""
    secured, owed = sums_of(columns, load(load(columns, POSITIONS), position))
    store_f64(load(columns, MARGINS), position, secured - owed)
    band = (secured + owed) * load_f64(columns, _RELATIVE) + load_f64(columns, _ABSOLUTE)
    # Whoever owes nothing is never liquidated.
    store_f64(load(columns, BANDS), position, -1.0 if owed == 0.0 else band)


@hot("void(int64, int64, int64, int64)")
def tally(columns: int, first: int, count: int, out: int) -> None:
    """Add to `out`, int64 by side, how many of `count` ids from `first` on may become its holders."""
    for position in range(first, first + count):
        at = load(load(columns, POSITIONS), position)
        for k in range(count_of(at)):
            balance = balance_at(at, k)
            number = SIDES * reserve_of(balance)
            if amount_at(balance + COLLATERAL) > 0.0:
                store(out, number, load(out, number) + 1)
            if amount_at(balance + DEBT) > 0.0:
                store(out, number + 1, load(out, number + 1) + 1)


@hot("void(int64, int64, int64)", inline=True)
def _leave(columns: int, number: int, place: int) -> None:
    """Take the holder at `place` out of side `number`; the last holder moves there."""
    side = side_at(columns, number)
    last = load(side, _HOLDERS) - 1
    mover = load_i32(load(side, _IDS), last)
    store_i32(load(side, _IDS), place, mover)
    store_f64(load(side, _WEIGHTS), place, load_f64(load(side, _WEIGHTS), last))
    store(side, _HOLDERS, last)
    at = load(load(columns, POSITIONS), mover)
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        if SIDES * reserve_of(balance) == number & -SIDES and (
            load_i32(balance + PLACES, number & 1) == last
        ):
            store_i32(balance + PLACES, number & 1, place)


@hot("void(int64, int64)")
def detach(columns: int, position: int) -> None:
    """Take position id `position` out of the holders of its sides; it stays on the watch list, healthy."""
    at = load(load(columns, POSITIONS), position)
    for k in range(count_of(at)):
        balance = balance_at(at, k)
        for which in range(SIDES):
            place = load_i32(balance + PLACES, which)
            if place >= 0:
                _leave(columns, SIDES * reserve_of(balance) + which, place)
                store_i32(balance + PLACES, which, -1)
    store_f64(load(columns, MARGINS), position, float("inf"))
    store_f64(load(columns, BANDS), position, 0.0)


@hot("int64(int64, int64, float64)")
def move(columns: int, number: int, value: float) -> int:
    """Give side `number` another value, and its holders the margins that follow; return how many."""
    side = side_at(columns, number)
    by = value - load_f64(load(columns, _VALUES), number)
    store_f64(load(columns, _VALUES), number, value)
    ids, weights = load(side, _IDS), load(side, _WEIGHTS)
    margins, bands = load(columns, MARGINS), load(columns, BANDS)
    count = load(side, _HOLDERS)
    for k in range(count):
        position = load_i32(ids, k)
        margin = load_f64(margins, position) + load_f64(weights, k) * by
        store_f64(margins, position, margin)
        if not margin > load_f64(bands, position):
            look(columns, position)
    return count


@hot("void(int64, int64)")
def refresh(columns: int, fresh: int) -> None:
    """Make all margins and bands anew, with the values at `fresh`, float64 by side."""
    for number in range(load(columns, _SIDE_COUNT)):
        store_f64(load(columns, _VALUES), number, load_f64(fresh, number))
    positions, count = load(columns, POSITIONS), load(columns, COUNT)
    for position in range(count):
        if load(positions, position) != 0:
            set_margin(columns, position)
        else:  # free, or never used: nobody to look at
            store_f64(load(columns, MARGINS), position, float("inf"))
    watch, watched = load(columns, WATCH), load(columns, WATCHED)
    for k in range(load(columns, WATCH_COUNT)):
        store(watched, load(watch, k), 0)
    near = scan(columns, watch, count)
    for k in range(near):
        store(watched, load(watch, k), 1)
    store(columns, WATCH_COUNT, near)


@hot("int64(int64, int64, int64)")
def scan(columns: int, found: int, room: int) -> int:
    """Write to `found` the ids whose margin is within its band, or below; return how many there are.

    More than `room` are counted only. Nothing is asked exactly.
    """
    margins, bands = load(columns, MARGINS), load(columns, BANDS)
    count, hits = load(columns, COUNT), 0
    whole = count & -_LANES
    for start in range(0, whole, _LANES):
        mask = not_above_f64_32(margins, bands, start)
        while mask != 0:
            if hits < room:
                store(found, hits, start + lowest_bit(mask))
            hits, mask = hits + 1, mask & (mask - 1)
    for position in range(whole, count):
        if not load_f64(margins, position) > load_f64(bands, position):
            if hits < room:
                store(found, hits, position)
            hits += 1
    return hits


@hot("float64(int64, int64)")
def net_of(columns: int, balance: int) -> float:
    """Return what a balance adds to its position's margin: weighted collateral less debt."""
    net = 0.0
    for which in range(SIDES):
        place = load_i32(balance + PLACES, which)
        if place >= 0:
            number = SIDES * reserve_of(balance) + which
            weighs = load_f64(load(side_at(columns, number), _WEIGHTS), place)
            net += weighs * load_f64(load(columns, _VALUES), number)
    return net


@hot("int64(int64, int64, int64, int64)")
def deaths(columns: int, reserve: int, ids: int, factors: int) -> int:
    """Write for each holder of a reserve at which factor on its price the margin is zero; return how many.

    `ids` and `factors` have room for the holders of both sides. 0 and below: no fall of this price alone
    does it; infinite: the price does not matter to the position.
    """
    count = 0
    for which in range(SIDES):
        side = side_at(columns, SIDES * reserve + which)
        for k in range(load(side, _HOLDERS)):
            position = load_i32(load(side, _IDS), k)
            at = load(load(columns, POSITIONS), position)
            for b in range(count_of(at)):
                balance = balance_at(at, b)
                # Whoever has both sides was met among the holders of the first.
                is_first = which == 0 or load_i32(balance + PLACES, 0) < 0
                if reserve_of(balance) == reserve and is_first:
                    net = net_of(columns, balance)
                    margin = load_f64(load(columns, MARGINS), position)
                    store(ids, count, position)
                    store_f64(factors, count, 1.0 - margin / net if net != 0.0 else float("inf"))
                    count += 1
    return count
