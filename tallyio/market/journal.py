"""The undo journal: for each of the last blocks, the rows as they were before it.

Layer: market. Compiled; `Market` is the only caller. All memory is fixed when the market is built.

- A block may only follow the head: its parent is the head's hash and its number the next. So an older
  block never overwrites a newer one.
- Before a block first changes a row, the row's bytes and the pool's flags are saved; `roll_back` puts
  them back, newest block first.
- When the journal is full, in blocks or in bytes, it forgets its oldest block, and that block can no
  longer be undone. The arena holds every row once, so the newest block always can.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi, layout
from tallyio.market.abi import word
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot

_HEAD: Final = word(layout.JOURNAL, "head")
_NUMBER: Final = word(layout.JOURNAL, "number")
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
_START: Final = word(layout.ENTRY, "start")
_ROWS: Final = word(layout.ENTRY, "rows")

_BLOCK_HASH: Final = word(layout.BLOCK, "hash")
_BLOCK_PARENT: Final = word(layout.BLOCK, "parent")
_BLOCK_NUMBER: Final = word(layout.BLOCK, "number")

_SAVED_BYTES: Final = layout.SAVED.itemsize
_SAVED_POOL: Final = word(layout.SAVED, "pool")
_SAVED_FLAGS: Final = word(layout.SAVED, "flags")
_SAVED_BEFORE: Final = word(layout.SAVED, "saved_before")
_PADDING: Final = -1

_FLAGS: Final = word(abi.POOL, "flags")
_ROW: Final = word(abi.POOL, "row")
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
    store(entry, _START, load(journal, _TAIL))
    store(entry, _ROWS, 0)
    store(journal, _LAST, last + 1)
    copy_bytes(journal + 8 * _HEAD, block + 8 * _BLOCK_HASH, _HASH_BYTES)
    store(journal, _NUMBER, number)
    store(journal, _SERIAL, serial)
    return True


@hot("boolean(int64, int64, int64, int64, int64)")
def save_row(journal: int, pool: int, record: int, row_bytes: int, saved_before: int) -> bool:
    """Save row and flags of pool id `pool`, whose POOL record is `record`, in the newest entry.

    Returns False where no block is left to undo: then nobody needs the row.
    """
    if load(journal, _FIRST) == load(journal, _LAST):
        return False
    capacity = load(journal, _ARENA_BYTES)
    size = _SAVED_BYTES + row_bytes
    tail = load(journal, _TAIL)
    room = capacity - (tail & (capacity - 1))
    _make_room(journal, tail + size + (room if room < size else 0))
    if room < size:
        store(load(journal, _ARENA) + capacity - room, _SAVED_POOL, _PADDING)
        tail += room
    place = load(journal, _ARENA) + (tail & (capacity - 1))
    store(place, _SAVED_POOL, pool)
    store(place, _SAVED_FLAGS, load(record, _FLAGS))
    store(place, _SAVED_BEFORE, saved_before)
    copy_bytes(place + _SAVED_BYTES, load(record, _ROW), row_bytes)
    store(journal, _TAIL, tail + size)
    newest = _entry(journal, load(journal, _LAST) - 1)
    store(newest, _ROWS, load(newest, _ROWS) + 1)
    return True


@hot("void(int64, int64)")
def _make_room(journal: int, tail: int) -> None:
    # The newest entry always stays: one block saves each row once, and the arena holds all rows
    # once and the largest a second time, which bounds the padding at its end.
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
    """Return how many rows the entry saved."""
    return load(entry, _ROWS)


@hot("int64(int64)", inline=True)
def saved_start(entry: int) -> int:
    """Return the place of the entry's first saved row."""
    return load(entry, _START)


@hot("int64(int64, int64)")
def saved_place(journal: int, place: int) -> int:
    """Return where the saved row at `place` really starts: past the padding, if there is some."""
    capacity = load(journal, _ARENA_BYTES)
    offset = place & (capacity - 1)
    padded = load(load(journal, _ARENA) + offset, _SAVED_POOL) == _PADDING
    return place + capacity - offset if padded else place


@hot("int64(int64, int64)", inline=True)
def saved_record(journal: int, place: int) -> int:
    """Return the address of the `SAVED` record at `place`; the row follows it."""
    return load(journal, _ARENA) + (place & (load(journal, _ARENA_BYTES) - 1))


@hot("void(int64, int64)")
def close_block(journal: int, entry: int) -> None:
    """Take the newest entry off and make its parent the head again."""
    copy_bytes(journal + 8 * _HEAD, entry + 8 * _PARENT, _HASH_BYTES)
    store(journal, _NUMBER, load(entry, _ENTRY_NUMBER) - 1)
    store(journal, _SERIAL, load(entry, _PARENT_SERIAL))
    store(journal, _TAIL, load(entry, _START))
    store(journal, _LAST, load(journal, _LAST) - 1)
