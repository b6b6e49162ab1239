"""Rows in compiled code: where they are, saving them before a change, and reading them beside the writer.

Layer: market. The market's lane is the only writer. Per pool there is a sequence number: odd while its
row changes, two more after each change. A reader in any thread copies the row between two looks at
the number and starts again where they differ, so it never waits for the writer and never keeps a
row that is half of one block and half of another.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi, journal, layout
from tallyio.market.abi import word
from tallyio.native.atomics import (
    copy_bytes,
    fence_acquire,
    fence_release,
    load,
    load_acquire,
    load_relaxed,
    pause,
    store,
    store_relaxed,
    store_release,
)
from tallyio.native.jit import hot

_MARKET: Final = word(layout.STATE, "market")
_JOURNAL: Final = word(layout.STATE, "journal")
_ROW_BYTES: Final = word(layout.STATE, "row_bytes")
_SEQUENCES: Final = word(layout.STATE, "sequences")
_SAVED: Final = word(layout.STATE, "saved")
_SAVED_BYTES: Final = word(layout.STATE, "saved_bytes")
_POOLS: Final = word(abi.MARKET, "pools")
_POOL_BYTES: Final = abi.POOL.itemsize
_ROW: Final = word(abi.POOL, "row")
_FLAGS: Final = word(abi.POOL, "flags")
_SERIAL: Final = word(layout.JOURNAL, "serial")

_HEADER: Final = layout.SAVED.itemsize
_POOL: Final = word(layout.SAVED, "pool")
_START: Final = word(layout.SAVED, "start")
_SIZE: Final = word(layout.SAVED, "size")
_SAVED_FLAGS: Final = word(layout.SAVED, "flags")
_SAVED_ROW_BYTES: Final = word(layout.SAVED, "row_bytes")
_BEFORE: Final = word(layout.SAVED, "saved_before")
_BYTES_BEFORE: Final = word(layout.SAVED, "saved_bytes_before")

LINE: Final = 64


@hot("int64(int64, int64)", inline=True)
def pool_record(state: int, pool: int) -> int:
    """Return the address of the POOL record of pool id `pool`."""
    return load(load(state, _MARKET), _POOLS) + pool * _POOL_BYTES


@hot("int64(int64, int64)", inline=True)
def row_bytes(state: int, pool: int) -> int:
    """Return the size of the pool's row."""
    return load(load(state, _ROW_BYTES), pool)


@hot("void(int64, int64)", inline=True)
def begin_change(state: int, pool: int) -> None:
    """Tell readers that the row is about to change."""
    sequences = load(state, _SEQUENCES)
    store_relaxed(sequences, pool, load(sequences, pool) + 1)
    fence_release()  # no store to the row may be seen before the odd number


@hot("void(int64, int64)", inline=True)
def end_change(state: int, pool: int) -> None:
    """Tell readers that the row is whole again."""
    sequences = load(state, _SEQUENCES)
    store_release(sequences, pool, load(sequences, pool) + 1)


@hot("void(int64, int64, int64)")
def save_once(state: int, pool: int, needed: int) -> None:
    """Save the first `needed` bytes of the row (0: all) for the present block, unless it has them already."""
    undo, record, whole = load(state, _JOURNAL), pool_record(state, pool), row_bytes(state, pool)
    if needed == 0 or needed > whole:
        needed = whole
    needed = (needed + LINE - 1) // LINE * LINE
    serial, before = load(undo, _SERIAL), load(load(state, _SAVED), pool)
    done = load(load(state, _SAVED_BYTES), pool) if before == serial else 0
    if needed <= done:
        return
    saved = journal.save(undo, load(record, _ROW) + done, needed - done)
    if saved == 0:
        return
    store(saved, _POOL, pool)
    store(saved, _START, done)
    store(saved, _SAVED_FLAGS, load(record, _FLAGS))
    store(saved, _SAVED_ROW_BYTES, whole)
    store(saved, _BEFORE, before)
    store(saved, _BYTES_BEFORE, load(load(state, _SAVED_BYTES), pool))
    store(load(state, _SAVED), pool, serial)
    store(load(state, _SAVED_BYTES), pool, needed)


@hot("int64(int64, int64)")
def put_back(state: int, saved: int) -> int:
    """Put the part of a row behind a SAVED record back; return the pool."""
    pool = load(saved, _POOL)
    record = pool_record(state, pool)
    begin_change(state, pool)
    copy_bytes(load(record, _ROW) + load(saved, _START), saved + _HEADER, load(saved, _SIZE))
    if load(saved, _START) == 0:
        store(record, _FLAGS, load(saved, _SAVED_FLAGS))
        store(load(state, _ROW_BYTES), pool, load(saved, _SAVED_ROW_BYTES))
        store(load(state, _SAVED), pool, load(saved, _BEFORE))
        store(load(state, _SAVED_BYTES), pool, load(saved, _BYTES_BEFORE))
    end_change(state, pool)
    return pool


@hot("int64(int64, int64, int64, int64)")
def read_row(state: int, pool: int, target: int, room: int) -> int:
    """Copy the pool's row, whole, to `target`; return its size, or the negative of it if `room` is too small.

    May run in any thread beside the writer.
    """
    sequences, record = load(state, _SEQUENCES), pool_record(state, pool)
    while True:
        before = load_acquire(sequences, pool)
        if before & 1 == 0:
            size = row_bytes(state, pool)
            if 0 < size <= room:
                copy_bytes(target, load(record, _ROW), size)
            fence_acquire()  # nor the number be read before the row
            if load_relaxed(sequences, pool) == before:
                return size if size <= room else -size
        pause()
