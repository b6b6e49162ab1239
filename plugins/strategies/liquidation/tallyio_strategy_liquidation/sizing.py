"""How much to repay.

The bonus is a share of what is repaid, and swapping more collateral brings less for each unit, so profit
rises to one highest point and falls. Mostly that point lies beyond what is lawful, and the most is best.
Rules against dust and other paths through the market make exceptions, which is why every amount that counts
is evaluated exactly, and the best of them wins.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple, Protocol


class Gain(Protocol):
    """What one amount gives."""

    @property
    def net_wei(self) -> float:
        """Profit after everything."""


class Sized[G: Gain](NamedTuple):
    """The best amount that was found, and what it gives."""

    repay: int
    gain: G


_HALVINGS: Final = 12
_STEPS: Final = 16
_NUDGE: Final = 6


def best_amount[G: Gain](evaluate: Callable[[int], G | None], most: int) -> Sized[G] | None:
    """Return the amount up to `most` that gains most; None: no amount gives anything.

    `evaluate` returns None where an amount is not lawful. Where profit still rises at `most` that is the
    answer, after two evaluations. Else the highest point is bracketed by halving and then closed in on.
    """
    seen: dict[int, Sized[G]] = {}

    def look(amount: int) -> float:
        if amount not in seen:
            gain = evaluate(amount) if amount > 0 else None
            if gain is None:
                return float("-inf")
            seen[amount] = Sized(amount, gain)
        return seen[amount].gain.net_wei

    if look(most) < look(most - max(most >> _NUDGE, 1)):
        _search(look, most)
    return max(seen.values(), key=lambda each: each.gain.net_wei, default=None)


def _search(look: Callable[[int], float], most: int) -> None:
    ladder = [most >> halving for halving in range(_HALVINGS)]
    best = max(ladder, key=look)
    low, high = best >> 1, min(2 * best, most)
    for _ in range(_STEPS):
        if high - low < _STEPS:
            return
        left, right = low + (high - low) * 2 // 5, low + (high - low) * 3 // 5
        if look(left) < look(right):
            low = left
        else:
            high = right
