"""Fixed-point arithmetic in compiled code; `reference` is the specification.

Layer: market. Nothing reverts here: a caller asks `fits` before a product that may pass 2**256, and
refuses. Division by zero gives 0. Division by a constant is a multiplication: `reciprocal` says by what, and
why it is exact.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.fixed import reference
from tallyio.native.jit import hot
from tallyio.native.u256 import clz, const, divmod256, mul_wide, u256, u512

ZERO: Final = const(0)
UNIT: Final = const(1)
ONE: Final = const(reference.ONE)
_BITS: Final = 256


def reciprocal(divisor: int, bits: int) -> tuple[int, int]:
    """Return (multiplier, shift) with n * multiplier >> shift == n // divisor for every n below 2**bits.

    The multiplier is the least integer not below 2**shift / divisor, so it is too large by less than one:
    n * multiplier = (2**shift + e) * n / divisor with 0 <= e < divisor. The product is too large by
    e * n / divisor < n <= 2**bits <= 2**shift / divisor, which is less than what would lift it to the
    next multiple of 2**shift (Granlund and Montgomery, Division by invariant integers, theorem 4.2).
    """
    shift = bits + divisor.bit_length()
    return -(-(1 << shift) // divisor), shift


@hot("u256(u256, u256, int64)", inline=True)
def times(n: int, multiplier: int, shift: int) -> int:
    """Return n * multiplier >> shift, for a product below 2**256."""
    return (n * multiplier) >> shift


@hot("u256(u256, u256, int64)", inline=True)
def times_wide(n: int, multiplier: int, shift: int) -> int:
    """Return n * multiplier >> shift, for a result below 2**256."""
    return u256((u512(n) * u512(multiplier)) >> shift)


_MULTIPLIER_INT, _SHIFT = reciprocal(5**18, _BITS - 18)
_MULTIPLIER: Final = const(_MULTIPLIER_INT)


@hot("boolean(u256, u256)")
def fits(a: int, b: int) -> bool:
    """Return whether a * b is below 2**256."""
    # a < 2**(256 - clz(a)), and so is b: together no more than 256 bits is enough.
    if clz(a) + clz(b) >= _BITS:
        return True
    return mul_wide(a, b)[0] == ZERO


@hot("u256(u256, u256)")
def div_up(a: int, b: int) -> int:
    """Return a / b rounded up; 0 for b 0."""
    quotient, rest = divmod256(a, b)
    return quotient if rest == ZERO else quotient + UNIT


@hot("u256(u256, u256)")
def fixed_mul_down(a: int, b: int) -> int:
    """Return a * b / 1e18, rounded down, of numbers whose product `fits`."""
    # 10**18 = 2**18 * 5**18, and cutting twice is cutting once.
    return times_wide((a * b) >> 18, _MULTIPLIER, _SHIFT)


@hot("u256(u256, u256)")
def fixed_mul_up(a: int, b: int) -> int:
    """Return a * b / 1e18, rounded up, of numbers whose product `fits`."""
    product = a * b
    quotient = times_wide(product >> 18, _MULTIPLIER, _SHIFT)
    return quotient if quotient * ONE == product else quotient + UNIT


@hot("u256(u256, u256)")
def fixed_div_down(a: int, b: int) -> int:
    """Return a * 1e18 / b, rounded down, for a * 1e18 below 2**256; 0 for b 0."""
    if b == ONE:
        return a
    return divmod256(a * ONE, b)[0]


@hot("u256(u256, u256)")
def fixed_div_up(a: int, b: int) -> int:
    """Return a * 1e18 / b, rounded up, for a * 1e18 below 2**256; 0 for b 0."""
    if b == ONE:
        return a
    return div_up(a * ONE, b)
