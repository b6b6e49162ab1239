"""The float sieves in plain Python, and the proof that they lose no cycle that pays.

Setting. A cycle has n <= 4 legs of slopes s_1 .. s_n at zero; M is their product. Each leg's curve
f is concave, f(0) = 0, and no quote is above it: exact outputs are rounded against the trader. A
cycle *pays* if its exact profit, in wei at the price of its base token, exceeds G: the gas of a plan
without its swaps and of the swap in question, at a gas price no higher than the present one, and
the least profit wanted. A pool's gas estimate is least for the smallest swap, so what does not
pay has a net below the least wanted.

**Slope.** Outputs lie below tangents, so profit <= (M - 1) x: a cycle with M <= 1 loses. Computed
slopes are within 1e-9 of the true ones, their product within 5e-9. So a cycle that the sieve drops for
`M <= 1` gains less than 5e-9 of its input, before gas.

**Needed** (`needed`). Look at the leg e, of slope s, where the cycle's amount is a. The legs before it
have the product S of slopes, those after it T, with S s T = M. As they lie below their tangents, the
input is at least a / S and the output at most T f(a), so the profit in base tokens is at most
(M f(a) / s - a) / S: 1 / S is what a unit of e's sold token is worth in it. Take any input A of e, and
rho = s / f'(A). If M <= rho, the bracket's slope M f' / s - 1 is at most 0 from A on, so it is greatest
at some a <= A, and there at most (M - 1) a <= (M - 1) A since f(a) <= s a. Hence a cycle with

    M <= needed = min(rho, 1 + G / (w A))      and      price of base / S <= w

gains at most (M - 1) A w <= G and does not pay. Any A is valid; `needed` takes the one that is best for
a constant product. It answers a little less, 1e-8, than the errors of slopes may matter.

**Rates** (`rate`), for the hub index, which can only add numbers up. Let v be any positive value per token,
the base token's being within 10 percent of its price; r = log s + log v(bought) - log v(sold), so that
the r of a cycle add up to m = log M; t = log needed with w = 2 v(sold), at most T = 1/4; and

    rate = r - t / 4 + T max(0, r - W),    W = 0.18.

A cycle that pays has rates that add up to more than 0. Proof: for every leg, with F the ratio of
(price of base / S) to v(sold): F = 1.1 exp(-sum of r before it) at most, which is 1.1 exp(sum of r from
it on - m) <= e^p with p = 0.1 + (sum of the positive r of at most three legs); or F <= 1.1 for the first
leg. If p <= log 2, then w is large enough, the cycle needs m > t of each leg, so m > sum of t / 4, and
the last term only adds. Otherwise let c = 2 e^-p < 1. The least profit function phi(M) = max over a of
(M f(a) / s - a) is convex and 0 at M = 1, so its inverse is concave, and so is the inverse's logarithm; so
a gain of c G needs a log M of at least c times what a gain of G needs. The cycle needs m > c t for every
leg, hence m - sum of t / 4 > -(1 - c) T. The last terms add up to at least T (p - 0.1 - 3 W), and
p - 0.64 >= 1 - 2 e^-p for p >= log 2: at log 2 it reads 0.05 >= 0, and the left side grows by 1, the right by
2 e^-p <= 1. So the sum is positive in this case too.

**Float32.** The index keeps rates in float32 within [-60, 60]; below that they are raised to -60, and above
replaced by 10**6, which no sum undoes. Four roundings of at most 60 / 2**24 and three of sums of at most
240 / 2**24 are less than 6e-5, and the slopes' errors 1e-8. The search compares with -`SLACK`, 1e-4.

V3's trap. Out of a range the textbook L (s - L s / (L + a s)) cancels: the difference of two near prices
keeps no digit of a small amount. A protocol's `curve` must use forms without such a difference, as its
contract of 1e-9 in `tallyio.market.abi` demands; the slope at zero, on which all this stands, then
needs no subtraction at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

Curve = Callable[[float], tuple[float, float]]
"""Output and slope of one leg for an input."""

MOST_OFF: Final = 2.0
"""How much dearer than `values` says a token may be along a cycle for `needed` to hold."""
SURE: Final = 1.0 - 1e-8
MOST_TAKEN: Final = 0.25
"""T of the proof: most that is believed of log `needed`."""
WILD: Final = 0.18
"""W of the proof."""
LEGS: Final = 4.0
LOWEST_RATE: Final = -60.0
HIGHEST_RATE: Final = 60.0
ENDLESS_RATE: Final = 1e6
SLACK: Final = 1e-4
GAS_BAND: Final = 8.0
"""Edges are measured for a gas price of half the present one, until that leaves (1, 8) times it."""
BASE_DRIFT: Final = 1.1
"""... or until the price of a base token has moved by this."""


def needed(curve: Curve, slope: float, bend: float, worth: float, gain_wei: float) -> float:
    """Return the product of slopes up to which a cycle through this leg gains no more than `gain_wei`.

    `bend` is k of the curve slope x / (1 + k x), as far as it is one; `worth` is wei for one unit sold.
    """
    gain = gain_wei / worth
    if not (slope > 0.0 and gain > 0.0):
        return 1.0
    if bend > 0.0:
        # A constant product gains (sqrt(M) - 1)**2 / k, so about q = sqrt(M) - 1 matters.
        q = math.sqrt(bend * gain)
        at = q / (math.sqrt(2.0 + q) * bend)
    else:
        at = gain
    there = curve(at)[1]
    fallen = slope / there if there > 0.0 else math.inf
    return max(1.0, SURE * min(fallen, 1.0 + gain / at))


def rate(slope: float, needed_: float, value_sold: float, value_bought: float) -> float:
    """Return the leg's rate; a cycle whose rates add up to no more than 0 does not pay."""
    gained = math.log(slope) + math.log(value_bought / value_sold)
    taken = min(math.log(needed_), MOST_TAKEN) / LEGS
    total = gained - taken + MOST_TAKEN * max(0.0, gained - WILD)
    return ENDLESS_RATE if total > HIGHEST_RATE else max(total, LOWEST_RATE)
