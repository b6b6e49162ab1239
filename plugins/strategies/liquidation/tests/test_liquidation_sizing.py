"""The amount that is chosen is the best of those that are lawful."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from tallyio_strategy_liquidation import sizing
from tallyio_strategy_liquidation.layout import SIZING

NEVER = float("-inf")


def tried(net_of: Callable[[int], float], most: int) -> dict[int, float]:
    """Return the amounts that are tried, with their nets."""
    record = np.zeros(1, SIZING)
    address = record.ctypes.data
    sizing.start(address, most)
    nets: dict[int, float] = {}
    while amount := sizing.next_amount(address):
        nets[amount] = net_of(amount)
        sizing.learn(address, nets[amount])
    return nets


def test_the_most_is_taken_where_profit_still_rises_and_only_twice_looked_at() -> None:
    nets = tried(lambda amount: amount * 0.05, 10**18)
    assert len(nets) == 2
    assert max(nets, key=lambda amount: nets[amount]) == 10**18


@pytest.mark.parametrize("seed", range(4))
def test_a_highest_point_within_is_found(seed: int) -> None:
    rng = Random(seed)
    for _ in range(50):
        top = rng.randrange(10**15, 10**18)

        def hill(amount: int, top: int = top) -> float:
            return amount / top - (amount / top) ** 2 / 2

        nets = tried(hill, 10**18)
        assert max(nets.values()) > 0.499
        assert len(nets) < 50
        # Far below a highest point nothing is tried.
        assert min(nets) > top // 32


def test_an_unlawful_most_leads_to_smaller_amounts() -> None:
    nets = tried(lambda amount: float(amount) if amount < 4 * 10**5 else NEVER, 10**6)
    assert max(nets.values()) > 2.4 * 10**5


def test_where_nothing_is_lawful_the_search_ends() -> None:
    assert set(tried(lambda _: NEVER, 10**6).values()) == {NEVER}


def test_the_smallest_amounts_are_no_trap() -> None:
    assert tried(lambda amount: -float(amount), 1) == {1: -1.0}
    nets = tried(lambda amount: -float(amount), 1_000)
    assert max(nets.values()) == -1.0
