"""The price matrix in memory: per pair a row with a column for each chain.

Layer: market. A *pair* is a base token priced in a quote token, on every chain where both have an
address; which tokens those are is the caller's affair. Prices include fees. In both directions a
price comes with its bend: `bid * x / (1 + bid_bend * x)` quote tokens for x base tokens sold, and
`(y / ask) / (1 + ask_bend * y)` base tokens for y quote tokens spent, which is what one pool of constant
product pays exactly and any other pool near its price.

One field of all chains lies together, so a comparison over all chains is a few vector operations.
"""

from __future__ import annotations

from typing import Final

import numpy as np

COLUMNS: Final = 16
"""Chains that a matrix has room for; columns that nobody writes are never fresh."""

ROW: Final = np.dtype(
    [
        ("sequence", "i8", COLUMNS),  # odd while the column changes
        ("bid", "f8", COLUMNS),  # quote tokens for the first base token sold; 0 = nobody buys
        ("ask", "f8", COLUMNS),  # quote tokens for the first base token bought; 0 = nobody sells
        ("stamp_ns", "i8", COLUMNS),  # when it was true
        ("confidence", "f8", COLUMNS),  # 0 to 1: how much whoever wrote it believes it
        ("bid_bend", "f8", COLUMNS),  # per base token
        ("ask_bend", "f8", COLUMNS),  # per quote token
    ]
)
"""The prices of one pair."""

MATRIX: Final = np.dtype(
    [
        ("rows", "i8"),  # address of ROW records
        ("pairs", "i8"),
        ("max_age_ns", "i8"),  # an older price takes no part
        ("min_confidence", "f8"),  # above 0; nor does a price that is believed less
        ("unused", "i8", 4),
    ]
)
"""All prices: what compiled code gets."""

SPREAD: Final = np.dtype(
    [
        ("pair", "i8"),
        ("buy", "i8"),  # chain to buy the base token on
        ("sell", "i8"),
        ("ratio", "f8"),  # sell price over buy price
        ("amount_in", "f8"),  # quote tokens to spend for the most profit
        ("profit", "f8"),  # quote tokens gained by that, before gas and whatever moves tokens between chains
    ]
)
"""A pair that sells for more than it costs."""
