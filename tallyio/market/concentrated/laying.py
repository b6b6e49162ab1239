"""Lay the stops of a direction where ticks or liquidity changed, and leave the others as they are.

Layer: market. A stop is an initialised tick, or a marked end of a word with liquidity around it. After a
change between two positions only stops from the one to the other can come or go: before, behind, and up
to the neighbouring stops, liquidity is what it was. Stops come when liquidity is added and go when it is
removed, never both, so they are merged in place.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.amounts import ZERO, sqrt_ratio_at_tick
from tallyio.market.concentrated.layout import (
    AT_NET,
    AT_TICK,
    MARKED_WORDS,
    RANK_BYTES,
    RANKS,
    STOP_BYTES,
    STOP_CAPACITY,
    STOP_COUNT,
    STOP_CROSSED,
    STOP_LIQUIDITY,
    STOP_POSITION,
    STOP_SQRT,
    SUM_IN,
    SUM_OUT,
    TICK_COUNT,
    TICK_SPACING,
)
from tallyio.market.concentrated.reference_math import MAX_TICK
from tallyio.market.concentrated.stops import direction_at, first_beyond, position_of, stop_at, word_end
from tallyio.market.concentrated.sums import add_in_from, add_out_before, sum_between
from tallyio.market.concentrated.ticks import tick_at
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, load256, store128, store256

_NOTHING: Final = const(0, 128)
_NOWHERE: Final = 1 << 40


@hot("boolean(int64, int64)")
def lay_all(row: int, i: int) -> bool:
    """Lay all stops of a direction, as if there were none; return whether they have room."""
    direction = direction_at(row, i)
    _clear(row, direction, 0, load(direction + STOP_COUNT, 0))
    store(direction + STOP_COUNT, 0, 0)
    return lay(row, i, -MAX_TICK, MAX_TICK)


@hot("boolean(int64, int64, int64, int64)")
def lay(row: int, i: int, start: int, end: int) -> bool:
    """Lay the stops from position `start` to `end`, and the sums; return whether they have room."""
    direction = direction_at(row, i)
    count = load(direction + STOP_COUNT, 0)
    before = first_beyond(row, direction, start - 1) - 1
    behind = first_beyond(row, direction, end)
    further = _count(row, direction, i, before, end) - (behind - before - 1)
    if count + further > load(row + STOP_CAPACITY, 0):
        return False
    sum_in, old_out = _sums(row, direction, before)
    old_in, sum_out = _sums(row, direction, behind)
    crossed = _crossed(row, direction, behind - 1)
    come, gone = max(further, 0), min(further, 0)
    _move(row, direction, before + 1, count, come)
    store(direction + STOP_COUNT, 0, count + come)
    _write(row, direction, i, before, before + 1 + come, behind + come, end)
    _move(row, direction, behind, count, gone)
    _clear(row, direction, count + further, count)
    store(direction + STOP_COUNT, 0, count + further)
    behind += further
    _count_crossed(row, direction, behind, _crossed(row, direction, behind - 1) - crossed)
    if count + further > 0:
        first, last = max(before, 0), min(behind, count + further - 1)
        new_in, new_out = sum_between(row, i, first, last, sum_in, sum_out)
        add_in_from(row, i, last + 1, new_in - old_in)
        add_out_before(row, i, first, new_out - old_out)
    return True


@hot("UniTuple(u256, 2)(int64, int64, int64)")
def _sums(row: int, direction: int, k: int) -> tuple[int, int]:
    if not 0 <= k < load(direction + STOP_COUNT, 0):
        return ZERO, ZERO
    at = stop_at(row, direction, k)
    return load256(at + SUM_IN), load256(at + SUM_OUT)


@hot("int64(int64, int64, int64)", inline=True)
def _crossed(row: int, direction: int, k: int) -> int:
    return load(stop_at(row, direction, k) + STOP_CROSSED, 0) if k >= 0 else 0


@hot("void(int64, int64, int64, int64)")
def _count_crossed(row: int, direction: int, first: int, more: int) -> None:
    for k in range(first, load(direction + STOP_COUNT, 0)):
        at = stop_at(row, direction, k) + STOP_CROSSED
        store(at, 0, load(at, 0) + more)


@hot("Tuple(int64, u128)(int64, int64, int64)", inline=True)
def _behind(row: int, direction: int, k: int) -> tuple[int, int]:
    # Position and liquidity from which stops go on after stop k; -1: before all.
    if k < 0:
        return -_NOWHERE, _NOTHING
    at = stop_at(row, direction, k)
    return load(at + STOP_POSITION, 0), load128(at + STOP_LIQUIDITY)


@hot("Tuple(int64, boolean, u128)(int64, int64, int64, u128, int64)")
def _next(row: int, i: int, here: int, liquidity: int, crossed: int) -> tuple[int, bool, int]:
    # The stop after `here`, whether it is a tick, and the liquidity behind it; `crossed` ticks are before.
    count, position, net = load(row + TICK_COUNT, 0), _NOWHERE, _NOTHING
    if crossed < count:
        at = tick_at(row, crossed if i == 1 else count - 1 - crossed)
        position, net = position_of(load(at + AT_TICK, 0), i), load128(at + AT_NET)
    if liquidity != _NOTHING:
        mark = word_end(here, load(row + TICK_SPACING, 0), load(row + MARKED_WORDS, 0), i)
        if mark < position:
            return mark, False, liquidity
    return position, True, liquidity + net if i == 1 else liquidity - net


@hot("int64(int64, int64, int64, int64, int64)")
def _count(row: int, direction: int, i: int, before: int, end: int) -> int:
    # How many stops there are to be behind stop `before` and up to position `end`.
    here, liquidity = _behind(row, direction, before)
    crossed, found = _crossed(row, direction, before), 0
    while True:
        here, is_tick, liquidity = _next(row, i, here, liquidity, crossed)
        if here > end:
            return found
        found += 1
        crossed += 1 if is_tick else 0


@hot("void(int64, int64, int64, int64, int64, int64, int64)")
def _write(  # noqa: PLR0913, PLR0917 - a place to write and one to read
    row: int, direction: int, i: int, before: int, old: int, old_end: int, end: int
) -> None:
    # Write the stops behind stop `before` and up to position `end`. Those that were there are the stops `old`
    # to `old_end`: read before they are overwritten, because either all of them stay, and as many places as
    # stops come lie in front of them, or none comes.
    here, liquidity = _behind(row, direction, before)
    crossed, k = _crossed(row, direction, before), before
    while True:
        here, is_tick, liquidity = _next(row, i, here, liquidity, crossed)
        if here > end:
            return
        k += 1
        crossed += 1 if is_tick else 0
        while old < old_end and load(stop_at(row, direction, old) + STOP_POSITION, 0) < here:
            old += 1
        at, known = stop_at(row, direction, k), stop_at(row, direction, old)
        if old < old_end and load(known + STOP_POSITION, 0) == here:
            store256(at + STOP_SQRT, load256(known + STOP_SQRT))
        else:
            store256(at + STOP_SQRT, sqrt_ratio_at_tick(position_of(here, i)))
        store128(at + STOP_LIQUIDITY, liquidity)
        store(at + STOP_POSITION, 0, here)
        store(at + STOP_CROSSED, 0, crossed)


@hot("void(int64, int64, int64, int64, int64)")
def _move(row: int, direction: int, first: int, end: int, by: int) -> None:
    if by == 0 or first >= end:
        return
    at, count = stop_at(row, direction, first), end - first
    copy_bytes(at + by * STOP_BYTES, at, count * STOP_BYTES)
    for at in _ranks(row, direction, first):
        copy_bytes(at + by * RANK_BYTES, at, count * RANK_BYTES)


@hot("void(int64, int64, int64, int64)")
def _clear(row: int, direction: int, first: int, end: int) -> None:
    # What is behind the last stop is zero, whatever was there.
    for k in range(first, end):
        for word in range(STOP_BYTES // 8):
            store(stop_at(row, direction, k), word, 0)
        for at in _ranks(row, direction, k):
            store(at, 0, 0)


@hot("UniTuple(int64, 2)(int64, int64, int64)", inline=True)
def _ranks(row: int, direction: int, k: int) -> tuple[int, int]:
    at = row + load(direction + RANKS, 0) + k * RANK_BYTES
    return at, at + load(row + STOP_CAPACITY, 0) * RANK_BYTES
