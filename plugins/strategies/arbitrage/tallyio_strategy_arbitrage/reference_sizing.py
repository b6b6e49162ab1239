"""The exact size of a cycle, in plain Python: what `sizing` computes, bit for bit.

With integers the output of a cycle is a staircase and its profit a saw. Two facts make the search for its
highest tooth short.

**A bound.** Each leg's curve is concave, and no quote lies above it: contracts round against the
trader. So whatever is put in, the profit is at most p(x) = out(x) - x of the curves, which is concave
too, and highest, `top`, where the cycle is solved. A chain whose profit is within `allowed` of `top` ends
the search: nothing gains more by more than that. Mostly the first chain does. It loses what its legs
round away, some units each, and a unit is worth most where amounts are small numbers: of all amounts
the least is the *coarsest*.

**One integer.** For a value v of the coarsest amount the best chain is known: the least input that gives
v, and what comes of it. So the search is one over v. Let p(low) and p(high), low < x < high, be no more
than the best profit so far + `allowed`. As p is concave, no input outside gains more by more than that;
and so does no v below that of `low` or above that of `high`, which need such inputs. Hence, once every v
between the two was tried, the best found is proved best, up to `allowed`. Where the coarsest token is the
only coarse one, two values close the gap. Where further legs round to coarse units as well (a fee of 0.3
percent rounded to units is a saw with teeth of 333), strides of powers of two climb a tooth first; then
the values next to the best are tried one by one, outwards, until the proof is complete or the budget is
spent. `Sized.gap` says which of the two: it is `allowed`, or what is left to `top`.

**Errors.** `allowed` is the caller's tolerance, and `ROUNDING` of the input for floats: the curves of
constant product and concentrated pools err by less than 1e-14 of their output, those of stable and
weighted pools by less than 1e-13. (The market's contract allows a `curve` more, 1e-9; one that makes use of
that makes the proof as much weaker.) A concentrated pool's curve also contains the units that a swap loses
at each stop, so it is not concave by so many. They matter where the coarsest amount is a small number:
below `TINY`, `UNITS` of them are added to the bound; above, a gap may be understated by that much, which is
less than a thousandth of the profit of a cycle that gains a percent.

The inputs for v are found by Newton's method on the curve and confirmed by exact quotes. On a concave curve
it comes from below and doubles its digits with each step; the input is the least one up to 2**-44 of it,
a loss that `ROUNDING` covers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from tallyio_strategy_arbitrage.reference_walk import SOLVED, Leg, Venue, chain, walk

ROUNDING: Final = 1e-12
"""Of the input: what floats may be wrong by, and what is too little to look for."""
TINY: Final = 2.0**20
UNITS: Final = 4.0
"""Below the first, a coarsest amount is so small that units matter which the curve is wrong by: so many."""
FINE: Final = 2.0**50
"""From here on a unit is less than `ROUNDING`, and its value no exact float."""
NEWTON_STEPS: Final = 16
NEWTON_DONE: Final = 1e-8
"""Relative step after which the next one is too small to matter."""
BELOW: Final = 2.0**-45
UNSURE: Final = 2.0**-44
"""Newton's method and float rounding miss the input by less than the first; steps of the second find it."""
INPUT_STEPS: Final = 40
EVEN_STEPS: Final = 4
"""Steps of the input before they double: a contract takes a unit or two more for its fee."""
WIDER: Final = 1.05
"""The bracket is looked for at this many times where a parabola has it."""
BRACKET_STEPS: Final = 40
STRIDE_BITS: Final = 10
"""The longest stride is 2**(this - 1), longer than a tooth of a fee of 0.3 percent."""
MOVES: Final = 4
"""Most steps of one stride in one direction."""
FEW: Final = 24.0
"""A bracket of so many values is tried at once, without strides."""


class Sized(NamedTuple):
    """The best chain found: what enters each leg, and what leaves the last."""

    amounts: tuple[int, ...]
    gap: float
    """Nothing gains more by more than this, in units of the first token."""


def size(venue: Venue, legs: Sequence[Leg], x: float, tolerance: float, budget: int) -> Sized | None:
    """Return the best exact chain around the float input `x`, or None if none gains.

    `tolerance` is in units of the first token; at most `budget` chains are tried after the first three.
    """
    if not x >= 1.0:
        return None
    search = _Search(venue, legs, x, tolerance, budget)
    proved = search.run()
    gained = gain(search.best)
    gap = search.allowed if proved else search.bound - gained + x * ROUNDING
    return Sized(search.best, gap) if gained > 0.0 else None


def gain(amounts: Sequence[int]) -> float:
    """Return what comes out less what goes in, as the nearest float."""
    return float(amounts[-1] - amounts[0])


def least_near(venue: Venue, leg: Leg, target: int, known: float) -> int:
    """Return about the least input of `leg` that gives at least `target`; 0 if none was found.

    `known` is an input from which to look.
    """
    wanted, at = float(target), known
    for _ in range(NEWTON_STEPS):
        output, slope = venue.curve(leg, at)
        if not slope > 0.0:
            return 0
        step = (wanted - output) / slope
        at = max(0.0, at + step)
        if abs(step) <= NEWTON_DONE * at:
            break
    stride = int(max(1.0, at * UNSURE))
    place = int(at - at * BELOW) + (stride if stride > 1 else 0)
    for turn in range(INPUT_STEPS):
        if venue.quote(leg, place) >= target:
            return place
        place += stride
        stride <<= 1 if turn >= EVEN_STEPS else 0
    return 0


class _Search:
    """One search: what it knows, and its steps."""

    def __init__(self, venue: Venue, legs: Sequence[Leg], x: float, tolerance: float, budget: int) -> None:
        self.venue, self.legs, self.x, self.budget = venue, legs, x, budget
        self.floats = [x]
        for leg in legs:
            self.floats.append(venue.curve(leg, self.floats[-1])[0])
        self.place = min(range(len(self.floats)), key=lambda place: self.floats[place])
        coarsest = self.floats[self.place]
        unsure = UNITS * x / coarsest if 0.0 < coarsest < TINY else 0.0
        self.top = self.floats[-1] - x
        self.allowed = tolerance + x * ROUNDING
        self.bound = self.top + unsure
        self.enough = self.allowed - unsure
        self.best: tuple[int, ...] = (0,) * len(self.floats)
        self.low, self.high = 0, 0

    def run(self) -> bool:
        """Search; return whether the best is proved best, up to what is allowed."""
        self.try_input(int(self.x))
        middle = self.floats[self.place]
        if self.is_good() or not middle < FINE:
            return self.is_good()
        self.try_value(int(middle))
        self.try_value(int(middle) + 1)
        if self.is_good():
            return True
        self.set_bracket()
        if float(self.high - self.low) > FEW:
            if self.strides():
                return True
            self.set_bracket()
        return self.scan(self.best[self.place] or int(middle))

    def is_good(self) -> bool:
        """Return whether nothing can gain more by more than is allowed."""
        return self.bound - gain(self.best) <= self.allowed

    def try_input(self, amount: int) -> bool:
        """Keep the chain of this input if it gains more."""
        tried = chain(self.venue, self.legs, amount)
        better = 0 not in tried and tried[-1] - tried[0] > self.best[-1] - self.best[0]
        self.best = tried if better else self.best
        return better

    def try_value(self, value: int) -> bool:
        """Keep the chain with `value` at the coarsest place and about the least input if it gains more."""
        needed = value
        for k in range(self.place - 1, -1, -1):
            needed = least_near(self.venue, self.legs[k], needed, self.floats[k])
            if needed == 0:
                return False
        return self.try_input(needed)

    def set_bracket(self) -> None:
        """Find between which values of the coarsest amount one may gain more by more than is allowed."""
        x, target = self.x, gain(self.best) + self.enough
        root = math.sqrt(max(1.0 + SOLVED, walk(self.venue, self.legs, 0.0)[1]))
        bend = (root - 1.0) / root / x
        width = WIDER * math.sqrt(max(0.0, self.top - target) / bend)
        low = self._end(-width, target)
        high = self._end(width, target)
        self.low = max(1, int(self._value(low)))
        # Beyond x the curve lies below its chord, also where the pools cannot take `high`.
        self.high = int(min(FINE, self.floats[self.place] * (high / x))) + 1

    def _end(self, width: float, target: float) -> float:
        for _ in range(BRACKET_STEPS):
            end = self.x + width
            if not end > 0.0:
                return 0.0
            if walk(self.venue, self.legs, end)[0] - end <= target:
                return end
            width *= 2.0
        return end

    def _value(self, x: float) -> float:
        for leg in self.legs[: self.place]:
            x = self.venue.curve(leg, x)[0]
        return x

    def strides(self) -> bool:
        """Climb by strides within the bracket; return whether the best is good enough then."""
        for bit in range(STRIDE_BITS - 1, -1, -1):
            for stride in (1 << bit, -(1 << bit)):
                for _ in range(MOVES):
                    value = self.best[self.place] + stride
                    if not self.low <= value <= self.high or self.budget <= 0:
                        break
                    self.budget -= 1
                    if not self.try_value(value):
                        break
                    if self.is_good():
                        return True
        return False

    def scan(self, centre: int) -> bool:
        """Try the values around `centre` one by one; return whether the best is proved best then."""
        offset = 1
        while self.budget > 0:
            below, above = centre - offset, centre + offset
            if below < self.low and above > self.high:
                return True
            better = False
            if above <= self.high:
                self.budget -= 1
                better = self.try_value(above)
            if below >= self.low:
                self.budget -= 1
                better = self.try_value(below) or better
            if better:
                if self.is_good():
                    return True
                self.set_bracket()
            offset += 1
        return False
