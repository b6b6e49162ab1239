"""The sieves lose nothing that pays: their claims in exact rational arithmetic."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from tallyio_strategy_arbitrage import sieve

CASES = 40


class Pool(NamedTuple):
    """A constant product with a fee, as out = slope x / (1 + bend x) exactly."""

    slope: Fraction
    bend: Fraction

    def out(self, amount: Fraction) -> Fraction:
        """Return the exact output, not rounded down: no contract pays more."""
        return self.slope * amount / (1 + self.bend * amount)

    def curve(self, amount: float) -> tuple[float, float]:
        """Return output and slope in floats."""
        depth = 1.0 + float(self.bend) * amount
        return float(self.slope) * amount / depth, float(self.slope) / depth / depth


def random_cycle(draw: random.Random, count: int) -> list[Pool]:
    """Return pools whose slopes multiply to about 1, of depths that differ by many decades."""
    worth = [10 ** draw.uniform(-12, 12) for _ in range(count)]
    pools = []
    for k in range(count):
        price = worth[k] / worth[(k + 1) % count] * math.exp(draw.gauss(0.0, 0.02))
        pools.append(Pool(Fraction(price), Fraction(worth[k] / 10 ** draw.uniform(0, 9))))
    return pools


def most_profit(pools: Sequence[Pool]) -> Fraction:
    """Return what the cycle gains at its best input, in units of the first token.

    Chained, such curves stay of their kind: out = M x / (1 + K x), best at (sqrt(M) - 1) / K.
    """
    slope, bend = Fraction(1), Fraction(0)
    for pool in pools:
        bend += pool.bend * slope
        slope *= pool.slope
    if slope <= 1:
        return Fraction(0)
    places = 10**40
    root = Fraction(math.isqrt(slope.numerator * places**2 // slope.denominator), places)
    amount = (root - 1) / bend
    out = amount
    for pool in pools:
        out = pool.out(out)
    return out - amount


def product(pools: Sequence[Pool]) -> Fraction:
    return math.prod((pool.slope for pool in pools), start=Fraction(1))


@given(st.integers(0, 2**40), st.integers(2, 4))
def test_a_cycle_that_gains_more_has_slopes_above_needed(seed: int, count: int) -> None:
    draw = random.Random(seed)
    for _ in range(CASES):
        pools = random_cycle(draw, count)
        profit, before = most_profit(pools), Fraction(1)
        # A little less than the cycle gains, so that every leg must let it through.
        gain = float(profit) * draw.uniform(0.2, 0.999999)
        for pool in pools:
            # What is gained, in the leg's own token at what that is worth in this cycle.
            own = gain * float(before)
            if profit > 0:
                assert float(product(pools)) > sieve.needed(
                    pool.curve, float(pool.slope), float(pool.bend), own
                )
            before *= pool.slope


@given(st.integers(0, 2**40))
def test_one_pool_needs_hardly_more_than_that(seed: int) -> None:
    """With all other legs of no depth limit, what is needed is what the pool itself can gain."""
    draw = random.Random(seed)
    pool = Pool(Fraction(10 ** draw.uniform(-9, 9)), Fraction(10 ** draw.uniform(-20, 0)))
    share = 10 ** draw.uniform(-2, 0.5)
    gain = share**2 / float(pool.bend)
    answer = sieve.needed(pool.curve, float(pool.slope), float(pool.bend), gain)
    assert math.isclose(answer - 1, (1 + share) ** 2 - 1, rel_tol=1e-3)


@given(st.integers(0, 2**40), st.integers(2, 4))
def test_rates_of_a_cycle_that_gains_more_add_up_to_enough(seed: int, count: int) -> None:
    """For any values, right or wrong by decades, and whatever leg is asked."""
    draw = random.Random(seed)
    for _ in range(CASES):
        pools = random_cycle(draw, count)
        profit = float(most_profit(pools))
        if profit <= 0.0:
            continue
        worth = math.exp(draw.uniform(-3, 3))
        values = [worth]
        for pool in pools[:-1]:
            values.append(
                values[-1] / float(pool.slope) * math.exp(draw.gauss(0, draw.choice((0.01, 0.2, 2))))
            )
        values.append(worth)
        price = worth * draw.uniform(0.5, sieve.BASE_DRIFT)
        gain = profit * price * draw.uniform(0.2, 0.999999)
        total = sum(
            sieve.rate(float(pool.slope), sold, bought)
            for pool, sold, bought in zip(pools, values[:-1], values[1:], strict=True)
        )
        for pool, sold in zip(pools, values[:-1], strict=True):
            own = gain / (sieve.MOST_OFF * sold)
            needed = sieve.needed(pool.curve, float(pool.slope), float(pool.bend), own)
            assert total > min(math.log(needed), sieve.MOST_TAKEN) - sieve.SLACK / 2


class Kinked(NamedTuple):
    """A concave curve of straight pieces (size, slope), as a pool of many ranges; nothing beyond the last."""

    pieces: tuple[tuple[float, float], ...]

    def curve(self, amount: float) -> tuple[float, float]:
        """Return output and slope; (0, 0) where the pool cannot take it all."""
        out = 0.0
        for size, slope in self.pieces:
            if amount < size:
                return out + amount * slope, slope
            out, amount = out + size * slope, amount - size
        return 0.0, 0.0


@given(st.integers(0, 2**40))
def test_kinks_and_the_end_of_a_curve_are_no_way_around(seed: int) -> None:
    draw = random.Random(seed)
    slope, pieces = 1.0, []
    for _ in range(draw.randrange(1, 6)):
        pieces.append((10 ** draw.uniform(0, 6), slope))
        slope *= draw.uniform(0.9, 1.0)
    pool, more = Kinked(tuple(pieces)), draw.uniform(1.0, 1.3)
    # The profit of a bracket of straight pieces is greatest at one of its corners.
    corners = [0.0]
    for size, _ in pieces:
        corners.append(corners[-1] + size)
    gains = [more * pool.curve(corner * (1 - 1e-12))[0] - corner for corner in corners]
    gain = max(gains) * draw.uniform(0.1, 0.999)
    if gain > 0.0:
        assert more > sieve.needed(pool.curve, 1.0, 10 ** draw.uniform(-9, 0), gain)
