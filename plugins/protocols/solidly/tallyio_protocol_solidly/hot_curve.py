"""A pool's curve in float64, with its slope; it guides the search and never decides.

Relative error: at most 1e-9, plus two steps of the pool, for reserves that differ by a factor of up to
1e12. A step of a volatile pool is the smallest unit. That of a stable pool is the smallest unit or 10**-18
of a token, whichever is more; or else the plateau, 2e-18 (1 + (x + y)**2) / (3 x y**2 + x**3) tokens with
x and y in tokens after the swap: what the contract's rounding of k is worth. Only in pools of less than a
token or so is that more. Stable pools are computed in tokens, so that fourth powers stay in range.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, to_f64
from tallyio_protocol_solidly.layout import FEE_DENOMINATOR, FEE_NUMERATOR, RESERVES, UNITS, WORD_BYTES

_STEPS: Final = 255
_ENOUGH: Final = 2.0**-52
_MOST: Final = 2.0**128 / 1e18
"""Tokens from which on the contract overflows."""


@hot("UniTuple(float64, 2)(int64, float64)", inline=True)
def _after_fee(row: int, amount_in: float) -> tuple[float, float]:
    # What is left of an input after the fee, which the contract rounds down, and of each further unit.
    share = float(load(row + FEE_NUMERATOR, 0)) / float(load(row + FEE_DENOMINATOR, 0))
    return amount_in - np.floor(amount_in * share), 1.0 - share


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def volatile_curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope of x * y = k."""
    reserve_in = to_f64(load256(row + RESERVES + WORD_BYTES * i))
    reserve_out = to_f64(load256(row + RESERVES + WORD_BYTES * j))
    if reserve_in == 0.0 or not amount_in >= 0.0:
        return 0.0, 0.0
    net_in, keep = _after_fee(row, amount_in)
    depth = reserve_in + net_in
    share = reserve_out / depth
    return net_in * share, keep * share * (reserve_in / depth)


@hot("float64(float64, float64)", inline=True)
def _tokens(amount: float, unit: float) -> float:
    # Amounts of more than 18 decimals are rounded down to 18 by the contract.
    coarse = unit / 1e18
    return np.floor(amount / coarse) / 1e18 if coarse > 1.0 else amount / unit


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def stable_curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope of x**3 * y + y**3 * x = k."""
    unit_in = to_f64(load256(row + UNITS + WORD_BYTES * i))
    unit_out = to_f64(load256(row + UNITS + WORD_BYTES * j))
    a = _tokens(to_f64(load256(row + RESERVES + WORD_BYTES * i)), unit_in)
    b = _tokens(to_f64(load256(row + RESERVES + WORD_BYTES * j)), unit_out)
    net_in, keep = _after_fee(row, amount_in)
    added = _tokens(net_in, unit_in)
    x = a + added
    if a == 0.0 or b == 0.0 or not added >= 0.0 or x >= _MOST or b >= _MOST:
        return 0.0, 0.0
    out = _output(a, b, added)
    y = b - out
    slope = y * (3.0 * x * x + y * y) / (x * (3.0 * y * y + x * x))
    return out * unit_out, keep * slope * (unit_out / unit_in)


@hot("float64(float64, float64, float64)")
def _output(a: float, b: float, added: float) -> float:
    # With x = a + added, the output z solves x**3 (b - z) + x (b - z)**3 = a**3 b + a b**3. Both sides
    # nearly cancel for a small input, so the equation is solved after the common part is taken out:
    #     z * (x**3 + 3 x b**2 - x z (3 b - z)) = added * b * (b**2 + x**2 + x a + a**2)
    # All terms are positive but for the subtraction, which takes at most two thirds of 3 x b**2. The left
    # side minus the right is concave and grows up to z = b, so Newton's steps from 0 rise to the root.
    x = a + added
    right = added * b * (b * b + x * x + x * a + a * a)
    start = x * (x * x + 3.0 * b * b)
    z = right / start
    for _ in range(_STEPS):
        factor = start - x * z * (3.0 * b - z)
        y = b - z
        step = (right - z * factor) / (x * (3.0 * y * y + x * x))
        z += step
        if not step > _ENOUGH * z:
            break
    return min(z, b)
