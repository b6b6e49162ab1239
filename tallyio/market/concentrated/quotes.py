"""What a swap pays and takes, from a row: the functions of the compiled ABI.

Layer: market. `quote` and `quote_exact_out` equal those of `reference` to the unit. `i` and `j` are 0 and
1, in either order; anything else quotes 0. Quotes grow with the amount up to the largest that the pool
can take or pay; beyond, a swap would end at the pool's price limit with some of it left, and the quote
is 0.

A swap that meets a stop is: what lies up to the stop ahead of the price, which the header holds; the
difference of two sums; and one last step. So its cost depends on how many stops there are only by the
search in their sums, and not on how many it crosses.

`curve` is smooth where `quote` is a staircase. It differs by at most 1e-9 of the output, plus at each
stop of the swap two units of the output and two of the input (at the price there), plus
liquidity / 2**96 and the price, which is how finely the pool knows its own price.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import CURVE_SIGNATURE, GAS_SIGNATURE, QUOTE_EXACT_OUT_SIGNATURE, QUOTE_SIGNATURE
from tallyio.market.concentrated.amounts import (
    ZERO,
    input_between,
    output_between,
    sqrt_ratio_at_tick,
)
from tallyio.market.concentrated.last_step import input_within, output_within
from tallyio.market.concentrated.layout import (
    AHEAD,
    FEE_PIPS,
    GAS_BASE,
    GAS_PER_TICK,
    GAS_PER_WORD,
    LIQUIDITY,
    MARKED_WORDS,
    OFFSET_IN,
    OFFSET_OUT,
    ROOM_IN,
    ROOM_OUT,
    SQRT_PRICE,
    STOP_COUNT,
    STOP_CROSSED,
    STOP_LIQUIDITY,
    STOP_POSITION,
    STOP_SQRT,
    SUM_IN,
    SUM_OUT,
    TICK,
    TICK_SPACING,
    WORD_TICKS,
)
from tallyio.market.concentrated.reference import MAX_AMOUNT
from tallyio.market.concentrated.reference_math import PIPS
from tallyio.market.concentrated.stops import (
    direction_at,
    first_paid,
    here_at,
    last_reached,
    position_of,
    stop_at,
    word_end,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, load128, load256, to_f64, u256

_MAX_AMOUNT: Final = const(MAX_AMOUNT)
_PER_X96: Final = 2.0**-96


@hot(QUOTE_SIGNATURE, brief=True)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays for `amount_in`, exactly; 0 where it cannot take it all."""
    if (i | j) != 1 or i == j:
        return ZERO
    direction = direction_at(row, i)
    if amount_in < load256(direction + ROOM_IN):
        liquidity = u256(load128(row + LIQUIDITY))
        return output_within(
            load256(row + SQRT_PRICE), liquidity, amount_in, load(direction + FEE_PIPS, 0), i
        )
    return _quote_across(row, direction, amount_in, i)


@hot("u256(int64, int64, u256, int64)")
def _quote_across(row: int, direction: int, amount_in: int, i: int) -> int:
    paid, rest, k = _reach(row, direction, amount_in)
    if k >= load(direction + STOP_COUNT, 0) - 1:
        return paid if rest == ZERO else ZERO
    if rest == ZERO:
        return paid
    price, here, liquidity = _standing(row, direction, k, i)
    fee_pips = load(direction + FEE_PIPS, 0)
    if load(row + MARKED_WORDS, 0) > 1:
        spacing = load(row + TICK_SPACING, 0)
        end = load(stop_at(row, direction, k + 1) + STOP_POSITION, 0)
        stop = word_end(here, spacing, 1, i)
        while stop < end:
            target = sqrt_ratio_at_tick(position_of(stop, i))
            needed = input_between(price, target, liquidity, fee_pips)
            if rest < needed:
                break
            rest, paid = rest - needed, paid + output_between(price, target, liquidity)
            price, stop = target, stop + WORD_TICKS * spacing
    return paid + output_within(price, liquidity, rest, fee_pips, i)


@hot("Tuple(u256, u256, int64)(int64, int64, u256)", inline=True)
def _reach(row: int, direction: int, amount_in: int) -> tuple[int, int, int]:
    # Output up to the last stop reached, the input left there, and its number: the one before `ahead`, with
    # nothing paid, for none. Where the pool takes nothing, the number of stops.
    count, ahead = load(direction + STOP_COUNT, 0), load(direction + AHEAD, 0)
    if amount_in > _MAX_AMOUNT or ahead >= count:
        return ZERO, amount_in, count
    # An offset is the sum_in of some place before the stop ahead, so < 2**213 as all sums: no wrap.
    absolute = amount_in + load256(direction + OFFSET_IN)
    k = last_reached(row, direction, absolute)
    if k < ahead:
        return ZERO, amount_in, k
    at = stop_at(row, direction, k)
    return load256(direction + OFFSET_OUT) - load256(at + SUM_OUT), absolute - load256(at + SUM_IN), k


@hot("Tuple(u256, int64, u256)(int64, int64, int64, int64)", inline=True)
def _standing(row: int, direction: int, k: int, i: int) -> tuple[int, int, int]:
    # Price, place and liquidity behind stop k, or those of the pool where no stop was reached.
    if k < load(direction + AHEAD, 0):
        here = here_at(load(row + TICK, 0), i)
        return load256(row + SQRT_PRICE), here, u256(load128(row + LIQUIDITY))
    at = stop_at(row, direction, k)
    return load256(at + STOP_SQRT), load(at + STOP_POSITION, 0), u256(load128(at + STOP_LIQUIDITY))


@hot(QUOTE_EXACT_OUT_SIGNATURE, brief=True)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return the input, fee included, that the pool takes for exactly `amount_out`.

    0 where it cannot pay all of it, and for nothing.
    """
    if (i | j) != 1 or i == j or amount_out == ZERO:
        return ZERO
    direction = direction_at(row, i)
    if amount_out < load256(direction + ROOM_OUT):
        liquidity = u256(load128(row + LIQUIDITY))
        return input_within(
            load256(row + SQRT_PRICE), liquidity, amount_out, load(direction + FEE_PIPS, 0), i
        )
    return _exact_out_across(row, direction, amount_out, i)


@hot("u256(int64, int64, u256, int64)")
def _exact_out_across(row: int, direction: int, amount_out: int, i: int) -> int:
    ahead, most = load(direction + AHEAD, 0), load256(direction + OFFSET_OUT)
    if ahead >= load(direction + STOP_COUNT, 0) or amount_out > most:
        return ZERO
    # A full step pays its whole output, so the stops are passed while more than that is wanted; at the one
    # where exactly nothing more is wanted the swap ends, even if going on would cost and pay nothing.
    left = most - amount_out
    k = first_paid(row, direction, left)
    at = stop_at(row, direction, k)
    if load256(at + SUM_OUT) == left:
        return load256(at + SUM_IN) - load256(direction + OFFSET_IN)
    taken, wanted = ZERO, amount_out
    if k > ahead:
        before = stop_at(row, direction, k - 1)
        taken = load256(before + SUM_IN) - load256(direction + OFFSET_IN)
        wanted = load256(before + SUM_OUT) - left
    price, here, liquidity = _standing(row, direction, k - 1, i)
    fee_pips = load(direction + FEE_PIPS, 0)
    if load(row + MARKED_WORDS, 0) > 1:
        spacing, end = load(row + TICK_SPACING, 0), load(at + STOP_POSITION, 0)
        stop = word_end(here, spacing, 1, i)
        while stop < end and wanted > ZERO:
            target = sqrt_ratio_at_tick(position_of(stop, i))
            gained = output_between(price, target, liquidity)
            if wanted < gained:
                break
            wanted, taken = wanted - gained, taken + input_between(price, target, liquidity, fee_pips)
            price, stop = target, stop + WORD_TICKS * spacing
        if wanted == ZERO:
            return taken
    return taken + input_within(price, liquidity, wanted, fee_pips, i)


@hot(GAS_SIGNATURE, brief=True)
def gas(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the gas of the swap from the ticks that it crosses and the bitmap words that it enters.

    Ends of words that the row does not mark are counted only before the last stop reached.
    """
    base = load(row + GAS_BASE, 0)
    if (i | j) != 1 or i == j:
        return base
    direction = direction_at(row, i)
    ahead, count = load(direction + AHEAD, 0), load(direction + STOP_COUNT, 0)
    if amount_in < load256(direction + ROOM_IN) or ahead >= count:
        return base
    _, _, k = _reach(row, direction, amount_in)
    if not ahead <= k < count:
        return base
    at = stop_at(row, direction, k)
    ticks = load(at + STOP_CROSSED, 0)
    if ahead > 0:
        ticks -= load(stop_at(row, direction, ahead - 1) + STOP_CROSSED, 0)
    spacing = load(row + TICK_SPACING, 0)
    first, last = here_at(load(row + TICK, 0), i), load(at + STOP_POSITION, 0)
    words = (word_end(last, spacing, 1, i) - word_end(first, spacing, 1, i)) // (WORD_TICKS * spacing)
    return base + ticks * load(row + GAS_PER_TICK, 0) + words * load(row + GAS_PER_WORD, 0)


@hot(CURVE_SIGNATURE, brief=True)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; (0, 0) where the pool cannot take it all."""
    if (i | j) != 1 or i == j or not amount_in >= 0.0:
        return 0.0, 0.0
    direction = direction_at(row, i)
    keep = float(PIPS - load(direction + FEE_PIPS, 0)) / PIPS
    paid, rest, k = 0.0, amount_in, load(direction + AHEAD, 0) - 1
    whole = from_f64(amount_in)
    if whole >= load256(direction + ROOM_IN):
        gained, left, k = _reach(row, direction, whole)
        if k >= load(direction + STOP_COUNT, 0) - 1:
            return 0.0, 0.0
        # Below 2**53 the input may have a fraction; the difference is exact, and 0 from there on.
        paid, rest = to_f64(gained), to_f64(left) + (amount_in - to_f64(whole))
    price, _, liquidity = _standing(row, direction, k, i)
    last, slope = _within(to_f64(price) * _PER_X96, to_f64(liquidity), rest * keep, i)
    return paid + last, slope * keep


@hot("UniTuple(float64, 2)(float64, float64, float64, int64)")
def _within(price: float, liquidity: float, amount: float, i: int) -> tuple[float, float]:
    # Forms without a difference of nearly equal numbers: the reserves behind a range are virtual.
    if i == 0:
        depth = liquidity + amount * price
        reached = price * (liquidity / depth)
        return price * amount * reached, reached * reached
    reached = price + amount / liquidity
    return amount / (price * reached), 1.0 / (reached * reached)
