"""The exact size of one cycle, compiled.

`reference_sizing` explains the search, proves what it promises, and does the same in plain Python, to
the bit.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.abi import word
from tallyio.market.fused import curve, quote
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, from_f64, i64, lo64, load256, store256, to_f64
from tallyio_strategy_arbitrage import layout, reference_sizing, reference_walk
from tallyio_strategy_arbitrage.walking import walk

_ZERO: Final = const(0)
_ONE: Final = const(1)
_SOLVED: Final = reference_walk.SOLVED
_ROUNDING: Final = reference_sizing.ROUNDING
_TINY: Final = reference_sizing.TINY
_UNITS: Final = reference_sizing.UNITS
_FINE: Final = reference_sizing.FINE
_NEWTON_STEPS: Final = reference_sizing.NEWTON_STEPS
_NEWTON_DONE: Final = reference_sizing.NEWTON_DONE
_BELOW: Final = reference_sizing.BELOW
_UNSURE: Final = reference_sizing.UNSURE
_INPUT_STEPS: Final = reference_sizing.INPUT_STEPS
_EVEN_STEPS: Final = reference_sizing.EVEN_STEPS
_WIDER: Final = reference_sizing.WIDER
_BRACKET_STEPS: Final = reference_sizing.BRACKET_STEPS
_STRIDE_BITS: Final = reference_sizing.STRIDE_BITS
_MOVES: Final = reference_sizing.MOVES
_FEW: Final = reference_sizing.FEW

_RECORD: Final = word(layout.EDGE, "record")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_AMOUNT: Final = layout.AMOUNT_BYTES

_BEST: Final = word(layout.SEARCH, "best")
_TRIED: Final = word(layout.SEARCH, "tried")
_CHAINS: Final = 8 * word(layout.SEARCH, "chains")
_FLOATS: Final = word(layout.SEARCH, "floats")
_PLACE: Final = word(layout.SEARCH, "place")
_X: Final = word(layout.SEARCH, "x")
_TOP: Final = word(layout.SEARCH, "top")
_BOUND: Final = word(layout.SEARCH, "bound")
_ENOUGH: Final = word(layout.SEARCH, "enough")
_ALLOWED: Final = word(layout.SEARCH, "allowed")
_BEND: Final = word(layout.SEARCH, "bend")
_LOW: Final = word(layout.SEARCH, "low")
_HIGH: Final = word(layout.SEARCH, "high")
_BUDGET: Final = word(layout.SEARCH, "budget")


@hot("Tuple(int64, float64)(int64, int64, float64, float64, int64)")
def size(cycle: int, search: int, x: float, tolerance: float, budget: int) -> tuple[int, float]:
    """Return the address of the best exact chain around the float input `x`, and the gap.

    The address is 0 if none gains. `search` is the address of a SEARCH record, where the chain lies.
    """
    if not x >= 1.0:
        return 0, 0.0
    _begin(cycle, search, x, tolerance, budget)
    proved = _run(cycle, search)
    gained = _gain(cycle, search)
    gap = load_f64(search, _ALLOWED) if proved else load_f64(search, _BOUND) - gained + x * _ROUNDING
    return load(search, _BEST) if gained > 0.0 else 0, gap


@hot("void(int64, int64, float64, float64, int64)")
def _begin(cycle: int, search: int, x: float, tolerance: float, budget: int) -> None:
    """Fill in the record: an empty chain is the best so far."""
    best = search + _CHAINS
    store(search, _BEST, best)
    store(search, _TRIED, best + layout.CHAIN_BYTES)
    store(search, _BUDGET, budget)
    store_f64(search, _X, x)
    store_f64(search, _ALLOWED, tolerance + x * _ROUNDING)
    store_f64(search, _FLOATS, x)
    store256(best, _ZERO)
    place, amount = 0, x
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        amount = curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), amount)[0]
        store_f64(search, _FLOATS + k + 1, amount)
        store256(best + (k + 1) * _AMOUNT, _ZERO)
        if amount < load_f64(search, _FLOATS + place):
            place = k + 1
    coarsest = load_f64(search, _FLOATS + place)
    unsure = _UNITS * x / coarsest if 0.0 < coarsest < _TINY else 0.0
    store_f64(search, _TOP, amount - x)
    store_f64(search, _BOUND, amount - x + unsure)
    store_f64(search, _ENOUGH, load_f64(search, _ALLOWED) - unsure)
    store(search, _PLACE, place)


@hot("boolean(int64, int64)")
def _run(cycle: int, search: int) -> bool:
    """Search; return whether the best is proved best, up to what is allowed."""
    _try_input(cycle, search, from_f64(load_f64(search, _X)))
    middle = load_f64(search, _FLOATS + load(search, _PLACE))
    if _is_good(cycle, search) or not middle < _FINE:
        return _is_good(cycle, search)
    return _run_values(cycle, search, int(middle))


@hot("boolean(int64, int64, int64)")
def _run_values(cycle: int, search: int, middle: int) -> bool:
    """Try values of the coarsest amount."""
    _try_value(cycle, search, middle)
    _try_value(cycle, search, middle + 1)
    if _is_good(cycle, search):
        return True
    root = math.sqrt(max(1.0 + _SOLVED, walk(cycle, 0.0)[1]))
    store_f64(search, _BEND, (root - 1.0) / root / load_f64(search, _X))
    _set_bracket(cycle, search)
    if float(load(search, _HIGH) - load(search, _LOW)) > _FEW:
        if _strides(cycle, search):
            return True
        _set_bracket(cycle, search)
    centre = _value(search)
    return _scan(cycle, search, centre if centre != 0 else middle)


@hot("float64(int64, int64)")
def _gain(cycle: int, search: int) -> float:
    """Return what comes out of the best chain less what goes in."""
    best = load(search, _BEST)
    out, given = load256(best + load(cycle, _LEG_COUNT) * _AMOUNT), load256(best)
    return to_f64(out - given) if out >= given else -to_f64(given - out)


@hot("boolean(int64, int64)", inline=True)
def _is_good(cycle: int, search: int) -> bool:
    return load_f64(search, _BOUND) - _gain(cycle, search) <= load_f64(search, _ALLOWED)


@hot("int64(int64)", inline=True)
def _value(search: int) -> int:
    """Return the coarsest amount of the best chain, below 2**63 wherever it is asked for."""
    return i64(lo64(load256(load(search, _BEST) + load(search, _PLACE) * _AMOUNT)))


@hot("boolean(int64, int64, u256)")
def _try_input(cycle: int, search: int, amount: int) -> bool:
    """Keep the chain of this input if it gains more."""
    tried, best, count = load(search, _TRIED), load(search, _BEST), load(cycle, _LEG_COUNT)
    # Out less in, compared without going below zero.
    if not run_chain(cycle, tried, amount):
        return False
    end = count * _AMOUNT
    if load256(tried + end) + load256(best) <= load256(best + end) + amount:
        return False
    store(search, _TRIED, best)
    store(search, _BEST, tried)
    return True


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


@hot("boolean(int64, int64, int64)")
def _try_value(cycle: int, search: int, value: int) -> bool:
    """Keep the chain with about the least input that gives `value` if it gains more."""
    needed, place = from_f64(float(value)), load(search, _PLACE)
    for back in range(place):
        k = place - 1 - back
        needed = least_near(load(cycle, k), needed, load_f64(search, _FLOATS + k))
        if needed == _ZERO:
            return False
    return _try_input(cycle, search, needed)


@hot("u256(int64, u256, float64)")
def least_near(edge: int, target: int, known: float) -> int:
    """Return about the least input of the edge that gives at least `target`; 0 if none was found."""
    pool, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
    wanted, at = to_f64(target), known
    for _ in range(_NEWTON_STEPS):
        output, slope = curve(pool, i, j, at)
        if not slope > 0.0:
            return _ZERO
        step = (wanted - output) / slope
        at = max(0.0, at + step)
        if abs(step) <= _NEWTON_DONE * at:
            break
    stride = from_f64(max(1.0, at * _UNSURE))
    place = from_f64(at - at * _BELOW)
    if stride > _ONE:
        place = place + stride
    for turn in range(_INPUT_STEPS):
        if quote(pool, i, j, place) >= target:
            return place
        place = place + stride
        if turn >= _EVEN_STEPS:
            stride = stride << 1
    return _ZERO


@hot("void(int64, int64)")
def _set_bracket(cycle: int, search: int) -> None:
    """Find between which values of the coarsest amount one may gain more by more than is allowed."""
    x, top, place = load_f64(search, _X), load_f64(search, _TOP), load(search, _PLACE)
    target = _gain(cycle, search) + load_f64(search, _ENOUGH)
    width = _WIDER * math.sqrt(max(0.0, top - target) / load_f64(search, _BEND))
    low = _end(cycle, x, -width, target)
    high = _end(cycle, x, width, target)
    for k in range(place):
        edge = load(cycle, k)
        low = curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), low)[0]
    store(search, _LOW, max(1, int(low)))
    # Beyond x the curve lies below its chord, also where the pools cannot take `high`.
    store(search, _HIGH, int(min(_FINE, load_f64(search, _FLOATS + place) * (high / x))) + 1)


@hot("float64(int64, float64, float64, float64)")
def _end(cycle: int, x: float, width: float, target: float) -> float:
    """Return an input from `x` + `width` on, or down, from which on the curve gains at most `target`."""
    end = x
    for _ in range(_BRACKET_STEPS):
        end = x + width
        if not end > 0.0:
            return 0.0
        if walk(cycle, end)[0] - end <= target:
            return end
        width *= 2.0
    return end


@hot("boolean(int64, int64)")
def _strides(cycle: int, search: int) -> bool:
    """Climb by strides within the bracket; return whether the best is good enough then."""
    low, high = load(search, _LOW), load(search, _HIGH)
    for turn in range(2 * _STRIDE_BITS):
        stride = 1 << (_STRIDE_BITS - 1 - (turn >> 1))
        for _ in range(_MOVES):
            value = _value(search) + (-stride if turn & 1 else stride)
            if not low <= value <= high or load(search, _BUDGET) <= 0:
                break
            store(search, _BUDGET, load(search, _BUDGET) - 1)
            if not _try_value(cycle, search, value):
                break
            if _is_good(cycle, search):
                return True
    return False


@hot("boolean(int64, int64, int64)")
def _scan(cycle: int, search: int, centre: int) -> bool:
    """Try the values around `centre` one by one; return whether the best is proved best then."""
    offset = 1
    while load(search, _BUDGET) > 0:
        below, above = centre - offset, centre + offset
        if below < load(search, _LOW) and above > load(search, _HIGH):
            return True
        better = False
        if above <= load(search, _HIGH):
            store(search, _BUDGET, load(search, _BUDGET) - 1)
            better = _try_value(cycle, search, above)
        if below >= load(search, _LOW):
            store(search, _BUDGET, load(search, _BUDGET) - 1)
            better = _try_value(cycle, search, below) or better
        if better:
            if _is_good(cycle, search):
                return True
            _set_bracket(cycle, search)
        offset += 1
    return False
