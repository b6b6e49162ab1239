"""Amounts at which a path's next unit brings so much and no more: to divide an amount, and to size a cycle.

Layer: market. Outputs are concave, so a sum over paths is greatest where all slopes are equal (those of
paths that get nothing are lower), and a cycle gains most where its slope is 1. Both are found by halving:
slow beside compiled code, and done once per order, not once per block.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final

Curve = Callable[[float], tuple[float, float]]
"""Output and slope of a path at an amount."""

_STEPS: Final = 64
_NEAR: Final = 4.0


def divide(curves: Sequence[Curve], amount: int) -> list[int]:
    """Return what of `amount` goes to each of `curves`; all of it goes somewhere."""
    most = float(amount)
    low, high = 0.0, max(curve(0.0)[1] for curve in curves)
    for _ in range(_STEPS):
        slope = 0.5 * (low + high)
        if sum(amount_at(curve, slope, most) for curve in curves) > most:
            low = slope
        else:
            high = slope
    wanted = [amount_at(curve, high, most) for curve in curves]
    shares = [int(share) for share in wanted]
    # Rounding leaves some over: the path with the largest share takes it, where it changes the slope least.
    largest = max(range(len(shares)), key=shares.__getitem__)
    shares[largest] += amount - sum(shares)
    return shares


def amount_at(curve: Curve, slope: float, most: float) -> float:
    """Return the amount up to `most` from which on `curve` is flatter than `slope`."""
    if curve(most)[1] >= slope:
        return most
    low, high = 1.0, most
    if curve(low)[1] <= slope:
        return 0.0
    # Amounts lie decades apart: halve the decades first, then the distance.
    for _ in range(_STEPS):
        middle = math.sqrt(low * high) if high > _NEAR * low else 0.5 * (low + high)
        if curve(middle)[1] > slope:
            low = middle
        else:
            high = middle
    return low
