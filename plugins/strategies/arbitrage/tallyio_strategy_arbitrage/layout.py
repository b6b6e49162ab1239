"""The index in native memory: what `index` builds and compiled `detect` reads.

Every record is made of 8-byte words.
"""

from __future__ import annotations

from typing import Final

import numpy as np

LEGS: Final = 3
AMOUNT_BYTES: Final = 32
CHAIN_BYTES: Final = (LEGS + 1) * AMOUNT_BYTES
"""What enters each leg, and what leaves the last."""

INDEX: Final = np.dtype(
    [
        ("edges", "i8"),  # address of EDGE records
        ("edge_count", "i8"),
        ("cycles", "i8"),  # address of CYCLE records
        ("cycle_count", "i8"),
        ("pool_edges_at", "i8"),  # address of int64 offsets: the edges of pool p ...
        ("pool_edges", "i8"),  # ... as addresses, from offset p to offset p + 1
        ("pool_cycles_at", "i8"),
        ("pool_cycles", "i8"),  # numbers of cycles
        ("stamps", "i8"),  # address of int64 per cycle: round in which it was last looked at
        ("round", "i8"),  # counts the detections
        ("shortlist", "i8"),  # address of top_k CANDIDATE records
        ("top_k", "i8"),
        ("amounts", "i8"),  # address of two chains
        ("plan_gas", "i8"),  # gas of a plan beside its swaps
        ("min_net", "f8"),  # least profit after gas, in wei of the native currency
        ("looked_at", "i8"),  # in the last round: cycles through dirty pools
        ("promising", "i8"),  # of these, those whose first unit gains
        ("sized", "i8"),  # of these, those sized exactly
        ("considered", "i8"),  # addresses of the promising cycles
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
    ]
)
"""One way to sell one token for another in one pool: one cache line."""

CYCLE: Final = np.dtype([("legs", "i8", LEGS), ("leg_count", "i8")])
"""Addresses of the edges; 0 after the last."""

CANDIDATE: Final = np.dtype([("net", "f8"), ("input", "f8"), ("cycle", "i8"), ("unused", "i8")])
"""A cycle on the shortlist, with its float sizing."""
