"""Quotients that are known to be short: two digits of 64 bits, whatever the dividend.

Layer: native. A general division finds as many digits as the quotient could have; where the caller knows
that it is below 2**128 two are enough, and often one. Algorithm D with the steps of `divide`.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.arithmetic import clz, const, limb, lo64, u128, u256, u512
from tallyio.native.divide import div512, divmod256, step2, step3, step4
from tallyio.native.funnel import shift_up
from tallyio.native.jit import hot

_ZERO: Final = const(0)
_NONE: Final = const(0, 64)
_LIMB: Final = 64


@hot("Tuple(u128, boolean)(u256, u128)")
def quotient128_short(n: int, d: int) -> tuple[int, bool]:
    """Return n // d, and whether nothing is left over, where n < d * 2**128."""
    zeros = clz(d)
    if zeros >= _LIMB:
        quotient, left = divmod256(n, u256(d))
        return u128(quotient), left == _ZERO
    # d >= 2**64, and n << zeros < (d << zeros) * 2**128 < 2**256.
    divisor, shifted = shift_up(d, zeros), shift_up(n, zeros)
    quotient1, rest = step2(u128(shifted >> 128), limb(shifted, 1), divisor)
    quotient0, rest = step2(rest, lo64(shifted), divisor)
    return (u128(quotient1) << _LIMB) | u128(quotient0), rest == u128(_ZERO)


@hot("Tuple(u128, boolean)(u320, u256)")
def quotient128(n: int, d: int) -> tuple[int, bool]:
    """Return n // d, and whether nothing is left over, where n < d * 2**128."""
    zeros = clz(d)
    quotient1, is_short = _NONE, u256(n >> _LIMB) < d  # a quotient below 2**64 has only one digit
    if zeros < _LIMB:
        # d >= 2**192, and n << zeros < (d << zeros) * 2**128 < 2**384.
        divisor, wide = shift_up(d, zeros), shift_up(u512(n), zeros)
        rest = u256(wide >> _LIMB)
        if not is_short:
            quotient1, rest = step4(u256(wide >> 128), limb(wide, 1), divisor)
        quotient0, rest = step4(rest, lo64(wide), divisor)
    elif zeros < 2 * _LIMB:
        # 2**128 <= d < 2**192, and n shifted alike is < 2**320.
        divisor, shifted = shift_up(d, zeros - _LIMB), shift_up(n, zeros - _LIMB)
        rest = u256(shifted >> _LIMB)
        if not is_short:
            quotient1, rest = step3(u256(shifted >> 128), limb(shifted, 1), divisor)
        quotient0, rest = step3(rest, lo64(shifted), divisor)
    elif zeros < 3 * _LIMB:
        quotient, is_exact = quotient128_short(u256(n), u128(d))
        return quotient, is_exact
    else:
        low, rest = div512(u256(n >> 256), u256(n), d)
        return u128(low), rest == _ZERO
    return (u128(quotient1) << _LIMB) | u128(quotient0), rest == _ZERO
