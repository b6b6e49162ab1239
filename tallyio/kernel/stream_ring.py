"""The stream ring: one producer, one consumer, many messages at once.

Layer: kernel. Uses native. Lamport's ring, where each side keeps what it saw last of the other's
position: publishing a batch of any size moves one line, besides the cells themselves, which lie
close together. For the latency of single messages `tallyio.kernel.ring` is faster.

From compiled code, by the ring's `address`. A message is one record of the ring's `dtype`:

    stream_put(ring, source, count) -> how many went in           0: full
    stream_take(ring, target, most) -> how many came out          0: empty
    put_and_ring(ring, source, count), take_and_ring(ring, target, most)   and wake the other side
    wait_put(ring, source, count, spin_cycles) -> boolean         False: closed before all went in
    wait_take(ring, target, most, spin_cycles) -> how many        0: closed and empty
    stream_push(ring, word), stream_pop(ring, out) -> boolean     one word, where that is the dtype

In place, without a copy, up to as many at a time as the first call says:

    stream_room(ring) -> count       stream_slot(ring, k) -> address    stream_publish(ring, count)
    stream_filled(ring) -> count     stream_item(ring, k) -> address    stream_release(ring, count)

Waiting and ringing are as in `tallyio.kernel.ring`.
"""

# Why it is right. The producer writes the cells from head on only up to tail + capacity, by a tail
# from an acquiring load that met the consumer's release after its last read; then a releasing
# store of the head gives them away. The consumer reads the cells from tail on only up to a head from
# an acquiring load; then a releasing store of the tail gives them back. Positions only grow, so
# a head or tail seen earlier is a safe underestimate.

from __future__ import annotations

from typing import Any, Final, final

import numpy as np
import numpy.typing as npt
import trio

from tallyio.kernel.doorbell import bell_ring
from tallyio.kernel.ring_base import RingBase
from tallyio.kernel.ring_layout import (
    CELLS,
    FILLED_BELL_BYTES,
    FREE_BELL_BYTES,
    HEAD,
    MASK,
    NEVER_SENT,
    REFUSED,
    SEEN_HEAD,
    SEEN_TAIL,
    STREAM,
    STRIDE,
    TAIL,
    WAITED,
    WORD,
    Lag,
    count_push,
    ring_is_closed,
)
from tallyio.kernel.ring_wait import wait_until_filled, wait_until_free
from tallyio.native.atomics import copy_bytes, load, load_acquire, store, store_release
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region


@hot("int64(int64)", inline=True)
def stream_room(ring: int) -> int:
    """Return how many messages there is room for; for the producer."""
    tail = load_acquire(ring, TAIL)
    store(ring, SEEN_TAIL, tail)
    return load(ring, MASK) + 1 - (load(ring, HEAD) - tail)


@hot("int64(int64, int64)", inline=True)
def stream_slot(ring: int, k: int) -> int:
    """Return where the k-th free message is to be written, from 0."""
    return load(ring, CELLS) + ((load(ring, HEAD) + k) & load(ring, MASK)) * load(ring, STRIDE)


@hot("void(int64, int64)", inline=True)
def stream_publish(ring: int, count: int) -> None:
    """Give `count` messages, now written, to the consumer. Wakes nobody."""
    store_release(ring, HEAD, load(ring, HEAD) + count)


@hot("int64(int64)", inline=True)
def stream_filled(ring: int) -> int:
    """Return how many messages wait; for the consumer."""
    head = load_acquire(ring, HEAD)
    store(ring, SEEN_HEAD, head)
    return head - load(ring, TAIL)


@hot("int64(int64, int64)", inline=True)
def stream_item(ring: int, k: int) -> int:
    """Return where the k-th waiting message is to be read, from 0."""
    return load(ring, CELLS) + ((load(ring, TAIL) + k) & load(ring, MASK)) * load(ring, STRIDE)


@hot("void(int64, int64)", inline=True)
def stream_release(ring: int, count: int) -> None:
    """Give `count` messages, now read, back to the producer. Wakes nobody."""
    store_release(ring, TAIL, load(ring, TAIL) + count)


@hot("boolean(int64, int64)", inline=True)
def stream_push(ring: int, word: int) -> bool:
    """Push a word; return False when the ring is full. Wakes nobody."""
    head, mask = load(ring, HEAD), load(ring, MASK)
    if head - load(ring, SEEN_TAIL) > mask:
        tail = load_acquire(ring, TAIL)
        store(ring, SEEN_TAIL, tail)
        if head - tail > mask:
            return False
    store(load(ring, CELLS), head & mask, word)
    store_release(ring, HEAD, head + 1)
    return True


@hot("boolean(int64, int64)", inline=True)
def stream_pop(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address`; return False when the ring is empty. Wakes nobody."""
    tail = load(ring, TAIL)
    if tail == load(ring, SEEN_HEAD):
        head = load_acquire(ring, HEAD)
        store(ring, SEEN_HEAD, head)
        if tail == head:
            return False
    store(out_address, 0, load(load(ring, CELLS), tail & load(ring, MASK)))
    store_release(ring, TAIL, tail + 1)
    return True


@hot("int64(int64, int64, int64)")
def stream_put(ring: int, source: int, count: int) -> int:
    """Copy up to `count` messages in; return how many there was room for. Wakes nobody."""
    head, capacity, stride = load(ring, HEAD), load(ring, MASK) + 1, load(ring, STRIDE)
    room = capacity - (head - load(ring, SEEN_TAIL))
    if room < count:
        room = stream_room(ring)
    count = min(count, room)
    start = head & (capacity - 1)
    first = min(count, capacity - start)  # up to the end of the cells; the rest starts over
    copy_bytes(load(ring, CELLS) + start * stride, source, first * stride)
    copy_bytes(load(ring, CELLS), source + first * stride, (count - first) * stride)
    store_release(ring, HEAD, head + count)
    return count


@hot("int64(int64, int64, int64)")
def stream_take(ring: int, target: int, most: int) -> int:
    """Copy up to `most` messages out; return how many there were. Wakes nobody."""
    tail, capacity, stride = load(ring, TAIL), load(ring, MASK) + 1, load(ring, STRIDE)
    filled = load(ring, SEEN_HEAD) - tail
    if filled < most:
        filled = stream_filled(ring)
    count = min(most, filled)
    start = tail & (capacity - 1)
    first = min(count, capacity - start)
    copy_bytes(target, load(ring, CELLS) + start * stride, first * stride)
    copy_bytes(target + first * stride, load(ring, CELLS), (count - first) * stride)
    store_release(ring, TAIL, tail + count)
    return count


@hot("int64(int64, int64, int64)")
def put_and_ring(ring: int, source: int, count: int) -> int:
    """Put, and wake the consumer if it sleeps; where none went in, that is counted as a refusal."""
    done = stream_put(ring, source, count)
    if done > 0:
        bell_ring(ring + FILLED_BELL_BYTES)
    elif count > 0:
        count_push(ring, REFUSED)
    return done


@hot("int64(int64, int64, int64)")
def take_and_ring(ring: int, target: int, most: int) -> int:
    """Take, and wake the producer if it sleeps."""
    done = stream_take(ring, target, most)
    if done > 0:
        bell_ring(ring + FREE_BELL_BYTES)
    return done


@hot("boolean(int64, int64, int64, int64)")
def wait_put(ring: int, source: int, count: int, spin_cycles: int) -> bool:
    """Put all of `count` messages, waiting for room; return False when the ring is closed."""
    while not ring_is_closed(ring):
        done = stream_put(ring, source, count)
        if done > 0:
            bell_ring(ring + FILLED_BELL_BYTES)
        source, count = source + done * load(ring, STRIDE), count - done
        if count == 0:
            return True
        count_push(ring, WAITED)
        wait_until_free(ring, spin_cycles)
    return False


@hot("int64(int64, int64, int64, int64)")
def wait_take(ring: int, target: int, most: int, spin_cycles: int) -> int:
    """Take up to `most` messages, waiting for the first; return 0 when the ring is closed and empty."""
    return take_and_ring(ring, target, most) if wait_until_filled(ring, spin_cycles) else 0


@final
class StreamRing(RingBase):
    """A ring of `capacity` cells, a power of two, of `dtype`, and the memory it lives in.

    One thread (or Trio task) may push and one may pop at a time, which nothing checks.
    Raises: ValueError: as `RingBase`, or `dtype` is not plain data of a multiple of 8 bytes.
    """

    def __init__(self, capacity: int, *, dtype: npt.DTypeLike = np.int64, lag: Lag = Lag.BLOCK) -> None:
        self.dtype: Final = np.dtype(dtype)
        if self.dtype.itemsize % WORD or not self.dtype.itemsize or self.dtype.hasobject:
            raise ValueError(f"a message must be plain data of a multiple of 8 bytes, was {self.dtype}")
        super().__init__(capacity, kind=STREAM, stride=self.dtype.itemsize, lag=lag)
        self._put, self._waiting, self._release = (
            entry(_put_unless_closed),
            entry(stream_filled),
            entry(_release_and_ring),
        )
        self._items = self.cells(self.dtype)
        self._mask = capacity - 1
        # An array's address takes Python longer to find than a copy to a place of known address.
        staging = Region(self.dtype.itemsize * capacity)
        self._staging, self._staging_address = staging.view(self.dtype, capacity), staging.address

    def push_many_nowait(self, messages: npt.NDArray[Any]) -> int:
        """Push as many of `messages` as there is room for, wake the consumer, and return how many.

        Raises: trio.WouldBlock: there is no room, and counted. trio.ClosedResourceError: it is closed.
        """
        count = len(messages)
        if count > self.capacity:
            messages, count = messages[: self.capacity], self.capacity
        self._staging[:count] = messages
        done: int = self._put(self.address, self._staging_address, count)
        if done < 0:
            raise trio.ClosedResourceError("the ring is closed")
        if done == 0 and count > 0:
            raise trio.WouldBlock
        return done

    def pop_many_nowait(self, most: int | None = None) -> npt.NDArray[Any]:
        """Pop what waits, at most `most`, as an array of its own, and wake the producer.

        Raises: trio.WouldBlock: the ring is empty. trio.EndOfChannel: it is also closed.
        ValueError: `most` is negative.
        """
        if most is not None and most < 0:
            raise ValueError(f"the most to pop must be >= 0, was {most}")
        closed, count = self.closed, self._waiting(self.address)
        if count == 0:
            raise trio.EndOfChannel if closed else trio.WouldBlock
        count = count if most is None else min(count, most)
        start = self._words[TAIL] & self._mask
        parts = self._items[start : start + count], self._items[: max(0, start + count - self.capacity)]
        messages = np.concatenate(parts)
        self._release(self.address, count)
        return messages


@hot("int64(int64, int64, int64)")
def _put_unless_closed(ring: int, source: int, count: int) -> int:
    return NEVER_SENT if ring_is_closed(ring) else put_and_ring(ring, source, count)


@hot("void(int64, int64)")
def _release_and_ring(ring: int, count: int) -> None:
    stream_release(ring, count)
    bell_ring(ring + FREE_BELL_BYTES)
