"""Every cycle that could pay: closed walks over two to four pools, found once per market.

A cycle starts and ends at a base token, visits no token and no pool twice, and its first pool can
flash, so that it needs nothing in hand. The same pools in the same direction are one cycle however
it is rotated; it starts at the base token that the settings name first among those where it may
start. That no pool comes twice also holds for pools of many tokens: the second swap would meet a
state that the first one changed, and a quote knows only the present one. Whole arrays of cycles are
built at once: a hundred thousand take milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tallyio.market.abi import MAX_LEGS

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NO_LEG: Final = -1
"""What follows the last leg of a shorter cycle."""
MIN_LEGS: Final = 2
_SIDES: Final = ("left", "right")


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
    can_flash = shape.pool_can_flash
    rows = [
        (pool, i, j, sold, bought, can_flash[pool])
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
    rank = base_ranks(shape, bases)
    starts = np.searchsorted(edges.sold, np.arange(len(rank) + 1))
    found = [np.empty((0, MAX_LEGS), dtype=np.int64)]
    for base in dict.fromkeys(bases):
        walks = _first_legs(edges, starts, base)
        for count in range(MIN_LEGS, max_legs + 1):
            found.append(_closed(edges, rank, walks, base))
            if count < max_legs:
                walks = _longer(edges, starts, rank, walks, base)
    return Cycles(edges, np.concatenate(found))


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


def _first_legs(edges: Edges, starts: Ints, base: int) -> Ints:
    out = np.arange(starts[base], starts[base + 1])
    return out[edges.flash[out]].reshape(-1, 1)


def _longer(edges: Edges, starts: Ints, rank: Ints, walks: Ints, base: int) -> Ints:
    """Return every walk that goes on from one of `walks` to a token it has not seen."""
    at = edges.bought[walks[:, -1]]
    row, leg = _ranges(starts[at], starts[at + 1])
    walks = walks[row]
    keep = _is_new(edges, rank, walks, leg, base)
    for column in walks.T:
        keep &= edges.bought[leg] != edges.sold[column]
    return np.column_stack((walks[keep], leg[keep]))


def _closed(edges: Edges, rank: Ints, walks: Ints, base: int) -> Ints:
    """Return every cycle that one more leg makes of one of `walks`."""
    # Most tokens lead back to `base` through few pools: these are sorted by where they lead from.
    home = np.flatnonzero(edges.bought == base)
    order = home[np.argsort(edges.sold[home], kind="stable")]
    at = edges.bought[walks[:, -1]]
    row, position = _ranges(*(np.searchsorted(edges.sold[order], at, side=side) for side in _SIDES))
    walks, leg = walks[row], order[position]
    keep = _is_new(edges, rank, walks, leg, base)
    legs = np.full((int(keep.sum()), MAX_LEGS), NO_LEG, dtype=np.int64)
    legs[:, : walks.shape[1]], legs[:, walks.shape[1]] = walks[keep], leg[keep]
    return legs


def _is_new(edges: Edges, rank: Ints, walks: Ints, leg: Ints, base: int) -> Bools:
    """Return where `leg` uses no pool of its walk, and would not be the better place to start."""
    keep: Bools = ~((rank[edges.sold[leg]] < rank[base]) & edges.flash[leg])
    for column in walks.T:
        keep &= edges.pool[leg] != edges.pool[column]
    return keep


def _ranges(low: Ints, high: Ints) -> tuple[Ints, Ints]:
    """Return (row, value) for every value in low[row] <= value < high[row]."""
    count = high - low
    row = np.repeat(np.arange(len(low)), count)
    ends = np.cumsum(count)
    return row, np.arange(len(row)) - np.repeat(ends - count, count) + np.repeat(low, count)
