"""Quotients that are known to be short: two digits of 64 bits, whatever the dividend.

Layer: native. A general division finds as many digits as the quotient could have; where the caller knows
that it is below 2**128 two are enough. Algorithm D with the steps of `divide`.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.arithmetic import clz, const, limb, lo64, u128, u256, u320, u512
from tallyio.native.divide import div512, step2, step3, step4
from tallyio.native.funnel import shift_up
from tallyio.native.jit import hot

_ZERO: Final = const(0)
_LIMB: Final = 64


@hot("Tuple(u128, boolean)(u320, u256)")
def quotient128(n: int, d: int) -> tuple[int, bool]:
    """Return n // d, and whether nothing is left over, where n < d * 2**128."""
    zeros = clz(d)
    if zeros < _LIMB:
        # d >= 2**192, and n << zeros < (d << zeros) * 2**128 < 2**384.
        divisor, wide = shift_up(d, zeros), shift_up(u512(n), zeros)
        quotient1, rest = step4(u256(wide >> 128), limb(wide, 1), divisor)
        quotient0, rest = step4(rest, lo64(wide), divisor)
    elif zeros < 2 * _LIMB:
        # 2**128 <= d < 2**192, and n shifted alike is < 2**320.
        divisor, shifted = shift_up(d, zeros - _LIMB), shift_up(n, zeros - _LIMB)
        quotient1, rest = step3(u256(shifted >> 128), limb(shifted, 1), divisor)
        quotient0, rest = step3(rest, lo64(shifted), divisor)
    elif zeros < 3 * _LIMB:
        # 2**64 <= d < 2**128, and n shifted alike is < 2**256.
        short, low = shift_up(u128(d), zeros - 2 * _LIMB), shift_up(u256(n), zeros - 2 * _LIMB)
        quotient1, left = step2(u128(low >> 128), limb(low, 1), short)
        quotient0, left = step2(left, lo64(low), short)
        rest = u256(left)
    else:
        quotient, rest = div512(u256(n >> 256), u256(n), d)
        return u128(quotient), rest == _ZERO
    return (u128(quotient1) << _LIMB) | u128(quotient0), rest == _ZERO


@hot("Tuple(u128, boolean)(u256, u128)")
def quotient128_short(n: int, d: int) -> tuple[int, bool]:
    """Return n // d, and whether nothing is left over, where n < d * 2**128."""
    zeros = clz(d)
    if zeros >= _LIMB:
        return quotient128(u320(n), u256(d))
    divisor, shifted = shift_up(d, zeros), shift_up(n, zeros)
    quotient1, rest = step2(u128(shifted >> 128), limb(shifted, 1), divisor)
    quotient0, rest = step2(rest, lo64(shifted), divisor)
    return (u128(quotient1) << _LIMB) | u128(quotient0), rest == u128(_ZERO)
