"""The cells of a latency ring: where they lie, whose they are, and how they change hands.

Layer: kernel. Uses native. `tallyio.kernel.ring` says what a ring is for; use these functions where a
message has several words, or is to be written and read in place.
"""

# A cell is one line: its sequence number, then seven words.
#
# Why it is right. Let n be a position, and c the cell n mod capacity; its sequence number is 0 at
# first. The producer at head n writes the words of c, then gives the cell away by a releasing store
# of n + 1; the consumer at tail n reads them only after an acquiring load gave n + 1, which no
# earlier turn can have written: those wrote n + 1 - k * capacity. The consumer gives the cell back by
# a releasing store of tail n + 1, and the producer writes to c for position n + capacity only after
# an acquiring load gave a tail above n. So each side touches the words only between taking and
# giving, every release meets its acquire, and no value is ever torn, lost or seen twice.
#
# Why it is fast. The line of a message carries its own announcement, so a message moves one line
# from core to core and not two. The producer reads the tail only when the ring looks full by the
# tail that it saw last, once in a turn of the ring if the consumer keeps up.

from __future__ import annotations

from typing import Final

from tallyio.kernel.ring_layout import CELLS, HEAD, LINE_BYTES, MASK, SEEN_TAIL, TAIL, WORD
from tallyio.native.atomics import load, load_acquire, store, store_relaxed, store_release
from tallyio.native.jit import hot

CELL_WORDS: Final = 7
"""Words of a message."""
CELL_BYTES: Final = LINE_BYTES
"""A cell is one line: its sequence number, then the message."""


@hot("int64(int64)", inline=True)
def free_cell(ring: int) -> int:
    """Return where the next message is to be written, or 0 when the ring is full."""
    head, mask = load(ring, HEAD), load(ring, MASK)
    if head - load(ring, SEEN_TAIL) > mask:
        tail = load_acquire(ring, TAIL)
        store(ring, SEEN_TAIL, tail)
        if head - tail > mask:
            return 0
    return load(ring, CELLS) + (head & mask) * CELL_BYTES + WORD


@hot("void(int64)", inline=True)
def publish_cell(ring: int) -> None:
    """Give the cell that `free_cell` returned, now written, to the consumer."""
    head = load(ring, HEAD)
    store_release(load(ring, CELLS) + (head & load(ring, MASK)) * CELL_BYTES, 0, head + 1)
    store_relaxed(ring, HEAD, head + 1)


@hot("int64(int64)", inline=True)
def filled_cell(ring: int) -> int:
    """Return where the next message is to be read, or 0 when the ring is empty."""
    tail = load(ring, TAIL)
    cell = load(ring, CELLS) + (tail & load(ring, MASK)) * CELL_BYTES
    return cell + WORD if load_acquire(cell, 0) == tail + 1 else 0


@hot("void(int64)", inline=True)
def release_cell(ring: int) -> None:
    """Give the cell that `filled_cell` returned, now read, back to the producer."""
    store_release(ring, TAIL, load(ring, TAIL) + 1)


@hot("boolean(int64, int64)", inline=True)
def ring_push(ring: int, word: int) -> bool:
    """Push a word; return False when the ring is full. Wakes nobody."""
    # `free_cell` and `publish_cell` in one: the compiler cannot know that the head is not in the cell.
    head, mask = load(ring, HEAD), load(ring, MASK)
    if head - load(ring, SEEN_TAIL) > mask:
        tail = load_acquire(ring, TAIL)
        store(ring, SEEN_TAIL, tail)
        if head - tail > mask:
            return False
    cell = load(ring, CELLS) + (head & mask) * CELL_BYTES
    store(cell, 1, word)
    store_release(cell, 0, head + 1)
    store_relaxed(ring, HEAD, head + 1)
    return True


@hot("boolean(int64, int64)", inline=True)
def ring_pop(ring: int, out_address: int) -> bool:
    """Pop a word to `out_address`; return False when the ring is empty. Wakes nobody."""
    tail = load(ring, TAIL)
    cell = load(ring, CELLS) + (tail & load(ring, MASK)) * CELL_BYTES
    if load_acquire(cell, 0) != tail + 1:
        return False
    store(out_address, 0, load(cell, 1))
    store_release(ring, TAIL, tail + 1)
    return True
