"""Compiled loops that `bench_large` times, so that no call from Python is in its figures."""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, load_f64, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import load256
from tallyio_strategy_arbitrage import layout, reference
from tallyio_strategy_arbitrage.hub_rates import update_hubs
from tallyio_strategy_arbitrage.hub_search import search_edge
from tallyio_strategy_arbitrage.sizing import run_chain, size
from tallyio_strategy_arbitrage.walking import solve, walk

_EDGES: Final = word(layout.INDEX, "edges")
_HUBS: Final = word(layout.INDEX, "hubs")
_LISTED: Final = word(layout.INDEX, "listed")
_LOOKED_AT: Final = word(layout.INDEX, "looked_at")
_RATE: Final = word(layout.EDGE, "rate")
_EDGE_BYTES: Final = layout.EDGE.itemsize
_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LINE: Final = 64
_SHIFT: Final = 1e-5


@hot("int64(int64, int64, int64)")
def update_and_search(index: int, numbers: int, count: int) -> int:
    """Change each edge's rate a little, search through it, change it back; return what was looked at."""
    hubs, edges = load(index, _HUBS), load(index, _EDGES)
    store(index, _LOOKED_AT, 0)
    for k in range(count):
        store(index, _LISTED, 0)
        number = load(numbers, k)
        edge = edges + number * _EDGE_BYTES
        rate = load_f64(edge, _RATE)
        # Up for one edge and down for the next: every other change raises bounds.
        store_f64(edge, _RATE, rate + (_SHIFT if k & 1 else -_SHIFT))
        update_hubs(hubs, edges, number)
        search_edge(index, number)
        store_f64(edge, _RATE, rate)
        update_hubs(hubs, edges, number)
    return load(index, _LOOKED_AT)


@hot("float64(int64, int64, float64)")
def solve_all(cycles: int, count: int, guess: float) -> float:
    """Solve every cycle in floats; return the sum."""
    total = 0.0
    for k in range(count):
        cycle = cycles + k * _CYCLE_BYTES
        total += solve(cycle, walk(cycle, 0.0)[1], guess)
    return total


@hot("int64(int64, int64, int64, int64, float64)")
def size_all(cycles: int, count: int, inputs: int, search: int, tolerance: float) -> int:
    """Size every cycle exactly around its float input; return how many gain."""
    gaining = 0
    for k in range(count):
        cycle = cycles + k * _CYCLE_BYTES
        gaining += size(cycle, search, load_f64(inputs, k), tolerance, reference.BUDGET)[0] != 0
    return gaining


@hot("int64(int64, int64, int64, int64)")
def quote_all(cycles: int, count: int, amounts: int, scratch: int) -> int:
    """Quote every cycle exactly; return how many pay."""
    paying = 0
    for k in range(count):
        paying += run_chain(cycles + k * _CYCLE_BYTES, scratch, load256(amounts + k * _LINE))
    return paying
