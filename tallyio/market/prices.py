"""What one unit of each token is worth in the native currency, after every block.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.

The wrapped native token is worth 1. Another token takes the price of its deepest pool: the middle
of both directions, so that the fee cancels. Depth is the virtual reserve: for a curve
out = m x / (1 + x / r) the slope is m / (1 + x / r)**2, so two slopes tell r. Only pools that
changed are looked at again, and only their tokens take their deepest pool anew. A token that is priced
through another one follows it when that one's price has moved by a thousandth: in a large market
thousands of tokens hang on a few.
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
_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_FLAGS: Final = word(abi.POOL, "flags")
_POOL_BYTES: Final = abi.POOL.itemsize

_EDGES: Final = word(layout.PRICES, "edges")
_EDGE_COUNT: Final = word(layout.PRICES, "edge_count")
_NATIVE: Final = word(layout.PRICES, "native")
_ROUND: Final = word(layout.PRICES, "round")
_BEGIN: Final = word(layout.PRICES, "begin")
_END: Final = word(layout.PRICES, "end")
_POOL_EDGES_AT: Final = word(layout.PRICES, "pool_edges_at")
_POOL_EDGES: Final = word(layout.PRICES, "pool_edges")
_FOLLOWERS_AT: Final = word(layout.PRICES, "followers_at")
_FOLLOWERS: Final = word(layout.PRICES, "followers")
_FOLLOWED: Final = word(layout.PRICES, "followed")

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
_SHARE: Final = 1e-3
_NEAR: Final = 1.1
"""Of a depth known before, so much is tried, and is good where the slope falls by no more than a tenth."""
_MOVED: Final = 1e-3
"""Of its price: as soon as a token has moved by this, those that are priced through it are priced anew."""


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


@hot("float64(int64, int64, int64, float64)")
def _depth_again(pool: int, i: int, j: int, before: float) -> float:
    """Do what `depth_of` does, in two steps where the depth is still about `before`."""
    probe = before * _SHARE
    at_zero, slope = curve(pool, i, j, 0.0)[1], curve(pool, i, j, probe)[1]
    if probe > 0.0 and slope > 0.0 and slope * _SEEN < at_zero < slope * _NEAR:
        return probe / (math.sqrt(at_zero / slope) - 1.0)
    return depth_of(pool, i, j)


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
    store_f64(edge, _DEPTH, _depth_again(pool, j, i, load_f64(edge, _DEPTH)))


@hot("float64(int64, int64, int64)")
def _price(market: int, prices: int, token: int) -> float:
    """Let the token's deepest pool price it; return the price, the one before if no pool prices it."""
    table = load(market, _TABLE)
    deepest, begin, end = 0.0, load(load(prices, _BEGIN), token), load(load(prices, _END), token)
    for number in range(begin, end):
        edge = load(prices, _EDGES) + number * _EDGE_BYTES
        ratio, worth = load_f64(edge, _RATIO), load_f64(table, load(edge, _VIA))
        depth = load_f64(edge, _DEPTH) * worth
        if ratio > 0.0 and worth > 0.0 and depth > deepest:
            store_f64(table, token, ratio * worth)
            deepest = depth
    return load_f64(table, token)


@hot("void(int64, int64)")
def _price_everything(market: int, prices: int) -> None:
    if load(prices, _NATIVE) >= 0:
        store_f64(load(market, _TABLE), load(prices, _NATIVE), 1.0)
    edge, before = load(prices, _EDGES), -1
    for number in range(load(prices, _EDGE_COUNT)):
        _look(market, edge + number * _EDGE_BYTES)
    # Edges to the native token come first, so what a hop goes through is priced already.
    for number in range(load(prices, _EDGE_COUNT)):
        token = load(edge + number * _EDGE_BYTES, _TOKEN)
        if token != before:
            store_f64(load(prices, _FOLLOWED), token, _price(market, prices, token))
            before = token


@hot("void(int64, int64, int64)")
def _lead(market: int, prices: int, token: int) -> None:
    """Price a token, and what is priced through it if it has moved far since that was."""
    price, before = _price(market, prices, token), load_f64(load(prices, _FOLLOWED), token)
    if not abs(price - before) > _MOVED * before:
        return
    store_f64(load(prices, _FOLLOWED), token, price)
    at, followers = load(prices, _FOLLOWERS_AT), load(prices, _FOLLOWERS)
    for k in range(load(at, token), load(at, token + 1)):
        _price(market, prices, load(followers, k))


@hot("void(int64)")
def refresh_prices(state: int) -> None:
    """Price tokens anew after the dirty pools changed; a token that no pool prices keeps its price."""
    market, prices = load(state, _MARKET), load(state, _PRICES)
    present = load(prices, _ROUND) + 1
    store(prices, _ROUND, present)
    if present == 1:
        _price_everything(market, prices)
        return
    at, numbers, dirty = load(prices, _POOL_EDGES_AT), load(prices, _POOL_EDGES), load(market, _DIRTY)
    edges, native = load(prices, _EDGES), load(prices, _NATIVE)
    # First all that changed is looked at, then what leads is priced, then what follows.
    for turn in range(3):
        for k in range(load(market, _DIRTY_COUNT)):
            pool = load(dirty, k)
            for n in range(load(at, pool), load(at, pool + 1)):
                edge = edges + load(numbers, n) * _EDGE_BYTES
                if turn == 0:
                    _look(market, edge)
                elif turn == 1 and load(edge, _VIA) == native:
                    _lead(market, prices, load(edge, _TOKEN))
                elif turn == 2 and load(edge, _VIA) != native:  # noqa: PLR2004 - turns
                    _price(market, prices, load(edge, _TOKEN))
