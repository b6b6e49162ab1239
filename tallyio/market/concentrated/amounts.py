"""The arithmetic of concentrated liquidity in compiled code; `reference_math` is its specification.

Layer: market. `i` is the direction: 0 sells token0 and the price falls, 1 sells token1 and it rises.

Bounds used throughout: liquidity < 2**128, prices within the furthest limits, so between 2**32 and
2**160, fee_pips < 10**6 < 2**20. Token amounts between two prices are then < 2**192: amount0 is at
most 2**128 * 2**96 / 2**32, amount1 at most 2**128 * 2**160 / 2**96. With the fee they are < 2**212.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT, PIPS, TICK_FACTORS
from tallyio.native.jit import hot
from tallyio.native.quotient import quotient128
from tallyio.native.u256 import (
    const,
    div512,
    divmod256,
    limb,
    lo64,
    mul_wide,
    muldiv,
    muldiv_up,
    u256,
    u320,
)

ZERO: Final = const(0)
ONE: Final = const(1)
_PIPS: Final = const(PIPS)
_Q96: Final = const(1 << 96)
_ALL_ONES: Final = const((1 << 256) - 1)
_TWO128: Final = const(1 << 128)
LOWEST: Final = const(LOWEST_LIMIT)
HIGHEST: Final = const(HIGHEST_LIMIT)
_LOW32: Final = np.uint64(0xFFFF_FFFF)
_NONE: Final = np.uint64(0)
_BITS: Final = len(TICK_FACTORS)

_FACTOR_LOW: Final = np.array([factor & (2**64 - 1) for factor in TICK_FACTORS], np.uint64)
_FACTOR_HIGH: Final = np.array([factor >> 64 for factor in TICK_FACTORS], np.uint64)


@hot("u256(int64)")
def sqrt_ratio_at_tick(tick: int) -> int:
    """Return `TickMath.getSqrtRatioAtTick`, within the furthest price limits that a swap accepts.

    The two ticks at the ends have ratios just beyond these limits: there a swap stops at the limit.
    """
    distance = abs(tick)
    ratio = _TWO128
    for bit in range(_BITS):
        if distance >> bit & 1:
            factor = (u256(_FACTOR_HIGH[bit]) << 64) | u256(_FACTOR_LOW[bit])
            ratio = (ratio * factor) >> 128  # both < 2**129: the product fits
    if tick > 0:
        ratio = divmod256(_ALL_ONES, ratio)[0]
    root = ratio >> 32
    if lo64(ratio) & _LOW32 != _NONE:
        root = root + ONE
    if root < LOWEST:
        return LOWEST
    return min(root, HIGHEST)


# `SqrtPriceMath.getAmount0Delta` and `getAmount1Delta` between two prices, low <= high.


@hot("Tuple(u256, boolean)(u256, u256, u256)")
def _amount0(low: int, high: int, liquidity: int) -> tuple[int, bool]:
    # The token0 between two prices, rounded down, and whether that is exact. The contract divides by `high`
    # and then by `low`, rounding both times alike: that is one division by their product, which is
    # quicker where prices are below 2**64 and the quotient below 2**128.
    if high >> 128 == ZERO:
        moved, product = liquidity * (high - low), low * high
        shifted = u320(moved) << 96
        if moved >> 224 == ZERO and u256(shifted >> 128) < product:
            quotient, is_exact = quotient128(shifted, product)
            return u256(quotient), is_exact
    # The quotient by `high` is below liquidity << 96 < 2**224, so mulDiv never overflows.
    wide, product = mul_wide(liquidity << 96, high - low)
    first, rest = div512(wide, product, high)
    second, left = divmod256(first, low)
    return second, rest == ZERO and left == ZERO


@hot("u256(u256, u256, u256)")
def amount0_down(low: int, high: int, liquidity: int) -> int:
    """Return the token0 between two prices, rounded down."""
    return _amount0(low, high, liquidity)[0]


@hot("u256(u256, u256, u256)")
def amount0_up(low: int, high: int, liquidity: int) -> int:
    """Return the token0 between two prices, rounded up."""
    quotient, is_exact = _amount0(low, high, liquidity)
    return quotient if is_exact else quotient + ONE


@hot("u256(u256, u256, u256)")
def amount1_down(low: int, high: int, liquidity: int) -> int:
    """Return the token1 between two prices, rounded down."""
    return u256((u320(liquidity) * u320(high - low)) >> 96)  # the product is < 2**288


@hot("u256(u256, u256, u256)")
def amount1_up(low: int, high: int, liquidity: int) -> int:
    """Return the token1 between two prices, rounded up."""
    product = u320(liquidity) * u320(high - low)
    is_exact = lo64(product) == _NONE and limb(product, 1) & _LOW32 == _NONE
    return u256(product >> 96) if is_exact else u256(product >> 96) + ONE


@hot("u256(u256, u256, u256)")
def price_after_amount0(price: int, liquidity: int, amount: int) -> int:
    """Return `SqrtPriceMath.getNextSqrtPriceFromAmount0RoundingUp` for an added amount."""
    shifted = liquidity << 96
    high, product = mul_wide(amount, price)
    denominator = shifted + product
    if high == ZERO and denominator >= shifted:
        return muldiv_up(shifted, price, denominator)
    # The contract's less precise form, for where the sum overflows 256 bits.
    quotient, rest = divmod256(shifted, divmod256(shifted, price)[0] + amount)
    return quotient + ONE if rest != ZERO else quotient


@hot("u256(u256, u256, u256)")
def price_after_amount1(price: int, liquidity: int, amount: int) -> int:
    """Return `SqrtPriceMath.getNextSqrtPriceFromAmount1RoundingDown` for an added amount."""
    return price + muldiv(amount, _Q96, liquidity)


@hot("u256(u256, u256, u256)")
def price_less_amount0(price: int, liquidity: int, amount: int) -> int:
    """Return `SqrtPriceMath.getNextSqrtPriceFromAmount0RoundingUp` for an amount taken out.

    `amount` is below what lies above the price, as in the last step of a swap.
    """
    # Then amount * price < liquidity << 96 < 2**224, so nothing wraps and the denominator is positive.
    shifted = liquidity << 96
    return muldiv_up(shifted, price, shifted - amount * price)


@hot("u256(u256, u256, u256)")
def price_less_amount1(price: int, liquidity: int, amount: int) -> int:
    """Return `SqrtPriceMath.getNextSqrtPriceFromAmount1RoundingDown` for an amount taken out.

    `amount` is below what lies under the price, as in the last step of a swap.
    """
    # Then the quotient, rounded up too, is below the price.
    return price - muldiv_up(amount, _Q96, liquidity)


@hot("u256(u256, int64)")
def with_fee(amount: int, fee_pips: int) -> int:
    """Return the smallest input of which at least `amount` is left after the fee, fee_pips < 10**6.

    Equals amount + mulDivRoundingUp(amount, fee, 10**6 - fee), which is what a full step takes; and
    mulDiv(input, 10**6 - fee, 10**6) >= amount exactly if input is at least this.
    """
    # amount < 2**192, so the product is < 2**212.
    quotient, rest = divmod256(amount * _PIPS, u256(PIPS - fee_pips))
    return quotient + ONE if rest != ZERO else quotient


@hot("u256(u256, int64)")
def less_fee(amount: int, fee_pips: int) -> int:
    """Return what is left of an input after the fee, rounded down."""
    # Called for inputs that do not complete a step, so amount < 2**212 and the product is < 2**232.
    return divmod256(amount * u256(PIPS - fee_pips), _PIPS)[0]


@hot("u256(u256, u256, u256, int64)")
def input_between(start: int, target: int, liquidity: int, fee_pips: int) -> int:
    """Return the input, fee included, that moves the price from `start` to `target`."""
    if target < start:
        return with_fee(amount0_up(target, start, liquidity), fee_pips)
    return with_fee(amount1_up(start, target, liquidity), fee_pips)


@hot("u256(u256, u256, u256)")
def output_between(start: int, target: int, liquidity: int) -> int:
    """Return the output that moving the price from `start` to `target` pays."""
    if target < start:
        return amount1_down(target, start, liquidity)
    return amount0_down(start, target, liquidity)
