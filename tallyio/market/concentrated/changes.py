"""Keep a row complete and true to the pool: what `reference.Pool` does, in place.

Layer: market. Each function returns whether the row could follow; one that could not is half changed
and must be loaded anew.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.amounts import HIGHEST, LOWEST, ZERO, sqrt_ratio_at_tick
from tallyio.market.concentrated.laying import lay, lay_all
from tallyio.market.concentrated.layout import (
    AHEAD,
    FEE_PIPS,
    LIQUIDITY,
    MAX_TICK_SPACING,
    OFFSET_IN,
    OFFSET_OUT,
    ROOM_IN,
    ROOM_OUT,
    SQRT_PRICE,
    STOP_COUNT,
    STOP_LIQUIDITY,
    STOP_POSITION,
    STOP_SQRT,
    SUM_IN,
    SUM_OUT,
    TICK,
    TICK_SPACING,
)
from tallyio.market.concentrated.reference_math import MAX_TICK, MIN_TICK, PIPS
from tallyio.market.concentrated.stops import (
    direction_at,
    first_beyond,
    here_at,
    position_of,
    span,
    stop_at,
    word_end,
)
from tallyio.market.concentrated.sums import sum_up
from tallyio.market.concentrated.ticks import are_sound, change_tick
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, load256, negate, store128, store256, u256

_NO_LIQUIDITY: Final = const(0, 128)


@hot("boolean(int64)")
def rebuild(row: int) -> bool:
    """Compute everything that is derived; return whether the pool's facts are possible and agree."""
    if not 0 < load(row + TICK_SPACING, 0) <= MAX_TICK_SPACING:
        return False
    if not are_sound(row):
        return False
    for i in range(2):
        if not 0 <= load(direction_at(row, i) + FEE_PIPS, 0) <= PIPS or not lay_all(row, i):
            return False
    return settle(row)


@hot("boolean(int64, u256, u128, int64)")
def move_price(row: int, price: int, liquidity: int, tick: int) -> bool:
    """Set what a swap leaves behind; touches the header alone.

    False where liquidity or price are not what the ticks say.
    """
    store256(row + SQRT_PRICE, price)
    store128(row + LIQUIDITY, liquidity)
    store(row + TICK, 0, tick)
    return settle(row)


@hot("boolean(int64, int64, int64)")
def set_fee(row: int, i: int, fee_pips: int) -> bool:
    """Set what selling token `i` costs, 10**6 to close the direction, and compute its sums anew."""
    if not 0 <= fee_pips <= PIPS or i >> 1 != 0:
        return False
    direction = direction_at(row, i)
    if load(direction + FEE_PIPS, 0) != fee_pips:
        store(direction + FEE_PIPS, 0, fee_pips)
        sum_up(row, i)
    return settle(row)


@hot("boolean(int64, int64, int64, u128)")
def change_liquidity(row: int, lower: int, upper: int, delta: int) -> bool:
    """Add `delta` (two's complement) to the position between two ticks."""
    if lower >= upper:
        return False
    if not (change_tick(row, lower, delta, delta) and change_tick(row, upper, delta, negate(delta))):
        return False
    if lower <= load(row + TICK, 0) < upper:
        store128(row + LIQUIDITY, load128(row + LIQUIDITY) + delta)
    return lay(row, 0, -upper, -lower) and lay(row, 1, lower, upper) and settle(row)


@hot("boolean(int64)")
def settle(row: int) -> bool:
    """Find what is ahead of the price; return whether price, tick and liquidity fit the stops."""
    tick = load(row + TICK, 0)
    if not MIN_TICK - 1 <= tick <= MAX_TICK or load256(row + SQRT_PRICE) > HIGHEST:
        return False
    return _settle_direction(row, 0) and _settle_direction(row, 1)


@hot("boolean(int64, int64)")
def _settle_direction(row: int, i: int) -> bool:
    direction, price = direction_at(row, i), load256(row + SQRT_PRICE)
    count, here = load(direction + STOP_COUNT, 0), here_at(load(row + TICK, 0), i)
    ahead = first_beyond(row, direction, here)
    liquidity, is_inside = _NO_LIQUIDITY, True
    # A pool may start at the price of the lowest tick, which is one below the lowest of the stops.
    within = max(price, LOWEST)
    if ahead > 0:
        before = stop_at(row, direction, ahead - 1)
        liquidity = load128(before + STOP_LIQUIDITY)
        is_inside = _is_onward(load256(before + STOP_SQRT), within, i)
    if ahead < count:
        is_inside = is_inside and _is_onward(within, load256(stop_at(row, direction, ahead) + STOP_SQRT), i)
    is_open = price > LOWEST if i == 0 else ZERO < price < HIGHEST
    if is_open and ahead < count and load(direction + FEE_PIPS, 0) < PIPS:
        _measure(row, direction, ahead, i)
    else:
        _close(direction)
    return liquidity == load128(row + LIQUIDITY) and (is_inside or price == ZERO)


@hot("boolean(u256, u256, int64)", inline=True)
def _is_onward(start: int, target: int, i: int) -> bool:
    return target <= start if i == 0 else start <= target


@hot("void(int64)")
def _close(direction: int) -> None:
    store(direction + AHEAD, 0, load(direction + STOP_COUNT, 0))
    for field in (ROOM_IN, ROOM_OUT, OFFSET_IN, OFFSET_OUT):
        store256(direction + field, ZERO)


@hot("void(int64, int64, int64, int64)")
def _measure(row: int, direction: int, ahead: int, i: int) -> None:
    at, price = stop_at(row, direction, ahead), load256(row + SQRT_PRICE)
    here, end = here_at(load(row + TICK, 0), i), load(at + STOP_POSITION, 0)
    liquidity, fee_pips = u256(load128(row + LIQUIDITY)), load(direction + FEE_PIPS, 0)
    target = load256(at + STOP_SQRT)
    taken, paid = span(row, price, here, end, target, liquidity, fee_pips, i)
    store(direction + AHEAD, 0, ahead)
    store256(direction + OFFSET_IN, load256(at + SUM_IN) - taken)
    store256(direction + OFFSET_OUT, load256(at + SUM_OUT) + paid)
    stop = word_end(here, load(row + TICK_SPACING, 0), 1, i)
    if stop < end:
        target = sqrt_ratio_at_tick(position_of(stop, i))
        taken, paid = span(row, price, here, stop, target, liquidity, fee_pips, i)
    store256(direction + ROOM_IN, taken)
    store256(direction + ROOM_OUT, paid)
