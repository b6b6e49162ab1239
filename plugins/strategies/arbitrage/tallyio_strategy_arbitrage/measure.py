"""What `detect` knows of each edge, measured anew when its pool changed; compiled.

`sieve` explains `needed` and `rate`, `reference_walk.measure` slope and bend; both compute the same.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market import abi
from tallyio.market.abi import word
from tallyio.market.fused import curve, gas
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const
from tallyio_strategy_arbitrage import layout, reference_walk, sieve
from tallyio_strategy_arbitrage.hub_rates import rebuild_hubs, update_hubs

_ONE: Final = const(1)
_POOLS: Final = word(abi.MARKET, "pools")
_TOKEN_COUNT: Final = word(abi.MARKET, "token_count")
_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_PRICES: Final = word(abi.MARKET, "native_per_unit")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_FLAGS: Final = word(abi.POOL, "flags")
_POOL_BYTES: Final = abi.POOL.itemsize

_EDGES: Final = word(layout.INDEX, "edges")
_EDGE_COUNT: Final = word(layout.INDEX, "edge_count")
_POOL_EDGES_AT: Final = word(layout.INDEX, "pool_edges_at")
_POOL_EDGES: Final = word(layout.INDEX, "pool_edges")
_ROUND: Final = word(layout.INDEX, "round")
_HUBS: Final = word(layout.INDEX, "hubs")
_BASE_TOKENS: Final = word(layout.INDEX, "base_tokens")
_BASE_COUNT: Final = word(layout.INDEX, "base_count")
_VALUES: Final = word(layout.INDEX, "values")
_GAS_FLOOR: Final = word(layout.INDEX, "gas_floor_wei")
_PLAN_GAS: Final = word(layout.INDEX, "plan_gas")
_GAIN_MORE: Final = word(layout.INDEX, "gain_more_wei")
_MIN_NET: Final = word(layout.INDEX, "min_net")

_EDGE_BYTES: Final = layout.EDGE.itemsize
_POOL: Final = word(layout.EDGE, "pool")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_SOLD: Final = word(layout.EDGE, "sold")
_BOUGHT: Final = word(layout.EDGE, "bought")
_SLOPE: Final = word(layout.EDGE, "slope")
_BEND: Final = word(layout.EDGE, "bend")
_PROBE: Final = word(layout.EDGE, "probe")
_RECORD: Final = word(layout.EDGE, "record")
_NEEDED: Final = word(layout.EDGE, "needed")
_NEEDED_MORE: Final = word(layout.EDGE, "needed_more")
_WORTH: Final = word(layout.EDGE, "worth")
_RATE: Final = word(layout.EDGE, "rate")
_EDGE_DIRTY: Final = word(layout.EDGE, "dirty")
_NUMBER: Final = word(layout.EDGE, "number")

_TOO_NEAR: Final = reference_walk.TOO_NEAR
_TOO_FAR: Final = reference_walk.TOO_FAR
_PROBE_FACTOR: Final = reference_walk.PROBE_FACTOR
_PROBES: Final = reference_walk.PROBES
_MOST_PROBE: Final = reference_walk.MOST_PROBE
_MOST_OFF: Final = sieve.MOST_OFF
_CURVE_ERROR: Final = sieve.CURVE_ERROR
_SURE: Final = sieve.SURE
_MOST_TAKEN: Final = sieve.MOST_TAKEN
_WILD: Final = sieve.WILD
_LOWEST_RATE: Final = sieve.LOWEST_RATE
_HIGHEST_RATE: Final = sieve.HIGHEST_RATE
_ENDLESS_RATE: Final = sieve.ENDLESS_RATE
_GAS_BAND: Final = sieve.GAS_BAND
_MORE: Final = sieve.MORE
_BASE_DRIFT: Final = sieve.BASE_DRIFT
_CLOSED: Final = layout.CLOSED


@hot("void(int64, int64)")
def measure_dirty(market: int, index: int) -> None:
    """Measure the edges of dirty pools; all of them at first, and when a price moved far."""
    present = load(index, _ROUND) + 1
    store(index, _ROUND, present)
    at, edges, dirty = load(index, _POOL_EDGES_AT), load(index, _POOL_EDGES), load(market, _DIRTY)
    for k in range(load(market, _DIRTY_COUNT)):
        pool = load(dirty, k)
        for n in range(load(at, pool), load(at, pool + 1)):
            store(load(edges, n), _EDGE_DIRTY, present)
    if present == 1 or _has_drifted(market, index):
        _measure_all(market, index)
        return
    hubs = load(index, _HUBS)
    for k in range(load(market, _DIRTY_COUNT)):
        pool = load(dirty, k)
        for n in range(load(at, pool), load(at, pool + 1)):
            edge = load(edges, n)
            measure_edge(edge)
            weigh_edge(index, edge)
            if hubs != 0:
                update_hubs(hubs, load(index, _EDGES), load(edge, _NUMBER))


@hot("boolean(int64, int64)")
def _has_drifted(market: int, index: int) -> bool:
    price, floor = load_f64(market, _GAS_PRICE), load_f64(index, _GAS_FLOOR)
    if price < floor or price > floor * _GAS_BAND:
        return True
    bases, prices, values = load(index, _BASE_TOKENS), load(market, _PRICES), load(index, _VALUES)
    for k in range(load(index, _BASE_COUNT)):
        token = load(bases, k)
        if load_f64(prices, token) > load_f64(values, token) * _BASE_DRIFT:
            return True
    return False


@hot("void(int64, int64)")
def _measure_all(market: int, index: int) -> None:
    pools, edges, count = load(market, _POOLS), load(index, _EDGES), load(index, _EDGE_COUNT)
    for k in range(count):
        edge = edges + k * _EDGE_BYTES
        store(edge, _RECORD, pools + load(edge, _POOL) * _POOL_BYTES)
        measure_edge(edge)
    _set_values(market, index)
    floor = 0.5 * load_f64(market, _GAS_PRICE)
    store_f64(index, _GAS_FLOOR, floor)
    store_f64(index, _GAIN_MORE, _MORE * (float(load(index, _PLAN_GAS)) * floor + load_f64(index, _MIN_NET)))
    for k in range(count):
        weigh_edge(index, edges + k * _EDGE_BYTES)
    if load(index, _HUBS) != 0:
        rebuild_hubs(load(index, _HUBS), edges)


@hot("void(int64, int64)")
def _set_values(market: int, index: int) -> None:
    """Value every token: at its price, else through a pool with a token that has one, else at 1."""
    values, prices, edges = load(index, _VALUES), load(market, _PRICES), load(index, _EDGES)
    tokens = load(market, _TOKEN_COUNT)
    for token in range(tokens):
        store_f64(values, token, load_f64(prices, token))
    for _ in range(2):
        for k in range(load(index, _EDGE_COUNT)):
            edge = edges + k * _EDGE_BYTES
            offered = load_f64(edge, _SLOPE) * load_f64(values, load(edge, _BOUGHT))
            if offered > 0.0 and not load_f64(values, load(edge, _SOLD)) > 0.0:
                store_f64(values, load(edge, _SOLD), offered)
    for token in range(tokens):
        if not load_f64(values, token) > 0.0:
            store_f64(values, token, 1.0)


@hot("void(int64)")
def measure_edge(edge: int) -> None:
    """Measure slope and bend at zero."""
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


@hot("void(int64, int64)")
def weigh_edge(index: int, edge: int) -> None:
    """Set `needed` and `rate` of a measured edge, and what a unit is worth for them."""
    slope, values = load_f64(edge, _SLOPE), load(index, _VALUES)
    sold, bought = load_f64(values, load(edge, _SOLD)), load_f64(values, load(edge, _BOUGHT))
    worth = _MOST_OFF * sold
    store_f64(edge, _WORTH, worth)
    if not slope > 0.0:
        store_f64(edge, _NEEDED, math.inf)
        store_f64(edge, _NEEDED_MORE, math.inf)
        store_f64(edge, _RATE, _CLOSED)
        return
    spent = float(load(index, _PLAN_GAS) + gas_of(edge)) * load_f64(index, _GAS_FLOOR)
    store_f64(edge, _NEEDED, needed_for(edge, spent + load_f64(index, _MIN_NET)))
    store_f64(edge, _NEEDED_MORE, needed_for(edge, load_f64(index, _GAIN_MORE)))
    gained = math.log(slope) + math.log(bought / sold)
    total = gained + _MOST_TAKEN * max(0.0, gained - _WILD)
    store_f64(edge, _RATE, _ENDLESS_RATE if total > _HIGHEST_RATE else max(total, _LOWEST_RATE))


@hot("int64(int64)")
def gas_of(edge: int) -> int:
    """Return the gas of the edge's smallest swap."""
    return gas(load(edge, _RECORD), load(edge, _I), load(edge, _J), _ONE)


@hot("float64(int64, float64)")
def needed_for(edge: int, gain_wei: float) -> float:
    """Return the product of slopes up to which a cycle through this edge gains at most `gain_wei`."""
    gain = gain_wei / load_f64(edge, _WORTH)
    if not gain > 0.0:
        return 1.0
    slope, bend = load_f64(edge, _SLOPE), load_f64(edge, _BEND)
    at = math.sqrt(gain / bend) if bend > 0.0 else gain
    out, there = curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), at)
    fallen = slope / there if there > 0.0 else math.inf
    intercept = (out - at * there) / slope + _CURVE_ERROR * at
    most = gain / intercept if out > 0.0 else 1.0 + gain / at
    return max(1.0, _SURE * min(fallen, most))
