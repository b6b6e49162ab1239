"""An exchange in float64, without differences of nearly equal numbers.

With y the balance to buy from and d what leaves it, the pool's equation
`y**2 + (b - D) * y = c` before and after an input of dx gives, with c / x falling as x grows,

    d**2 - B * d + C = 0,  B = 2 * y + (b - D) + dx,  C = dx * (y + c / (x + dx)),  c = y * (y + b - D)

and d is the smaller root, which is 2 * C / (B + sqrt(B**2 - 4 * C)). `b - D` is a small difference of
large numbers, so its parts are subtracted as integers.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import divmod256, load256, to_f64, u256
from tallyio_protocol_curve_stable.hot_math import ZERO, xp_of
from tallyio_protocol_curve_stable.hot_newton import REVERTED
from tallyio_protocol_curve_stable.hot_state import coin
from tallyio_protocol_curve_stable.layout import A_PRECISION, AMP, COUNT, FEE, FLAGS, MULTIPLIER, RATE, D
from tallyio_protocol_curve_stable.reference import FEE_DENOMINATOR, PRECISION
from tallyio_protocol_curve_stable.templates import Flag

_DYNAMIC_FEE: Final = int(Flag.DYNAMIC_FEE)
_NO_MARGIN: Final = int(Flag.NO_MARGIN)
_WAD: Final = float(PRECISION)
_FEE_BASE: Final = float(FEE_DENOMINATOR)


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def curve_of(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope; (0, 0) where the pool pays nothing. `i`, `j` are a direction of the pool."""
    d, x, y = load256(row + D), to_f64(xp_of(row, i)), to_f64(xp_of(row, j))
    if d in (REVERTED, ZERO) or x == 0.0 or y == 0.0:
        return 0.0, 0.0
    to_xp, from_xp = to_f64(load256(coin(row, i) + RATE)) / _WAD, _WAD / to_f64(load256(coin(row, j) + RATE))
    dx = amount_in * to_xp
    left = _b_less_d(row, d, j)
    out, slope = _root(x, y, left, dx)
    if not out < y or slope <= 0.0:
        return 0.0, 0.0
    fee, fee_slope = _fee(row, x, y, dx, out, slope)
    margin = 0.0 if load(row + FLAGS, 0) & _NO_MARGIN else 1.0
    kept = max(0.0, out - margin)
    # NG's fee may rise faster than the output: there a larger input pays less, and the slope is 0.
    falling = max(0.0, slope * (1.0 - fee) - kept * fee_slope)
    return kept * (1.0 - fee) * from_xp, falling * to_xp * from_xp


@hot("float64(int64, u256, int64)")
def _b_less_d(row: int, d: int, j: int) -> float:
    n = load(row + COUNT, 0)
    others = ZERO
    for k in range(n):
        others = others + (ZERO if k == j else xp_of(row, k))
    # d * precision < 2**211; A is not 0 where there is a D.
    ann = u256(load(row + AMP, 0)) * u256(n)
    b = others + divmod256(d * u256(load(row + A_PRECISION, 0)), ann)[0]
    return to_f64(b - d) if b >= d else -to_f64(d - b)


@hot("UniTuple(float64, 2)(float64, float64, float64, float64)")
def _root(x: float, y: float, left: float, dx: float) -> tuple[float, float]:
    # What leaves the pool, and its slope: differentiate the equation for d.
    c = y * (y + left)
    after = x + dx
    linear, constant = 2.0 * y + left + dx, dx * (y + c / after)
    rest = math.sqrt(max(0.0, linear * linear - 4.0 * constant))
    if linear + rest <= 0.0 or rest <= 0.0:
        return 0.0, 0.0
    out = 2.0 * constant / (linear + rest)
    return out, (y - out + c / after * (x / after)) / rest


@hot("UniTuple(float64, 2)(int64, float64, float64, float64, float64, float64)")
def _fee(row: int, x: float, y: float, dx: float, out: float, slope: float) -> tuple[float, float]:
    fee, multiplier = float(load(row + FEE, 0)) / _FEE_BASE, to_f64(load256(row + MULTIPLIER)) / _FEE_BASE
    if not load(row + FLAGS, 0) & _DYNAMIC_FEE or multiplier <= 1.0:
        return fee, 0.0
    mean_x, mean_y = x + 0.5 * dx, y - 0.5 * out
    total = mean_x + mean_y
    balance = 4.0 * (mean_x / total) * (mean_y / total)
    balance_slope = balance * (0.5 / mean_x - 0.5 * slope / mean_y - (1.0 - slope) / total)
    divisor = (multiplier - 1.0) * balance + 1.0
    dynamic = multiplier * fee / divisor
    return dynamic, -dynamic * (multiplier - 1.0) * balance_slope / divisor
