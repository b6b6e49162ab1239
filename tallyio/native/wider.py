"""Products and quotients of 512-bit integers.

Layer: native; use it through `tallyio.native.u256`. Sources as in `tallyio.native.divide`: algorithm D
for divisors of five to eight limbs, and schoolbook multiplication with digits of 256 bits.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.arithmetic import clz, const, limb, u256, u512, u576
from tallyio.native.divide import _guess, div512, divmod256
from tallyio.native.jit import hot

_ZERO256: Final = const(0)
_ZERO: Final = const(0, 512)
_ONE: Final = const(1, 64)


@hot("UniTuple(u512, 2)(u512, u512)")
def mul_wide512(a: int, b: int) -> tuple[int, int]:
    """Return the whole product of a and b as (high, low): high * 2**512 + low."""
    a1, a0, b1, b0 = u512(a >> 256), u512(u256(a)), u512(b >> 256), u512(u256(b))
    # Each product is at most (2**256 - 1)**2. The middle sums three numbers below 2**256, so it fits; the
    # high half is that of a product below 2**1024, so none of its sums overflows.
    low, cross, other, high = a0 * b0, a0 * b1, a1 * b0, a1 * b1
    middle = (low >> 256) + u512(u256(cross)) + u512(u256(other))
    high = high + (cross >> 256) + (other >> 256) + (middle >> 256)
    return high, (middle << 256) | u512(u256(low))


@hot("UniTuple(u512, 2)(u512, u512)")
def divmod512(n: int, d: int) -> tuple[int, int]:
    """Return (n // d, n % d); (0, 0) for d == 0."""
    if n < d:
        return _ZERO, n
    if d >> 256 == _ZERO:
        return _divide_by_half(n, u256(d))
    return _divide_by_whole(n, d)


@hot("UniTuple(u512, 2)(u512, u256)")
def _divide_by_half(n: int, d: int) -> tuple[int, int]:
    # Two digits of 256 bits: the remainder of the first is below d, as div512 asks. Both give 0 for d == 0.
    high, rest = divmod256(u256(n >> 256), d)
    low, rest = div512(rest, u256(n), d)
    return (u512(high) << 256) | u512(low), u512(rest)


@hot("UniTuple(u512, 2)(u512, u512)")
def _divide_by_whole(n: int, d: int) -> tuple[int, int]:
    # 2**256 <= d, so shift < 256 and the quotient is below 2**(shift + 1): one to four digits. The remainder
    # that the steps start with is n << shift without as many limbs: below 2**511, with that below divisor.
    shift = clz(d)
    digits = (shift >> 6) + 1
    divisor, rest, quotient = d << shift, n >> (64 * digits - shift), _ZERO256
    lower = u256(n << shift)
    for k in range(digits):
        digit, rest = _step8(rest, limb(lower, digits - 1 - k), divisor)
        quotient = (quotient << 64) | u256(digit)
    return u512(quotient), rest >> shift


@hot("Tuple(uint64, u512)(u512, uint64, u512)", inline=True)
def _step8(rest: int, digit: int, divisor: int) -> tuple[int, int]:
    # rest < divisor < 2**512, so rest:digit and divisor * guess are < 2**576: both fit u576.
    guess = _guess(limb(rest, 7), limb(rest, 6), limb(divisor, 7))
    whole = (u576(rest) << 64) | u576(digit)
    part = u576(divisor) * u576(guess)
    if part > whole:
        guess -= _ONE
        part -= u576(divisor)
        if part > whole:
            guess -= _ONE
            part -= u576(divisor)
    return guess, u512(whole - part)
