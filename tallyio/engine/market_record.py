"""The record that the market's lane and its Python side share.

Layer: engine.
"""

from __future__ import annotations

from typing import Final

import numpy as np

APPLY: Final = 1
ROLL_BACK: Final = 2
RELOAD: Final = 3
"""Commands."""

LANE: Final = np.dtype(
    [
        ("state", "i8"),  # address of the market's STATE record
        ("block", "i8"),  # APPLY: address of a BLOCK record
        ("hash", "i8"),  # ROLL_BACK, RELOAD: address of a block hash
        ("pool", "i8"),  # RELOAD
        ("row", "i8"),  # RELOAD: address of the fresh row
        ("row_bytes", "i8"),  # RELOAD: its size
        ("home", "i8"),  # RELOAD: where it moves to, or 0
        ("strategies", "i8"),
        ("indexes", "i8"),  # address of int64 per strategy: its index
        ("counts", "i8"),  # address of int64 per strategy: how many records it found
        ("found", "i8"),  # address of `capacity` FOUND records per strategy
        ("capacity", "i8"),
        ("apply_cycles", "i8"),
        ("detect_cycles", "i8"),
    ]
)
"""Addresses, the arguments of a command, and the results of the last APPLY."""
