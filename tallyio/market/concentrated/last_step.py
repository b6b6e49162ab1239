"""The last step of a swap, which reaches no stop: what an input pays, and what an output takes.

Layer: market. It is most of what a quote costs, so the common case has divisions of its own: amounts below
2**96, prices of less than 2**64 (so square roots below 2**128), and quotients that are then below
2**128. Everything else goes through `amounts`, function by function as in the contract. Both round
alike, because floor(floor(a / b) / c) = floor(a / (b * c)) and ceil(ceil(a / b) / c) = ceil(a / (b * c)),
and a price that is rounded up leaves a difference that is rounded down.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.amounts import (
    ZERO,
    input_between,
    less_fee,
    output_between,
    price_after_amount0,
    price_after_amount1,
    price_less_amount0,
    price_less_amount1,
    with_fee,
)
from tallyio.market.concentrated.reference_math import PIPS
from tallyio.native.jit import hot
from tallyio.native.quotient import quotient128, quotient128_short
from tallyio.native.u256 import const, u128, u256, u320

_ONE: Final = const(1)

# floor(x / 15625) = floor(x * ceil(2**136 / 15625) / 2**136) for x < 2**122: the factor is less than 1 above
# 2**136 / 15625, so it adds less than x / 2**136 < 2**-14 < 1 / 15625 to the quotient.
_PIPS_ODD: Final = PIPS >> 6
_PIPS_INVERSE: Final = const(-(-(1 << 136) // _PIPS_ODD))


@hot("u128(u128, int64)", inline=True)
def _less_fee(amount: int, fee_pips: int) -> int:
    # amount < 2**96 and 10**6 < 2**20, so the product is < 2**116.
    kept = amount * u128(PIPS - fee_pips)
    return u128((u256(kept >> 6) * _PIPS_INVERSE) >> 136)


@hot("boolean(u256, u256)", inline=True)
def _is_common(price: int, amount: int) -> bool:
    return price >> 128 == ZERO and amount >> 96 == ZERO


@hot("u256(u128, boolean)", inline=True)
def _rounded_up(quotient: int, is_exact: bool) -> int:  # noqa: FBT001 - the pair that divisions return
    return u256(quotient) if is_exact else u256(quotient) + _ONE


@hot("u256(u256, u256, u256, int64, int64)")
def output_within(price: int, liquidity: int, amount: int, fee_pips: int, i: int) -> int:
    """Return the output of an input of token `i` that reaches no stop.

    The fee of that step is what remains, so the input after fee is not computed anew from the price.
    """
    if _is_common(price, amount):
        left, short = _less_fee(u128(amount), fee_pips), u128(price)
        if i == 0:
            # The price falls by price - ceil(depth * price / (depth + product)), which is, rounded down,
            # product * price / (depth + product) < price. The sum is < 2**225, so the contract takes this
            # form too; and the fall times liquidity is < 2**256.
            product = u256(left) * u256(short)
            if product >> 192 == ZERO:
                fall, _ = quotient128(u320(product) * u320(short), (liquidity << 96) + product)
                return (liquidity * u256(fall)) >> 96
        elif u256(left) >> 32 < liquidity:
            rise, _ = quotient128_short(u256(left) << 96, u128(liquidity))
            reached = price + u256(rise)
            # liquidity * rise <= left << 96 < 2**192; reached < 2**129, checked before it matters.
            paid, divisor = u320(liquidity * u256(rise)) << 96, price * reached
            if reached >> 128 == ZERO and u256(paid >> 128) < divisor:
                return u256(quotient128(paid, divisor)[0])
    return _output_within(price, liquidity, amount, fee_pips, i)


@hot("u256(u256, u256, u256, int64, int64)")
def _output_within(price: int, liquidity: int, amount: int, fee_pips: int, i: int) -> int:
    left = less_fee(amount, fee_pips)
    if i == 0:
        reached = price_after_amount0(price, liquidity, left)
    else:
        reached = price_after_amount1(price, liquidity, left)
    return output_between(price, reached, liquidity)


@hot("u256(u256, u256, u256, int64, int64)")
def input_within(price: int, liquidity: int, amount: int, fee_pips: int, i: int) -> int:
    """Return the input of token `i`, fee included, for an output that reaches no stop."""
    if _is_common(price, amount):
        if i == 0 and amount >> 32 < liquidity:
            fall = _rounded_up(*quotient128_short(amount << 96, u128(liquidity)))
            # The product is below (amount << 96) + liquidity < 2**193, and the fall below the price.
            taken, divisor = u320(liquidity * fall) << 96, price * (price - fall)
            if u256(taken >> 128) < divisor:
                return with_fee(_rounded_up(*quotient128(taken, divisor)), fee_pips)
        # The price rises by ceil(depth * price / (depth - product)) - price, which is, rounded up,
        # product * price / (depth - product). Where that is below 2**128 it fits times liquidity.
        product = amount * price
        if i == 1 and product >> 192 == ZERO:
            rest, dividend = (liquidity << 96) - product, u320(product) * u320(price)
            if u256(dividend >> 128) < rest:
                moved = liquidity * _rounded_up(*quotient128(dividend, rest))
                return with_fee(_rounded_up(u128(moved >> 96), moved << 160 == ZERO), fee_pips)
    return _input_within(price, liquidity, amount, fee_pips, i)


@hot("u256(u256, u256, u256, int64, int64)")
def _input_within(price: int, liquidity: int, amount: int, fee_pips: int, i: int) -> int:
    if i == 0:
        reached = price_less_amount1(price, liquidity, amount)
    else:
        reached = price_less_amount0(price, liquidity, amount)
    return input_between(price, reached, liquidity, fee_pips)
