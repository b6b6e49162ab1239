"""Cycles in floats, compiled: output and slope of a chain of curves, and the input where the slope is 1.

`reference_walk` explains the search and does the same in plain Python, bit for bit.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.abi import word
from tallyio.market.fused import curve, gas
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import from_f64, load256, store256
from tallyio_strategy_arbitrage import layout, reference_walk

_SOLVED: Final = reference_walk.SOLVED
_MOST_AHEAD: Final = reference_walk.MOST_AHEAD
_MOST_BACK: Final = reference_walk.MOST_BACK
_BRACKET: Final = reference_walk.BRACKET
_SOLVE_STEPS: Final = reference_walk.SOLVE_STEPS

_RECORD: Final = word(layout.EDGE, "record")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_AMOUNT: Final = layout.AMOUNT_BYTES


@hot("UniTuple(float64, 2)(int64, float64)")
def walk(cycle: int, x: float) -> tuple[float, float]:
    """Return output and slope of the whole cycle in floats."""
    slope = 1.0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        x, own = curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), x)
        slope *= own
    return x, slope


@hot("float64(int64, float64, int64)")
def walk_chain(cycle: int, x: float, amounts: int) -> float:
    """Return the output of the cycle in floats, and write the chain to `amounts` as integers."""
    count = load(cycle, _LEG_COUNT)
    for k in range(count):
        edge = load(cycle, k)
        store256(amounts + k * _AMOUNT, from_f64(x))
        x = curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), x)[0]
    store256(amounts + count * _AMOUNT, from_f64(x))
    return x


@hot("float64(float64)", inline=True)
def _root_value(slope: float) -> float:
    return 1.0 / math.sqrt(slope) - 1.0 if slope > 0.0 else math.inf


@hot("float64(float64, float64)", inline=True)
def _farther(low_value: float, value: float) -> float:
    rise = value - low_value
    return min(_MOST_AHEAD, -value / rise) if rise > 0.0 else _MOST_AHEAD


@hot("float64(float64, float64, float64, float64)", inline=True)
def _between(low: float, low_value: float, high: float, high_value: float) -> float:
    if high_value == math.inf:
        return math.sqrt(max(low, high / _MOST_BACK) * high) if high > 4.0 * low else 0.5 * (low + high)
    return (low * high_value - high * low_value) / (high_value - low_value)


@hot("float64(int64, float64, float64)")
def solve(cycle: int, slope: float, guess: float) -> float:
    """Return the input at which the slope of the cycle is 1; `slope` > 1 is the one at zero."""
    return solve_from(cycle, slope, guess, walk(cycle, guess)[1])


@hot("float64(int64, float64, float64, float64)")
def solve_from(cycle: int, slope: float, x: float, there: float) -> float:
    """Do what `solve` does, where the slope at the guess `x` is known to be `there`."""
    low, low_value = 0.0, _root_value(slope)
    high, high_value, side = math.inf, math.inf, 0
    for _ in range(_SOLVE_STEPS):
        value = _root_value(there)
        if abs(value) <= _SOLVED:
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
            if high - low <= _BRACKET * high:
                return low
            x = _between(low, low_value, high, high_value)
        there = walk(cycle, x)[1]
    return low


@hot("int64(int64, int64)")
def gas_of_chain(cycle: int, amounts: int) -> int:
    """Return the estimated gas of the cycle's swaps with these amounts."""
    total = 0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        total += gas(load(edge, _RECORD), load(edge, _I), load(edge, _J), load256(amounts + k * _AMOUNT))
    return total
