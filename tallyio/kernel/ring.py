"""The latency ring: one producer, one consumer, one cache line per message.

Layer: kernel. Uses native. Words of 64 bits, or cells of up to seven, go from one thread to another
in order, none lost, none doubled. Where throughput of a batch counts more than the latency of one
message, put the batch into memory of your own and send its address.

From compiled code, by the ring's `address` (all return at once unless they are called wait):

    ring_push(ring, word) -> boolean             False: full
    ring_pop(ring, out_address) -> boolean       False: empty
    push_and_ring(ring, word) -> boolean         and wake the consumer if it sleeps
    pop_and_ring(ring, out_address) -> boolean   and wake the producer if it sleeps
    wait_push(ring, word, spin_cycles) -> boolean          False: closed
    wait_pop(ring, out_address, spin_cycles) -> boolean    False: closed and empty

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
from dataclasses import dataclass
from typing import Final, final

import trio

from tallyio.kernel.doorbell import BELL_WORDS, Doorbell, bell_arm, bell_disarm, bell_ring, bell_sleep
from tallyio.kernel.ring_cells import (
    CELL_BYTES,
    CELL_WORDS,
    CELLS,
    CLOSED,
    FILLED_BELL,
    FREE_BELL,
    HEAD,
    HEADER_WORDS,
    MASK,
    OUT,
    REFUSED,
    TAIL,
    filled_cell,
    free_cell,
    publish_cell,
    release_cell,
)
from tallyio.native.atomics import (
    load,
    load_acquire,
    pause,
    store,
    store_relaxed,
    store_release,
)
from tallyio.native.clock import cycle_count
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region

POLL_CYCLES: Final = 1 << 62
"""The spin budget that never ends."""
MIN_CAPACITY: Final = 2
"""With one cell, filled at n and free for n + 1 would be the same number."""
MAX_CAPACITY: Final = 1 << 24
"""Cells of the largest ring: one GiB."""

_FILLED_BELL_BYTES: Final = 8 * FILLED_BELL
_FREE_BELL_BYTES: Final = 8 * FREE_BELL


@hot("boolean(int64, int64)")
def ring_push(ring: int, word: int) -> bool:
    """Push a word; return False when the ring is full. Wakes nobody."""
    cell = free_cell(ring)
    if cell == 0:
        return False
    store(cell, 0, word)
    publish_cell(ring)
    return True


@hot("boolean(int64, int64)")
def ring_pop(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address`; return False when the ring is empty. Wakes nobody."""
    cell = filled_cell(ring)
    if cell == 0:
        return False
    store(out_address, 0, load(cell, 0))
    release_cell(ring)
    return True


@hot("void(int64)")
def publish_and_ring(ring: int) -> None:
    """Publish the cell and wake the consumer if it sleeps."""
    publish_cell(ring)
    bell_ring(ring + _FILLED_BELL_BYTES)


@hot("void(int64)")
def release_and_ring(ring: int) -> None:
    """Release the cell and wake the producer if it sleeps."""
    release_cell(ring)
    bell_ring(ring + _FREE_BELL_BYTES)


@hot("boolean(int64, int64)")
def push_and_ring(ring: int, word: int) -> bool:
    """Push a word and wake the consumer if it sleeps; return False, and count it, when full."""
    if not ring_push(ring, word):
        store_relaxed(ring, REFUSED, load(ring, REFUSED) + 1)
        return False
    bell_ring(ring + _FILLED_BELL_BYTES)
    return True


@hot("boolean(int64, int64)")
def pop_and_ring(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address` and wake the producer if it sleeps; return False when empty."""
    if not ring_pop(ring, out_address):
        return False
    bell_ring(ring + _FREE_BELL_BYTES)
    return True


@hot("boolean(int64)")
def ring_is_closed(ring: int) -> bool:
    """Return whether `close_ring` was called."""
    return load_acquire(ring, CLOSED) != 0


@hot("void(int64)")
def close_ring(ring: int) -> None:
    """Let waiting end on both sides, at once or when the ring is empty. Any thread may close."""
    # `closed` is something published like a cell: both bells' proof covers it.
    store_release(ring, CLOSED, 1)
    bell_ring(ring + _FILLED_BELL_BYTES)
    bell_ring(ring + _FREE_BELL_BYTES)


@hot("int64(int64, int64)")
def _spin_for_filled(ring: int, spin_cycles: int) -> int:
    cell = filled_cell(ring)
    if cell != 0 or spin_cycles == 0:
        return cell
    start = cycle_count()
    while cell == 0 and not ring_is_closed(ring) and cycle_count() - start < spin_cycles:
        pause()
        cell = filled_cell(ring)
    return cell


@hot("int64(int64, int64)")
def wait_filled(ring: int, spin_cycles: int) -> int:
    """Wait for a message and return where it is, or 0 when the ring is closed and empty."""
    bell = ring + _FILLED_BELL_BYTES
    while True:
        cell = _spin_for_filled(ring, spin_cycles)
        if cell != 0:
            return cell
        if ring_is_closed(ring):
            # What was pushed before the ring was closed is seen after `closed` is.
            return filled_cell(ring)
        bell_arm(bell)
        if filled_cell(ring) != 0 or ring_is_closed(ring):
            bell_disarm(bell)
        else:
            bell_sleep(bell)


@hot("int64(int64, int64)")
def _spin_for_free(ring: int, spin_cycles: int) -> int:
    cell = free_cell(ring)
    if cell != 0 or spin_cycles == 0:
        return cell
    start = cycle_count()
    while cell == 0 and not ring_is_closed(ring) and cycle_count() - start < spin_cycles:
        pause()
        cell = free_cell(ring)
    return cell


@hot("int64(int64, int64)")
def wait_free(ring: int, spin_cycles: int) -> int:
    """Wait for room and return where to write the message, or 0 when the ring is closed."""
    bell = ring + _FREE_BELL_BYTES
    while not ring_is_closed(ring):
        cell = _spin_for_free(ring, spin_cycles)
        if cell != 0:
            return cell
        bell_arm(bell)
        if free_cell(ring) != 0 or ring_is_closed(ring):
            bell_disarm(bell)
        else:
            bell_sleep(bell)
    return 0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RingStatistics:
    """What went through a ring; the counts are of slightly different moments while it is in use."""

    capacity: int
    pushed: int
    popped: int
    refused: int
    """Pushes that found the ring full and did not wait."""
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


@final
class LatencyRing:
    """A ring of `capacity` cells, a power of two, and the memory it lives in.

    One thread (or Trio task) may push and one may pop at a time, which nothing checks. The memory
    and two eventfds are freed with the object: a lane that uses `address` must refer to the ring.
    Raises: ValueError: `capacity` is no power of two between 2 and 2**24.
    """

    def __init__(self, capacity: int) -> None:
        if not MIN_CAPACITY <= capacity <= MAX_CAPACITY or capacity & (capacity - 1):
            raise ValueError(f"the capacity of a ring must be a power of two from 2 to 2**24, was {capacity}")
        self.capacity: Final = capacity
        self._region = Region(8 * HEADER_WORDS + CELL_BYTES * capacity)
        self.address: Final = self._region.address
        words = self._region.view("i8", HEADER_WORDS + 8 * capacity)
        self._words = memoryview(words).cast("B").cast("q")
        self._prepare_cells()
        self.filled: Final = self._bell(FILLED_BELL)
        """The bell that wakes the consumer."""
        self.free: Final = self._bell(FREE_BELL)
        """The bell that wakes the producer."""
        self._push, self._pop, self._close = entry(push_and_ring), entry(pop_and_ring), entry(close_ring)
        self._filled_cell, self._free_cell = entry(filled_cell), entry(free_cell)
        self._release = entry(release_and_ring)
        self._out_address = self.address + 8 * OUT

    def push_nowait(self, word: int, *more: int) -> None:
        """Push a message of one int64, or up to seven, and wake the consumer if it sleeps.

        What is not given keeps the value that an older message left there.
        Raises: trio.WouldBlock: the ring is full. trio.ClosedResourceError: it is closed.
        OverflowError: a word does not fit into 64 bits with sign. ValueError: more than seven.
        """
        if self.closed:
            raise trio.ClosedResourceError("the ring is closed")
        if more:
            self._write_more(more)
        if not self._push(self.address, word):
            raise trio.WouldBlock

    def _write_more(self, more: tuple[int, ...]) -> None:
        # The first word, and with it the cell, is pushed afterwards; a full ring is refused there.
        if len(more) >= CELL_WORDS:
            raise ValueError(f"a message has at most {CELL_WORDS} words, was {1 + len(more)}")
        if (cell := self._free_cell(self.address)) != 0:
            start = (cell - self.address) // 8 + 1
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
        closed = self.closed
        if (cell := self._filled_cell(self.address)) == 0:
            raise trio.EndOfChannel if closed else trio.WouldBlock
        start = (cell - self.address) // 8
        words = tuple(self._words[start : start + CELL_WORDS])
        self._release(self.address)
        return words

    def close(self) -> None:
        """Refuse further pushes and let waiting end on both sides. What is inside can be popped."""
        self._close(self.address)

    @property
    def closed(self) -> bool:
        """Whether `close` was called, here or in compiled code."""
        return self._words[CLOSED] != 0

    @property
    def is_empty(self) -> bool:
        """Whether a pop would find nothing; for the consumer only."""
        return bool(self._filled_cell(self.address) == 0)

    @property
    def is_full(self) -> bool:
        """Whether a push would be refused; for the producer only."""
        return bool(self._free_cell(self.address) == 0)

    def statistics(self) -> RingStatistics:
        """Return the counts so far; any thread may ask."""
        words = self._words
        popped = words[TAIL]  # before what was pushed, so that the length is never negative
        return RingStatistics(
            capacity=self.capacity,
            pushed=words[HEAD],
            popped=popped,
            refused=words[REFUSED],
            consumer_slept=self.filled.slept,
            consumer_woken=self.filled.rung,
            producer_slept=self.free.slept,
            producer_woken=self.free.rung,
            closed=self.closed,
        )

    def _prepare_cells(self) -> None:
        cells = self._region.view("i8", 8 * self.capacity, offset=8 * HEADER_WORDS).reshape(-1, 8)
        cells[:, 0] = range(self.capacity)
        self._words[CELLS] = self.address + 8 * HEADER_WORDS
        self._words[MASK] = self.capacity - 1

    def _bell(self, word: int) -> Doorbell:
        return Doorbell(self.address + 8 * word, self._words[word : word + BELL_WORDS])
