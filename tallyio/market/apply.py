"""What changes the market's rows: blocks, rollbacks, reloads.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`. One
thread at a time may call, the same that detects. Every change marks the pool dirty until the
detection that follows has looked at it; a dirty pool that is not enabled waits for a fresh row.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi, batch, journal, layout
from tallyio.market.abi import word
from tallyio.market.fused import apply_log
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot

REFUSED: Final = -1
"""The block does not follow the head, or the one to undo is not the head."""

_MARKET: Final = word(layout.STATE, "market")
_JOURNAL: Final = word(layout.STATE, "journal")
_ROW_BYTES: Final = word(layout.STATE, "row_bytes")
_SAVED: Final = word(layout.STATE, "saved")
_MARKED: Final = word(layout.STATE, "marked")
_ROUND: Final = word(layout.STATE, "round")

_POOLS: Final = word(abi.MARKET, "pools")
_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_MARKET_SERIAL: Final = word(abi.MARKET, "serial")

_POOL_BYTES: Final = abi.POOL.itemsize
_KIND: Final = word(abi.POOL, "kind")
_ROW: Final = word(abi.POOL, "row")
_FLAGS: Final = word(abi.POOL, "flags")
_DISABLED: Final = ~abi.POOL_ENABLED

_LOGS: Final = word(layout.BLOCK, "logs")
_LOG_COUNT: Final = word(layout.BLOCK, "log_count")
_BLOCK_GAS_PRICE: Final = word(layout.BLOCK, "gas_price_wei")

_LOG_BYTES: Final = batch.LOG.itemsize
_LOG_POOL: Final = word(batch.LOG, "pool")
_LOG_EVENT: Final = word(batch.LOG, "event")
_LOG_DATA_BYTES: Final = word(batch.LOG, "data_bytes")
_LOG_SIZE: Final = word(batch.LOG, "size")
_DATA_OFFSET: Final = batch.DATA_OFFSET

_SERIAL: Final = word(layout.JOURNAL, "serial")
_SAVED_BYTES: Final = layout.SAVED.itemsize
_SAVED_POOL: Final = word(layout.SAVED, "pool")
_SAVED_FLAGS: Final = word(layout.SAVED, "flags")
_SAVED_BEFORE: Final = word(layout.SAVED, "saved_before")


@hot("int64(int64, int64)", inline=True)
def pool_record(state: int, pool: int) -> int:
    """Return the address of the POOL record of pool id `pool`."""
    return load(load(state, _MARKET), _POOLS) + pool * _POOL_BYTES


@hot("int64(int64, int64)", inline=True)
def _row_bytes(state: int, record: int) -> int:
    return load(load(state, _ROW_BYTES), load(record, _KIND))


@hot("void(int64, int64)")
def mark_dirty(state: int, pool: int) -> None:
    """Put the pool on the dirty list, once per round."""
    marked, present = load(state, _MARKED), load(state, _ROUND)
    if load(marked, pool) == present:
        return
    store(marked, pool, present)
    market = load(state, _MARKET)
    count = load(market, _DIRTY_COUNT)
    store(load(market, _DIRTY), count, pool)
    store(market, _DIRTY_COUNT, count + 1)


@hot("void(int64)")
def clear_dirty(state: int) -> None:
    """Start the next round: detection has looked at all dirty pools."""
    store(load(state, _MARKET), _DIRTY_COUNT, 0)
    store(state, _ROUND, load(state, _ROUND) + 1)


@hot("void(int64, int64, int64)")
def _save_once(state: int, pool: int, record: int) -> None:
    undo = load(state, _JOURNAL)
    saved, serial = load(state, _SAVED), load(undo, _SERIAL)
    before = load(saved, pool)
    if before != serial and journal.save_row(undo, pool, record, _row_bytes(state, record), before):
        store(saved, pool, serial)


@hot("void(int64, int64)")
def _apply_log(state: int, log: int) -> None:
    pool = load(log, _LOG_POOL)
    record = pool_record(state, pool)
    flags = load(record, _FLAGS)
    if flags & abi.POOL_ENABLED == 0:
        return  # its row is void until the reload
    _save_once(state, pool, record)
    topics, data = log + _LOG_BYTES, log + _DATA_OFFSET
    status = apply_log(record, load(log, _LOG_EVENT), topics, data, load(log, _LOG_DATA_BYTES))
    if status == abi.LOG_IGNORED:
        return
    mark_dirty(state, pool)
    if status != abi.LOG_APPLIED:
        store(record, _FLAGS, flags & _DISABLED)


@hot("int64(int64, int64)")
def apply_batch(state: int, block: int) -> int:
    """Apply the logs of a `BLOCK`; return the number of dirty pools, or `REFUSED` with nothing done."""
    market = load(state, _MARKET)
    serial = load(market, _MARKET_SERIAL) + 1
    if not journal.open_block(load(state, _JOURNAL), block, serial):
        return REFUSED
    store(market, _MARKET_SERIAL, serial)
    store(market, _GAS_PRICE, load(block, _BLOCK_GAS_PRICE))
    log = load(block, _LOGS)
    for _ in range(load(block, _LOG_COUNT)):
        _apply_log(state, log)
        log += load(log, _LOG_SIZE)
    return load(market, _DIRTY_COUNT)


@hot("int64(int64, int64)")
def roll_back(state: int, block_hash: int) -> int:
    """Undo the newest block, whose hash is at `block_hash`; return the rows put back, or `REFUSED`."""
    undo = load(state, _JOURNAL)
    entry = journal.newest_entry(undo, block_hash)
    if entry == 0:
        return REFUSED
    rows = journal.saved_rows(entry)
    place = journal.saved_start(entry)
    for _ in range(rows):
        place = journal.saved_place(undo, place)
        place += _put_back(state, journal.saved_record(undo, place))
    journal.close_block(undo, entry)
    return rows


@hot("int64(int64, int64)")
def _put_back(state: int, saved: int) -> int:
    pool = load(saved, _SAVED_POOL)
    record = pool_record(state, pool)
    size = _row_bytes(state, record)
    copy_bytes(load(record, _ROW), saved + _SAVED_BYTES, size)
    store(record, _FLAGS, load(saved, _SAVED_FLAGS))
    store(load(state, _SAVED), pool, load(saved, _SAVED_BEFORE))
    mark_dirty(state, pool)
    return _SAVED_BYTES + size


@hot("int64(int64, int64, int64, int64)")
def put_row(state: int, pool: int, row: int, block_hash: int) -> int:
    """Take a fresh row of `pool` as of `block_hash` and enable it; `REFUSED` if that is not the head."""
    if not journal.is_head(load(state, _JOURNAL), block_hash):
        return REFUSED
    record = pool_record(state, pool)
    _save_once(state, pool, record)
    copy_bytes(load(record, _ROW), row, _row_bytes(state, record))
    store(record, _FLAGS, load(record, _FLAGS) | abi.POOL_ENABLED)
    mark_dirty(state, pool)
    return 0
