"""Dividing an amount over paths so that the last unit brings the same on each.

Layer: market. Outputs are concave, so the sum is greatest where all slopes are equal (those of paths that
get nothing are lower). That slope is found by halving, and each path's amount for it by halving too:
slow beside compiled code, and done once per order, not once per block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

Share = Callable[[float], tuple[float, float]]
"""Output and slope of a path at an amount."""

_STEPS: Final = 64


def divide(curves: Sequence[Share], amount: int) -> list[int]:
    """Return what of `amount` goes to each of `curves`; all of it goes somewhere."""
    most = float(amount)
    low, high = 0.0, max(curve(0.0)[1] for curve in curves)
    for _ in range(_STEPS):
        slope = 0.5 * (low + high)
        if sum(_amount_at(curve, slope, most) for curve in curves) > most:
            low = slope
        else:
            high = slope
    wanted = [_amount_at(curve, high, most) for curve in curves]
    shares = [int(share) for share in wanted]
    # Rounding leaves some over: the path with the largest share takes it, where it changes the slope least.
    largest = max(range(len(shares)), key=shares.__getitem__)
    shares[largest] += amount - sum(shares)
    return shares


def _amount_at(curve: Share, slope: float, most: float) -> float:
    """Return the amount from which on `curve` is flatter than `slope`."""
    if curve(most)[1] >= slope:
        return most
    low, high = 0.0, most
    for _ in range(_STEPS):
        middle = 0.5 * (low + high)
        if curve(middle)[1] > slope:
            low = middle
        else:
            high = middle
    return low
