"""The detector in plain Python: what `hot` and `sizing` compute, bit for bit.

It is the specification of the search. Integers are exact; floats only propose. Three steps for a
cycle whose first unit gains:

1. **Solve.** Along a cycle let M(x) be the product of the legs' slopes at input x: what the next
   unit put in gives back. The best input is where M = 1. For pools whose curve is out = m x / (1 + k x)
   (constant product, and a concentrated pool inside one range), 1 / sqrt(M) is a straight line in x,
   and so it is for any chain of them; across ranges it is a chain of straight pieces. So the root
   of 1 / sqrt(M) - 1 is found by false position (Illinois), which is exact on a line, inside a
   bracket, which no kink or jump can break.
2. **Shrink.** With integers the output is a staircase: many inputs give the same output, above all
   where a middle token has few decimals. From the output back to the input, each leg takes the
   least input that still gives what the next leg needs.
3. **Step.** Of a chain's amounts the smallest number is the coarsest: its units are worth most. For
   a value of that amount the best chain is known: the least input that gives it, and what comes of
   it. So the search for the best chain is one over a single integer: every chain whose coarsest amount
   is v gains at most what the one found for v gains. Its values are tried in strides of powers of two,
   for a fee that is rounded makes the profit a saw of long teeth, and then one by one in a window
   around, which moves with the best found: so nothing with a coarsest amount in the window gains
   more, whatever its other amounts are. The window is wide where the amount is small, and a unit
   much of the profit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, Protocol, TypeGuard

SOLVE_STEPS: Final = 64
SOLVED: Final = 1e-11
"""|1 / sqrt(M) - 1| at which the input is good: profit is flat there, so the loss is of second order."""
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
GENEROUS: Final = 1.0 + 1e-9
"""Floats may understate a profit by this much; the exact sizing decides."""
STRIDE_SHIFT: Final = 50
"""A gallop starts with the amount / 2**50: about the rounding of a float of that size."""
REACH_STEPS: Final = 64
STRIDE_BITS: Final = 10
"""The longest stride is 2**(this - 1), longer than a tooth of a fee of 0.3 percent."""
MOVES: Final = 4
"""Most steps of one stride in one direction."""
ROUNDS: Final = 128
"""Most times that the search starts again from a better amount."""
TINY: Final = 1 << 16
SPREAD: Final = 2.0
"""For curves that bend less than at the solved input."""
ROUNDING: Final = 1e-14
"""Of the input: what floats may be wrong by."""
NEAR: Final = 8
WIDE: Final = 512
WIDE_BITS: Final = 16
"""The window is `NEAR` + `WIDE` units either way; `WIDE` is halved for every bit above `WIDE_BITS`."""


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


class Found(NamedTuple):
    """A cycle with exact amounts: amounts[k] enters leg k and the last comes out."""

    legs: tuple[Leg, ...]
    amounts: tuple[int, ...]
    gas: int
    net: float


class Terms(NamedTuple):
    """What makes an opportunity worth reporting."""

    worth: Callable[[Leg], float]
    """Wei of the native currency for one unit of what the leg sells."""
    gas_price_wei: float = 0.0
    plan_gas: int = 0
    min_net: float = 0.0
    top_k: int = 8


def detect(venue: Venue, cycles: Iterable[Sequence[Leg]], terms: Terms) -> list[Found]:
    """Return the best `top_k` of `cycles`, best net first."""
    shortlist: list[tuple[float, float, Sequence[Leg]]] = []
    for legs in cycles:
        slope = math.prod(measure(venue, leg)[0] for leg in legs)
        if slope > 1.0:
            x = solve(venue, legs, guess(venue, legs))
            gross = (walk(venue, legs, x)[0] - x) * terms.worth(legs[0]) * GENEROUS
            net = gross - float(terms.plan_gas + _gas_of_float(venue, legs, x)) * terms.gas_price_wei
            if gross > 0.0 and net >= terms.min_net:
                shortlist.append((net, x, legs))
    shortlist.sort(key=lambda candidate: candidate[0], reverse=True)
    sized = (_record(venue, legs, x, terms) for _, x, legs in shortlist[: terms.top_k])
    return sorted((found for found in sized if found), key=lambda found: found.net, reverse=True)


def _record(venue: Venue, legs: Sequence[Leg], x: float, terms: Terms) -> Found | None:
    amounts = size(venue, legs, x)
    if amounts is None:
        return None
    gas = terms.plan_gas + sum(venue.gas(leg, amount) for leg, amount in zip(legs, amounts, strict=False))
    gross = float(amounts[-1] - amounts[0]) * terms.worth(legs[0])
    net = gross - float(gas) * terms.gas_price_wei
    return Found(tuple(legs), amounts, gas, net) if net >= terms.min_net else None


def _gas_of_float(venue: Venue, legs: Sequence[Leg], x: float) -> int:
    total = 0
    for leg in legs:
        total += venue.gas(leg, int(x))
        x = venue.curve(leg, x)[0]
    return total


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


def size(venue: Venue, legs: Sequence[Leg], x: float) -> tuple[int, ...] | None:
    """Return the best exact chain near the float input `x`, or None if none gains."""
    start = through(venue, legs, int(x)) if x >= 1.0 else None
    if start is None:
        return None
    best = through(venue, legs, step(venue, legs, start, x)[0])
    return best if best is not None and best[-1] > best[0] else None


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
    # With no upper end yet, the line through the last two points leads on, with some to spare. It is
    # flat where the two lie so close that floats cannot tell them apart.
    rise = value - low_value
    return max(1.0, min(MOST_AHEAD, -1.01 * value / rise)) if rise > 0.0 else MOST_AHEAD


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


def least_input(venue: Venue, leg: Leg, target: int, known: int) -> int:
    """Return the least input of `leg` that gives at least `target` > 0; `known` does.

    The float curve says about where; galloping from there and halving decide with exact quotes
    alone, so a wrong curve costs time and never a unit.
    """
    if venue.quote(leg, known - 1) < target:
        return known
    low, high = 0, known - 1
    stride = 1 + (known >> STRIDE_SHIFT)
    probe = _place(venue, leg, target, known)
    inside = low < probe < high
    rising = inside and venue.quote(leg, probe) < target
    if inside:
        low, high = (probe, high) if rising else (low, probe)
    while high - low > stride:
        middle = low + stride if rising else high - stride
        enough = venue.quote(leg, middle) >= target
        low, high = (low, middle) if enough else (middle, high)
        if enough == rising:
            break
        stride *= 4
    while high - low > 1:
        middle = (low + high) >> 1
        if venue.quote(leg, middle) >= target:
            high = middle
        else:
            low = middle
    return high


def _place(venue: Venue, leg: Leg, target: int, known: int) -> int:
    """Return about where `leg` starts to give `target`, or 0 if the curve cannot say."""
    output, slope = venue.curve(leg, float(known))
    place = float(known) - (output - float(target)) / slope if slope > 0.0 else 0.0
    return int(place) if 1.0 <= place < float(known) else 0


def reach(venue: Venue, leg: Leg, target: int, start: int) -> int:
    """Return an input from `start` on that gives at least `target`, or 0 if doubling finds none."""
    output, slope = venue.curve(leg, float(start))
    ahead = (float(target) - output) / slope if slope > 0.0 else 0.0
    stride = 1 + (start >> STRIDE_SHIFT) + (int(ahead) if 0.0 < ahead < float(start) else 0)
    for _ in range(REACH_STEPS):
        if venue.quote(leg, start + stride) >= target:
            return start + stride
        stride *= 2
    return 0


def step(venue: Venue, legs: Sequence[Leg], amounts: tuple[int, ...], x: float) -> tuple[int, ...]:
    """Return the best chain found by changing the coarsest of `amounts`; `x` solves the cycle."""
    place, best = coarsest(amounts), amounts
    root = math.sqrt(max(1.0 + SOLVED, walk(venue, legs, 0.0)[1]))
    top, bend = walk(venue, legs, x)[0] - x, (root - 1.0) / root / x
    for _ in range(ROUNDS):
        before = best[place]
        best = stride(venue, legs, best, place, _spread(best, place, x, top, bend))
        best = scan(venue, legs, best, place, min(window(best[place]), _spread(best, place, x, top, bend)))
        if best[place] == before:
            break
    return best


def stride(
    venue: Venue, legs: Sequence[Leg], amounts: tuple[int, ...], place: int, most: float
) -> tuple[int, ...]:
    """Return the best chain found by strides of at most `most` units of the amount at `place`."""
    best = amounts
    for bit in range(STRIDE_BITS - 1, -1, -1):
        for step_ in (1 << bit, -(1 << bit)):
            for _ in range(MOVES):
                if best[place] + step_ < 1 or 1 << bit > most:
                    break
                other = by_way_of(venue, legs, best, place, best[place] + step_)
                if not _gains_more(other, best):
                    break
                best = other
    return best


def scan(
    venue: Venue, legs: Sequence[Leg], amounts: tuple[int, ...], place: int, most: float
) -> tuple[int, ...]:
    """Return the best chain of those with an amount at `place` at most `most` from that of `amounts`."""
    best = amounts
    for sign in (1, -1):
        offset = 0
        while offset <= most:
            wanted = amounts[place] + sign * offset
            other = by_way_of(venue, legs, best, place, wanted) if wanted > 0 else None
            if other is None:
                break  # and no further value has a chain
            best = other if _gains_more(other, best) else best
            offset += 1
    return best


def _spread(best: Sequence[int], place: int, x: float, top: float, bend: float) -> float:
    """Return how far the coarsest amount may be from the best for a chain that gains more than `best`.

    In floats the profit falls from its `top` by bend * d**2 where the input is off by d. Where the
    amount is so small that a curve's own two units matter, that says nothing.
    """
    if best[place] < TINY:
        return math.inf
    short = max(0.0, top - float(best[-1] - best[0])) + x * ROUNDING
    return NEAR + SPREAD * float(best[place]) / x * math.sqrt(short / bend)


def coarsest(amounts: Sequence[int]) -> int:
    """Return the place of the least amount, the first of several."""
    return min(range(len(amounts)), key=lambda place: amounts[place])


def window(amount: int) -> int:
    """Return how many neighbours of a coarsest amount are tried, either way."""
    return NEAR + (WIDE >> max(0, amount.bit_length() - WIDE_BITS))


def _gains_more(one: tuple[int, ...] | None, other: tuple[int, ...]) -> TypeGuard[tuple[int, ...]]:
    return one is not None and one[-1] - one[0] > other[-1] - other[0]


def through(venue: Venue, legs: Sequence[Leg], amount: int) -> tuple[int, ...] | None:
    """Return the chain with the least input that ends in what `amount` gives; None if that is nothing."""
    known = chain(venue, legs, amount)
    if 0 in known:
        return None
    needed = known[-1]
    for k in range(len(legs) - 1, -1, -1):
        needed = least_input(venue, legs[k], needed, known[k])
    return chain(venue, legs, needed)


def by_way_of(
    venue: Venue, legs: Sequence[Leg], amounts: Sequence[int], place: int, wanted: int
) -> tuple[int, ...] | None:
    """Return the chain with the least input that gives `wanted` at `place`; None if none does.

    `amounts` is a chain of these legs, from which the inputs before `place` are found.
    """
    needed = wanted
    for k in range(place - 1, -1, -1):
        known = amounts[k]
        if amounts[k + 1] < needed:
            known = reach(venue, legs[k], needed, known)
            if known == 0:
                return None
        needed = least_input(venue, legs[k], needed, known)
    found = chain(venue, legs, needed)
    return None if 0 in found else found
