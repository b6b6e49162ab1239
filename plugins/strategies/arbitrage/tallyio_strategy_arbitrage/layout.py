"""The index in native memory: what `index` builds and compiled `detect` reads.

Every record is made of 8-byte words. A token's *place* is its number in the hub index: hubs first.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.abi import MAX_LEGS

LEGS: Final = MAX_LEGS
AMOUNT_BYTES: Final = 32
CHAIN_BYTES: Final = (LEGS + 1) * AMOUNT_BYTES
"""What enters each leg, and what leaves the last."""

INDEX: Final = np.dtype(
    [
        ("market", "i8"),  # address of the MARKET record, set by `detect`
        ("edges", "i8"),  # address of EDGE records
        ("edge_count", "i8"),
        ("cycles", "i8"),  # address of CYCLE records
        ("pool_edges_at", "i8"),  # address of int64 offsets: the edges of pool p ...
        ("pool_edges", "i8"),  # ... as addresses, from offset p to offset p + 1
        ("pool_cycles_at", "i8"),
        ("pool_cycles", "i8"),  # numbers of cycles
        ("stamps", "i8"),  # address of int64 per cycle: round in which it was last looked at
        ("round", "i8"),  # counts the detections
        ("hubs", "i8"),  # address of the HUBS record, or 0: cycles are enumerated
        ("bases", "i8"),  # address of int64 per token: its rank among the base tokens
        ("base_count", "i8"),  # rank of a token that is none
        ("base_tokens", "i8"),  # address of int64: token id of each base token
        ("values", "i8"),  # address of float64 per token: wei of one unit as of the last rebuild, never 0
        ("gas_floor_wei", "f8"),  # gas price that the edges' `needed` was computed with
        ("gain_more_wei", "f8"),  # gain that the edges' `needed_more` was computed with
        ("max_legs", "i8"),
        ("least", "f8"),  # what the rates of a cycle through the edge at hand must exceed
        ("path", "i8"),  # address of two CYCLE records: as searched, and from its base token on
        ("shortlist", "i8"),  # address of top_k CANDIDATE records
        ("listed", "i8"),
        ("top_k", "i8"),
        ("search", "i8"),  # address of a SEARCH record
        ("within", "f8"),  # gas whose cost is too little to look for
        ("plan_gas", "i8"),  # gas of a plan beside its swaps
        ("min_net", "f8"),  # least profit after gas, in wei of the native currency
        ("looked_at", "i8"),  # in the last round: cycles through dirty pools
        ("promising", "i8"),  # of these, those whose first unit gains
        ("solved", "i8"),  # of these, those that may pay their gas
        ("sized", "i8"),  # of these, those sized exactly
    ]
)
"""Where everything is."""

EDGE: Final = np.dtype(
    [
        ("pool", "i8"),
        ("i", "i8"),
        ("j", "i8"),
        ("sold", "i8"),  # token id
        ("slope", "f8"),  # output per input at zero; 0 while the pool is disabled
        ("bend", "f8"),  # k of out = slope * x / (1 + k * x) near zero
        ("probe", "f8"),  # input at which the bend was measured
        ("record", "i8"),  # address of the POOL record
        ("needed", "f8"),  # a cycle whose slopes multiply to no more than this does not pay; see `sieve`
        ("worth", "f8"),  # ... if one unit of what the edge sells is worth at most this in it, in wei
        ("rate", "f8"),  # what the hub index adds up; see `sieve`
        ("dirty", "i8"),  # round in which its pool changed last
        ("can_flash", "i8"),  # whether a cycle may start here
        ("bought", "i8"),  # token id
        ("number", "i8"),  # of this record
        ("needed_more", "f8"),  # like `needed`, to gain `gain_more_wei`
    ]
)
"""One way to sell one token for another in one pool: two cache lines, the second for the few that gain."""

CYCLE: Final = np.dtype([("legs", "i8", LEGS), ("leg_count", "i8")])
"""Addresses of the edges; 0 after the last."""

CANDIDATE: Final = np.dtype([("cycle", CYCLE), ("net", "f8"), ("input", "f8"), ("unused", "i8")])
"""A cycle on the shortlist, with its float sizing: one cache line."""

SEARCH: Final = np.dtype(
    [
        ("best", "i8"),  # address of the best chain so far: one of `chains`, and all zero at first
        ("tried", "i8"),  # address of the other one
        ("place", "i8"),  # of the coarsest amount in a chain
        ("budget", "i8"),  # chains that may still be tried
        ("x", "f8"),  # input at which the curves' profit is highest
        ("top", "f8"),  # that profit
        ("bound", "f8"),  # what no chain gains more than
        ("allowed", "f8"),  # what more is not looked for
        ("enough", "f8"),  # ... less what the curves may be wrong by
        ("bend", "f8"),  # the profit falls by this times the square of a step from `x`, nearby
        ("low", "i8"),  # least value of the coarsest amount that may gain more
        ("high", "i8"),  # ... greatest
        ("floats", "f8", LEGS + 1),  # amounts of the curves at `x`
        ("chains", "u1", 2 * CHAIN_BYTES),
    ]
)
"""The search for the exact size of a cycle; see `reference_sizing`."""

HUBS: Final = np.dtype(
    [
        ("hub_count", "i8"),
        ("line", "i8"),  # lanes of a line: hubs, rounded up to a multiple of 16
        ("places", "i8"),  # lanes of a row: tokens, rounded up to a multiple of 64
        ("token_count", "i8"),
        ("place_of", "i8"),  # address of int64 per token
        ("links", "i8"),  # address of LINK records: the edges sorted by what they sell, then buy, then pool
        ("links_at", "i8"),  # address of int64 per place: its first link; one more at the end
        ("tails_at", "i8"),  # address of int64 per place: its first link to a tail
        ("tail_links", "i8"),  # address of int64: the links from tail to tail
        ("tail_link_count", "i8"),
        ("to_hub", "i8"),  # address of float32 [places, line]: best rate from a place to a hub
        ("from_hub", "i8"),  # ... from a hub to a place
        ("out_rows", "i8"),  # address of float32 [hubs, places]: `from_hub` with its axes swapped
        ("in_rows", "i8"),  # ... `to_hub` with its axes swapped
        ("two", "i8"),  # address of float32 [line, line]: bound of the rates hub, any token, hub
        ("two_back", "i8"),  # ... with its axes swapped
        ("three", "i8"),  # address of float32 [line, line]: bound of the rates hub, tail, tail, hub
        ("logs", "i8"),  # address of float64 per place: least log `needed` of a tail's links; 0 for a hub
        ("logs_more", "i8"),  # ... of `needed_more`
        ("scans", "i8"),  # in the last round: rows read because a bound let them through
    ]
)
"""The hub index; see `hub_rates`."""

LINK: Final = np.dtype(
    [
        ("bought", "i8"),  # place
        ("twin", "i8"),  # number of the same pool's link the other way
        ("run", "i8"),  # number of the first link between the same two places; -1 after the last link
        ("rate", "f8"),
        ("back", "f8"),  # rate of the twin
    ]
)
"""An edge as the hub index walks it; link k belongs to EDGE record k."""

CLOSED: Final = -1e30
"""Rate of what cannot be traded; a sum with one or more of them is far below any other, also in float32."""

NO_LEG: Final = -1
"""What follows the last leg of a shorter cycle."""

GRAPH: Final = np.dtype(
    [
        ("starts", "i8"),  # address of int64 per token and one more: where its edges start
        ("pool", "i8"),  # address of int64 per edge, as the three that follow
        ("sold", "i8"),
        ("bought", "i8"),
        ("flash", "i8"),
        ("rank", "i8"),  # address of int64 per token: how good a base it is
        ("home_at", "i8"),  # address of int64 per token and one more: where its edges in `home` start
        ("home", "i8"),  # address of int64: edges that buy the base, sorted by the token sold
        ("leg", "i8", MAX_LEGS),  # the walk: its edges so far,
        ("next", "i8", MAX_LEGS),  # and which edges each leg may take yet
        ("end", "i8", MAX_LEGS),
    ]
)
"""Edges as cycles are listed from them, and the walk that does."""
