"""What the rings of all kinds are to Python: memory, two bells, closing, statistics.

Layer: kernel. Uses native. The kinds are `tallyio.kernel.ring` (latency), `tallyio.kernel.stream_ring`
and `tallyio.kernel.many_ring`; `tallyio.kernel.bridge` has the ends that Trio tasks wait on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tallyio.kernel.doorbell import BELL_WORDS, Doorbell
from tallyio.kernel.ring_layout import (
    CELLS,
    CLOSED,
    DROPPED,
    FILLED_BELL,
    FREE_BELL,
    HEAD,
    HEADER_WORDS,
    KIND,
    LAG,
    LAG_CODES,
    MANY,
    MASK,
    OUT,
    REFUSED,
    STRIDE,
    TAIL,
    WAITED,
    WORD,
    Lag,
    close_ring,
    count_push,
    has_filled,
    has_free,
)
from tallyio.native.jit import entry
from tallyio.native.memory import Region

MIN_CAPACITY: Final = 2
"""A ring of one cell would hand over nothing while it is read."""
MAX_CAPACITY: Final = 1 << 24
"""Cells of the largest ring: one GiB, if a cell is a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStatistics:
    """What went through a ring; the counts are of slightly different moments while it is in use."""

    capacity: int
    lag: Lag
    pushed: int
    popped: int
    """With those that were dropped."""
    refused: int
    """Pushes that found the ring full and did not wait."""
    waited: int
    """Pushes that found the ring full and waited."""
    dropped: int
    """Messages that made room for newer ones before anybody popped them."""
    consumer_slept: int
    consumer_woken: int
    """System calls that the producer's side made to wake the consumer."""
    producer_slept: int
    producer_woken: int
    closed: bool

    @property
    def length(self) -> int:
        """Messages inside."""
        return self.pushed - self.popped


class RingBase:
    """The memory of a ring of `capacity` cells, a power of two, and what all kinds have in common.

    The memory and two eventfds are freed with the object: a lane that uses `address` must refer to the
    ring. Raises: ValueError: `capacity` is no power of two between 2 and 2**24, or the kind has
    no such lag policy.
    """

    def __init__(self, capacity: int, *, kind: int, stride: int, lag: Lag) -> None:
        if not MIN_CAPACITY <= capacity <= MAX_CAPACITY or capacity & (capacity - 1):
            raise ValueError(f"the capacity of a ring must be a power of two from 2 to 2**24, was {capacity}")
        if lag is Lag.DROP_OLDEST and kind != MANY:
            raise ValueError("a ring with one consumer cannot drop the oldest message: take a ManyRing")
        self.capacity: Final = capacity
        self.lag: Final = lag
        self._region = Region(WORD * HEADER_WORDS + stride * capacity)
        self.address: Final = self._region.address
        header = self._region.view("i8", HEADER_WORDS + stride * capacity // WORD)
        self._words = memoryview(header).cast("B").cast("q")
        self._words[CELLS], self._words[MASK] = self.address + WORD * HEADER_WORDS, capacity - 1
        self._words[STRIDE], self._words[KIND], self._words[LAG] = stride, kind, LAG_CODES[lag]
        self.filled: Final = self._bell(FILLED_BELL, shared=kind == MANY)
        """The bell that wakes a consumer."""
        self.free: Final = self._bell(FREE_BELL, shared=kind == MANY)
        """The bell that wakes a producer."""
        self._close, self._has_filled, self._has_free = entry(close_ring), entry(has_filled), entry(has_free)
        self._count = entry(count_push)
        self._out_address = self.address + WORD * OUT

    @property
    def size(self) -> int:
        """Bytes of memory that start at `address`."""
        return self._region.size

    def close(self) -> None:
        """Refuse further pushes and let waiting end on both sides. What is inside can be popped.

        A push that another thread has begun may still succeed, after the last pop found the ring empty: where
        that matters, let the producer close.
        """
        self._close(self.address)

    @property
    def closed(self) -> bool:
        """Whether `close` was called, here or in compiled code."""
        return self._words[CLOSED] != 0

    @property
    def is_empty(self) -> bool:
        """Whether a pop would find nothing; for consumers only."""
        return not self._has_filled(self.address)

    @property
    def is_full(self) -> bool:
        """Whether a push would find no room; for producers only."""
        return not self._has_free(self.address)

    def count_wait(self) -> None:
        """Note that a producer found the ring full and waits for room."""
        self._count(self.address, WAITED)

    def statistics(self) -> RingStatistics:
        """Return the counts so far; any thread may ask."""
        words = self._words
        popped = words[TAIL]  # before what was pushed, so that the length is never negative
        return RingStatistics(
            capacity=self.capacity,
            lag=self.lag,
            pushed=words[HEAD],
            popped=popped,
            refused=words[REFUSED],
            waited=words[WAITED],
            dropped=words[DROPPED],
            consumer_slept=self.filled.slept,
            consumer_woken=self.filled.rung,
            producer_slept=self.free.slept,
            producer_woken=self.free.rung,
            closed=self.closed,
        )

    def cells(self, dtype: npt.DTypeLike, *, offset: int = 0) -> npt.NDArray[Any]:
        """Return the cells as an array of `dtype`, which lies `offset` bytes into each of them.

        Raises: ValueError: it does not fit.
        """
        item, stride = np.dtype(dtype), self._words[STRIDE]
        if item.itemsize + offset > stride or item.hasobject:
            raise ValueError(f"a message must be plain data of at most {stride - offset} bytes, was {item}")
        padded = np.dtype({"names": ["message"], "formats": [item], "offsets": [offset], "itemsize": stride})
        return self._region.view(padded, self.capacity, WORD * HEADER_WORDS)["message"]

    def _bell(self, word: int, *, shared: bool) -> Doorbell:
        line = self._words[word : word + BELL_WORDS]
        return Doorbell(self.address + WORD * word, line, shared=shared)
