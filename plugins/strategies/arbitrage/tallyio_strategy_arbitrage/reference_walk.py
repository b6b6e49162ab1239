"""Cycles in floats, in plain Python: what `walking` and `measure` compute, bit for bit.

Along a cycle let M(x) be the product of the legs' slopes at input x: what the next unit put in gives
back. The best input is where M = 1. For pools whose curve is out = m x / (1 + k x) (constant product,
and a concentrated pool inside one range), 1 / sqrt(M) is a straight line in x, and so it is for any
chain of them; across ranges it is a chain of straight pieces. So the root of 1 / sqrt(M) - 1 is found
by false position (Illinois), which is exact on a line, inside a bracket, which no kink or jump can break.
With slope and bend of each leg known, the line is known too, and the first guess is the root.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

SOLVE_STEPS: Final = 64
SOLVED: Final = 1e-10
"""|1 / sqrt(M) - 1| at which the input is good; of the input, its square / (1 - 1 / sqrt(M(0))) is lost."""
MOST_AHEAD: Final = 64.0
"""Longest step beyond the last input, as a multiple of the step before."""
MOST_BACK: Final = 65536.0
"""Square of the longest step back from an input that is too large for the pool."""
BRACKET: Final = 1e-13
"""Relative width at which a bracket around a jump of the slope is closed."""
TOO_NEAR: Final = 1.0 + 1e-4
TOO_FAR: Final = 1.1
"""How much the slope has fallen where the bend is measured: far above the curve's error, and near zero."""
PROBE_FACTOR: Final = 16.0
"""The two lie three decades of input apart, so steps of this size meet them."""
PROBES: Final = 32
MOST_PROBE: Final = 1e60


class Leg(NamedTuple):
    """One sale: token position `i` for `j` in `pool`."""

    pool: int
    i: int
    j: int


class Venue(Protocol):
    """What the detector asks of a market: the functions of `tallyio.market.fused`, by pool id."""

    def quote(self, leg: Leg, amount_in: int) -> int:
        """Return the exact output."""

    def curve(self, leg: Leg, amount_in: float) -> tuple[float, float]:
        """Return output and slope in floats."""

    def gas(self, leg: Leg, amount_in: int) -> int:
        """Return the estimated gas."""


def measure(venue: Venue, leg: Leg, probe: float = 1.0) -> tuple[float, float, float]:
    """Return slope and bend of `leg` at zero, and where the bend was found: near there to look next time.

    The bend is k of the curve slope * x / (1 + k x).
    """
    slope, bend, direction = venue.curve(leg, 0.0)[1], 0.0, 0
    for _ in range(PROBES):
        there = venue.curve(leg, probe)[1]
        far = not there > 0.0 or slope > there * TOO_FAR
        if slope > there > 0.0:
            bend = (math.sqrt(slope / there) - 1.0) / probe
        turn = -1 if far else 1
        # A change of direction: the slope jumps here, and either side is as good.
        if direction == -turn or (not far and slope > there * TOO_NEAR):
            break
        direction = turn
        probe *= PROBE_FACTOR if turn > 0 else 1.0 / PROBE_FACTOR
    return slope, bend, min(max(probe, 1.0), MOST_PROBE)


def guess(venue: Venue, legs: Sequence[Leg]) -> float:
    """Return the best input if every leg bent as near zero: chained, such curves stay of their kind."""
    measured = [measure(venue, leg) for leg in legs]
    bend, scale = 0.0, 1.0
    for slope, own, _ in measured:
        bend += scale * own
        scale *= slope
    return (math.sqrt(scale) - 1.0) / bend if bend > 0.0 else measured[0][2]


def walk(venue: Venue, legs: Sequence[Leg], x: float) -> tuple[float, float]:
    """Return the float output of the whole cycle for input `x`, and its slope there."""
    slope = 1.0
    for leg in legs:
        x, own = venue.curve(leg, x)
        slope *= own
    return x, slope


def solve(venue: Venue, legs: Sequence[Leg], guess: float) -> float:
    """Return the input at which the slope of the cycle is 1; 0.0 if it is at most 1 from the start.

    `guess` is any positive input; a good one saves steps.
    """
    low, low_value = 0.0, _root_value(walk(venue, legs, 0.0)[1])
    if low_value >= 0.0:
        return 0.0
    high, high_value, side = math.inf, math.inf, 0
    x = guess
    for _ in range(SOLVE_STEPS):
        value = _root_value(walk(venue, legs, x)[1])
        if abs(value) <= SOLVED:
            return x
        if value < 0.0:
            ahead = x + (x - low) * _farther(low_value, value)
            high_value *= 0.5 if side < 0 else 1.0
            low, low_value, side = x, value, -1
            x = ahead
        else:
            low_value *= 0.5 if side > 0 else 1.0
            high, high_value, side = x, value, 1
        if high < math.inf:
            if high - low <= BRACKET * high:
                return low
            x = _between(low, low_value, high, high_value)
    return low


def _farther(low_value: float, value: float) -> float:
    # With no upper end yet, the line through the last two points leads on. It is flat where the two lie
    # so close that floats cannot tell them apart.
    rise = value - low_value
    return min(MOST_AHEAD, -value / rise) if rise > 0.0 else MOST_AHEAD


def _between(low: float, low_value: float, high: float, high_value: float) -> float:
    if high_value == math.inf:
        # Nothing comes out there, and the guess may have been decades too large.
        return math.sqrt(max(low, high / MOST_BACK) * high) if high > 4.0 * low else 0.5 * (low + high)
    return (low * high_value - high * low_value) / (high_value - low_value)


def _root_value(slope: float) -> float:
    # A pool that gives nothing more has slope 0: as far above the root as can be.
    return 1.0 / math.sqrt(slope) - 1.0 if slope > 0.0 else math.inf


def chain(venue: Venue, legs: Sequence[Leg], amount_in: int) -> tuple[int, ...]:
    """Return `amount_in` and the exact output of each leg in turn."""
    amounts = [amount_in]
    for leg in legs:
        amounts.append(venue.quote(leg, amounts[-1]))
    return tuple(amounts)
