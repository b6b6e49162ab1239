"""The arithmetic of stable pools in compiled code; `reference` is its specification.

Solidity checks its arithmetic and reverts. Here a function that could revert returns `REVERTS` instead,
a value that it cannot have otherwise. Bounds, used throughout:

- The contract squares x and y in `_f` and `_k`. So 2**128 and more reverts, and below it squares and
  products of two fit 256 bits.
- Below 2**93 nothing overflows: squares over 10**18 are < 2**(186 - 59) = 2**127, cubes over 10**18
  < 2**220, and the product of both factors of `_f` < 2**(127 + 128). Pools hold that much as a rule
  (2**93 is 9.9e9 tokens), and skip the checks.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, mul_wide, u256, u512
from tallyio_protocol_solidly.layout import UINT256_MAX

E18_VALUE: Final = 10**18
STEPS: Final = 255
"""How often `_get_y` takes a Newton step before it gives up."""

REVERTS: Final = const(UINT256_MAX)
E18: Final = const(E18_VALUE)
MOST_TIMES_E18: Final = const(UINT256_MAX // E18_VALUE)
"""The largest number whose product with 10**18 fits 256 bits."""
ZERO: Final = const(0)
ONE: Final = const(1)
_THREE: Final = const(3)
_SMALL: Final = const(1 << 93)
_SQUARABLE: Final = const(1 << 128)

_TWOS: Final = 18
_FIVES: Final = 5**18
_SHIFT: Final = 280
_RECIPROCAL: Final = const(-(-(1 << _SHIFT) // _FIVES), 512)


@hot("u256(u256)", inline=True)
def over_e18(n: int) -> int:
    """Return n // 10**18, by multiplication."""
    # 10**18 = 2**18 * 5**18. With m = n >> 18 < 2**238 and M = ceil(2**280 / 5**18), the error
    # M * 5**18 - 2**280 is below 5**18 < 2**42 = 2**(280 - 238), so m * M >> 280 is m // 5**18 (T. Granlund
    # and P. Montgomery, Division by Invariant Integers using Multiplication, theorem 4.2). M < 2**239: the
    # product fits 512 bits.
    return u256((u512(n >> _TWOS) * _RECIPROCAL) >> _SHIFT)


@hot("u256(u256, u256)")
def scaled(amount: int, unit: int) -> int:
    """Return `amount` in 18 decimals, rounded down, or `REVERTS`."""
    # REVERTS is no multiple of 2**18, so no quotient by 1 is REVERTS, and those by 10 and more are less.
    if amount > MOST_TIMES_E18:
        return REVERTS
    product = amount * E18
    return product if unit == ONE else divmod256(product, unit)[0]


@hot("u256(u256, u256)")
def f_velodrome(x: int, y: int) -> int:
    """Return `_f` of Velodrome V2, which is every version's `_k` after scaling, or `REVERTS`."""
    if (x | y) >= _SQUARABLE:
        return REVERTS
    # a < 2**197 and b < 2**198.
    a = over_e18(x * y)
    b = over_e18(x * x) + over_e18(y * y)
    if (x | y) >= _SMALL and mul_wide(a, b)[0] != ZERO:
        return REVERTS
    return over_e18(a * b)


@hot("u256(u256, u256)")
def f_solidly(x: int, y: int) -> int:
    """Return `_f` of Solidly and Velodrome V1, or `REVERTS`."""
    if (x | y) >= _SQUARABLE:
        return REVERTS
    left, right = _cube(y), _cube(x)
    if (x | y) >= _SMALL and (
        left == REVERTS
        or right == REVERTS
        or mul_wide(x, left)[0] != ZERO
        or mul_wide(right, y)[0] != ZERO
    ):
        return REVERTS
    return over_e18(x * left) + over_e18(right * y)  # two of at most 2**256 / 10**18


@hot("u256(u256, u256)")
def d_of(x: int, y: int) -> int:
    """Return `_d` for x and y below 2**128; 0 where it reverts, for a division by it reverts as well."""
    squares = over_e18(y * y)
    cube = _cube(x)
    # 3 * x < 2**130.
    if (x | y) >= _SMALL and (cube == REVERTS or mul_wide(_THREE * x, squares)[0] != ZERO):
        return ZERO
    return over_e18(_THREE * x * squares) + cube


@hot("u256(u256)", inline=True)
def _cube(x: int) -> int:
    # x * x / 10**18 * x / 10**18 for x < 2**128, or REVERTS; the quotient is < 2**197.
    square = over_e18(x * x)
    if x >= _SMALL and mul_wide(square, x)[0] != ZERO:
        return REVERTS
    return over_e18(square * x)


@hot("u256(u256, u256)", inline=True)
def _newton_step(distance: int, slope: int) -> int:
    # distance * 10**18 / slope, or REVERTS: overflow, or division by zero.
    if distance > MOST_TIMES_E18 or slope == ZERO:
        return REVERTS
    return divmod256(distance * E18, slope)[0]


@hot("u256(u256, u256, u256)")
def get_y_solidly(x: int, xy: int, y: int) -> int:
    """Return `_get_y` of Solidly and Velodrome V1; beyond the `y` given, or `REVERTS`, where it reverts."""
    for _ in range(STEPS):
        k = f_solidly(x, y)
        if k == REVERTS:
            return REVERTS
        slope = d_of(x, y)
        if k < xy:
            dy = _newton_step(xy - k, slope)
            # From 2**128 on the next step reverts, or there is none and the reserve is less than y.
            if dy >= _SQUARABLE:
                return REVERTS
            y = y + dy
        else:
            dy = _newton_step(k - xy, slope)
            if dy > y:
                return REVERTS
            y = y - dy
        if dy <= ONE:
            return y
    return y


@hot("u256(u256, u256, u256, u256, u256)")
def get_y_velodrome(x: int, xy: int, y: int, unit0: int, unit1: int) -> int:
    """Return `_get_y` of Velodrome V2, or `REVERTS`.

    Where k is short and a step is 0, it asks `_k` about y + 1. That scales what is scaled already, by
    the units of the tokens; units of 10**18 make it the version that asks `_f`.
    """
    for _ in range(STEPS):
        k = f_velodrome(x, y)
        if k == REVERTS:
            return REVERTS
        slope = d_of(x, y)
        if k < xy:
            dy = _newton_step(xy - k, slope)
            if dy >= _SQUARABLE:  # the next step would square it
                return REVERTS
            if dy == ZERO:
                above = f_velodrome(scaled(x, unit0), scaled(y + ONE, unit1))
                if above > xy:  # REVERTS is more than any
                    return REVERTS if above == REVERTS else y + ONE
                dy = ONE
            y = y + dy
        else:
            dy = _newton_step(k - xy, slope)
            if dy > y:
                return REVERTS
            if dy == ZERO:
                # k > xy >= 0 has y > 0; and f grows with y, so y - 1 does not revert where y did not.
                if k == xy or f_velodrome(x, y - ONE) < xy:
                    return y
                dy = ONE
            y = y - dy
    return REVERTS
