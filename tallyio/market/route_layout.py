"""What routing computes on: edges, the best amounts so far, and the paths that came out.

Layer: market. An *edge* is one way to sell one token for another in one pool. Its line holds the pool's
curve as far as that is a hyperbola, slope * x / (1 + bend * x): a pool of constant product is one up to
the largest amount that it takes, a concentrated one up to its next tick. Up to `limit` an amount costs one
division; beyond, the pool's own `curve` is asked.
"""

from __future__ import annotations

from typing import Final

import numpy as np

MAX_HOPS: Final = 4
FINALISTS: Final = 8
"""Paths that are walked with exact amounts: the floats of the best ones may be too close to tell."""

EDGE: Final = np.dtype(
    [
        ("slope", "f8"),  # output for the first unit; 0 = the pool sells nothing, or is off
        ("bend", "f8"),
        ("limit", "f8"),  # largest input for which slope and bend say it all
        ("to", "i8"),  # token bought
        ("pool", "i8"),
        ("record", "i8"),  # address of the POOL record
        ("i", "i8"),
        ("j", "i8"),
    ]
)
"""One cache line. Edges are sorted by the token sold."""

NODE: Final = np.dtype(
    [
        ("one", "f8"),  # most that one hop brings
        ("one_edge", "i8"),
        ("two", "f8"),  # most that two hops bring
        ("two_edge", "i8"),
        ("two_before", "i8"),  # token between
        ("other", "f8"),  # most that two hops bring with another token between
        ("other_edge", "i8"),
        ("other_before", "i8"),
        ("three", "f8"),  # most that three hops bring
        ("three_edge", "i8"),
        ("three_before", "i8"),  # token after the second hop
        ("three_other", "i8"),  # whether those two hops are the other ones
        ("round_one", "i8"),  # search in which `one`, `two`, `three` were set; older ones are void
        ("round_two", "i8"),
        ("round_three", "i8"),
        ("unused", "i8"),
    ]
)
"""What is known of one token in one search: two cache lines."""

ROUTER: Final = np.dtype(
    [
        ("edges", "i8"),  # address of EDGE records
        ("pool_count", "i8"),
        ("out_at", "i8"),  # address of int64 per token and one more: where its edges start
        ("in_at", "i8"),  # address of int64 per token and one more: where its incoming edges start
        ("in_edges", "i8"),  # address of int64: addresses of edges, sorted by the token bought
        ("in_from", "i8"),  # address of int64: the token that each of those sells
        ("pool_at", "i8"),  # address of int64 per pool and one more: where its edges start
        ("pool_edges", "i8"),  # address of int64: addresses of edges, sorted by pool
        ("seen", "i8"),  # address of int64 per pool: sequence number of its row when it was measured
        ("nodes", "i8"),  # address of NODE records
        ("reached", "i8"),  # address of int64: tokens that one hop reaches
        ("finalists", "i8"),  # address of FINALIST records
        ("banned", "i8"),  # address of int64 per pool: search that must not use it
        ("round", "i8"),  # number of the search
        ("bans", "i8"),  # whether this search bans any pool
    ]
)
"""All of it."""

FINALIST: Final = np.dtype([("amount", "f8"), ("hops", "i8"), ("edges", "i8", MAX_HOPS), ("unused", "i8", 2)])
"""A path that may be the best: addresses of its edges."""

PATH: Final = np.dtype(
    [
        ("hops", "i8"),
        ("pools", "i8", MAX_HOPS),
        ("i", "i8", MAX_HOPS),
        ("j", "i8", MAX_HOPS),
        ("gas", "i8"),
        ("amounts", "u8", (MAX_HOPS + 1, 4)),  # little-endian 256-bit: amounts[k] enters hop k
    ]
)
"""A path with exact amounts."""
