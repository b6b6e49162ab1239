"""The pool of a pair that pays most, without a quote of every pool.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`.

Floats say which pools may be the best, and mostly that is one. Two outputs in floats may be in the wrong
order where they are close: a curve may be wrong by 1e-9 of the output and two smallest units, the
hyperbola that stands for it by twice 1e-9 more. So whatever lies above the best exact output less
`UNSURE` of it and `UNITS` is quoted as well: all of them where a pool refuses what its curve promised.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.market.edges import amount_after
from tallyio.market.fused import quote
from tallyio.market.route_layout import EDGE, ROUTER
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, store256, to_f64

UNSURE: Final = 1e-8
UNITS: Final = 4.0

_OUT_AT: Final = word(ROUTER, "out_at")
_EDGES: Final = word(ROUTER, "edges")
_EDGE_BYTES: Final = EDGE.itemsize
_TO: Final = word(EDGE, "to")
_RECORD: Final = word(EDGE, "record")
_I: Final = word(EDGE, "i")
_J: Final = word(EDGE, "j")
_NOTHING: Final = const(0)


@hot("int64(int64, int64, int64, u256, int64)")
def best_venue(router: int, sold: int, bought: int, amount: int, answer: int) -> int:
    """Write the most that one pool of the pair pays for `amount` to `answer`, exactly; return its edge.

    0 where no pool pays anything. Pools that changed must have been measured.
    """
    at, edges, x = load(router, _OUT_AT), load(router, _EDGES), to_f64(amount)
    start, end = edges + load(at, sold) * _EDGE_BYTES, edges + load(at, sold + 1) * _EDGE_BYTES
    most, second, first = 0.0, 0.0, 0
    for edge in range(start, end, _EDGE_BYTES):
        if load(edge, _TO) == bought:
            out = amount_after(edge, x)
            second = max(second, min(most, out))
            first = edge if out > most else first
            most = max(most, out)
    best, winner = _NOTHING, 0
    if first != 0:
        best = _quote(first, amount)
        winner = first if best > _NOTHING else 0
        if _may_exceed(second, best):
            for edge in range(start, end, _EDGE_BYTES):
                if load(edge, _TO) == bought and _may_exceed(amount_after(edge, x), best):
                    out_exact = _quote(edge, amount)
                    if out_exact > best:
                        best, winner = out_exact, edge
    store256(answer, best)
    return winner


@hot("boolean(float64, u256)", inline=True)
def _may_exceed(out: float, best: int) -> bool:
    return out > to_f64(best) * (1.0 - UNSURE) - UNITS


@hot("u256(int64, u256)", inline=True)
def _quote(edge: int, amount: int) -> int:
    return quote(load(edge, _RECORD), load(edge, _I), load(edge, _J), amount)
