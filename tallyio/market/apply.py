"""What changes the market's rows: blocks, rollbacks, reloads.

Layer: market. Compiled, and built on `tallyio.market.fused`: import it through `Fused.load`. One
thread at a time may call, the same that detects. Every change marks the pool dirty until the
detection that follows has looked at it; a dirty pool that is not enabled waits for a fresh row.

A pool that ages is first brought to the time of the block, so that its events meet the state that the
contract had, and after them to the expected time of the next block, where a trade would meet it.
"""

from __future__ import annotations

from typing import Final

from tallyio.market import abi, batch, journal, layout
from tallyio.market.abi import word
from tallyio.market.fused import advance, apply_log
from tallyio.market.rows import begin_change, end_change, pool_record, put_back, save_once
from tallyio.native.atomics import copy_bytes, load, store
from tallyio.native.jit import hot

REFUSED: Final = -1
"""The block does not follow the head, or the one to undo is not the head."""

_MARKET: Final = word(layout.STATE, "market")
_JOURNAL: Final = word(layout.STATE, "journal")
_ROW_BYTES: Final = word(layout.STATE, "row_bytes")
_AGEING: Final = word(layout.STATE, "ageing")
_AGEING_COUNT: Final = word(layout.STATE, "ageing_count")
_MARKED: Final = word(layout.STATE, "marked")
_ROUND: Final = word(layout.STATE, "round")

_DIRTY: Final = word(abi.MARKET, "dirty")
_DIRTY_COUNT: Final = word(abi.MARKET, "dirty_count")
_GAS_PRICE: Final = word(abi.MARKET, "gas_price_wei")
_MARKET_SERIAL: Final = word(abi.MARKET, "serial")

_ROW: Final = word(abi.POOL, "row")
_FLAGS: Final = word(abi.POOL, "flags")
_DISABLED: Final = ~abi.POOL_ENABLED

_LOGS: Final = word(layout.BLOCK, "logs")
_LOG_COUNT: Final = word(layout.BLOCK, "log_count")
_BLOCK_GAS_PRICE: Final = word(layout.BLOCK, "gas_price_wei")
_TIMESTAMP: Final = word(layout.BLOCK, "timestamp")
_NEXT_TIMESTAMP: Final = word(layout.BLOCK, "next_timestamp")

_LOG_BYTES: Final = batch.LOG.itemsize
_LOG_POOL: Final = word(batch.LOG, "pool")
_LOG_EVENT: Final = word(batch.LOG, "event")
_LOG_DATA_BYTES: Final = word(batch.LOG, "data_bytes")
_LOG_SIZE: Final = word(batch.LOG, "size")
_LOG_CHANGES: Final = word(batch.LOG, "changes")
_DATA_OFFSET: Final = batch.DATA_OFFSET

_JOURNAL_NEXT_TIMESTAMP: Final = word(layout.JOURNAL, "next_timestamp")
_SAVED_BYTES: Final = layout.SAVED.itemsize
_SAVED_SIZE: Final = word(layout.SAVED, "size")
_WHOLE: Final = 0


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


@hot("void(int64, int64)")
def _apply_log(state: int, log: int) -> None:
    pool = load(log, _LOG_POOL)
    record = pool_record(state, pool)
    if load(record, _FLAGS) & abi.POOL_ENABLED == 0:
        return  # its row is void until the reload
    save_once(state, pool, load(log, _LOG_CHANGES))
    topics, data = log + _LOG_BYTES, log + _DATA_OFFSET
    begin_change(state, pool)
    status = apply_log(record, load(log, _LOG_EVENT), topics, data, load(log, _LOG_DATA_BYTES))
    end_change(state, pool)
    _judge(state, pool, status)


@hot("void(int64, int64, int64)")
def _judge(state: int, pool: int, status: int) -> None:
    if status == abi.LOG_IGNORED:
        return
    mark_dirty(state, pool)
    if status != abi.LOG_APPLIED:
        record = pool_record(state, pool)
        store(record, _FLAGS, load(record, _FLAGS) & _DISABLED)


@hot("void(int64, int64, int64)")
def _advance(state: int, pool: int, timestamp: int) -> None:
    record = pool_record(state, pool)
    if load(record, _FLAGS) & abi.POOL_ENABLED == 0:
        return
    save_once(state, pool, _WHOLE)
    begin_change(state, pool)
    status = advance(record, timestamp)
    end_change(state, pool)
    _judge(state, pool, status)


@hot("void(int64, int64)")
def advance_all(state: int, timestamp: int) -> None:
    """Bring every pool that ages to a block with this time."""
    for k in range(load(state, _AGEING_COUNT)):
        _advance(state, load(load(state, _AGEING), k), timestamp)


@hot("int64(int64, int64)")
def apply_batch(state: int, block: int) -> int:
    """Apply the logs of a `BLOCK`; return the number of dirty pools, or `REFUSED` with nothing done."""
    market = load(state, _MARKET)
    serial = load(market, _MARKET_SERIAL) + 1
    if not journal.open_block(load(state, _JOURNAL), block, serial):
        return REFUSED
    store(market, _MARKET_SERIAL, serial)
    store(market, _GAS_PRICE, load(block, _BLOCK_GAS_PRICE))
    advance_all(state, load(block, _TIMESTAMP))
    log = load(block, _LOGS)
    for _ in range(load(block, _LOG_COUNT)):
        _apply_log(state, log)
        log += load(log, _LOG_SIZE)
    advance_all(state, load(block, _NEXT_TIMESTAMP))
    return load(market, _DIRTY_COUNT)


@hot("int64(int64, int64)")
def roll_back(state: int, block_hash: int) -> int:
    """Undo the newest block, whose hash is at `block_hash`; return the parts put back, or `REFUSED`."""
    undo = load(state, _JOURNAL)
    entry = journal.newest_entry(undo, block_hash)
    if entry == 0:
        return REFUSED
    parts = journal.saved_rows(entry)
    place = journal.saved_start(entry)
    for _ in range(parts):
        place = journal.saved_place(undo, place)
        saved = journal.saved_record(undo, place)
        mark_dirty(state, put_back(state, saved))
        place += _SAVED_BYTES + load(saved, _SAVED_SIZE)
    journal.close_block(undo, entry)
    return parts


@hot("int64(int64, int64, int64, int64, int64, int64)")
def put_row(state: int, pool: int, row: int, size: int, home: int, block_hash: int) -> int:
    """Take a fresh row of `pool` as of `block_hash` and enable it; `REFUSED` if that is not the head.

    A row that outgrew its place moves to `home`, which is 0 for one that did not.
    """
    undo = load(state, _JOURNAL)
    if not journal.is_head(undo, block_hash):
        return REFUSED
    record = pool_record(state, pool)
    save_once(state, pool, _WHOLE)
    begin_change(state, pool)
    if home != 0:
        store(record, _ROW, home)
    copy_bytes(load(record, _ROW), row, size)
    store(load(state, _ROW_BYTES), pool, size)
    store(record, _FLAGS, load(record, _FLAGS) | abi.POOL_ENABLED)
    end_change(state, pool)
    mark_dirty(state, pool)
    if load(record, _FLAGS) & abi.POOL_AGES != 0:
        _advance(state, pool, load(undo, _JOURNAL_NEXT_TIMESTAMP))
    return 0
