"""What all rings share: the header in memory, the lag policies, closing, and looking from outside.

Layer: kernel. Uses native. A ring's address is the address of its header. The kinds differ in how
a cell changes hands: see `ring_cells` (latency), `stream_ring` and `many_ring`.
"""

# Layout of the header, in 8-byte words. What different threads write lies at least two lines apart,
# because processors fetch lines in pairs. The cells follow.
#   0 address of the cells, capacity - 1, closed,
#     bytes per cell, kind, lag policy              written once
#  16 head: cells pushed; the tail that was seen    written by the producer
#  32 tail: cells popped; a word for Python; the
#     head that was seen                            written by the consumer
#  48 the bell that wakes the consumer
#  64 the bell that wakes the producer
#  80 pushes that were refused, waited, or dropped
#     the oldest message                            written by producers, only when the ring is full
# Positions stay below 2**63 for 292 years at one message per nanosecond: they never wrap.

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final

import numpy as np

from tallyio.kernel.doorbell import bell_ring
from tallyio.native.atomics import fetch_add, load, load_acquire, load_relaxed, store_release
from tallyio.native.jit import hot

WORD: Final = 8
LINE_BYTES: Final = 64

HEADER_WORDS: Final = 128
CELLS: Final = 0
MASK: Final = 1
CLOSED: Final = 2
STRIDE: Final = 3
KIND: Final = 4
LAG: Final = 5
HEAD: Final = 16
SEEN_TAIL: Final = 17
TAIL: Final = 32
OUT: Final = 33
SEEN_HEAD: Final = 34
FILLED_BELL: Final = 48
FREE_BELL: Final = 64
REFUSED: Final = 80
WAITED: Final = 81
DROPPED: Final = 82

LATENCY: Final = 0
STREAM: Final = 1
MANY: Final = 2

FILLED_BELL_BYTES: Final = WORD * FILLED_BELL
FREE_BELL_BYTES: Final = WORD * FREE_BELL


class Lag(StrEnum):
    """What becomes of a push that finds the ring full; every ring states one, and counts."""

    BLOCK = "block"  # the producer waits for room
    FAIL = "fail"  # the push is refused, and the producer goes on
    DROP_OLDEST = "drop_oldest"  # the oldest message makes room; many-to-many rings only


LAG_BLOCK: Final = 0
LAG_FAIL: Final = 1
LAG_DROP_OLDEST: Final = 2
LAG_CODES: Final = {Lag.BLOCK: LAG_BLOCK, Lag.FAIL: LAG_FAIL, Lag.DROP_OLDEST: LAG_DROP_OLDEST}

SENT: Final = 1
NOT_SENT: Final = 0
NEVER_SENT: Final = -1


@hot("void(int64, int64)")
def count_push(ring: int, counter: int) -> None:
    """Add one to REFUSED, WAITED or DROPPED; any number of producers."""
    fetch_add(ring, counter, 1)


@hot("boolean(int64)")
def ring_is_closed(ring: int) -> bool:
    """Return whether `close_ring` was called."""
    return load_acquire(ring, CLOSED) != 0


@hot("void(int64)")
def close_ring(ring: int) -> None:
    """Let waiting end on both sides, at once or when the ring is empty. Any thread may close."""
    # `closed` is something published like a cell: both bells' proof covers it. Whoever announces
    # itself after the last ring sees it.
    store_release(ring, CLOSED, 1)
    while bell_ring(ring + FILLED_BELL_BYTES) or bell_ring(ring + FREE_BELL_BYTES):
        pass


@hot("boolean(int64)")
def has_filled(ring: int) -> bool:
    """Return whether a message waits; for consumers. With many of them, one may be faster."""
    tail = load_relaxed(ring, TAIL)
    if load(ring, KIND) == STREAM:
        return load_acquire(ring, HEAD) != tail
    cell = load(ring, CELLS) + (tail & load(ring, MASK)) * LINE_BYTES
    return load_acquire(cell, 0) > tail


@hot("boolean(int64)")
def has_free(ring: int) -> bool:
    """Return whether there is room for a message; for producers. With many, one may be faster."""
    head, mask = load_relaxed(ring, HEAD), load(ring, MASK)
    if load(ring, KIND) != MANY:
        return head - load_acquire(ring, TAIL) <= mask
    return load_acquire(load(ring, CELLS) + (head & mask) * LINE_BYTES, 0) >= head


def field_word(dtype: np.dtype[Any], field: str) -> int:
    """Return the number of the 8-byte word of `field` in a record, for `load` and `store`.

    Raises: ValueError: the record has no such field, or it is not one aligned 8-byte word.
    """
    if field not in (dtype.fields or ()):
        raise ValueError(
            f"the record has no field {field!r}; it has {', '.join(dtype.names or ()) or 'none'}"
        )
    kind, offset = dtype.fields[field][:2]  # type: ignore[index]  # there are fields: one was found
    if kind.itemsize != WORD or offset % WORD:
        raise ValueError(f"field {field!r} must be 8 bytes at a multiple of 8, was {kind} at {offset}")
    return int(offset) // WORD
