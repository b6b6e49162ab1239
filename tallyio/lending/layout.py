"""A book's own memory besides its rows and positions: margins, and who holds what.

Layer: lending. One writer. A *side* is what a reserve is to a position: number `2 * reserve` for collateral,
`2 * reserve + 1` for debt. Positions have dense ids, which are used again once free.
"""

from __future__ import annotations

from typing import Final

import numpy as np

SIDES: Final = 2

COLUMNS: Final = np.dtype(
    [
        ("positions", "i8"),  # address of int64 per id: address of the POSITION, 0 where the id is free
        ("position_count", "i8"),  # ids that were ever used
        ("margins", "i8"),  # address of float64 per id: collateral that counts, less debt
        ("bands", "i8"),  # address of float64 per id: how far the exact margin may be from that
        ("watched", "i8"),  # address of int64 per id: 1 while it is on the watch list
        ("watch", "i8"),  # address of int64 ids: margins within their bands, or below
        ("watch_count", "i8"),
        ("sides", "i8"),  # address of SIDE records
        ("side_count", "i8"),
        ("relative", "f8"),  # share of collateral plus debt that a margin may be wrong by
        ("absolute", "f8"),  # ... and accounting units for each position
        ("scratch", "i8"),  # address of a HEALTH record
        ("values", "i8"),  # address of float64 per side: of one scaled unit, as the margins have it
        ("unused", "i8", 3),
    ]
)
"""Where everything is: two cache lines."""

SIDE: Final = np.dtype(
    [
        ("ids", "i8"),  # address of int32 per holder: the position
        ("weights", "i8"),  # address of float64 per holder: scaled units, weighted, debt negative
        ("count", "i8"),
        ("unused", "i8", 5),
    ]
)
"""Who has a side: one cache line."""

WEIGHT: Final = np.dtype(
    [
        ("secured", "f8"),  # scaled units of collateral, weighted
        ("owed", "f8"),  # ... of debt
        ("values", "i8"),  # how many bytes into the values of sides those of its reserve are
    ]
)
"""What a balance weighs: in front of the POSITION, the first balance next to it, and so on downwards."""
