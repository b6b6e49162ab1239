"""One cycle after the other meets the sieves, and the best are kept; compiled.

Three sieves, each for what the one before lets through:

1. Its slopes at zero multiply to more than 1, and to more than each of its legs needs to pay for the
   gas: a few loads and multiplications. `sieve` proves that nothing that pays is lost.
2. Solved in floats, its profit less gas is among the best `top_k` and reaches the least net. A walk
   at the guess comes first: where the slope M is at most 1, the cycle's curve lies below its
   tangent there, so the profit is at most what the tangent has at zero, out - M x.
3. Sized exactly, the same (`hot`).
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market import abi
from tallyio.market.abi import word
from tallyio.native.atomics import copy_bytes, load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio_strategy_arbitrage import layout, reference
from tallyio_strategy_arbitrage.walking import gas_of_chain, solve_from, walk, walk_chain

_PRICE: Final = word(abi.MARKET, "native_per_unit")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")

_SHORTLIST: Final = word(layout.INDEX, "shortlist")
_LISTED: Final = word(layout.INDEX, "listed")
_TOP_K: Final = word(layout.INDEX, "top_k")
_SEARCH: Final = word(layout.INDEX, "search")
_PLAN_GAS: Final = word(layout.INDEX, "plan_gas")
_MIN_NET: Final = word(layout.INDEX, "min_net")
_LOOKED_AT: Final = word(layout.INDEX, "looked_at")
_PROMISING: Final = word(layout.INDEX, "promising")
_SOLVED: Final = word(layout.INDEX, "solved")

_SOLD: Final = word(layout.EDGE, "sold")
_SLOPE: Final = word(layout.EDGE, "slope")
_BEND: Final = word(layout.EDGE, "bend")
_PROBE: Final = word(layout.EDGE, "probe")
_NEEDED: Final = word(layout.EDGE, "needed")
_WORTH: Final = word(layout.EDGE, "worth")

_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_CANDIDATE_BYTES: Final = layout.CANDIDATE.itemsize
_NET: Final = word(layout.CANDIDATE, "net")
_INPUT: Final = word(layout.CANDIDATE, "input")

_CHAINS: Final = 8 * word(layout.SEARCH, "chains")

_GENEROUS: Final = reference.GENEROUS
_TANGENT_ERROR: Final = 4e-9
"""Of the input: four legs, whose curves are exact to 1e-9."""


@hot("void(int64, int64, int64)")
def offer(market: int, index: int, cycle: int) -> None:
    """Put the cycle on the shortlist if it is good enough, with what gains most in floats."""
    store(index, _LOOKED_AT, load(index, _LOOKED_AT) + 1)
    slope = _slope_at_zero(cycle)
    if not slope > 1.0:
        return
    store(index, _PROMISING, load(index, _PROMISING) + 1)
    worth = worth_of(market, cycle)
    if not _may_pay(cycle, slope, worth):
        return
    store(index, _SOLVED, load(index, _SOLVED) + 1)
    gas_price, least = load_f64(market, _GAS_PRICE), least_net(index)
    enough = least + float(load(index, _PLAN_GAS)) * gas_price
    x = _guess(cycle)
    out, there = walk(cycle, x)
    if out > 0.0 and there <= 1.0 and (out - there * x + x * _TANGENT_ERROR) * worth * _GENEROUS <= enough:
        return
    x = solve_from(cycle, slope, x, there)
    scratch = load(index, _SEARCH) + _CHAINS
    gross = (walk_chain(cycle, x, scratch) - x) * worth * _GENEROUS
    if gross > least:
        spent = load(index, _PLAN_GAS) + gas_of_chain(cycle, scratch)
        _list(index, cycle, gross - float(spent) * gas_price, x)


@hot("float64(int64)", inline=True)
def _slope_at_zero(cycle: int) -> float:
    slope = load_f64(load(cycle, 0), _SLOPE)
    for k in range(1, load(cycle, _LEG_COUNT)):
        slope *= load_f64(load(cycle, k), _SLOPE)
    return slope


@hot("boolean(int64, float64, float64)")
def _may_pay(cycle: int, slope: float, worth: float) -> bool:
    """Return False where a leg shows that a cycle of this slope cannot pay."""
    before = 1.0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        if slope <= load_f64(edge, _NEEDED) and worth <= before * load_f64(edge, _WORTH):
            return False
        before *= load_f64(edge, _SLOPE)
    return True


@hot("float64(int64)")
def _guess(cycle: int) -> float:
    """Return the best input if every leg bent as it does near zero; see `reference_walk.guess`."""
    bend, scale = 0.0, 1.0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        bend += scale * load_f64(edge, _BEND)
        scale *= load_f64(edge, _SLOPE)
    return (math.sqrt(scale) - 1.0) / bend if bend > 0.0 else load_f64(load(cycle, 0), _PROBE)


@hot("float64(int64, int64)", inline=True)
def worth_of(market: int, cycle: int) -> float:
    """Return wei for one unit of the token that the cycle starts with."""
    return load_f64(load(market, _PRICE), load(load(cycle, 0), _SOLD))


@hot("float64(int64)")
def least_net(index: int) -> float:
    """Return what a candidate must exceed before its gas is even looked at."""
    least, listed = max(0.0, load_f64(index, _MIN_NET)), load(index, _LISTED)
    if listed < load(index, _TOP_K):
        return least
    return max(least, load_f64(load(index, _SHORTLIST) + (listed - 1) * _CANDIDATE_BYTES, _NET))


@hot("void(int64, int64, float64, float64)")
def _list(index: int, cycle: int, net: float, x: float) -> None:
    """Insert the cycle where its net belongs, if it is good enough."""
    listed = load(index, _LISTED)
    if not net >= load_f64(index, _MIN_NET):
        return
    first = load(index, _SHORTLIST)
    full = listed == load(index, _TOP_K)
    place = first + (listed - 1 if full else listed) * _CANDIDATE_BYTES
    if full and load_f64(place, _NET) >= net:
        return
    while place > first and load_f64(place - _CANDIDATE_BYTES, _NET) < net:
        copy_bytes(place, place - _CANDIDATE_BYTES, _CANDIDATE_BYTES)
        place -= _CANDIDATE_BYTES
    copy_bytes(place, cycle, _CYCLE_BYTES)
    store_f64(place, _NET, net)
    store_f64(place, _INPUT, x)
    if not full:
        store(index, _LISTED, listed + 1)
