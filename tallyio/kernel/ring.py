"""The latency ring: one producer, one consumer, one cache line per message.

Layer: kernel. Uses native. Messages of up to seven 64-bit words go from one thread to another in
order, none lost, none doubled. `tallyio.kernel.stream_ring` is for throughput in batches, and
`tallyio.kernel.many_ring` for several producers or consumers.

From compiled code, by the ring's `address` (all return at once unless they are called wait):

    ring_push(ring, word) -> boolean             False: full
    ring_pop(ring, out_address) -> boolean       False: empty
    push_and_ring(ring, word) -> boolean         and wake the consumer if it sleeps
    pop_and_ring(ring, out_address) -> boolean   and wake the producer if it sleeps
    wait_push(ring, word, spin_cycles) -> boolean          False: closed
    wait_pop(ring, out_address, spin_cycles) -> boolean    False: closed and empty
    send_word(ring, word, spin_cycles) -> 1, 0 or -1       by the ring's lag policy

The same in place, for messages of up to `CELL_WORDS` words; an address is that of the first word. The
first two lines are in `tallyio.kernel.ring_cells`, which also says why a ring is right:

    free_cell(ring) -> address, or 0: full       then write to it, then publish_cell(ring)
    filled_cell(ring) -> address, or 0: empty    then read from it, then release_cell(ring)
    wait_free(ring, spin_cycles) -> address, or 0: closed              then publish_and_ring(ring)
    wait_filled(ring, spin_cycles) -> address, or 0: closed and empty  then release_and_ring(ring)

A waiting call looks again and again for `spin_cycles` (of `tallyio.native.clock`), then sleeps; 0
sleeps at once, `POLL_CYCLES` never. A sleeper is only woken by the calls that ring: use ring_push
and ring_pop alone only where both sides poll.
"""

from __future__ import annotations

from array import array
from typing import Any, final

import numpy as np
import numpy.typing as npt
import trio

from tallyio.kernel.doorbell import bell_ring
from tallyio.kernel.ring_base import MAX_CAPACITY, MIN_CAPACITY, RingBase, RingStatistics
from tallyio.kernel.ring_cells import (
    CELL_BYTES,
    CELL_WORDS,
    filled_cell,
    free_cell,
    publish_cell,
    release_cell,
    ring_pop,
    ring_push,
)
from tallyio.kernel.ring_layout import (
    FILLED_BELL_BYTES,
    FREE_BELL_BYTES,
    HEAD,
    LAG,
    LAG_FAIL,
    LATENCY,
    MASK,
    NEVER_SENT,
    NOT_SENT,
    OUT,
    REFUSED,
    SENT,
    TAIL,
    WAITED,
    WORD,
    Lag,
    close_ring,
    count_push,
    ring_is_closed,
)
from tallyio.kernel.ring_wait import POLL_CYCLES, wait_until_filled, wait_until_free
from tallyio.native.atomics import load, store
from tallyio.native.jit import entry, hot

__all__ = [
    "MAX_CAPACITY",
    "MIN_CAPACITY",
    "POLL_CYCLES",
    "LatencyRing",
    "RingStatistics",
    "close_ring",
    "pop_and_ring",
    "publish_and_ring",
    "push_and_ring",
    "push_unless_closed",
    "release_and_ring",
    "ring_is_closed",
    "ring_pop",
    "ring_push",
    "send_word",
    "wait_filled",
    "wait_free",
    "wait_pop",
    "wait_push",
]


@hot("void(int64)")
def publish_and_ring(ring: int) -> None:
    """Publish the cell and wake the consumer if it sleeps."""
    publish_cell(ring)
    bell_ring(ring + FILLED_BELL_BYTES)


@hot("void(int64)")
def release_and_ring(ring: int) -> None:
    """Release the cell and wake the producer if it sleeps."""
    release_cell(ring)
    bell_ring(ring + FREE_BELL_BYTES)


@hot("boolean(int64, int64)")
def push_and_ring(ring: int, word: int) -> bool:
    """Push a word and wake the consumer if it sleeps; return False, and count it, when full."""
    if not ring_push(ring, word):
        count_push(ring, REFUSED)
        return False
    bell_ring(ring + FILLED_BELL_BYTES)
    return True


@hot("boolean(int64, int64)")
def pop_and_ring(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address` and wake the producer if it sleeps; return False when empty."""
    if not ring_pop(ring, out_address):
        return False
    bell_ring(ring + FREE_BELL_BYTES)
    return True


@hot("int64(int64, int64)")
def wait_filled(ring: int, spin_cycles: int) -> int:
    """Wait for a message and return where it is, or 0 when the ring is closed and empty."""
    return filled_cell(ring) if wait_until_filled(ring, spin_cycles) else 0


@hot("int64(int64, int64)")
def wait_free(ring: int, spin_cycles: int) -> int:
    """Wait for room and return where to write the message, or 0 when the ring is closed."""
    if ring_is_closed(ring):
        return 0
    cell = free_cell(ring)
    if cell == 0:
        count_push(ring, WAITED)
        return free_cell(ring) if wait_until_free(ring, spin_cycles) else 0
    return cell


@hot("boolean(int64, int64, int64)")
def wait_pop(ring: int, out_address: int, spin_cycles: int) -> bool:
    """Pop a word to `out_address`, waiting for it; return False when closed and empty."""
    cell = wait_filled(ring, spin_cycles)
    if cell == 0:
        return False
    store(out_address, 0, load(cell, 0))
    release_and_ring(ring)
    return True


@hot("boolean(int64, int64, int64)")
def wait_push(ring: int, word: int, spin_cycles: int) -> bool:
    """Push a word, waiting for room; return False when the ring is closed."""
    cell = wait_free(ring, spin_cycles)
    if cell == 0:
        return False
    store(cell, 0, word)
    publish_and_ring(ring)
    return True


@hot("int64(int64, int64)")
def push_unless_closed(ring: int, word: int) -> int:
    """Push a word and wake the consumer: 1 sent, 0 refused and counted, -1 the ring is closed."""
    if ring_is_closed(ring):
        return NEVER_SENT
    return SENT if push_and_ring(ring, word) else NOT_SENT


@hot("int64(int64, int64, int64)")
def send_word(ring: int, word: int, spin_cycles: int) -> int:
    """Push a word as the ring's lag policy says: 1 sent, 0 refused and counted, -1 the ring is closed."""
    if load(ring, LAG) != LAG_FAIL:
        return SENT if wait_push(ring, word, spin_cycles) else NEVER_SENT
    return push_unless_closed(ring, word)


@final
class LatencyRing(RingBase):
    """A ring of `capacity` cells, a power of two, and the memory it lives in.

    One thread (or Trio task) may push and one may pop at a time, which nothing checks. `dtype` says
    what a message is where it is not words: `push_record_nowait` and `pop_record_nowait` take it.
    Raises: ValueError: as `RingBase`, or a record of `dtype` has more than 56 bytes.
    """

    def __init__(self, capacity: int, *, dtype: npt.DTypeLike = np.int64, lag: Lag = Lag.BLOCK) -> None:
        super().__init__(capacity, kind=LATENCY, stride=CELL_BYTES, lag=lag)
        self._push, self._pop = entry(push_unless_closed), entry(pop_and_ring)
        self._filled_cell, self._free_cell = entry(filled_cell), entry(free_cell)
        self._publish, self._release = entry(publish_and_ring), entry(release_and_ring)
        self._records = self.cells(dtype, offset=WORD)

    def push_nowait(self, word: int, *more: int) -> None:
        """Push a message of one int64, or up to seven, and wake the consumer if it sleeps.

        What is not given keeps the value that an older message left there.
        Raises: trio.WouldBlock: the ring is full. trio.ClosedResourceError: it is closed.
        OverflowError: a word does not fit into 64 bits with sign. ValueError: more than seven.
        """
        if more:
            self._write_more(more)
        sent = self._push(self.address, word)
        if sent == NEVER_SENT:
            raise trio.ClosedResourceError("the ring is closed")
        if sent == NOT_SENT:
            raise trio.WouldBlock

    def push_record_nowait(self, record: Any) -> None:
        """Push a record of the ring's dtype, or a tuple of its fields. Raises: as `push_nowait`."""
        if self.closed:
            raise trio.ClosedResourceError("the ring is closed")
        if self._free_cell(self.address) == 0:
            self._count(self.address, REFUSED)
            raise trio.WouldBlock
        self._records[self._words[HEAD] & self._words[MASK]] = record
        self._publish(self.address)

    def _write_more(self, more: tuple[int, ...]) -> None:
        # The first word, and with it the cell, is pushed afterwards; a full ring is refused there.
        if len(more) >= CELL_WORDS:
            raise ValueError(f"a message has at most {CELL_WORDS} words, was {1 + len(more)}")
        if (cell := self._free_cell(self.address)) != 0:
            start = (cell - self.address) // WORD + 1
            self._words[start : start + len(more)] = array("q", more)

    def pop_nowait(self) -> int:
        """Pop a word and wake the producer if it sleeps.

        Raises: trio.WouldBlock: the ring is empty. trio.EndOfChannel: it is also closed.
        """
        # `closed` is read first: what was pushed before the ring was closed is still popped.
        closed = self.closed
        if self._pop(self.address, self._out_address):
            return int(self._words[OUT])
        raise trio.EndOfChannel if closed else trio.WouldBlock

    def pop_cell_nowait(self) -> tuple[int, ...]:
        """Pop a whole message of seven words. Raises: as `pop_nowait`."""
        start = (self._next_cell() - self.address) // WORD
        words = tuple(self._words[start : start + CELL_WORDS])
        self._release(self.address)
        return words

    def pop_record_nowait(self) -> Any:
        """Pop a record of the ring's dtype, as a copy of its own. Raises: as `pop_nowait`."""
        self._next_cell()
        record = self._records[self._words[TAIL] & self._words[MASK]].copy()
        self._release(self.address)
        return record

    def _next_cell(self) -> int:
        closed = self.closed
        if (cell := self._filled_cell(self.address)) == 0:
            raise trio.EndOfChannel if closed else trio.WouldBlock
        return cell
