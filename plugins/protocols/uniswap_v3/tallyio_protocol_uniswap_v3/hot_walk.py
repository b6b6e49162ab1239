"""A swap across ticks, over the row of `layout`: the compiled twin of `reference.swap`.

The contract stops at every initialised tick and at every end of a 256-tick bitmap word, and rounds
at each stop, so a sum over several steps is not one larger step. Whole ranges between neighbouring
initialised ticks are looked up in the row, where `hot_state` keeps them summed over their stops. Only
the range that the swap starts in and the one that it ends in are swept stop by stop.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import load128, load256, u128, u256
from tallyio_protocol_uniswap_v3.hot_math import (
    HIGHEST,
    LOWEST,
    ZERO,
    input_between,
    output_between,
    output_within,
    sqrt_ratio_at_tick,
)
from tallyio_protocol_uniswap_v3.layout import (
    AT_DOWN_IN,
    AT_NET,
    AT_SQRT,
    AT_TICK,
    AT_UP_IN,
    AT_WORDS,
    CURSOR,
    FEE_PIPS,
    HEADER_BYTES,
    LIQUIDITY,
    OUT_AFTER_IN,
    SQRT_PRICE,
    TICK,
    TICK_BYTES,
    TICK_COUNT,
    TICK_SPACING,
)

WORD_TICKS: Final = 256


@hot("int64(int64, int64)", inline=True)
def tick_address(row: int, k: int) -> int:
    """Return where tick `k` is."""
    return row + HEADER_BYTES + k * TICK_BYTES


@hot("int64(int64, int64, int64)", inline=True)
def word_end(tick: int, spacing: int, i: int) -> int:
    """Return the end of the bitmap word that a swap of token `i` looks at from `tick`.

    As `TickBitmap.nextInitializedTickWithinOneWord`: downwards the word of `tick` itself, upwards
    that of the next multiple of the spacing.
    """
    compressed = tick // spacing
    if i == 0:
        return (compressed >> 8) * WORD_TICKS * spacing
    return (((compressed + 1) >> 8) * WORD_TICKS + WORD_TICKS - 1) * spacing


@hot("Tuple(u256, u256, int64, boolean)(u256, int64, int64, u256, int64, int64, u256, int64)")
def sweep(  # noqa: PLR0913, PLR0917 - all that a range is
    price: int,
    tick: int,
    target_tick: int,
    liquidity: int,
    spacing: int,
    fee_pips: int,
    amount: int,
    i: int,
) -> tuple[int, int, int, bool]:
    """Sell up to `amount` of token `i` between `price` and the next initialised tick, stopping at word ends.

    Returns what is left of the input, the output, the word ends passed, and whether it got there.
    """
    out, words = ZERO, 0
    if liquidity == ZERO:
        return amount, out, words, True
    stride = -WORD_TICKS * spacing if i == 0 else WORD_TICKS * spacing
    stop = word_end(tick, spacing, i)
    while True:
        is_last = stop <= target_tick if i == 0 else stop >= target_tick
        if is_last:
            stop = target_tick
        target = sqrt_ratio_at_tick(stop)
        needed = input_between(price, target, liquidity, fee_pips)
        if amount < needed:
            return ZERO, out + output_within(price, liquidity, amount, fee_pips, i), words, False
        amount = amount - needed
        out = out + output_between(price, target, liquidity)
        if is_last:
            return amount, out, words, True
        price, stop, words = target, stop + stride, words + 1


@hot("int64(int64, int64)", inline=True)
def range_before(tick: int, i: int) -> int:
    """Return the tick that keeps the range which ends at this one, selling token `i`: its lower end."""
    return tick if i == 0 else tick - TICK_BYTES


@hot("u256(u256, int64, int64)", inline=True)
def crossed(liquidity: int, tick: int, i: int) -> int:
    """Return the liquidity behind the tick at this address: added upwards, taken downwards."""
    net = load128(tick + AT_NET)
    return u256(u128(liquidity) - net if i == 0 else u128(liquidity) + net)


@hot("Tuple(u256, int64, int64)(int64, u256, int64)")
def walk(row: int, amount: int, i: int) -> tuple[int, int, int]:
    """Sell `amount` of token `i` and return the output, the ticks crossed and the word ends passed.

    The output is 0 where the pool cannot take it all.
    """
    count, cursor = load(row + TICK_COUNT, 0), load(row + CURSOR, 0)
    spacing, fee_pips = load(row + TICK_SPACING, 0), load(row + FEE_PIPS, 0)
    price, here = load256(row + SQRT_PRICE), load(row + TICK, 0)
    liquidity = u256(load128(row + LIQUIDITY))
    out, ticks, words = ZERO, 0, 0
    k, step = (cursor - 1, -1) if i == 0 else (cursor, 1)
    sums = AT_DOWN_IN if i == 0 else AT_UP_IN
    while 0 <= k < count:
        at = tick_address(row, k)
        span = range_before(at, i)
        if ticks > 0 and amount >= load256(span + sums):
            amount = amount - load256(span + sums)
            out = out + load256(span + sums + OUT_AFTER_IN)
            words += load(span + AT_WORDS, 0)
        else:
            target = load(at + AT_TICK, 0)
            amount, gained, passed, is_there = sweep(
                price, here, target, liquidity, spacing, fee_pips, amount, i
            )
            out, words = out + gained, words + passed
            if not is_there:
                return out, ticks, words
        ticks += 1
        if amount == ZERO:
            return out, ticks, words
        liquidity = crossed(liquidity, at, i)
        # Crossing downwards leaves the tick below the one that was crossed.
        price, here = load256(at + AT_SQRT), load(at + AT_TICK, 0) - (1 if i == 0 else 0)
        k += step
    return ZERO, ticks, words


@hot("boolean(u256, int64)", inline=True)
def is_open(price: int, i: int) -> bool:
    """Return whether a pool at `price` takes token `i`: initialised, and not at the furthest limit."""
    return price > LOWEST if i == 0 else ZERO < price < HIGHEST
