"""`detect`: from dirty pools to the best cycles, compiled.

Three sieves, each for what the one before lets through:

1. The slopes at zero of a cycle's edges multiply to more than 1: a load and a multiplication a leg. Slopes
   are kept per edge and change only with its pool. Curves are exact to 1e-9, so a cycle that this
   loses gains less than one part in 10**8 of its first units, which no gas bill allows.
2. Solved in floats, its profit less gas is among the best `top_k` and reaches `min_net`.
3. Sized exactly, the same, and profit is above zero.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market import abi
from tallyio.market.abi import DETECT_SIGNATURE, word
from tallyio.market.fused import curve
from tallyio.native.atomics import copy_bytes, load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, to_f64
from tallyio_strategy_arbitrage import layout, reference
from tallyio_strategy_arbitrage.sizing import gas_of_chain, size, solve, walk_chain

_POOLS: Final = word(abi.MARKET, "pools")
_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_PRICE: Final = word(abi.MARKET, "native_per_unit")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_FLAGS: Final = word(abi.POOL, "flags")
_POOL_BYTES: Final = abi.POOL.itemsize

_EDGES: Final = word(layout.INDEX, "edges")
_EDGE_COUNT: Final = word(layout.INDEX, "edge_count")
_CYCLES: Final = word(layout.INDEX, "cycles")
_POOL_EDGES_AT: Final = word(layout.INDEX, "pool_edges_at")
_POOL_EDGES: Final = word(layout.INDEX, "pool_edges")
_POOL_CYCLES_AT: Final = word(layout.INDEX, "pool_cycles_at")
_POOL_CYCLES: Final = word(layout.INDEX, "pool_cycles")
_STAMPS: Final = word(layout.INDEX, "stamps")
_ROUND: Final = word(layout.INDEX, "round")
_SHORTLIST: Final = word(layout.INDEX, "shortlist")
_TOP_K: Final = word(layout.INDEX, "top_k")
_AMOUNTS: Final = word(layout.INDEX, "amounts")
_PLAN_GAS: Final = word(layout.INDEX, "plan_gas")
_MIN_NET: Final = word(layout.INDEX, "min_net")
_LOOKED_AT: Final = word(layout.INDEX, "looked_at")
_PROMISING: Final = word(layout.INDEX, "promising")
_SIZED: Final = word(layout.INDEX, "sized")
_CONSIDERED: Final = word(layout.INDEX, "considered")

_EDGE_BYTES: Final = layout.EDGE.itemsize
_POOL: Final = word(layout.EDGE, "pool")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_SOLD: Final = word(layout.EDGE, "sold")
_SLOPE: Final = word(layout.EDGE, "slope")
_BEND: Final = word(layout.EDGE, "bend")
_PROBE: Final = word(layout.EDGE, "probe")
_RECORD: Final = word(layout.EDGE, "record")

_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")

_CANDIDATE_BYTES: Final = layout.CANDIDATE.itemsize
_NET: Final = word(layout.CANDIDATE, "net")
_INPUT: Final = word(layout.CANDIDATE, "input")
_CYCLE: Final = word(layout.CANDIDATE, "cycle")

_FOUND_BYTES: Final = abi.FOUND.itemsize
_FOUND_LEG_COUNT: Final = word(abi.FOUND, "leg_count")
_FOUND_TOKEN: Final = word(abi.FOUND, "token")
_FOUND_GAS: Final = word(abi.FOUND, "gas")
_FOUND_NET: Final = word(abi.FOUND, "net")
_FOUND_POOL: Final = word(abi.FOUND, "pool")
_FOUND_IN: Final = word(abi.FOUND, "token_in")
_FOUND_OUT: Final = word(abi.FOUND, "token_out")
_FOUND_AMOUNTS: Final = 8 * word(abi.FOUND, "amounts")
_AMOUNT: Final = layout.AMOUNT_BYTES

_GENEROUS: Final = reference.GENEROUS
_TOO_NEAR: Final = reference.TOO_NEAR
_TOO_FAR: Final = reference.TOO_FAR
_PROBE_FACTOR: Final = reference.PROBE_FACTOR
_PROBES: Final = reference.PROBES
_MOST_PROBE: Final = reference.MOST_PROBE


@hot(DETECT_SIGNATURE)
def detect(market: int, index: int, found: int, capacity: int) -> int:
    """Write the best cycles through dirty pools to `found`, best net first, and return how many."""
    _refresh_edges(market, index)
    promising, listed = _promising(market, index), 0
    scratch, gas_price = load(index, _AMOUNTS), load_f64(market, _GAS_PRICE)
    for k in range(promising):
        cycle = load(load(index, _CONSIDERED), k)
        x = solve(cycle, _slope_at_zero(cycle), _guess(cycle))
        gross = (walk_chain(cycle, x, scratch) - x) * _worth(market, cycle) * _GENEROUS
        if gross > _least_net(index, listed):
            spent = load(index, _PLAN_GAS) + gas_of_chain(cycle, scratch)
            listed = _list(index, listed, gross - float(spent) * gas_price, x, cycle)
    count = 0
    for k in range(listed):
        candidate = load(index, _SHORTLIST) + k * _CANDIDATE_BYTES
        cycle = load(candidate, _CYCLE)
        amounts = size(cycle, scratch, load_f64(candidate, _INPUT))
        if amounts != 0 and count < capacity:
            spent = load(index, _PLAN_GAS) + gas_of_chain(cycle, amounts)
            net = _profit(cycle, amounts) * _worth(market, cycle) - float(spent) * gas_price
            if net >= load_f64(index, _MIN_NET):
                _record(cycle, amounts, spent, net, _open_place(found, count, net))
                count += 1
    store(index, _SIZED, listed)
    return count


@hot("void(int64, int64)")
def _refresh_edges(market: int, index: int) -> None:
    """Measure the edges of dirty pools, in the first round of all pools."""
    if load(index, _ROUND) == 0:
        pools = load(market, _POOLS)
        for k in range(load(index, _EDGE_COUNT)):
            edge = load(index, _EDGES) + k * _EDGE_BYTES
            store(edge, _RECORD, pools + load(edge, _POOL) * _POOL_BYTES)
            _refresh_edge(edge)
    else:
        at, edges, dirty = load(index, _POOL_EDGES_AT), load(index, _POOL_EDGES), load(market, _DIRTY)
        for k in range(load(market, _DIRTY_COUNT)):
            pool = load(dirty, k)
            for n in range(load(at, pool), load(at, pool + 1)):
                _refresh_edge(load(edges, n))
    store(index, _ROUND, load(index, _ROUND) + 1)


@hot("void(int64)")
def _refresh_edge(edge: int) -> None:
    pool, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
    if load(pool, _FLAGS) & abi.POOL_ENABLED == 0:
        store_f64(edge, _SLOPE, 0.0)
        return
    slope = curve(pool, i, j, 0.0)[1]
    store_f64(edge, _SLOPE, slope)
    probe, bend, direction = load_f64(edge, _PROBE), 0.0, 0
    for _ in range(_PROBES):
        there = curve(pool, i, j, probe)[1]
        far = not there > 0.0 or slope > there * _TOO_FAR
        if there > 0.0 and slope > there:
            bend = (math.sqrt(slope / there) - 1.0) / probe
        turn = -1 if far else 1
        if direction == -turn or (not far and slope > there * _TOO_NEAR):
            break
        direction = turn
        probe *= _PROBE_FACTOR if turn > 0 else 1.0 / _PROBE_FACTOR
    store_f64(edge, _BEND, bend)
    store_f64(edge, _PROBE, min(max(probe, 1.0), _MOST_PROBE))


@hot("int64(int64, int64)")
def _promising(market: int, index: int) -> int:
    """Collect the cycles through dirty pools whose first unit gains, each once; return how many."""
    at, numbers, dirty = load(index, _POOL_CYCLES_AT), load(index, _POOL_CYCLES), load(market, _DIRTY)
    stamps, present = load(index, _STAMPS), load(index, _ROUND)
    looked_at, count = 0, 0
    for k in range(load(market, _DIRTY_COUNT)):
        pool = load(dirty, k)
        for n in range(load(at, pool), load(at, pool + 1)):
            number = load(numbers, n)
            if load(stamps, number) != present:
                store(stamps, number, present)
                looked_at += 1
                cycle = load(index, _CYCLES) + number * _CYCLE_BYTES
                if _slope_at_zero(cycle) > 1.0:
                    store(load(index, _CONSIDERED), count, cycle)
                    count += 1
    store(index, _LOOKED_AT, looked_at)
    store(index, _PROMISING, count)
    return count


@hot("float64(int64)", inline=True)
def _slope_at_zero(cycle: int) -> float:
    slope = load_f64(load(cycle, 0), _SLOPE) * load_f64(load(cycle, 1), _SLOPE)
    third = load(cycle, 2)
    return slope * load_f64(third, _SLOPE) if third != 0 else slope


@hot("float64(int64)")
def _guess(cycle: int) -> float:
    """Return the best input if every leg bent as it does near zero; see `reference.guess`."""
    bend, scale = 0.0, 1.0
    for k in range(load(cycle, _LEG_COUNT)):
        edge = load(cycle, k)
        bend += scale * load_f64(edge, _BEND)
        scale *= load_f64(edge, _SLOPE)
    return (math.sqrt(scale) - 1.0) / bend if bend > 0.0 else load_f64(load(cycle, 0), _PROBE)


@hot("float64(int64, int64)", inline=True)
def _worth(market: int, cycle: int) -> float:
    """Return wei for one unit of the token that the cycle starts with."""
    return load_f64(load(market, _PRICE), load(load(cycle, 0), _SOLD))


@hot("float64(int64, int64)")
def _least_net(index: int, listed: int) -> float:
    """Return what a candidate must exceed before its gas is even looked at."""
    least = max(0.0, load_f64(index, _MIN_NET))
    if listed < load(index, _TOP_K):
        return least
    return max(least, load_f64(load(index, _SHORTLIST) + (listed - 1) * _CANDIDATE_BYTES, _NET))


@hot("int64(int64, int64, float64, float64, int64)")
def _list(index: int, listed: int, net: float, x: float, cycle: int) -> int:
    """Put the cycle on the shortlist of `listed` entries, if it is good enough; return the new length."""
    if not net >= load_f64(index, _MIN_NET):
        return listed
    first = load(index, _SHORTLIST)
    full = listed == load(index, _TOP_K)
    place = first + (listed - 1 if full else listed) * _CANDIDATE_BYTES
    if full and load_f64(place, _NET) >= net:
        return listed
    while place > first and load_f64(place - _CANDIDATE_BYTES, _NET) < net:
        copy_bytes(place, place - _CANDIDATE_BYTES, _CANDIDATE_BYTES)
        place -= _CANDIDATE_BYTES
    store_f64(place, _NET, net)
    store_f64(place, _INPUT, x)
    store(place, _CYCLE, cycle)
    return listed if full else listed + 1


@hot("float64(int64, int64)")
def _profit(cycle: int, amounts: int) -> float:
    """Return output less input, which is above zero, in units of the start token."""
    return to_f64(load256(amounts + load(cycle, _LEG_COUNT) * _AMOUNT) - load256(amounts))


@hot("int64(int64, int64, float64)")
def _open_place(found: int, count: int, net: float) -> int:
    """Move those of `count` records that are worse down by one, and return the place before them."""
    place = found + count * _FOUND_BYTES
    while place > found and load_f64(place - _FOUND_BYTES, _FOUND_NET) < net:
        copy_bytes(place, place - _FOUND_BYTES, _FOUND_BYTES)
        place -= _FOUND_BYTES
    return place


@hot("void(int64, int64, int64, float64, int64)")
def _record(cycle: int, amounts: int, spent_gas: int, net: float, found: int) -> None:
    """Write the FOUND record of a sized cycle."""
    legs = load(cycle, _LEG_COUNT)
    store(found, _FOUND_LEG_COUNT, legs)
    store(found, _FOUND_TOKEN, load(load(cycle, 0), _SOLD))
    store(found, _FOUND_GAS, spent_gas)
    store_f64(found, _FOUND_NET, net)
    for k in range(legs):
        edge = load(cycle, k)
        store(found, _FOUND_POOL + k, load(edge, _POOL))
        store(found, _FOUND_IN + k, load(edge, _I))
        store(found, _FOUND_OUT + k, load(edge, _J))
    copy_bytes(found + _FOUND_AMOUNTS, amounts, (legs + 1) * _AMOUNT)
