"""Edges of a router in compiled code: measure a pool's curve, and evaluate it at an amount.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi, layout
from tallyio.market.abi import word
from tallyio.market.fused import curve
from tallyio.market.route_layout import EDGE, ROUTER
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot

_SLOPE: Final = word(EDGE, "slope")
_BEND: Final = word(EDGE, "bend")
_LIMIT: Final = word(EDGE, "limit")
_RECORD: Final = word(EDGE, "record")
_I: Final = word(EDGE, "i")
_J: Final = word(EDGE, "j")
_POOL_AT: Final = word(ROUTER, "pool_at")
_POOL_EDGES: Final = word(ROUTER, "pool_edges")
_SEEN: Final = word(ROUTER, "seen")
_POOL_COUNT: Final = word(ROUTER, "pool_count")
_FLAGS: Final = word(abi.POOL, "flags")
_SEQUENCES: Final = word(layout.STATE, "sequences")

CLOSE: Final = 2e-9
"""A hyperbola stands for a curve where the two differ by no more than twice the curve's own error."""
_FIRST: Final = 1.0
_STEP: Final = 4.0
_STEPS: Final = 128
"""Powers of 4 from 1 on: all amounts of 256 bits."""


@hot("float64(int64, float64)", inline=True)
def amount_after(edge: int, amount: float) -> float:
    """Return what selling `amount` along the edge brings, in floats."""
    slope = load_f64(edge, _SLOPE)
    if amount <= load_f64(edge, _LIMIT):
        return slope * amount / (1.0 + load_f64(edge, _BEND) * amount)
    return beyond(edge, amount)


@hot("float64(int64, float64)")
def beyond(edge: int, amount: float) -> float:
    """Ask the pool itself."""
    if not load_f64(edge, _SLOPE) > 0.0:
        return 0.0
    return curve(load(edge, _RECORD), load(edge, _I), load(edge, _J), amount)[0]


@hot("void(int64)")
def measure(edge: int) -> None:
    """Read slope, bend and limit from the pool's curve."""
    pool, i, j = load(edge, _RECORD), load(edge, _I), load(edge, _J)
    store_f64(edge, _LIMIT, 0.0)
    store_f64(edge, _BEND, 0.0)
    store_f64(edge, _SLOPE, 0.0)
    if load(pool, _FLAGS) & abi.POOL_ENABLED == 0:
        return
    slope = curve(pool, i, j, 0.0)[1]
    if not slope > 0.0:
        return
    store_f64(edge, _SLOPE, slope)
    # The output at x is slope * x / (1 + bend * x), so bend = (slope * x / out - 1) / x. Read at the largest
    # amount for which the same hyperbola meets the curve at a quarter of it: what the reading lacks in
    # digits at small amounts, where the quotient is near 1, does not matter at smaller ones still.
    amount, before = _FIRST, 0.0
    for _ in range(_STEPS):
        out = curve(pool, i, j, amount)[0]
        if not out > 0.0:
            return
        bend = max(0.0, (slope * amount / out - 1.0) / amount)
        quarter = amount / _STEP
        if abs(slope * quarter / (1.0 + bend * quarter) - before) > CLOSE * before and before > 0.0:
            return
        store_f64(edge, _BEND, bend)
        store_f64(edge, _LIMIT, amount)
        before = out
        amount *= _STEP


@hot("int64(int64, int64)")
def measure_changed(router: int, state: int) -> int:
    """Measure the edges of every pool whose row changed since it was measured; return how many did."""
    seen, sequences, changed = load(router, _SEEN), load(state, _SEQUENCES), 0
    at, edges = load(router, _POOL_AT), load(router, _POOL_EDGES)
    for pool in range(load(router, _POOL_COUNT)):
        if load(seen, pool) != load(sequences, pool):
            store(seen, pool, load(sequences, pool))
            changed += 1
            for k in range(load(at, pool), load(at, pool + 1)):
                measure(load(edges, k))
    return changed
