"""Whether measured differences are more than noise: exact rank tests that need no normal distribution.

Layer: bench. Pure. Both tests ask whether a shift is *larger than a margin*, so that a difference nobody
cares about is not called one however often it was measured. Sources: F. Wilcoxon, "Individual comparisons by
ranking methods" (1945); H. B. Mann, D. R. Whitney (1947); S. Holm (1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache


def signed_rank_p(differences: Sequence[float], margin: float) -> float:
    """Return how likely signed ranks as far up as these are if differences centre on `margin` or below.

    Wilcoxon's test, one-sided and exact. Zeros, and ranks of equal size, count against the claim.
    """
    shifted = [value - margin for value in differences]
    # Among values of one size the positive ones come first, so that they get the low ranks.
    ordered = sorted(shifted, key=lambda value: (abs(value), value <= 0))
    total = sum(rank for rank, value in enumerate(ordered, 1) if value > 0)
    ways = _rank_sums(len(shifted))
    return sum(ways[total:]) / (1 << len(shifted))


def rank_sum_p(lower: Sequence[float], higher: Sequence[float], margin: float) -> float:
    """Return how likely such ranks are if values of `higher` are not above those of `lower` by `margin`.

    Mann and Whitney's test, one-sided and exact. Ties count against the claim.
    """
    wins = sum(each - margin > other for each in higher for other in lower)
    ways = _win_counts(len(lower), len(higher))
    return sum(ways[wins:]) / sum(ways)


def holm(chances: Mapping[str, float]) -> dict[str, float]:
    """Return the chances after Holm's correction: each is safe to compare with the level for all together."""
    ordered = sorted(chances.items(), key=lambda each: each[1])
    corrected: dict[str, float] = {}
    highest = 0.0
    for place, (name, chance) in enumerate(ordered):
        highest = max(highest, min(1.0, chance * (len(ordered) - place)))
        corrected[name] = highest
    return corrected


@cache
def _rank_sums(count: int) -> tuple[int, ...]:
    """Return in how many of 2**count choices of signs the positive ranks sum to 0, 1, 2, ..."""
    ways = [1]
    for rank in range(1, count + 1):
        ways = [
            (ways[total] if total < len(ways) else 0) + (ways[total - rank] if total >= rank else 0)
            for total in range(len(ways) + rank)
        ]
    return tuple(ways)


@cache
def _win_counts(lower: int, higher: int) -> tuple[int, ...]:
    """Return in how many orders the values of `higher` win 0, 1, 2, ... times: the Gaussian binomial."""
    if not lower or not higher:
        return (1,)
    # The largest value of all is one of `higher`, which wins against all of `lower`, or one of `lower`.
    with_it = (0,) * lower + _win_counts(lower, higher - 1)
    without = _win_counts(lower - 1, higher)
    return tuple(
        (with_it[wins] if wins < len(with_it) else 0) + (without[wins] if wins < len(without) else 0)
        for wins in range(lower * higher + 1)
    )
