"""The market's own memory: records that its compiled functions share with Python.

Layer: market. Strategies see `MARKET` and `POOL` of `tallyio.market.abi`; these here belong to the
market alone. A state is one `STATE` record; every address in it stays for the life of the market.
"""

from __future__ import annotations

from typing import Final

import numpy as np

HASH_WORDS: Final = 4
"""A block hash is 32 bytes, kept as four 8-byte words."""

STATE: Final = np.dtype(
    [
        ("market", "i8"),  # address of the MARKET record
        ("journal", "i8"),  # address of the JOURNAL record
        ("prices", "i8"),  # address of the PRICES record
        ("row_bytes", "i8"),  # address of int64 per pool
        ("sequences", "i8"),  # address of int64 per pool: odd while its row changes
        ("saved", "i8"),  # address of int64 per pool: serial of the block that last saved its row
        ("saved_bytes", "i8"),  # address of int64 per pool: how much of the row that block has saved
        ("ageing", "i8"),  # address of int64 pool ids: those that advance with time
        ("ageing_count", "i8"),
        ("marked", "i8"),  # address of int64 per pool: round in which it was last marked dirty
        ("round", "i8"),  # counts the detections; a pool is dirty if it is marked with this number
    ]
)
"""Where everything is."""

JOURNAL: Final = np.dtype(
    [
        ("head", "i8", HASH_WORDS),  # hash of the block that the rows stand for
        ("number", "i8"),  # its number
        ("next_timestamp", "i8"),  # expected time of the block after it
        ("serial", "i8"),  # serial of its entry; 0 for the block that the market started with
        ("entries", "i8"),  # address of ENTRY records, a ring
        ("entry_mask", "i8"),
        ("first", "i8"),  # oldest entry, counted from the start of the market
        ("last", "i8"),  # one after the newest
        ("arena", "i8"),  # address of the saved rows, a ring of bytes
        ("arena_bytes", "i8"),  # a power of two
        ("tail", "i8"),  # where the next row is saved, counted from the start of the market
    ]
)
"""What undoes blocks."""

ENTRY: Final = np.dtype(
    [
        ("hash", "i8", HASH_WORDS),
        ("parent", "i8", HASH_WORDS),
        ("number", "i8"),
        ("parent_serial", "i8"),
        ("parent_next_timestamp", "i8"),
        ("start", "i8"),  # where its rows start in the arena
        ("rows", "i8"),
        ("unused", "i8", 3),
    ]
)
"""One block of the journal: two cache lines."""

SAVED: Final = np.dtype(
    [
        ("pool", "i8"),
        ("start", "i8"),  # which bytes of the row follow; those of one block never overlap
        ("size", "i8"),
        ("flags", "i8"),  # this and the rest count where start is 0: the block's first save of the row
        ("row_bytes", "i8"),
        ("saved_before", "i8"),  # serial of the block that had saved this row before
        ("saved_bytes_before", "i8"),
        ("unused", "i8"),
    ]
)
"""Before each saved part of a row. Pool -1: nothing more for `size` bytes, which reach the arena's end."""

BLOCK: Final = np.dtype(
    [
        ("hash", "i8", HASH_WORDS),
        ("parent", "i8", HASH_WORDS),
        ("number", "i8"),
        ("logs", "i8"),  # address of packed logs
        ("log_count", "i8"),
        ("timestamp", "i8"),
        ("next_timestamp", "i8"),  # expected time of the block after it
        ("gas_price_wei", "f8"),
    ]
)
"""A block to apply."""

PRICES: Final = np.dtype(
    [
        ("edges", "i8"),  # address of EDGE records by token: first those to the native token, then the others
        ("edge_count", "i8"),
        ("native", "i8"),  # token id of the wrapped native token, or -1
        ("round", "i8"),  # counts the refreshments
        ("begin", "i8"),  # address of int64 per token: number of its first edge
        ("end", "i8"),  # ... one after its last
        ("pool_edges_at", "i8"),  # address of int64 offsets: the edges of pool p ...
        ("pool_edges", "i8"),  # ... by number, from offset p to offset p + 1
        ("followers_at", "i8"),  # address of int64 offsets: the tokens that token t may price ...
        ("followers", "i8"),  # ... from offset t to offset t + 1
        ("followed", "i8"),  # address of float64 per token: its price when they were priced last
    ]
)
"""What native prices are made from."""

EDGE: Final = np.dtype(
    [
        ("pool", "i8"),
        ("i", "i8"),  # position of the token to price
        ("j", "i8"),  # position of the token that prices it
        ("token", "i8"),
        ("via", "i8"),
        ("ratio", "f8"),  # units of `via` for one unit of `token`, without fees; 0 = none
        ("depth", "f8"),  # virtual reserve of `via`: how much of it moves the price by a constant share
        ("unused", "i8"),
    ]
)
"""One pool as a source of a price: one cache line."""
