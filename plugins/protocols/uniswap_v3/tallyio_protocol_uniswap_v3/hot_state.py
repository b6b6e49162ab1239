"""Keep a row complete and true to the pool: what `reference.Pool` does, in place.

Every change of ticks recomputes the ranges that it touches; every change at all ends in `settle`,
which finds the cursor, checks that the liquidity in range is the sum of the ticks at or below, and
keeps how far the price is from its first stops.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import (
    const,
    is_negative,
    load128,
    load256,
    negate,
    store128,
    store256,
    u256,
)
from tallyio_protocol_uniswap_v3.hot_math import HIGHEST, ZERO, input_between, sqrt_ratio_at_tick
from tallyio_protocol_uniswap_v3.hot_walk import WORD_TICKS, sweep, tick_address, word_end
from tallyio_protocol_uniswap_v3.layout import (
    AT_DOWN_IN,
    AT_GROSS,
    AT_NET,
    AT_SQRT,
    AT_TICK,
    AT_UP_IN,
    AT_WORDS,
    CURSOR,
    FEE_PIPS,
    LIQUIDITY,
    OUT_AFTER_IN,
    ROOM_DOWN,
    ROOM_UP,
    SQRT_PRICE,
    TICK,
    TICK_BYTES,
    TICK_CAPACITY,
    TICK_COUNT,
    TICK_SPACING,
)
from tallyio_protocol_uniswap_v3.reference_math import MAX_TICK, MIN_TICK, PIPS

_NO_LIQUIDITY: Final = const(0, 128)
_ENDLESS: Final = const((1 << 256) - 1)
"""An input that no range can take: 2**212 bounds each."""

_MAX_SPACING: Final = 16_383
"""The factory accepts no larger one."""


@hot("boolean(int64)")
def rebuild(row: int) -> bool:
    """Compute everything that is derived; return whether the pool's facts are possible and agree."""
    if not 0 < load(row + TICK_SPACING, 0) <= _MAX_SPACING or not 0 <= load(row + FEE_PIPS, 0) < PIPS:
        return False
    count, below = load(row + TICK_COUNT, 0), MIN_TICK - 1
    for k in range(count):
        at = tick_address(row, k)
        tick = load(at + AT_TICK, 0)
        if not below < tick <= MAX_TICK:
            return False
        store256(at + AT_SQRT, sqrt_ratio_at_tick(tick))
        below = tick
    refresh_ranges(row, 0, count - 1)
    return settle(row)


@hot("void(int64, int64, int64)")
def refresh_ranges(row: int, first: int, last: int) -> None:
    """Compute what the ranges `first` to `last` take and pay; numbers beyond the ticks are left out."""
    count = load(row + TICK_COUNT, 0)
    liquidity = _NO_LIQUIDITY
    for k in range(min(last + 1, count)):
        liquidity = liquidity + load128(tick_address(row, k) + AT_NET)
        if k >= first:
            _refresh_range(row, k, u256(liquidity) if k < count - 1 else ZERO)


@hot("void(int64, int64, u256)")
def _refresh_range(row: int, k: int, liquidity: int) -> None:
    # Above the last tick is nothing: a range from it to itself, without liquidity. Sweeping none is free.
    at = tick_address(row, k)
    above = tick_address(row, k + 1) if k + 1 < load(row + TICK_COUNT, 0) else at
    spacing, fee_pips = load(row + TICK_SPACING, 0), load(row + FEE_PIPS, 0)
    for i in range(2):
        # Downwards a swap enters the range having crossed its upper tick, which leaves it below.
        start, end = (above, at) if i == 0 else (at, above)
        here = load(start + AT_TICK, 0) - (1 if i == 0 else 0)
        price, target = load256(start + AT_SQRT), load(end + AT_TICK, 0)
        left, out, _, _ = sweep(price, here, target, liquidity, spacing, fee_pips, _ENDLESS, i)
        sums = at + (AT_DOWN_IN if i == 0 else AT_UP_IN)
        store256(sums, _ENDLESS - left)
        store256(sums + OUT_AFTER_IN, out)
    stride = WORD_TICKS * spacing
    store(at + AT_WORDS, 0, (load(above + AT_TICK, 0) - 1) // stride - load(at + AT_TICK, 0) // stride)


@hot("boolean(int64)")
def settle(row: int) -> bool:
    """Find the cursor and the room to the first stops; return whether price and liquidity are right."""
    tick = load(row + TICK, 0)
    if not MIN_TICK - 1 <= tick <= MAX_TICK or load256(row + SQRT_PRICE) > HIGHEST:
        return False
    liquidity, cursor = _NO_LIQUIDITY, 0
    while cursor < load(row + TICK_COUNT, 0) and load(tick_address(row, cursor) + AT_TICK, 0) <= tick:
        liquidity = liquidity + load128(tick_address(row, cursor) + AT_NET)
        cursor += 1
    store(row + CURSOR, 0, cursor)
    store256(row + ROOM_DOWN, _room(row, cursor - 1, 0))
    store256(row + ROOM_UP, _room(row, cursor, 1))
    return liquidity == load128(row + LIQUIDITY)


@hot("u256(int64, int64, int64)")
def _room(row: int, k: int, i: int) -> int:
    liquidity = u256(load128(row + LIQUIDITY))
    if liquidity == ZERO or not 0 <= k < load(row + TICK_COUNT, 0):
        return ZERO
    target = load(tick_address(row, k) + AT_TICK, 0)
    stop = word_end(load(row + TICK, 0), load(row + TICK_SPACING, 0), i)
    nearer = max(stop, target) if i == 0 else min(stop, target)
    price = load256(row + SQRT_PRICE)
    return input_between(price, sqrt_ratio_at_tick(nearer), liquidity, load(row + FEE_PIPS, 0))


@hot("int64(int64, int64)")
def place_of(row: int, tick: int) -> int:
    """Return the number of initialised ticks below `tick`."""
    k = 0
    while k < load(row + TICK_COUNT, 0) and load(tick_address(row, k) + AT_TICK, 0) < tick:
        k += 1
    return k


@hot("boolean(int64, int64, int64, u128)")
def change_liquidity(row: int, lower: int, upper: int, delta: int) -> bool:
    """Add `delta` (two's complement) to the position between two ticks.

    Returns whether the row could follow; one that could not is half changed and must be loaded anew.
    """
    if not (_change_tick(row, lower, delta, delta) and _change_tick(row, upper, delta, negate(delta))):
        return False
    if lower <= load(row + TICK, 0) < upper:
        store128(row + LIQUIDITY, load128(row + LIQUIDITY) + delta)
    refresh_ranges(row, place_of(row, lower) - 1, place_of(row, upper))
    return settle(row)


@hot("boolean(int64, int64, u128, u128)")
def _change_tick(row: int, tick: int, gross_delta: int, net_delta: int) -> bool:
    # Beyond the ticks that exist, the sweeps would have no end.
    if not MIN_TICK <= tick <= MAX_TICK:
        return False
    k = place_of(row, tick)
    at = tick_address(row, k)
    is_there = k < load(row + TICK_COUNT, 0) and load(at + AT_TICK, 0) == tick
    if not is_there and (is_negative(gross_delta) or not _insert(row, k, tick)):
        return False
    # The contract holds a tick's gross liquidity below 2**122, so only taking too much can wrap.
    before = load128(at + AT_GROSS)
    gross = before + gross_delta
    store128(at + AT_GROSS, gross)
    store128(at + AT_NET, load128(at + AT_NET) + net_delta)
    if gross == _NO_LIQUIDITY:
        _remove(row, k)
    return (gross < before) == is_negative(gross_delta)


@hot("boolean(int64, int64, int64)")
def _insert(row: int, k: int, tick: int) -> bool:
    count = load(row + TICK_COUNT, 0)
    if count >= load(row + TICK_CAPACITY, 0):
        return False
    at = tick_address(row, k)
    copy_bytes(at + TICK_BYTES, at, (count - k) * TICK_BYTES)
    _clear(at)
    store(at + AT_TICK, 0, tick)
    store256(at + AT_SQRT, sqrt_ratio_at_tick(tick))
    store(row + TICK_COUNT, 0, count + 1)
    return True


@hot("void(int64, int64)")
def _remove(row: int, k: int) -> None:
    last = load(row + TICK_COUNT, 0) - 1
    at = tick_address(row, k)
    copy_bytes(at, at + TICK_BYTES, (last - k) * TICK_BYTES)
    _clear(tick_address(row, last))
    store(row + TICK_COUNT, 0, last)


@hot("void(int64)")
def _clear(at: int) -> None:
    for word in range(TICK_BYTES // 8):
        store(at, word, 0)


@hot("void(int64, u256, u128, int64)")
def move_price(row: int, price: int, liquidity: int, tick: int) -> None:
    """Set what a swap leaves behind."""
    store256(row + SQRT_PRICE, price)
    store128(row + LIQUIDITY, liquidity)
    store(row + TICK, 0, tick)
