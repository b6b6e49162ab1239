"""What one unit of each token is worth in the native currency, after every block.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.

The wrapped native token is worth 1. Another token takes the price of its deepest pool: the middle
of both directions, so that the fee cancels. Depth is the virtual reserve: for a curve
out = m x / (1 + x / r) the slope is m / (1 + x / r)**2, so two slopes tell r. Only pools that
changed are looked at again; then every token takes its deepest.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market import abi, layout
from tallyio.market.abi import word
from tallyio.market.fused import curve
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot

_MARKET: Final = word(layout.STATE, "market")
_PRICES: Final = word(layout.STATE, "prices")
_POOLS: Final = word(abi.MARKET, "pools")
_TABLE: Final = word(abi.MARKET, "native_per_unit")
_TOKEN_COUNT: Final = word(abi.MARKET, "token_count")
_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_FLAGS: Final = word(abi.POOL, "flags")
_POOL_BYTES: Final = abi.POOL.itemsize

_EDGES: Final = word(layout.PRICES, "edges")
_EDGE_COUNT: Final = word(layout.PRICES, "edge_count")
_DEPTHS: Final = word(layout.PRICES, "depth")
_NATIVE: Final = word(layout.PRICES, "native")
_ROUND: Final = word(layout.PRICES, "round")
_TOUCHED: Final = word(layout.PRICES, "touched")

_EDGE_BYTES: Final = layout.EDGE.itemsize
_POOL: Final = word(layout.EDGE, "pool")
_I: Final = word(layout.EDGE, "i")
_J: Final = word(layout.EDGE, "j")
_TOKEN: Final = word(layout.EDGE, "token")
_VIA: Final = word(layout.EDGE, "via")
_RATIO: Final = word(layout.EDGE, "ratio")
_DEPTH: Final = word(layout.EDGE, "depth")

# The probe is a share of what was the depth before; 16 steps of 256 cover every amount there is.
_FIRST_PROBE: Final = 1.0
_WIDER: Final = 256.0
_PROBES: Final = 16
_SEEN: Final = 1.0 + 1e-6  # curves are exact to 1e-9: a ratio of slopes this large is no noise
_DEEPEST: Final = 1e60


@hot("float64(int64, int64, int64)")
def depth_of(pool: int, i: int, j: int) -> float:
    """Return the virtual reserve of token `i` in the pool, by its POOL record; 0.0 where it pays nothing."""
    at_zero = curve(pool, i, j, 0.0)[1]
    if not at_zero > 0.0:
        return 0.0
    probe = _FIRST_PROBE
    for _ in range(_PROBES):
        slope = curve(pool, i, j, probe)[1]
        if not slope > 0.0:
            return probe  # it holds no more than this
        if at_zero > slope * _SEEN:
            return probe / (math.sqrt(at_zero / slope) - 1.0)
        probe *= _WIDER
    return _DEEPEST


@hot("float64(int64, int64, int64)")
def middle_price(pool: int, i: int, j: int) -> float:
    """Return units of token `j` for one of token `i`, between both directions; 0.0 where there is none."""
    selling, buying = curve(pool, i, j, 0.0)[1], curve(pool, j, i, 0.0)[1]
    return math.sqrt(selling / buying) if selling > 0.0 and buying > 0.0 else 0.0


@hot("void(int64, int64)")
def _look(market: int, edge: int) -> None:
    pool = load(market, _POOLS) + load(edge, _POOL) * _POOL_BYTES
    if load(pool, _FLAGS) & abi.POOL_ENABLED == 0:
        store_f64(edge, _RATIO, 0.0)
        return
    i, j = load(edge, _I), load(edge, _J)
    store_f64(edge, _RATIO, middle_price(pool, i, j))
    store_f64(edge, _DEPTH, depth_of(pool, j, i))


@hot("void(int64, int64, int64)")
def _offer(table: int, depths: int, edge: int) -> None:
    """Let the edge price its token if it is the deepest so far."""
    token, worth = load(edge, _TOKEN), load_f64(table, load(edge, _VIA))
    ratio = load_f64(edge, _RATIO)
    depth = load_f64(edge, _DEPTH) * worth
    if ratio > 0.0 and worth > 0.0 and depth > load_f64(depths, token):
        store_f64(table, token, ratio * worth)
        store_f64(depths, token, depth)


@hot("void(int64)")
def refresh_prices(state: int) -> None:
    """Price every token anew after the dirty pools changed; a token that no pool prices keeps its price."""
    market, prices = load(state, _MARKET), load(state, _PRICES)
    first_time = load(prices, _ROUND) == 0
    present = load(prices, _ROUND) + 1
    store(prices, _ROUND, present)
    touched, dirty = load(prices, _TOUCHED), load(market, _DIRTY)
    for k in range(load(market, _DIRTY_COUNT)):
        store(touched, load(dirty, k), present)
    table, depths = load(market, _TABLE), load(prices, _DEPTHS)
    for token in range(load(market, _TOKEN_COUNT)):
        store_f64(depths, token, 0.0)
    if load(prices, _NATIVE) >= 0:
        store_f64(table, load(prices, _NATIVE), 1.0)
    edge = load(prices, _EDGES)
    for _ in range(load(prices, _EDGE_COUNT)):
        if first_time or load(touched, load(edge, _POOL)) == present:
            _look(market, edge)
        # Edges to the native token come first, so what a hop goes through is priced already.
        _offer(table, depths, edge)
        edge += _EDGE_BYTES
