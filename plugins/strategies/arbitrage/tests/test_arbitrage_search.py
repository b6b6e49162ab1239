"""The search in plain Python: how close it comes to the best there is."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_strategy_arbitrage import reference, reference_sizing, reference_walk
from tallyio_strategy_arbitrage.reference import Terms
from tallyio_strategy_arbitrage.reference_walk import Leg


class ConstantProduct:
    """Pools of reserves (of what is sold, of what is bought), with a fee of 0.3 percent."""

    def __init__(self, pools: Sequence[tuple[int, int]]) -> None:
        self.pools = pools

    def quote(self, leg: Leg, amount_in: int) -> int:
        """Return the exact output."""
        a, b = self.pools[leg.pool]
        return amount_in * 997 * b // (a * 1000 + amount_in * 997)

    def curve(self, leg: Leg, amount_in: float) -> tuple[float, float]:
        """Return output and slope."""
        a, b = self.pools[leg.pool]
        depth = a * 1000.0 + amount_in * 997.0
        return amount_in * 997.0 * b / depth, 997.0 * b * 1000.0 * a / depth / depth

    def gas(self, leg: Leg, amount_in: int) -> int:
        """Return a constant."""
        return 100


class Range(NamedTuple):
    """A piece of a kinked curve: from slope `first` to `last` while `size` is sold."""

    size: float
    first: float
    last: float


class Kinked:
    """One pool of straight pieces, whose slope may jump between them, as a thin concentrated pool's does."""

    def __init__(self, ranges: Sequence[Range]) -> None:
        self.ranges = ranges

    def curve(self, leg: Leg, amount_in: float) -> tuple[float, float]:
        """Return output and slope; beyond the last range there is nothing."""
        total = 0.0
        for size, first, last in self.ranges:
            part = min(amount_in, size)
            slope = first + (last - first) * part / size
            total += part * (first + slope) / 2
            if amount_in <= size:
                return total, slope
            amount_in -= size
        return total, 0.0

    def quote(self, leg: Leg, amount_in: int) -> int:
        """Return the output without its fraction."""
        return int(self.curve(leg, float(amount_in))[0])

    def gas(self, leg: Leg, amount_in: int) -> int:
        """Return nothing."""
        return 0


FREE = Terms(worth=lambda leg: 1.0)  # noqa: ARG005 - the same for all


def legs_of(count: int) -> list[Leg]:
    return [Leg(pool, 0, 1) for pool in range(count)]


def best_of_all(venue: ConstantProduct, legs: list[Leg], limit: int) -> tuple[int, ...]:
    """Return the best chain of all inputs below `limit`."""
    chains = (reference_walk.chain(venue, legs, amount) for amount in range(1, limit))
    return max(chains, key=lambda amounts: amounts[-1] - amounts[0])


def random_pools(draw: random.Random, count: int) -> list[tuple[int, int]]:
    """Return a cycle of small pools, off balance by up to a few percent, with coarse and fine amounts."""
    scale = [10 ** draw.uniform(1, 3.5) for _ in range(count)]
    depth = [draw.uniform(5, 100) for _ in range(count)]
    return [
        (
            max(2, int(scale[k] * depth[k] * draw.uniform(0.9, 1.1))),
            max(2, int(scale[(k + 1) % count] * depth[k] * draw.uniform(0.9, 1.1))),
        )
        for k in range(count)
    ]


ENOUGH = 10**5
"""Chains that complete every proof here."""


@given(st.integers(0, 2**32), st.integers(2, 3))
def test_a_completed_search_finds_the_best_of_all_inputs(seed: int, count: int) -> None:
    venue, legs = ConstantProduct(random_pools(random.Random(seed), count)), legs_of(count)
    best = best_of_all(venue, legs, min(2000, venue.pools[0][0]))
    if best[-1] <= best[0]:
        return
    sized = reference_sizing.size(venue, legs, reference_walk.solve(venue, legs, 1.0), 0.0, ENOUGH)
    assert sized is not None
    assert sized.gap < 1.0
    assert sized.amounts[-1] - sized.amounts[0] >= best[-1] - best[0]


@given(st.integers(0, 2**32), st.integers(2, 3), st.integers(0, 30), st.floats(0.0, 3.0))
def test_a_gap_is_never_understated(seed: int, count: int, budget: int, tolerance: float) -> None:
    venue, legs = ConstantProduct(random_pools(random.Random(seed), count)), legs_of(count)
    best = best_of_all(venue, legs, min(2000, venue.pools[0][0]))
    x = reference_walk.solve(venue, legs, 1.0)
    sized = reference_sizing.size(venue, legs, x, tolerance, budget)
    if sized is not None:
        assert sized.amounts == reference_walk.chain(venue, legs, sized.amounts[0])
        assert best[-1] - best[0] - (sized.amounts[-1] - sized.amounts[0]) <= sized.gap


@given(st.integers(0, 2**32), st.integers(2, 3))
def test_reported_amounts_are_exact(seed: int, count: int) -> None:
    venue, legs = ConstantProduct(random_pools(random.Random(seed), count)), legs_of(count)
    for found in reference.detect(venue, [legs], FREE):
        assert found.amounts == reference_walk.chain(venue, legs, found.amounts[0])
        assert found.net == found.amounts[-1] - found.amounts[0] > 0


def test_a_middle_token_of_few_decimals_costs_nothing() -> None:
    """18 decimals to 6 and back: the staircase is 3 * 10**8 wei wide."""
    venue = ConstantProduct([(10**21, 3 * 10**12), (29 * 10**11, 10**21)])
    [found] = reference.detect(venue, [legs_of(2)], FREE)
    smooth = reference_walk.solve(venue, legs_of(2), 1.0)
    nearby = [
        reference_walk.chain(venue, legs_of(2), int(smooth) + offset * 10**7) for offset in range(-2000, 2000)
    ]
    best = max(amounts[-1] - amounts[0] for amounts in nearby)
    assert found.net >= best - smooth * reference_sizing.ROUNDING


@pytest.mark.parametrize("guess", [1.0, 1e3, 1e9, 1e18])
def test_the_solver_crosses_kinks_jumps_and_the_end_of_a_curve(guess: float) -> None:
    ranges = [Range(100, 1.5, 1.4), Range(1000, 1.4, 1.2), Range(50, 1.1, 1.05), Range(10, 0.9, 0.8)]
    for count in range(1, 5):
        venue = Kinked(ranges[:count])
        end = min(sum(piece.size for piece in ranges[:count]), 1150.0)
        assert reference_walk.solve(venue, legs_of(1), guess) == pytest.approx(end, rel=1e-9)


def test_the_solver_finds_the_root_inside_a_range() -> None:
    venue = Kinked([Range(100, 1.5, 1.4), Range(100, 1.2, 0.8), Range(100, 0.5, 0.1)])
    assert reference_walk.solve(venue, legs_of(1), 1.0) == pytest.approx(150.0, rel=1e-6)


@given(st.integers(1, 10**30), st.integers(1, 10**30), st.integers(1, 10**25), st.floats(0.01, 100.0))
def test_the_input_for_an_output_is_the_least_up_to_the_precision_of_floats(
    a: int, b: int, amount: int, off: float
) -> None:
    venue, leg, amount = ConstantProduct([(a, b)]), Leg(0, 0, 1), min(amount, 100 * a)
    target = venue.quote(leg, amount)
    if target == 0:
        return
    found = reference_sizing.least_near(venue, leg, target, amount * off)
    assert venue.quote(leg, found) >= target
    spared = found - 2 - int(found * reference_sizing.ROUNDING)
    assert spared < 1 or venue.quote(leg, spared) < target


def test_the_best_come_first_and_only_so_many() -> None:
    pools = [(10**20, 10**20 + step * 10**18) for step in range(1, 6)] + [(10**20, 10**20)]
    venue = ConstantProduct(pools)
    cycles = [[Leg(pool, 0, 1), Leg(5, 0, 1)] for pool in range(5)]
    found = reference.detect(venue, cycles, FREE._replace(top_k=3))
    assert [one.legs[0].pool for one in found] == [4, 3, 2]
    assert all(one.net >= other.net for one, other in itertools.pairwise(found))


def test_gas_and_the_least_profit_decide() -> None:
    venue = ConstantProduct([(10**20, 11 * 10**19), (10**20, 10**20)])
    [free] = reference.detect(venue, [legs_of(2)], FREE)
    terms = FREE._replace(gas_price_wei=1e9, plan_gas=1000)
    [paid] = reference.detect(venue, [legs_of(2)], terms)
    assert (paid.gas, paid.net) == (1200, free.net - 1200 * 1e9)
    assert reference.detect(venue, [legs_of(2)], terms._replace(min_net=paid.net)) == [paid]
    assert reference.detect(venue, [legs_of(2)], terms._replace(min_net=paid.net * 1.001)) == []
