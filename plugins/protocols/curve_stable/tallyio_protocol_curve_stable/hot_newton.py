"""The last loop of `get_y`: y = (y**2 + c) / (2 * y + b - D) from y = D on, until two steps differ by 1.

`solve` returns exactly what that loop returns, mostly without walking it. Let r be the positive root
of y**2 + (b - D) * y = c for c > 0, and g(y) = (y**2 + c) / (2 * y + b - D) a step without rounding.

1. g(y) = r + (y - r)**2 / (2 * y + b - D): never below r, and growing with y above r.
2. The other root is negative, so 2 * y + b - D > 2 * (y - r) for y >= r, and y - g(y) > (y - r) / 2.

Take q = floor(r), and suppose that steps from q and from q + 3 both round down to q. By 1 they do so
from q + 1 and q + 2 too, and no step leads below q. From D >= q + 4 the loop comes down: at y >= q + 4
a step moves by more than 1.5 (2), so by 2 at least, and the loop goes on; from q + 3 and q + 2 it
leads to q, and goes on; from q + 1 and q it ends with q. A step at least halves the distance to r, so
that takes fewer than 255, and none of them overflows or divides by less than the last one does.

So q, found by a step from the root in float64, is the loop's answer wherever the two steps agree.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, from_f64, to_f64
from tallyio_protocol_curve_stable.reference import MAX_STEPS, UINT128_MAX

REVERTED: Final = const(2**256 - 1)
"""No proper value: where a contract reverts."""

_ZERO: Final = const(0)
_ONE: Final = const(1)
_THREE: Final = const(3)
_FOUR: Final = const(4)
_UINT128_MAX: Final = const(UINT128_MAX)
_NARROW: Final = const(2**127)
_NARROW_C: Final = const(2**254)


@hot("u256(u256, u256, u256, int64)")
def solve(b: int, c: int, d: int, falls_through: int) -> int:
    """Return what the loop returns; `REVERTED` where it reverts. `b` is below 2**212.

    After 255 steps the loop returns its last value if it `falls_through`, and reverts otherwise.
    """
    y = shortcut(b, c, d)
    return walk(b, c, d, falls_through) if y == REVERTED else y


@hot("u256(u256, u256, u256, int64)")
def walk(b: int, c: int, d: int, falls_through: int) -> int:
    """Return what the loop returns by walking it; as `solve`."""
    y = d
    for _ in range(MAX_STEPS):
        # y < 2**128: its square is below 2**256, and a sum that wraps is below either part; 2y + b < 2**213.
        top, bottom = y * y + c, y + y + b
        if y > _UINT128_MAX or top < c or bottom <= d:
            return REVERTED
        after = divmod256(top, bottom - d)[0]
        if is_close(after, y):
            return after
        y = after
    return y if falls_through else REVERTED


@hot("boolean(u256, u256)", inline=True)
def is_close(a: int, b: int) -> bool:
    """Return whether two steps differ by 1 at most."""
    return (a - b if a > b else b - a) <= _ONE


@hot("u256(u256, u256, u256)")
def shortcut(b: int, c: int, d: int) -> int:
    """Return what the loop returns where the module's proof holds, and `REVERTED` elsewhere."""
    if b >= _NARROW or d >= _NARROW or c >= _NARROW_C or c == _ZERO:
        return REVERTED
    y = _float_root(b, c, d)
    # y, b, d < 2**127, here and for q: all sums are below 2**129 and all products below 2**256.
    if y >= d or y + y + b <= d:
        return REVERTED
    q = divmod256(y * y + c, y + y + b - d)[0]
    if q >= d:
        return REVERTED
    if q * (q + b) > c + q * d:  # above the root
        q = q - _ONE
    if q == REVERTED or q + _FOUR > d or q * (q + b) > c + q * d or q + q + b <= d:
        return REVERTED
    return q if _leads_to(q, q, b, c, d) and _leads_to(q + _THREE, q, b, c, d) else REVERTED


@hot("boolean(u256, u256, u256, u256, u256)", inline=True)
def _leads_to(y: int, q: int, b: int, c: int, d: int) -> bool:
    # A step from y leads to q at least, for q is not above the root.
    return y * y + c < (q + _ONE) * (y + y + b - d)


@hot("u256(u256, u256, u256)")
def _float_root(b: int, c: int, d: int) -> int:
    linear = to_f64(b - d) if b >= d else -to_f64(d - b)
    constant = to_f64(c)
    both = math.sqrt(linear * linear + 4.0 * constant)
    root = 2.0 * constant / (both + linear) if linear >= 0.0 else 0.5 * (both - linear)
    return from_f64(root)
