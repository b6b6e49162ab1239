"""The float sieves in plain Python, and the proof that they lose no cycle that pays.

Setting. A cycle has at most four legs of slopes s_1 .. s_n at zero; M is their product. Each leg's
curve f is concave, f(0) = 0, and no quote is above it: exact outputs are rounded against the trader.
Computed outputs and slopes are within 1e-9 of the true ones, as `tallyio.market.abi` demands.

**Slope.** Outputs lie below tangents, so profit <= (M - 1) x: a cycle with M <= 1 loses. What the
sieve drops for a computed M <= 1 gains less than 5e-9 of its input, before gas.

**Needed** (`needed`). Look at the leg e, of slope s, where the cycle's amount is a. The legs before it
have the product S of slopes, those after it T, with S s T = M. As they lie below their tangents, the
input is at least a / S and the output at most T f(a), so the profit in base tokens is at most
(M f(a) / s - a) / S: 1 / S is what a unit of e's sold token is worth in it. Take any input A of e, with
rho = s / f'(A) and c = (f(A) - A f'(A)) / s. f lies below its tangent at A too, so

    M f(a) / s - a <= M c + (M f'(A) / s - 1) a <= M c      if M <= rho.

Hence a cycle with

    M <= needed = min(rho, G / (w c))      and      price of base / S <= w

gains at most G wei. Any A is valid. For a constant product of bend k the one with (k A)**2 = k G / w
makes both limits equal, to what the pool itself can gain at most: nothing sharper can be said of one
leg. c is a difference of nearly equal numbers; 4e-9 A is added for their errors, and 1e-8 of the
result is given away for those of slopes.

**Gas.** A cycle does not pay unless it gains more than the gas of a plan without its swaps and of the swap
in question cost, and the least net wanted. (A pool's gas estimate is least for its smallest swap.) `needed`
of an edge is kept for that G, at a gas price no higher than the present one.

**Rates** (`rate`), for the hub index, which can only add numbers up. Let v be any positive value per token,
a base token's being at least its price / 1.05; r = log s + log v(bought) - log v(sold), so that the r of
a cycle add up to m = log M; and

    rate = r + T max(0, r - W),    T = 1/4, W = 0.118.

A cycle through e that gains more than G has rates that add up to more than t = min(log needed, T), with
needed as above for w = 1.5 v(sold). Proof: price of base / S is at most v(sold) times
F = 1.05 exp(-sum of r before e) < 1.05 exp(sum of r from e on), since m > 0; or 1.05 if e comes first. So
F <= e^p with p = 0.049 + the positive r of at most three legs. If p <= log 1.5 then w is large enough,
so m > t, and the second term of the rates only adds. Otherwise let q = 1.5 e^-p < 1. What the leg can
gain, the greatest M f(a) / s - a, is convex in M and 0 at M = 1, so the M that it needs is concave in G,
and so is its logarithm; so a gain of q G needs at least q times the log M. Hence m > q t. The second terms
add up to at least T (p - 0.049 - 3 W), which is at least T (1 - q) >= t (1 - q): at p = log 1.5 because
log 1.5 > 0.049 + 3 W, and beyond since the left side grows by 1 and the right by q <= 1. So the rates
add up to more than t in this case too. It holds for every leg, so also for those that a search adds: a
tail whose pools are all shallow is passed by without a look at them.

**Float32.** The index keeps rates in float32 within [-60, 60]; below that they are raised to -60, and above
replaced by 10**6, which no sum undoes. Four roundings of at most 60 / 2**24 and three of sums of at most
240 / 2**24 are less than 6e-5, and the slopes' errors 1e-8. The search allows for `SLACK`, 1e-4.

V3's trap. Out of a range the textbook L (s - L s / (L + a s)) cancels: the difference of two near prices
keeps no digit of a small amount. A protocol's `curve` must use forms without such a difference, as its
contract of 1e-9 demands; the slope at zero, on which most of this stands, then needs no subtraction.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

Curve = Callable[[float], tuple[float, float]]
"""Output and slope of one leg for an input."""

MOST_OFF: Final = 1.5
"""How much dearer than its value a token may be along a cycle for `needed` to hold."""
CURVE_ERROR: Final = 4e-9
SURE: Final = 1.0 - 1e-8
MOST_TAKEN: Final = 0.25
"""T of the proof: most that is believed of log `needed`."""
WILD: Final = 0.118
"""W of the proof."""
LOWEST_RATE: Final = -60.0
HIGHEST_RATE: Final = 60.0
ENDLESS_RATE: Final = 1e6
SLACK: Final = 1e-4
MORE: Final = 256.0
"""`needed` is also kept for this many times the gas of a plan, for when the shortlist asks for as much."""
GAS_BAND: Final = 8.0
"""Edges are measured for a gas price of half the present one, until that leaves (1, 8) times it."""
BASE_DRIFT: Final = 1.05
"""... or until the price of a base token has risen by this."""


def needed(curve: Curve, slope: float, bend: float, gain: float) -> float:
    """Return the product of slopes up to which a cycle through this leg gains at most `gain`.

    `bend` is k of the curve slope x / (1 + k x), as far as it is one; `gain` is G / w, in units sold.
    """
    if not gain > 0.0:
        return 1.0
    at = math.sqrt(gain / bend) if bend > 0.0 else gain
    out, there = curve(at)
    fallen = slope / there if there > 0.0 else math.inf
    intercept = (out - at * there) / slope + CURVE_ERROR * at
    # Where the pool cannot take that much, out is 0 and tells nothing; it gains less than it takes.
    most = gain / intercept if out > 0.0 else 1.0 + gain / at
    return max(1.0, SURE * min(fallen, most))


def rate(slope: float, value_sold: float, value_bought: float) -> float:
    """Return the leg's rate; see the module."""
    gained = math.log(slope) + math.log(value_bought / value_sold)
    total = gained + MOST_TAKEN * max(0.0, gained - WILD)
    return ENDLESS_RATE if total > HIGHEST_RATE else max(total, LOWEST_RATE)
