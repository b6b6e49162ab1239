"""Exact integer square roots by Newton's method, from the top half down.

Layer: native; use it through `tallyio.native.u256`. Source: Newton's iteration for floor
roots (H. Cohen, A Course in Computational Algebraic Number Theory, algorithm 1.7.1), with the start
that P. Zimmermann's "Karatsuba Square Root" takes: the root of the upper half.

Proof of every level, for a number n of 2k bits whose top two bits are not both 0 (2**(2k-2) <= n):
let r be the exact root of n's upper half, and x0 = r followed by k/2 one bits. Then x0 >= floor(sqrt(n)),
and its relative error e is at most 2**(k/2) / 2**(k-1) = 2**(1 - k/2). One step x = (x0 + n // x0) // 2 is
never below floor(sqrt(n)) (mean of two numbers around it), and its error is at most sqrt(n) * e**2 / 2
<= 2**k * 2**(2 - k) / 2 = 2. So at most three subtractions of 1 make it exact.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

import math
from typing import Any, Final

from tallyio.native.arithmetic import clz, const, lo64, u128, u256, u320, u512
from tallyio.native.divide import _divide, div512, divmod256
from tallyio.native.jit import hot
from tallyio.native.primitive import INT64, primitive

_ALL_ONES: Final = const(0xFFFF_FFFF_FFFF_FFFF, 64)
_ONE: Final = const(1, 64)
_TWO32: Final = float(2**32)
_LAST_BELOW_TWO64: Final = float(2**64 - 2**11)
_TWO64: Final = const(2**64, 128)
_MAX64: Final = const(2**64 - 1, 128)
_MAX128: Final = const(2**128 - 1)
_MAX256: Final = const(2**256 - 1)
_ZERO: Final = const(0)
_ONE256: Final = const(1)


@primitive("uint64(float64)")
def _truncated(builder: Any, x: float) -> int:
    # Undefined in LLVM outside of 0 <= x < 2**64.
    return builder.fptoui(x, INT64)


@hot("uint64(u128)")
def _root128(n: int) -> int:
    # The floating root s has a relative error below 2**-51, so one step is off by at most
    # 2**64 * 2**-102 / 2 < 1. s >= 2**63, and high < 2 * s, so the quotient is below 2**65.
    high = lo64(n >> 64)
    estimate = math.sqrt(float(high)) * _TWO32
    s = _ALL_ONES if estimate > _LAST_BELOW_TWO64 else _truncated(estimate)
    quotient = u128(_divide(high - s if high >= s else high, lo64(n), s)[0])
    if high >= s:
        quotient += _TWO64
    x = (u128(s) + quotient) >> 1
    x = min(x, _MAX64)
    return lo64(x) - _ONE if x * x > n else lo64(x)


@hot("u256(u256)")
def _root256(n: int) -> int:
    x0 = (u256(_root128(u128(n >> 128))) << 64) | u256(_ALL_ONES)
    x = (x0 + divmod256(n, x0)[0]) >> 1  # both are < 2**129: the sum fits
    x = min(x, _MAX128)
    while x * x > n:
        x -= _ONE256
    return x


@hot("u256(u256, u256)")
def _root512(hi: int, lo: int) -> int:
    x0 = (_root256(hi) << 128) | _MAX128
    # The quotient fits unless x0 is 2**256 - 1: from hi >= x0 and (x0 + 1)**2 > n follows x0 >= 2**256 - 2.
    quotient = _MAX256 if hi >= x0 else div512(hi, lo, x0)[0]
    x = u256((u320(x0) + u320(quotient)) >> 1)
    n = (u512(hi) << 256) | u512(lo)
    while u512(x) * u512(x) > n:
        x -= _ONE256
    return x


@hot("u256(u256)")
def isqrt256(n: int) -> int:
    """Return the square root of n, rounded down; below 2**128."""
    if n == _ZERO:
        return _ZERO
    half = clz(n) >> 1  # floor(sqrt(n * 4**half)) // 2**half is floor(sqrt(n))
    return _root256(n << (half << 1)) >> half


@hot("u256(u256, u256)")
def isqrt512(hi: int, lo: int) -> int:
    """Return the square root of hi * 2**256 + lo, rounded down."""
    if hi == _ZERO:
        return isqrt256(lo)
    half = clz(hi) >> 1
    n = ((u512(hi) << 256) | u512(lo)) << (half << 1)
    return _root512(u256(n >> 256), u256(n)) >> half
