"""Where a swap stops, and the search in the sums up to there; `layout` has the row.

Layer: market. A *position* is a tick in the direction of the swap: the tick itself where prices rise,
the negated tick where they fall. So each direction's stops ascend, and `here` is where a swap stands:
its next stop is the first one beyond. That is the tick where prices rise and -tick - 1 where they fall,
and it is the position of a stop that was just crossed, in either direction.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.amounts import ZERO, input_between, output_between, sqrt_ratio_at_tick
from tallyio.market.concentrated.layout import (
    AHEAD,
    DIRECTION_BYTES,
    DIRECTIONS,
    RANK_BYTES,
    RANKS,
    STOP_BYTES,
    STOP_CAPACITY,
    STOP_COUNT,
    STOP_POSITION,
    STOPS,
    SUM_IN,
    SUM_OUT,
    TICK_SPACING,
    WORD_TICKS,
)
from tallyio.native.atomics import load
from tallyio.native.funnel import shift_up
from tallyio.native.jit import hot
from tallyio.native.u256 import clz, const, i64, limb, lo64, load256, u128

_RANK_BITS: Final = 54
_BELOW_RANK: Final = const(64 - _RANK_BITS, 64)
_NONE: Final = const(0, 64)


@hot("int64(int64, int64)", inline=True)
def direction_at(row: int, i: int) -> int:
    """Return where the facts of a direction are."""
    return row + DIRECTIONS + i * DIRECTION_BYTES


@hot("int64(int64, int64, int64)", inline=True)
def stop_at(row: int, direction: int, k: int) -> int:
    """Return where stop `k` is."""
    return row + load(direction + STOPS, 0) + k * STOP_BYTES


@hot("int64(int64, int64)", inline=True)
def position_of(tick: int, i: int) -> int:
    """Return the position of a tick, and the tick of a position."""
    return tick if i == 1 else -tick


@hot("int64(int64, int64)", inline=True)
def here_at(tick: int, i: int) -> int:
    """Return where a swap stands whose pool has this tick."""
    return tick if i == 1 else -tick - 1


@hot("int64(int64, int64, int64, int64)", inline=True)
def word_end(here: int, spacing: int, words: int, i: int) -> int:
    """Return the first position beyond `here` where a bitmap word ends, of every `words`-th word.

    As `TickBitmap.nextInitializedTickWithinOneWord`: a word's ends are its first tick, for falling
    prices, and its last, for rising ones.
    """
    stride = WORD_TICKS * spacing * words
    ahead = spacing if i == 1 else 0
    return ((here + ahead) // stride + 1) * stride - ahead


@hot("int64(u256)", inline=True)
def rank(value: int) -> int:
    """Return a number that never falls while `value` grows: its length in bits and its top 54 bits."""
    high, low, limbs = limb(value, 3), limb(value, 2), 3
    if high == _NONE:
        high, low, limbs = limb(value, 2), limb(value, 1), 2
        if high == _NONE:
            high, low, limbs = limb(value, 1), lo64(value), 1
            if high == _NONE:
                high, low, limbs = lo64(value), _NONE, 0
    if high == _NONE:
        return 0
    zeros = clz(high)
    top = lo64(shift_up((u128(high) << 64) | u128(low), zeros) >> 64)
    return ((limbs * 64 + 64 - zeros) << _RANK_BITS) | i64(top >> _BELOW_RANK)


@hot("int64(int64, int64, int64)")
def first_beyond(row: int, direction: int, here: int) -> int:
    """Return the first stop whose position is beyond `here`."""
    low, high = 0, load(direction + STOP_COUNT, 0)
    while low < high:
        middle = (low + high) >> 1
        if load(stop_at(row, direction, middle) + STOP_POSITION, 0) <= here:
            low = middle + 1
        else:
            high = middle
    return low


@hot("int64(int64, int64, u256)")
def last_reached(row: int, direction: int, amount: int) -> int:
    """Return the last stop whose sum_in is at most `amount`; the one before `ahead` if none is."""
    low, high = load(direction + AHEAD, 0), load(direction + STOP_COUNT, 0)
    ranks, wanted = row + load(direction + RANKS, 0), rank(amount)
    # The first whose rank is higher lies in low..high; all from there on have a larger sum.
    k, left = low, high - low
    while left > 0:
        half = (left + 1) >> 1
        k = k + half if load(ranks, k + half - 1) <= wanted else k
        left = left - half
    # Sums of equal rank may be larger too.
    if k > low and load256(stop_at(row, direction, k - 1) + SUM_IN) > amount:
        high = k
        while low < high:
            middle = (low + high) >> 1
            if load256(stop_at(row, direction, middle) + SUM_IN) <= amount:
                low = middle + 1
            else:
                high = middle
        k = low
    return k - 1


@hot("int64(int64, int64, u256)")
def first_paid(row: int, direction: int, amount: int) -> int:
    """Return the first stop ahead whose sum_out is at most `amount`; that of the last stop is 0."""
    low, high = load(direction + AHEAD, 0), load(direction + STOP_COUNT, 0) - 1
    ranks = row + load(direction + RANKS, 0) + load(row + STOP_CAPACITY, 0) * RANK_BYTES
    wanted = rank(amount)
    k, left = low, high - low
    while left > 0:
        half = (left + 1) >> 1
        k = k + half if load(ranks, k + half - 1) > wanted else k
        left = left - half
    if load256(stop_at(row, direction, k) + SUM_OUT) > amount:
        low = k + 1
        while low < high:
            middle = (low + high) >> 1
            if load256(stop_at(row, direction, middle) + SUM_OUT) > amount:
                low = middle + 1
            else:
                high = middle
        k = low
    return k


@hot("UniTuple(u256, 2)(int64, u256, int64, int64, u256, u256, int64, int64)")
def span(  # noqa: PLR0913, PLR0917 - all that lies between two stops
    row: int, price: int, here: int, end: int, target: int, liquidity: int, fee_pips: int, i: int
) -> tuple[int, int]:
    """Return input and output of moving the price from `here` to position `end`, whose price is `target`.

    The contract stops at each end of a word between them.
    """
    taken, paid = ZERO, ZERO
    if liquidity == ZERO:
        return taken, paid
    spacing = load(row + TICK_SPACING, 0)
    stop = word_end(here, spacing, 1, i)
    while stop < end:
        reached = sqrt_ratio_at_tick(position_of(stop, i))
        taken = taken + input_between(price, reached, liquidity, fee_pips)
        paid = paid + output_between(price, reached, liquidity)
        price, stop = reached, stop + WORD_TICKS * spacing
    taken = taken + input_between(price, target, liquidity, fee_pips)
    return taken, paid + output_between(price, target, liquidity)
