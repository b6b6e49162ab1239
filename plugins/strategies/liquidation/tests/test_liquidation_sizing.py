"""The amount that is chosen is the best of those that are lawful."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
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
        assert max(nets.values()) > 0.499_9
        assert len(nets) < 20
        # Far below a highest point nothing is tried.
        assert min(nets) > top // 32


@given(
    top=st.integers(10**15, 10**18),
    rise=st.floats(0.01, 100.0),
    fall=st.floats(0.01, 100.0),
    lawful=st.floats(0.0, 1.0),
)
def test_an_edge_and_a_gap_in_what_is_lawful_are_climbed_too(
    top: int, rise: float, fall: float, lawful: float
) -> None:
    def roof(amount: int) -> float:
        if lawful < amount / top < 1.0 and lawful > 0.5:  # the protocol leaves a rest or none
            return NEVER
        return min(rise * amount, rise * top - fall * (amount - top)) / top

    nets = tried(roof, 10**18)
    assert max(nets.values()) > 0.0
    assert len(nets) <= 2 + 12 + 32
    if lawful <= 0.5:
        assert max(nets.values()) > rise - 0.001 * max(rise, fall)


def test_an_edge_right_below_the_most_costs_a_thousandth_at_most() -> None:
    for permille in range(900, 1_000):
        edge = 10**15 * permille

        def roof(amount: int, edge: int = edge) -> float:
            return min(13.0 * amount, 15.0 * edge - 2.0 * amount) / edge

        assert max(tried(roof, 10**18).values()) > 13.0 * 0.999


@pytest.mark.parametrize("top", [0.2, 0.59, 0.9, 2.0])
def test_a_gap_right_below_the_most_hides_nothing(top: float) -> None:
    def roof(amount: int) -> float:
        share = amount / 10**18
        return NEVER if 0.95 < share < 1.0 else share / top - (share / top) ** 2 / 2

    nets = tried(roof, 10**18)
    assert 10**18 in nets
    assert max(nets.values()) > 0.499_9 if top < 1 else max(nets, key=lambda amount: nets[amount]) == 10**18
    assert len(nets) < 40


def test_a_plain_is_no_trap() -> None:
    assert len(tried(lambda _: 1.0, 10**18)) == 2
    nets = tried(lambda amount: min(float(amount), 1e15, 3e15 - amount), 10**18)
    assert max(nets.values()) == 1e15
    assert len(nets) < 50


def test_an_unlawful_most_leads_to_smaller_amounts() -> None:
    nets = tried(lambda amount: float(amount) if amount < 4 * 10**5 else NEVER, 10**6)
    assert max(nets.values()) > 2.4 * 10**5


def test_where_nothing_is_lawful_the_search_ends() -> None:
    assert set(tried(lambda _: NEVER, 10**6).values()) == {NEVER}


def test_the_smallest_amounts_are_no_trap() -> None:
    assert tried(lambda amount: -float(amount), 1) == {1: -1.0}
    nets = tried(lambda amount: -float(amount), 1_000)
    assert max(nets.values()) == -1.0
