"""The undo journal: for each of the last blocks, the rows as they were before it.

Layer: market. Compiled; `Market` is the only caller. All memory is fixed when the market is built.

- A block may only follow the head: its parent is the head's hash and its number the next. So an older
  block never overwrites a newer one.
- Before a block first changes a part of a row, that part is saved, and with its start the pool's
  flags; `roll_back` puts them back, newest block first. A part is always a prefix of the row without
  what the block has saved of it already, so no byte is saved twice in a block.
- When the journal is full, in blocks or in bytes, it forgets its oldest block, and that block can no
  longer be undone. The arena holds what one block may save at most, so the newest block always can.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import layout
from tallyio.market.abi import word
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot

_HEAD: Final = word(layout.JOURNAL, "head")
_NUMBER: Final = word(layout.JOURNAL, "number")
_NEXT_TIMESTAMP: Final = word(layout.JOURNAL, "next_timestamp")
_SERIAL: Final = word(layout.JOURNAL, "serial")
_ENTRIES: Final = word(layout.JOURNAL, "entries")
_ENTRY_MASK: Final = word(layout.JOURNAL, "entry_mask")
_FIRST: Final = word(layout.JOURNAL, "first")
_LAST: Final = word(layout.JOURNAL, "last")
_ARENA: Final = word(layout.JOURNAL, "arena")
_ARENA_BYTES: Final = word(layout.JOURNAL, "arena_bytes")
_TAIL: Final = word(layout.JOURNAL, "tail")

_ENTRY_BYTES: Final = layout.ENTRY.itemsize
_HASH: Final = word(layout.ENTRY, "hash")
_PARENT: Final = word(layout.ENTRY, "parent")
_ENTRY_NUMBER: Final = word(layout.ENTRY, "number")
_PARENT_SERIAL: Final = word(layout.ENTRY, "parent_serial")
_PARENT_NEXT_TIMESTAMP: Final = word(layout.ENTRY, "parent_next_timestamp")
_START: Final = word(layout.ENTRY, "start")
_ROWS: Final = word(layout.ENTRY, "rows")

_BLOCK_HASH: Final = word(layout.BLOCK, "hash")
_BLOCK_PARENT: Final = word(layout.BLOCK, "parent")
_BLOCK_NUMBER: Final = word(layout.BLOCK, "number")
_BLOCK_NEXT_TIMESTAMP: Final = word(layout.BLOCK, "next_timestamp")

_SAVED_BYTES: Final = layout.SAVED.itemsize
_SAVED_POOL: Final = word(layout.SAVED, "pool")
_SAVED_SIZE: Final = word(layout.SAVED, "size")
_PADDING: Final = -1

_HASH_BYTES: Final = 8 * layout.HASH_WORDS


@hot("boolean(int64, int64)")
def same_hash(one: int, other: int) -> bool:
    """Return whether two hashes, by address, are equal."""
    differences = 0
    for k in range(layout.HASH_WORDS):
        differences |= load(one, k) ^ load(other, k)
    return differences == 0


@hot("boolean(int64, int64)")
def is_head(journal: int, block_hash: int) -> bool:
    """Return whether the rows stand for the block with this hash."""
    return same_hash(journal + 8 * _HEAD, block_hash)


@hot("int64(int64, int64)", inline=True)
def _entry(journal: int, number: int) -> int:
    return load(journal, _ENTRIES) + (number & load(journal, _ENTRY_MASK)) * _ENTRY_BYTES


@hot("boolean(int64, int64, int64)")
def open_block(journal: int, block: int, serial: int) -> bool:
    """Start the entry of a `BLOCK` and make it the head; False, and nothing done, unless it follows the head.

    `serial` is a number that no block had before.
    """
    parent = block + 8 * _BLOCK_PARENT
    number = load(block, _BLOCK_NUMBER)
    if not is_head(journal, parent) or number != load(journal, _NUMBER) + 1:
        return False
    first, last = load(journal, _FIRST), load(journal, _LAST)
    if last - first > load(journal, _ENTRY_MASK):
        store(journal, _FIRST, first + 1)
    entry = _entry(journal, last)
    copy_bytes(entry + 8 * _HASH, block + 8 * _BLOCK_HASH, _HASH_BYTES)
    copy_bytes(entry + 8 * _PARENT, parent, _HASH_BYTES)
    store(entry, _ENTRY_NUMBER, number)
    store(entry, _PARENT_SERIAL, load(journal, _SERIAL))
    store(entry, _PARENT_NEXT_TIMESTAMP, load(journal, _NEXT_TIMESTAMP))
    store(entry, _START, load(journal, _TAIL))
    store(entry, _ROWS, 0)
    store(journal, _LAST, last + 1)
    copy_bytes(journal + 8 * _HEAD, block + 8 * _BLOCK_HASH, _HASH_BYTES)
    store(journal, _NUMBER, number)
    store(journal, _NEXT_TIMESTAMP, load(block, _BLOCK_NEXT_TIMESTAMP))
    store(journal, _SERIAL, serial)
    return True


@hot("int64(int64, int64, int64)")
def save(journal: int, source: int, count: int) -> int:
    """Save the `count` bytes at `source` in the newest entry; return the SAVED record before them.

    The caller fills in the record, but for `size`. Returns 0, and nothing is done, where no block is
    left to undo: then nobody needs the bytes.
    """
    if load(journal, _FIRST) == load(journal, _LAST):
        return 0
    capacity = load(journal, _ARENA_BYTES)
    size = _SAVED_BYTES + count
    tail = load(journal, _TAIL)
    # Every size is a multiple of 64, the record's own, so there is room for a record of padding.
    room = capacity - (tail & (capacity - 1))
    _make_room(journal, tail + size + (room if room < size else 0))
    if room < size:
        padding = load(journal, _ARENA) + capacity - room
        store(padding, _SAVED_POOL, _PADDING)
        store(padding, _SAVED_SIZE, room)
        tail += room
    place = load(journal, _ARENA) + (tail & (capacity - 1))
    store(place, _SAVED_SIZE, count)
    copy_bytes(place + _SAVED_BYTES, source, count)
    store(journal, _TAIL, tail + size)
    newest = _entry(journal, load(journal, _LAST) - 1)
    store(newest, _ROWS, load(newest, _ROWS) + 1)
    return place


@hot("void(int64, int64)")
def _make_room(journal: int, tail: int) -> None:
    # The newest entry always stays: one block saves each byte of each row once, and the arena holds
    # that and the largest row a second time, which bounds the padding at its end.
    first, last = load(journal, _FIRST), load(journal, _LAST)
    capacity = load(journal, _ARENA_BYTES)
    while first + 1 < last and tail - load(_entry(journal, first), _START) > capacity:
        first += 1
    store(journal, _FIRST, first)


@hot("int64(int64, int64)")
def newest_entry(journal: int, block_hash: int) -> int:
    """Return the newest entry if it is the block with this hash, else 0."""
    if load(journal, _FIRST) == load(journal, _LAST):
        return 0
    entry = _entry(journal, load(journal, _LAST) - 1)
    return entry if same_hash(entry + 8 * _HASH, block_hash) else 0


@hot("int64(int64)", inline=True)
def saved_rows(entry: int) -> int:
    """Return how many parts of rows the entry saved."""
    return load(entry, _ROWS)


@hot("int64(int64)", inline=True)
def saved_start(entry: int) -> int:
    """Return the place of the entry's first saved part."""
    return load(entry, _START)


@hot("int64(int64, int64)", inline=True)
def saved_record(journal: int, place: int) -> int:
    """Return the address of the `SAVED` record at `place`; the bytes follow it."""
    return load(journal, _ARENA) + (place & (load(journal, _ARENA_BYTES) - 1))


@hot("int64(int64, int64)")
def saved_place(journal: int, place: int) -> int:
    """Return where the saved part at `place` really starts: past the padding, if there is some."""
    record = saved_record(journal, place)
    return place + load(record, _SAVED_SIZE) if load(record, _SAVED_POOL) == _PADDING else place


@hot("void(int64, int64)")
def close_block(journal: int, entry: int) -> None:
    """Take the newest entry off and make its parent the head again."""
    copy_bytes(journal + 8 * _HEAD, entry + 8 * _PARENT, _HASH_BYTES)
    store(journal, _NUMBER, load(entry, _ENTRY_NUMBER) - 1)
    store(journal, _NEXT_TIMESTAMP, load(entry, _PARENT_NEXT_TIMESTAMP))
    store(journal, _SERIAL, load(entry, _PARENT_SERIAL))
    store(journal, _TAIL, load(entry, _START))
    store(journal, _LAST, load(journal, _LAST) - 1)
