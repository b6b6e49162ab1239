"""Every cycle that could pay: closed walks over two or three pools, found once per market.

A cycle starts and ends at a base token, visits no token and no pool twice, and its first pool can
flash, so that it needs nothing in hand. The same pools in the same direction are one cycle however
it is rotated; it starts at the base token that the settings name first among those where it may
start. Whole cycles of arrays are built at once: a hundred thousand take milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_LEG: Final = -1
"""Third leg of a cycle of two."""
MIN_LEGS: Final = 2
MAX_LEGS: Final = 3


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
    """Shape (cycles, 3); `NO_LEG` ends a cycle of two."""


def directed_edges(shape: Shape) -> Edges:
    """Return the edges of `shape`: n * (n - 1) for a pool of n tokens."""
    rows = [
        (pool, i, j, sold, bought, shape.pool_can_flash[pool])
        for pool, tokens in enumerate(shape.pool_tokens)
        for i, sold in enumerate(tokens)
        for j, bought in enumerate(tokens)
        if i != j
    ]
    table = np.array(rows, dtype=np.int64).reshape(-1, 6)
    table = table[np.argsort(table[:, 3], kind="stable")]
    pool, i, j, sold, bought, flash = np.ascontiguousarray(table.T)
    return Edges(pool, i, j, sold, bought, flash != 0)


def find_cycles(shape: Shape, bases: Sequence[int], max_legs: int = MAX_LEGS) -> Cycles:
    """Return every cycle of 2 to `max_legs` legs over `shape` from token ids `bases`, best base first."""
    edges = directed_edges(shape)
    tokens = max((max(pool) for pool in shape.pool_tokens), default=-1) + 1
    rank = np.full(tokens, len(bases), dtype=np.int64)
    rank[list(reversed(bases))] = np.arange(len(bases))[::-1]
    starts = np.searchsorted(edges.sold, np.arange(tokens + 1))
    found = [np.empty((0, MAX_LEGS), dtype=np.int64)]
    for base in dict.fromkeys(bases):
        found.append(_of_two(edges, starts, rank, base))
        if max_legs == MAX_LEGS:
            found.append(_of_three(edges, starts, rank, base))
    return Cycles(edges, np.concatenate(found))


def cycles_of_pools(cycles: Cycles, pools: int) -> tuple[Ints, Ints]:
    """Return (offsets, cycle numbers): those of pool p are at offsets[p] to offsets[p + 1]."""
    rows, columns = np.nonzero(cycles.legs != NO_LEG)
    pool = cycles.edges.pool[cycles.legs[rows, columns]]
    offsets = np.zeros(pools + 1, dtype=np.int64)
    offsets[1:] = np.cumsum(np.bincount(pool, minlength=pools))
    return offsets, np.ascontiguousarray(rows[np.argsort(pool, kind="stable")].astype(np.int64))


def _of_two(edges: Edges, starts: Ints, rank: Ints, base: int) -> Ints:
    first = _starting(edges, starts, base)
    walk, second = _continue(edges, starts, first)
    first = first[walk]
    keep = (edges.bought[second] == base) & (edges.pool[first] != edges.pool[second])
    keep &= ~_starts_better(edges, rank, second, base)
    legs = np.full((int(keep.sum()), MAX_LEGS), NO_LEG, dtype=np.int64)
    legs[:, 0], legs[:, 1] = first[keep], second[keep]
    return legs


def _of_three(edges: Edges, starts: Ints, rank: Ints, base: int) -> Ints:
    first = _starting(edges, starts, base)
    walk, second = _continue(edges, starts, first)
    first = first[walk]
    keep = (edges.bought[second] != base) & (edges.pool[first] != edges.pool[second])
    keep &= ~_starts_better(edges, rank, second, base)
    first, second = first[keep], second[keep]
    # Most tokens lead back to `base` through few pools: go on only where one does.
    home = np.flatnonzero(edges.bought == base)
    order = home[np.argsort(edges.sold[home], kind="stable")]
    low = np.searchsorted(edges.sold[order], edges.bought[second], side="left")
    high = np.searchsorted(edges.sold[order], edges.bought[second], side="right")
    walk, position = _ranges(low, high)
    first, second, third = first[walk], second[walk], order[position]
    keep = (edges.pool[third] != edges.pool[first]) & (edges.pool[third] != edges.pool[second])
    keep &= ~_starts_better(edges, rank, third, base)
    return np.stack((first[keep], second[keep], third[keep]), axis=1)


def _starting(edges: Edges, starts: Ints, base: int) -> Ints:
    out = np.arange(starts[base], starts[base + 1])
    return out[edges.flash[out]]


def _continue(edges: Edges, starts: Ints, walked: Ints) -> tuple[Ints, Ints]:
    """Return (row of `walked`, next edge) for every edge that sells what that row bought."""
    at = edges.bought[walked]
    return _ranges(starts[at], starts[at + 1])


def _ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return (row, value) for every value in low[row] <= value < high[row]."""
    count = high - low
    row = np.repeat(np.arange(len(low)), count)
    ends = np.cumsum(count)
    return row, np.arange(len(row)) - np.repeat(ends - count, count) + np.repeat(low, count)


def _starts_better(edges: Edges, rank: Ints, leg: Ints, base: int) -> Bools:
    """Return where the cycle, rotated to start with `leg`, starts at a base token named earlier."""
    better: Bools = (rank[edges.sold[leg]] < rank[base]) & edges.flash[leg]
    return better
