"""The cells of a latency ring: where they lie, whose they are, and how they change hands.

Layer: kernel. Uses native. `tallyio.kernel.ring` says what a ring is for; use these functions where a
message has several words, or is to be written and read in place.
"""

# Layout, in 8-byte words. What different threads write lies at least two lines apart, because
# processors fetch lines in pairs.
#   0 address of the cells, capacity - 1, closed       written once
#  16 head: cells pushed; then refusals                written by the producer
#  32 tail: cells popped; then a word for Python       written by the consumer
#  48 the bell that wakes the consumer
#  64 the bell that wakes the producer
# 128 cells of one line: sequence number, then seven words
#
# Why it is right. Let n be a position, and c the cell n mod capacity. The cell's sequence number
# tells whose it is: n means free for position n, n + 1 filled at position n; it starts at the
# cell's own number. The producer at head n writes the words only after an acquiring load gave n,
# and gives the cell away by a releasing store of n + 1. The consumer at tail n reads the words only
# after an acquiring load gave n + 1, and gives the cell back by a releasing store of n + capacity,
# which is the number that the producer waits for on its next turn. So each side touches the words
# only between taking and giving, every release meets its acquire, and no value is ever torn, lost
# or seen twice. Nobody but the producer reads head, nobody but the consumer reads tail, other than
# for statistics: a message moves exactly one line from core to core.
# Positions stay below 2**63 for 292 years at one message per nanosecond: they never wrap.

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load, load_acquire, store_relaxed, store_release
from tallyio.native.jit import hot

CELL_WORDS: Final = 7
"""Words of a message."""
CELL_BYTES: Final = 64
"""A cell is one line: its sequence number, then the message."""

HEADER_WORDS: Final = 128
CELLS: Final = 0
MASK: Final = 1
CLOSED: Final = 2
HEAD: Final = 16
REFUSED: Final = 17
TAIL: Final = 32
OUT: Final = 33
FILLED_BELL: Final = 48
FREE_BELL: Final = 64

_WORD: Final = 8


@hot("int64(int64)", inline=True)
def free_cell(ring: int) -> int:
    """Return where the next message is to be written, or 0 when the ring is full."""
    head = load(ring, HEAD)
    cell = load(ring, CELLS) + (head & load(ring, MASK)) * CELL_BYTES
    return cell + _WORD if load_acquire(cell, 0) == head else 0


@hot("void(int64)", inline=True)
def publish_cell(ring: int) -> None:
    """Give the cell that `free_cell` returned, now written, to the consumer."""
    head = load(ring, HEAD)
    cell = load(ring, CELLS) + (head & load(ring, MASK)) * CELL_BYTES
    store_release(cell, 0, head + 1)
    store_relaxed(ring, HEAD, head + 1)


@hot("int64(int64)", inline=True)
def filled_cell(ring: int) -> int:
    """Return where the next message is to be read, or 0 when the ring is empty."""
    tail = load(ring, TAIL)
    cell = load(ring, CELLS) + (tail & load(ring, MASK)) * CELL_BYTES
    return cell + _WORD if load_acquire(cell, 0) == tail + 1 else 0


@hot("void(int64)", inline=True)
def release_cell(ring: int) -> None:
    """Give the cell that `filled_cell` returned, now read, back to the producer."""
    tail, mask = load(ring, TAIL), load(ring, MASK)
    cell = load(ring, CELLS) + (tail & mask) * CELL_BYTES
    store_release(cell, 0, tail + mask + 1)
    store_relaxed(ring, TAIL, tail + 1)
