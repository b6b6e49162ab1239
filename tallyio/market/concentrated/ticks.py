"""The table of initialised ticks at the end of a row, from the lowest to the highest.

Layer: market.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.layout import (
    AT_GROSS,
    AT_NET,
    AT_TICK,
    HEADER_BYTES,
    RANK_BYTES,
    STOP_BYTES,
    STOP_CAPACITY,
    TICK_BYTES,
    TICK_CAPACITY,
    TICK_COUNT,
)
from tallyio.market.concentrated.reference_math import MAX_TICK, MIN_TICK
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, is_negative, load128, store128

_NOTHING: Final = const(0, 128)


@hot("int64(int64, int64)", inline=True)
def tick_at(row: int, k: int) -> int:
    """Return where initialised tick `k` is."""
    stops = 2 * load(row + STOP_CAPACITY, 0) * (STOP_BYTES + 2 * RANK_BYTES)
    return row + HEADER_BYTES + stops + k * TICK_BYTES


@hot("boolean(int64)")
def are_sound(row: int) -> bool:
    """Return whether the ticks ascend and exist."""
    below = MIN_TICK - 1
    for k in range(load(row + TICK_COUNT, 0)):
        tick = load(tick_at(row, k) + AT_TICK, 0)
        if not below < tick <= MAX_TICK:
            return False
        below = tick
    return True


@hot("boolean(int64, int64, u128, u128)")
def change_tick(row: int, tick: int, gross_delta: int, net_delta: int) -> bool:
    """Add to a tick, which begins and ends to be initialised with it; return whether that can be."""
    if not MIN_TICK <= tick <= MAX_TICK:
        return False
    k = _place_of(row, tick)
    at = tick_at(row, k)
    is_there = k < load(row + TICK_COUNT, 0) and load(at + AT_TICK, 0) == tick
    if not is_there and (is_negative(gross_delta) or not _insert(row, k, tick)):
        return False
    # The contract holds a tick's gross liquidity below 2**128, so only taking too much can wrap.
    before = load128(at + AT_GROSS)
    gross = before + gross_delta
    store128(at + AT_GROSS, gross)
    store128(at + AT_NET, load128(at + AT_NET) + net_delta)
    if gross == _NOTHING:
        _remove(row, k)
    return (gross < before) == is_negative(gross_delta)


@hot("int64(int64, int64)")
def _place_of(row: int, tick: int) -> int:
    # The number of initialised ticks below.
    low, high = 0, load(row + TICK_COUNT, 0)
    while low < high:
        middle = (low + high) >> 1
        if load(tick_at(row, middle) + AT_TICK, 0) < tick:
            low = middle + 1
        else:
            high = middle
    return low


@hot("boolean(int64, int64, int64)")
def _insert(row: int, k: int, tick: int) -> bool:
    count = load(row + TICK_COUNT, 0)
    if count >= load(row + TICK_CAPACITY, 0):
        return False
    at = tick_at(row, k)
    copy_bytes(at + TICK_BYTES, at, (count - k) * TICK_BYTES)
    _clear(at)
    store(at + AT_TICK, 0, tick)
    store(row + TICK_COUNT, 0, count + 1)
    return True


@hot("void(int64, int64)")
def _remove(row: int, k: int) -> None:
    last = load(row + TICK_COUNT, 0) - 1
    at = tick_at(row, k)
    copy_bytes(at, at + TICK_BYTES, (last - k) * TICK_BYTES)
    _clear(tick_at(row, last))
    store(row + TICK_COUNT, 0, last)


@hot("void(int64)")
def _clear(at: int) -> None:
    for word in range(TICK_BYTES // 8):
        store(at, word, 0)
