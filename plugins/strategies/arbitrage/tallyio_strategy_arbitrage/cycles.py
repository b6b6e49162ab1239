"""Every cycle that could pay: closed walks over two to four pools, found once per market.

A cycle starts and ends at a base token, visits no token and no pool twice, and its first pool can
flash, so that it needs nothing in hand. The same pools in the same direction are one cycle however
it is rotated; it starts at the base token that the settings name first among those where it may
start. That no pool comes twice also holds for pools of many tokens: the second swap would meet a
state that the first one changed, and a quote knows only the present one. `listing` follows the edges.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tallyio.market.abi import MAX_LEGS
from tallyio_strategy_arbitrage import layout
from tallyio_strategy_arbitrage.listing import list_cycles

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_LEG: Final = layout.NO_LEG
MIN_LEGS: Final = 2
_ROOM: Final = 1 << 18
"""Cycles that are listed at once; if there are more, they are listed again."""


class Shape(Protocol):
    """The pools of a market, as `MarketShape` gives them."""

    @property
    def pool_tokens(self) -> Sequence[tuple[int, ...]]:
        """Per pool id the token ids."""

    @property
    def pool_can_flash(self) -> Sequence[bool]:
        """Per pool id whether a cycle may start there."""


class Edges(NamedTuple):
    """Every way to sell one token for another in one pool; sorted by the token sold."""

    pool: Ints
    i: Ints
    j: Ints
    sold: Ints
    bought: Ints
    flash: Bools


class Cycles(NamedTuple):
    """Cycles as rows of edge numbers, and the edges."""

    edges: Edges
    legs: Ints
    """Shape (cycles, `MAX_LEGS`), filled up with `NO_LEG`."""


def directed_edges(shape: Shape) -> Edges:
    """Return the edges of `shape`: n * (n - 1) for a pool of n tokens."""
    pools = shape.pool_tokens
    sizes = np.fromiter(map(len, pools), np.int64, len(pools))
    tokens = np.fromiter(itertools.chain.from_iterable(pools), np.int64)
    each = sizes * (sizes - 1)
    pool = np.repeat(np.arange(len(pools)), each)
    # In its pool, an edge's number is i * (n - 1) plus the place of j among the others.
    number = np.arange(len(pool)) - np.repeat(np.cumsum(each) - each, each)
    i, j = np.divmod(number, np.repeat(sizes - 1, each))
    j += j >= i
    first = np.repeat(np.cumsum(sizes) - sizes, each)
    sold, bought = tokens[first + i], tokens[first + j]
    flash = np.array(shape.pool_can_flash, dtype=np.bool_)[pool]
    order = np.argsort(sold, kind="stable")
    return Edges(pool[order], i[order], j[order], sold[order], bought[order], flash[order])


def find_cycles(shape: Shape, bases: Sequence[int], max_legs: int = MAX_LEGS) -> Cycles:
    """Return every cycle of 2 to `max_legs` legs over `shape` from token ids `bases`, best base first."""
    edges, rank = directed_edges(shape), base_ranks(shape, bases)
    graph, found = _Graph(edges, rank), np.empty((_ROOM, MAX_LEGS), np.int64)
    count = graph.list(bases, max_legs, found)
    if count > len(found):
        found = np.empty((count, MAX_LEGS), np.int64)
        graph.list(bases, max_legs, found)
    return Cycles(edges, found[:count])


def base_ranks(shape: Shape, bases: Sequence[int]) -> Ints:
    """Return per token id of `shape` its place in `bases`, or their number for a token that is none."""
    tokens = max((max(pool) for pool in shape.pool_tokens), default=-1) + 1
    rank = np.full(tokens, len(bases), dtype=np.int64)
    rank[list(reversed(bases))] = np.arange(len(bases))[::-1]
    return rank


def cycles_of_pools(cycles: Cycles, pools: int) -> tuple[Ints, Ints]:
    """Return (offsets, cycle numbers): those of pool p are at offsets[p] to offsets[p + 1]."""
    rows, columns = np.nonzero(cycles.legs != NO_LEG)
    pool = cycles.edges.pool[cycles.legs[rows, columns]]
    offsets = np.zeros(pools + 1, dtype=np.int64)
    offsets[1:] = np.cumsum(np.bincount(pool, minlength=pools))
    return offsets, np.ascontiguousarray(rows[np.argsort(pool, kind="stable")].astype(np.int64))


class _Graph:
    """Edges where compiled code reads them."""

    def __init__(self, edges: Edges, rank: Ints) -> None:
        self._tokens = np.arange(len(rank) + 1)
        self._edges = edges
        self._record = np.zeros(1, layout.GRAPH)
        self._columns: dict[str, Ints] = {}
        self._set("starts", np.searchsorted(edges.sold, self._tokens))
        self._set("rank", rank)
        for name in ("pool", "sold", "bought", "flash"):
            self._set(name, getattr(edges, name))

    def list(self, bases: Iterable[int], max_legs: int, found: Ints) -> int:
        """Write the cycles of `bases` to `found` as far as they fit; return how many there are."""
        count = 0
        for base in dict.fromkeys(bases):
            home = np.flatnonzero(self._edges.bought == base)
            self._set("home", home)
            self._set("home_at", np.searchsorted(self._edges.sold[home], self._tokens))
            rest = found[count:]
            count += list_cycles(self._record.ctypes.data, base, max_legs, rest.ctypes.data, len(rest))
        return count

    def _set(self, name: str, values: Ints | Bools) -> None:
        column = self._columns[name] = np.ascontiguousarray(values, np.int64)
        self._record[name] = column.ctypes.data
