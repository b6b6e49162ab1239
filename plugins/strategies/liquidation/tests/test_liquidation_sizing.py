"""The amount that is chosen is the best of those that are lawful."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from tallyio_strategy_liquidation.sizing import best_amount


class Gain(NamedTuple):
    """What an amount gives."""

    net_wei: float


def test_the_most_is_taken_where_profit_still_rises_and_only_twice_looked_at() -> None:
    looked: list[int] = []

    def evaluate(amount: int) -> Gain:
        looked.append(amount)
        return Gain(amount * 0.05)

    best = best_amount(evaluate, 10**18)
    assert best is not None
    assert best.repay == 10**18
    assert len(looked) == 2


def test_a_highest_point_within_is_found() -> None:
    rng = Random(1)
    for _ in range(200):
        most, top = 10**18, rng.randrange(10**15, 10**18)

        def evaluate(amount: int, top: int = top) -> Gain:
            return Gain(amount / top - (amount / top) ** 2 / 2)

        best = best_amount(evaluate, most)
        assert best is not None
        assert best.gain.net_wei > 0.499


def test_amounts_that_are_not_lawful_are_never_chosen() -> None:
    def evaluate(amount: int) -> Gain | None:
        return Gain(float(amount)) if amount == 10**6 or amount < 4 * 10**5 else None

    best = best_amount(evaluate, 10**6)
    assert best is not None
    assert best.repay == 10**6
    assert best_amount(lambda _: None, 10**6) is None


def test_the_smallest_amounts_are_no_trap() -> None:
    assert best_amount(lambda amount: Gain(-float(amount)), 1) is not None
    best = best_amount(lambda amount: Gain(-float(amount)), 1_000)
    assert best is not None
    assert best.repay == 1
