"""The arithmetic of stable pools in compiled code; `reference` is its specification.

Solidity checks its arithmetic and reverts. Here a function that could revert returns `REVERTS` instead,
a value that it cannot have otherwise. Bounds, used throughout:

- The contract squares x and y, in `_f` and in `_k`. So 2**128 and more reverts, and below it products of
  two fit 256 bits and are < 2**197 over 10**18, which is more than 2**59.
- Below 2**93 (9.9e9 tokens) nothing overflows, and the checks are skipped: products of two are < 2**127
  over 10**18, those of three < 2**161. So Velodrome's `_f` multiplies at most 2**127 by 2**128, Solidly's
  2**93 by 2**161, and `_d` three times 2**93 by 2**127.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, mul_wide
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
_NOT_FOUND: Final = const(UINT256_MAX - 1)


@hot("u256(u256)", inline=True)
def over_e18(n: int) -> int:
    """Return n // 10**18."""
    return divmod256(n, E18)[0]


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
    return _product(x, y, over_e18(x * x) + over_e18(y * y))


@hot("u256(u256, u256, u256)", inline=True)
def _product(x: int, y: int, squares: int) -> int:
    # x * y / 10**18 * squares / 10**18 for x and y below 2**128, or REVERTS; the first factor is < 2**197.
    a = over_e18(x * y)
    if (x | y) >= _SMALL and mul_wide(a, squares)[0] != ZERO:
        return REVERTS
    return over_e18(a * squares)


@hot("u256(u256, u256)", inline=True)
def _times(x: int, square: int) -> int:
    # x * square / 10**18, or REVERTS, for x < 2**130 and a square over 10**18 of less than 2**128.
    if (x | square) >= _SQUARABLE and mul_wide(x, square)[0] != ZERO:
        return REVERTS
    return over_e18(x * square)


@hot("u256(u256, u256, u256, u256)", inline=True)
def _two_products(x: int, y: int, cube_x: int, cube_y: int) -> int:
    # Solidly's _f: x * cube_y / 10**18 + cube_x * y / 10**18 for x and y below 2**128, or REVERTS.
    if (x | y) >= _SMALL and (
        cube_y == REVERTS or mul_wide(x, cube_y)[0] != ZERO or mul_wide(cube_x, y)[0] != ZERO
    ):
        return REVERTS
    return over_e18(x * cube_y) + over_e18(cube_x * y)  # two of at most 2**256 / 10**18


@hot("u256(u256, u256, u256, u256)", inline=True)
def _step_of(distance: int, x: int, square_y: int, cube_x: int) -> int:
    # distance * 10**18 / _d, or REVERTS: overflow, division by zero, or a step of 2**128 and more. Downwards
    # that is more than y. Upwards the next step could not square it; and without a next step, y is more
    # than the reserve. 3 * x < 2**130; the slope is a sum of two that are at most 2**256 / 10**18.
    left = _times(_THREE * x, square_y)
    slope = left + cube_x
    if distance > MOST_TIMES_E18 or left == REVERTS or slope == ZERO:
        return REVERTS
    step = divmod256(distance * E18, slope)[0]
    return step if step < _SQUARABLE else REVERTS


# In both solvers x's square and cube are the same in each step, and `_d` has the cube: it must not overflow.


@hot("u256(u256, u256, u256)")
def get_y_solidly(x: int, xy: int, y: int) -> int:
    """Return `_get_y` of Solidly and Velodrome V1. Where it reverts: `REVERTS`, or more than `y`."""
    cube_x = _times(x, over_e18(x * x))
    if x >= _SQUARABLE or cube_x == REVERTS:
        return REVERTS
    for _ in range(STEPS):
        k, dy = _step_solidly(x, xy, y, cube_x)
        if dy == REVERTS or (k >= xy and dy > y):
            return REVERTS
        y = y + dy if k < xy else y - dy
        if dy <= ONE:
            return y
    return y


@hot("UniTuple(u256, 2)(u256, u256, u256, u256)", inline=True)
def _step_solidly(x: int, xy: int, y: int, cube_x: int) -> tuple[int, int]:
    # k and the size of the step at y; a step of REVERTS where anything reverts.
    square_y = over_e18(y * y)
    k = _two_products(x, y, cube_x, _times(y, square_y))
    if y >= _SQUARABLE or k == REVERTS:
        return k, REVERTS
    return k, _step_of(xy - k if k < xy else k - xy, x, square_y, cube_x)


@hot("u256(u256, u256, u256, u256, u256)")
def get_y_velodrome(x: int, xy: int, y: int, unit0: int, unit1: int) -> int:
    """Return `_get_y` of Velodrome V2, or `REVERTS`.

    Where k is short and a step is 0, it asks `_k` about y + 1. That scales what is scaled already, by
    the units of the tokens; units of 10**18 make it the version that asks `_f`.
    """
    square_x = over_e18(x * x)
    cube_x = _times(x, square_x)
    if x >= _SQUARABLE or cube_x == REVERTS:
        return REVERTS
    for _ in range(STEPS):
        k, dy = _step_velodrome(x, xy, y, square_x, cube_x)
        if dy == REVERTS or (k >= xy and dy > y):
            return REVERTS
        if dy == ZERO:
            found = _found_above(x, xy, y, unit0, unit1) if k < xy else _found_here(x, xy, y, k)
            if found != _NOT_FOUND:
                return found
            dy = ONE
        # k > xy >= 0 has y > 0, so that there is 1 to take away.
        y = y + dy if k < xy else y - dy
    return REVERTS


@hot("UniTuple(u256, 2)(u256, u256, u256, u256, u256)", inline=True)
def _step_velodrome(x: int, xy: int, y: int, square_x: int, cube_x: int) -> tuple[int, int]:
    # As _step_solidly.
    square_y = over_e18(y * y)
    k = _product(x, y, square_x + square_y)
    if y >= _SQUARABLE or k == REVERTS:
        return k, REVERTS
    return k, _step_of(xy - k if k < xy else k - xy, x, square_y, cube_x)


@hot("u256(u256, u256, u256, u256, u256)")
def _found_above(x: int, xy: int, y: int, unit0: int, unit1: int) -> int:
    k = f_velodrome(scaled(x, unit0), scaled(y + ONE, unit1))
    if k == REVERTS:
        return REVERTS
    return y + ONE if k > xy else _NOT_FOUND


@hot("u256(u256, u256, u256, u256)")
def _found_here(x: int, xy: int, y: int, k: int) -> int:
    # f grows with y, so it does not revert at y - 1 where it did not at y.
    return y if k == xy or f_velodrome(x, y - ONE) < xy else _NOT_FOUND
