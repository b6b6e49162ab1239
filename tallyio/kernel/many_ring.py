"""The many-to-many ring: any number of producers and consumers, by any threads.

Layer: kernel. Uses native. Dmitry Vyukov's bounded queue: each cell carries a sequence number, and
a position is won by a compare-exchange. Messages of one producer stay in order.

From compiled code, by the ring's `address`; `message` and `target` are addresses of words:

    many_push(ring, word) -> boolean, many_pop(ring, out) -> boolean                   False: full, empty
    many_put(ring, message, words) -> boolean, many_take(ring, target, words)          up to `CELL_WORDS`
    send_many(ring, message, words, spin_cycles) -> 1 sent, 0 refused, -1 closed       by the lag policy
    wait_many(ring, target, words, spin_cycles) -> boolean                             False: closed and empty

The first four wake nobody: use them alone only where all sides poll. With `Lag.DROP_OLDEST` a producer
that finds the ring full takes the oldest message out, as a consumer would, and counts it.
"""

# Why it is right. The sequence number of cell n mod capacity is n when it is free for position n, and
# n + 1 when it is filled at position n. A producer that saw n at head n, by an acquiring load, and won
# the head by a compare-exchange from n to n + 1, is the only one: heads only grow. It writes the words
# and gives the cell away by a releasing store of n + 1. A consumer that saw n + 1 at tail n, and
# won the tail, is the only one; it reads the words and gives the cell back by a releasing store of
# n + capacity. A producer may be interrupted between winning and giving: consumers then see the ring as
# empty at that position, though later ones are filled, until it goes on. So nobody waits for a lock,
# but messages can wait for a producer. Their bells then wake consumers in vain, who sleep again, and when
# it goes on it rings once for all of these messages. So a consumer that has taken one wakes another one if
# there are more; with a consumer interrupted, the same holds of producers and cells.

from __future__ import annotations

import threading
from array import array
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import trio

from tallyio.kernel.doorbell import bell_is_armed, bell_ring
from tallyio.kernel.ring_base import RingBase
from tallyio.kernel.ring_cells import CELL_BYTES, CELL_WORDS
from tallyio.kernel.ring_layout import (
    CELLS,
    DROPPED,
    FILLED_BELL_BYTES,
    FREE_BELL_BYTES,
    HEAD,
    LAG,
    LAG_BLOCK,
    LAG_DROP_OLDEST,
    LAG_FAIL,
    MANY,
    MASK,
    NEVER_SENT,
    NOT_SENT,
    REFUSED,
    SENT,
    TAIL,
    WAITED,
    WORD,
    Lag,
    count_push,
    has_filled,
    has_free,
    ring_is_closed,
)
from tallyio.kernel.ring_wait import wait_until_filled, wait_until_free
from tallyio.native.atomics import (
    compare_exchange,
    copy_bytes,
    load,
    load_acquire,
    load_relaxed,
    pause,
    store,
    store_release,
)
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region


@hot("int64(int64)", inline=True)
def _win_free(ring: int) -> int:
    """Return a free cell that is now ours alone, or 0 when the ring is full."""
    mask = load(ring, MASK)
    head = load_relaxed(ring, HEAD)
    while True:
        cell = load(ring, CELLS) + (head & mask) * CELL_BYTES
        ahead = load_acquire(cell, 0) - head
        if ahead == 0 and compare_exchange(ring, HEAD, head, head + 1):
            return cell
        if ahead < 0:
            return 0
        head = load_relaxed(ring, HEAD)  # somebody else won this position


@hot("int64(int64)", inline=True)
def _win_filled(ring: int) -> int:
    """Return a filled cell that is now ours alone, or 0 when the ring is empty."""
    mask = load(ring, MASK)
    tail = load_relaxed(ring, TAIL)
    while True:
        cell = load(ring, CELLS) + (tail & mask) * CELL_BYTES
        ahead = load_acquire(cell, 0) - (tail + 1)
        if ahead == 0 and compare_exchange(ring, TAIL, tail, tail + 1):
            return cell
        if ahead < 0:
            return 0
        tail = load_relaxed(ring, TAIL)


@hot("void(int64)", inline=True)
def _give_filled(cell: int) -> None:
    """Give a cell that `_win_free` returned, now written, to the consumers."""
    store_release(cell, 0, load(cell, 0) + 1)  # nobody else writes it meanwhile


@hot("void(int64, int64)", inline=True)
def _give_free(ring: int, cell: int) -> None:
    """Give a cell that `_win_filled` returned, now read, back to the producers."""
    store_release(cell, 0, load(cell, 0) + load(ring, MASK))  # n + 1 becomes n + capacity


@hot("boolean(int64, int64)")
def many_push(ring: int, word: int) -> bool:
    """Push a word; return False when the ring is full. Wakes nobody."""
    cell = _win_free(ring)
    if cell == 0:
        return False
    store(cell, 1, word)
    _give_filled(cell)
    return True


@hot("boolean(int64, int64)")
def many_pop(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address`; return False when the ring is empty. Wakes nobody."""
    cell = _win_filled(ring)
    if cell == 0:
        return False
    store(out_address, 0, load(cell, 1))
    _give_free(ring, cell)
    return True


@hot("boolean(int64, int64, int64)")
def many_put(ring: int, message: int, words: int) -> bool:
    """Push a message of 1 to 7 words; return False when the ring is full. Wakes nobody."""
    cell = _win_free(ring)
    if cell == 0:
        return False
    copy_bytes(cell + WORD, message, words * WORD)
    _give_filled(cell)
    return True


@hot("boolean(int64, int64, int64)")
def many_take(ring: int, target: int, words: int) -> bool:
    """Pop the first 0 to 7 words of a message; return False when the ring is empty. Wakes nobody."""
    cell = _win_filled(ring)
    if cell == 0:
        return False
    copy_bytes(target, cell + WORD, words * WORD)
    _give_free(ring, cell)
    return True


@hot("void(int64)", inline=True)
def _ring_filled(ring: int) -> None:
    bell_ring(ring + FILLED_BELL_BYTES)
    if bell_is_armed(ring + FREE_BELL_BYTES) and has_free(ring):
        bell_ring(ring + FREE_BELL_BYTES)


@hot("void(int64)", inline=True)
def _ring_free(ring: int) -> None:
    bell_ring(ring + FREE_BELL_BYTES)
    if bell_is_armed(ring + FILLED_BELL_BYTES) and has_filled(ring):
        bell_ring(ring + FILLED_BELL_BYTES)


@hot("void(int64)")
def _drop_oldest(ring: int) -> None:
    # A consumer that was interrupted while it reads holds its cell, and the ring only looks full: to
    # drop more would not make room.
    if load_acquire(ring, HEAD) - load_acquire(ring, TAIL) <= load(ring, MASK):
        pause()
    elif many_take(ring, ring, 0):
        count_push(ring, DROPPED)


@hot("int64(int64, int64, int64, int64)")
def send_many(ring: int, message: int, words: int, spin_cycles: int) -> int:
    """Push a message as the ring's lag policy says, and wake a consumer if one sleeps.

    Returns 1 when it was sent, 0 when it was refused and counted, -1 when the ring is closed.
    """
    lag, waited = load(ring, LAG), False
    while not ring_is_closed(ring):
        if many_put(ring, message, words):
            _ring_filled(ring)
            return SENT
        if lag == LAG_FAIL:
            count_push(ring, REFUSED)
            return NOT_SENT
        if lag == LAG_BLOCK:
            if not waited:
                count_push(ring, WAITED)
            waited = True
            wait_until_free(ring, spin_cycles)
        else:
            _drop_oldest(ring)
    return NEVER_SENT


@hot("boolean(int64, int64, int64)")
def take_many(ring: int, target: int, words: int) -> bool:
    """Pop the first words of a message, and wake a producer if one sleeps; False when empty."""
    if not many_take(ring, target, words):
        return False
    _ring_free(ring)
    return True


@hot("boolean(int64, int64, int64, int64)")
def wait_many(ring: int, target: int, words: int, spin_cycles: int) -> bool:
    """Pop the first words of a message, waiting for it; return False when closed and empty."""
    while wait_until_filled(ring, spin_cycles):
        if take_many(ring, target, words):
            return True
    return False


@final
class ManyRing(RingBase):
    """A ring of `capacity` cells, a power of two, and the memory it lives in.

    Any threads may push and pop at the same time; of Trio tasks one may wait at each end. `dtype` says
    what a message is where it is not words. Raises: ValueError: as `RingBase`, or a record of
    `dtype` has more than 56 bytes.
    """

    def __init__(self, capacity: int, *, dtype: npt.DTypeLike = np.int64, lag: Lag = Lag.BLOCK) -> None:
        super().__init__(capacity, kind=MANY, stride=CELL_BYTES, lag=lag)
        self.cells(np.int64)[:] = np.arange(capacity)  # the sequence numbers
        self.dtype: Final = np.dtype(dtype)
        self.cells(self.dtype, offset=WORD)  # raises where it does not fit
        self._put, self._take = entry(_put_and_ring), entry(take_many)
        # Python's own message. Compiled code runs without the GIL, so a lock keeps threads apart.
        self._message, self._lock = Region(CELL_BYTES), threading.Lock()
        self._message_words = memoryview(self._message.view("i8", CELL_WORDS)).cast("B").cast("q")
        self._message_record = self._message.view(self.dtype, 1)

    def push_nowait(self, word: int, *more: int) -> None:
        """Push a message of one int64, or up to seven; the rest is 0. Wakes a consumer.

        A ring that is full drops its oldest message if that is its lag policy.
        Raises: trio.WouldBlock: the ring is full. trio.ClosedResourceError: it is closed.
        OverflowError: a word does not fit into 64 bits with sign. ValueError: more than seven.
        """
        words = (word, *more)
        if len(words) > CELL_WORDS:
            raise ValueError(f"a message has at most {CELL_WORDS} words, was {len(words)}")
        padded = array("q", words + (0,) * (CELL_WORDS - len(words)))
        with self._lock:
            self._message_words[:] = padded
            self._push()

    def push_record_nowait(self, record: Any) -> None:
        """Push a record of the ring's dtype, or a tuple of its fields. Raises: as `push_nowait`."""
        with self._lock:
            self._message_record[0] = record
            self._push()

    def pop_nowait(self) -> int:
        """Pop a word, and wake a producer.

        Raises: trio.WouldBlock: the ring is empty. trio.EndOfChannel: it is also closed.
        """
        with self._lock:
            self._pop()
            return int(self._message_words[0])

    def pop_cell_nowait(self) -> tuple[int, ...]:
        """Pop a whole message of seven words. Raises: as `pop_nowait`."""
        with self._lock:
            self._pop()
            return tuple(self._message_words)

    def pop_record_nowait(self) -> Any:
        """Pop a record of the ring's dtype, as a copy of its own. Raises: as `pop_nowait`."""
        with self._lock:
            self._pop()
            return self._message_record[0].copy()

    def _push(self) -> None:
        sent = self._put(self.address, self._message.address, CELL_WORDS)
        if sent == NEVER_SENT:
            raise trio.ClosedResourceError("the ring is closed")
        if sent == NOT_SENT:
            raise trio.WouldBlock

    def _pop(self) -> None:
        closed = self.closed
        if not self._take(self.address, self._message.address, CELL_WORDS):
            raise trio.EndOfChannel if closed else trio.WouldBlock


@hot("int64(int64, int64, int64)")
def _put_and_ring(ring: int, message: int, words: int) -> int:
    # As `send_many`, but refuse where that waits.
    while not ring_is_closed(ring):
        if many_put(ring, message, words):
            _ring_filled(ring)
            return SENT
        if load(ring, LAG) != LAG_DROP_OLDEST:
            count_push(ring, REFUSED)
            return NOT_SENT
        _drop_oldest(ring)
    return NEVER_SENT
