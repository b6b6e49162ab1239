"""The cycles of one base token, listed depth first in compiled code; `cycles` says which count."""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import word
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio_strategy_arbitrage import layout

_STARTS: Final = word(layout.GRAPH, "starts")
_POOL: Final = word(layout.GRAPH, "pool")
_SOLD: Final = word(layout.GRAPH, "sold")
_BOUGHT: Final = word(layout.GRAPH, "bought")
_FLASH: Final = word(layout.GRAPH, "flash")
_RANK: Final = word(layout.GRAPH, "rank")
_HOME_AT: Final = word(layout.GRAPH, "home_at")
_HOME: Final = word(layout.GRAPH, "home")
_LEG: Final = word(layout.GRAPH, "leg")
_NEXT: Final = word(layout.GRAPH, "next")
_END: Final = word(layout.GRAPH, "end")
_MAX_LEGS: Final = layout.GRAPH["leg"].shape[0]
_ROW_BYTES: Final = 8 * _MAX_LEGS
_NO_LEG: Final = layout.NO_LEG


@hot("int64(int64, int64, int64, int64, int64)")
def list_cycles(graph: int, base: int, max_legs: int, found: int, capacity: int) -> int:
    """Return how many cycles of 2 to `max_legs` legs `base` has; write at most `capacity` to `found`.

    A cycle is a row of edge numbers, filled up with `NO_LEG`.
    """
    count, depth, home_at = 0, 0, load(graph, _HOME_AT)
    _look_from(graph, 0, base)
    while depth >= 0:
        edge = load(graph, _NEXT + depth)
        if edge == load(graph, _END + depth):
            depth -= 1
            continue
        store(graph, _NEXT + depth, edge + 1)
        token = load(load(graph, _BOUGHT), edge)
        is_last, leads_home = depth + 2 == max_legs, load(home_at, token) < load(home_at, token + 1)
        if is_last and not leads_home:
            continue
        if not _may_follow(graph, depth, edge, base) or _was_visited(graph, depth, token, base):
            continue
        store(graph, _LEG + depth, edge)
        if leads_home:
            count = _close(graph, depth + 1, base, found, capacity, count)
        if not is_last:
            depth += 1
            _look_from(graph, depth, token)
    return count


@hot("void(int64, int64, int64)", inline=True)
def _look_from(graph: int, depth: int, token: int) -> None:
    starts = load(graph, _STARTS)
    store(graph, _NEXT + depth, load(starts, token))
    store(graph, _END + depth, load(starts, token + 1))


@hot("boolean(int64, int64, int64, int64)", inline=True)
def _may_follow(graph: int, depth: int, edge: int, base: int) -> bool:
    """Return whether the pool is new, and no better place to start; the first one must be able to flash."""
    pool, rank = load(load(graph, _POOL), edge), load(graph, _RANK)
    can_flash = load(load(graph, _FLASH), edge) != 0
    if depth == 0:
        return can_flash
    for k in range(depth):
        if load(load(graph, _POOL), load(graph, _LEG + k)) == pool:
            return False
    return not can_flash or load(rank, load(load(graph, _SOLD), edge)) >= load(rank, base)


@hot("boolean(int64, int64, int64, int64)", inline=True)
def _was_visited(graph: int, depth: int, token: int, base: int) -> bool:
    for k in range(1, depth):
        if load(load(graph, _SOLD), load(graph, _LEG + k)) == token:
            return True
    return token == base


@hot("int64(int64, int64, int64, int64, int64, int64)")
def _close(graph: int, depth: int, base: int, found: int, capacity: int, count: int) -> int:
    """Write every cycle that one more leg makes of the first `depth`; return the new count."""
    token = load(load(graph, _BOUGHT), load(graph, _LEG + depth - 1))
    at, home = load(graph, _HOME_AT), load(graph, _HOME)
    for k in range(load(at, token), load(at, token + 1)):
        edge = load(home, k)
        if _may_follow(graph, depth, edge, base):
            if count < capacity:
                row = found + count * _ROW_BYTES
                for leg in range(_MAX_LEGS):
                    store(row, leg, load(graph, _LEG + leg) if leg < depth else _NO_LEG)
                store(row, depth, edge)
            count += 1
    return count
