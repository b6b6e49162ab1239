"""The best input of one cycle, compiled: first in floats, then exactly.

`reference` explains the search and does the same in plain Python, bit for bit.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.abi import word
from tallyio.market.fused import curve, gas, quote
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, load256, store256, to_f64
from tallyio_strategy_arbitrage import layout, reference

_ZERO: Final = const(0)
_ONE: Final = const(1)
_SOLVED: Final = reference.SOLVED
_MOST_AHEAD: Final = reference.MOST_AHEAD
_MOST_BACK: Final = reference.MOST_BACK
_BRACKET: Final = reference.BRACKET
_SOLVE_STEPS: Final = reference.SOLVE_STEPS
_REACH_STEPS: Final = reference.REACH_STEPS
_STRIDE_BITS: Final = reference.STRIDE_BITS
_MOVES: Final = reference.MOVES
_NEAR: Final = reference.NEAR
_ROUNDS: Final = reference.ROUNDS
_TINY: Final = const(reference.TINY)
_SPREAD: Final = reference.SPREAD
_ROUNDING: Final = reference.ROUNDING
_WIDE: Final = reference.WIDE
_WIDE_BITS: Final = reference.WIDE_BITS
_STRIDE_SHIFT: Final = reference.STRIDE_SHIFT

_RECORD: Final = word(layout.EDGE, "record")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_AMOUNT: Final = layout.AMOUNT_BYTES
_CHAIN_BYTES: Final = layout.CHAIN_BYTES


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
    return max(1.0, min(_MOST_AHEAD, -1.01 * value / rise)) if rise > 0.0 else _MOST_AHEAD


@hot("float64(float64, float64, float64, float64)", inline=True)
def _between(low: float, low_value: float, high: float, high_value: float) -> float:
    if high_value == math.inf:
        return math.sqrt(max(low, high / _MOST_BACK) * high) if high > 4.0 * low else 0.5 * (low + high)
    return (low * high_value - high * low_value) / (high_value - low_value)


@hot("float64(int64, float64, float64)")
def solve(cycle: int, slope: float, guess: float) -> float:
    """Return the input at which the slope of the cycle is 1; `slope` > 1 is the one at zero."""
    low, low_value = 0.0, _root_value(slope)
    high, high_value, side = math.inf, math.inf, 0
    x = guess
    for _ in range(_SOLVE_STEPS):
        value = _root_value(walk(cycle, x)[1])
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
    return low


@hot("u256(float64, float64, float64, float64)", inline=True)
def _place(output: float, slope: float, target: float, known: float) -> int:
    place = known - (output - target) / slope if slope > 0.0 else 0.0
    return from_f64(place) if 1.0 <= place < known else _ZERO


@hot("u256(int64, u256, u256)")
def least_input(edge: int, target: int, known: int) -> int:
    """Return the least input of the edge that gives at least `target` > 0; `known` > 0 does."""
    pool, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
    if quote(pool, i, j, known - _ONE) < target:
        return known
    low, high = _ZERO, known - _ONE
    stride = _ONE + (known >> _STRIDE_SHIFT)
    output, slope = curve(pool, i, j, to_f64(known))
    probe = _place(output, slope, to_f64(target), to_f64(known))
    inside = low < probe < high
    rising = inside and quote(pool, i, j, probe) < target
    if rising:
        low = probe
    elif inside:
        high = probe
    while high - low > stride:
        middle = low + stride if rising else high - stride
        enough = quote(pool, i, j, middle) >= target
        if enough:
            high = middle
        else:
            low = middle
        if enough == rising:
            break
        stride = stride << 2
    while high - low > _ONE:
        middle = (low + high) >> 1
        if quote(pool, i, j, middle) >= target:
            high = middle
        else:
            low = middle
    return high


@hot("u256(int64, u256, u256)")
def _reach(edge: int, target: int, start: int) -> int:
    pool, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
    start_f64 = to_f64(start)
    output, slope = curve(pool, i, j, start_f64)
    ahead = (to_f64(target) - output) / slope if slope > 0.0 else 0.0
    stride = _ONE + (start >> _STRIDE_SHIFT)
    if 0.0 < ahead < start_f64:
        stride = stride + from_f64(ahead)
    for _ in range(_REACH_STEPS):
        if quote(pool, i, j, start + stride) >= target:
            return start + stride
        stride = stride << 1
    return _ZERO


@hot("boolean(int64, int64, u256)")
def run_chain(cycle: int, amounts: int, amount: int) -> bool:
    """Write `amount` and the output of each leg in turn; False where one is 0."""
    store256(amounts, amount)
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        amount = quote(load(edge, _RECORD), load(edge, _I), load(edge, _J), amount)
        if amount == _ZERO:
            return False
        store256(amounts + (k + 1) * _AMOUNT, amount)
    return True


@hot("boolean(int64, int64, u256)")
def _through(cycle: int, amounts: int, amount: int) -> bool:
    """Write the chain with the least input that ends in what `amount` gives; False if that is nothing."""
    if not run_chain(cycle, amounts, amount):
        return False
    count = load(cycle, _LEG_COUNT)
    needed = load256(amounts + count * _AMOUNT)
    for back in range(count):
        k = count - 1 - back
        needed = least_input(load(cycle, k), needed, load256(amounts + k * _AMOUNT))
    return run_chain(cycle, amounts, needed)


@hot("boolean(int64, int64, int64, int64, u256)")
def _by_way_of(cycle: int, amounts: int, tried: int, place: int, wanted: int) -> bool:
    """Write to `tried` about the least chain that gives `wanted` at `place`; False if there is none."""
    needed = wanted
    for back in range(place):
        k = place - 1 - back
        known = load256(amounts + k * _AMOUNT)
        if load256(amounts + (k + 1) * _AMOUNT) < needed:
            known = _reach(load(cycle, k), needed, known)
            if known == _ZERO:
                return False
        needed = least_input(load(cycle, k), needed, known)
    return run_chain(cycle, tried, needed)


@hot("boolean(int64, int64, int64)", inline=True)
def _gains_more(count: int, one: int, other: int) -> bool:
    # Out less in, compared without going below zero.
    end = count * _AMOUNT
    return load256(one + end) + load256(other) > load256(other + end) + load256(one)


@hot("int64(int64, int64)")
def _coarsest(count: int, amounts: int) -> int:
    """Return the place of the least amount, the first of several."""
    place = 0
    for k in range(1, count + 1):
        if load256(amounts + k * _AMOUNT) < load256(amounts + place * _AMOUNT):
            place = k
    return place


@hot("int64(u256)")
def _window(amount: int) -> int:
    rest, wide = amount >> _WIDE_BITS, _WIDE
    while rest != _ZERO and wide != 0:
        rest, wide = rest >> 1, wide >> 1
    return _NEAR + wide


@hot("float64(int64, int64, int64, float64, float64, float64)")
def _spread(count: int, best: int, place: int, x: float, top: float, bend: float) -> float:
    """Return how far the coarsest amount may be from the best for a chain that gains more than `best`."""
    if load256(best + place * _AMOUNT) < _TINY:
        return math.inf
    out, given = load256(best + count * _AMOUNT), load256(best)
    profit = to_f64(out - given) if out >= given else -to_f64(given - out)
    short = max(0.0, top - profit) + x * _ROUNDING
    return _NEAR + _SPREAD * to_f64(load256(best + place * _AMOUNT)) / x * math.sqrt(short / bend)


@hot("int64(int64, int64, int64, int64, float64)")
def _stride(cycle: int, best: int, tried: int, place: int, most: float) -> int:
    """Improve the chain `best` by strides of at most `most` units; return where the better one is."""
    count = load(cycle, _LEG_COUNT)
    for turn in range(2 * _STRIDE_BITS):
        bit = _STRIDE_BITS - 1 - (turn >> 1)
        stride = _ONE << bit
        for _ in range(_MOVES):
            present = load256(best + place * _AMOUNT)
            if (turn & 1 and present <= stride) or float(1 << bit) > most:
                break
            wanted = present - stride if turn & 1 else present + stride
            if not _by_way_of(cycle, best, tried, place, wanted) or not _gains_more(count, tried, best):
                break
            best, tried = tried, best
    return best


@hot("int64(int64, int64, int64, int64, float64)")
def _scan(cycle: int, best: int, tried: int, place: int, most: float) -> int:
    """Try every value at most `most` from the amount at `place`; return where the best chain is."""
    count = load(cycle, _LEG_COUNT)
    centre = load256(best + place * _AMOUNT)
    for turn in range(2):
        offset = 0
        while float(offset) <= most:
            step = from_f64(float(offset))
            if turn == 1 and centre <= step:
                break
            wanted = centre - step if turn == 1 else centre + step
            if not _by_way_of(cycle, best, tried, place, wanted):
                break  # and no further value has a chain
            if _gains_more(count, tried, best):
                best, tried = tried, best
            offset += 1
    return best


@hot("int64(int64, int64, float64)")
def size(cycle: int, scratch: int, x: float) -> int:
    """Return the address of the best exact chain near the float input `x`, or 0 if none gains.

    `scratch` is the address of two chains; the one returned is in it.
    """
    both = scratch + scratch + _CHAIN_BYTES
    best = scratch
    if not x >= 1.0 or not _through(cycle, best, from_f64(x)):
        return 0
    count = load(cycle, _LEG_COUNT)
    place = _coarsest(count, best)
    root = math.sqrt(max(1.0 + _SOLVED, walk(cycle, 0.0)[1]))
    top, bend = walk(cycle, x)[0] - x, (root - 1.0) / root / x
    for _ in range(_ROUNDS):
        before = load256(best + place * _AMOUNT)
        best = _stride(cycle, best, both - best, place, _spread(count, best, place, x, top, bend))
        most = float(_window(load256(best + place * _AMOUNT)))
        most = min(most, _spread(count, best, place, x, top, bend))
        best = _scan(cycle, best, both - best, place, most)
        if load256(best + place * _AMOUNT) == before:
            break
    if not _through(cycle, best, load256(best)):
        return 0
    return best if load256(best + count * _AMOUNT) > load256(best) else 0


@hot("int64(int64, int64)")
def gas_of_chain(cycle: int, amounts: int) -> int:
    """Return the estimated gas of the cycle's swaps with these amounts."""
    total = 0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        total += gas(load(edge, _RECORD), load(edge, _I), load(edge, _J), load256(amounts + k * _AMOUNT))
    return total
