"""Compiled loops built on the fused market: import through `Fused.load`."""

from __future__ import annotations

from typing import Final

from tallyio_strategy_arbitrage import layout, reference
from tallyio_strategy_arbitrage.sizing import size
from tallyio_strategy_arbitrage.walking import solve, walk

from perf.optimum_layout import LOG
from tallyio.market.abi import LOG_APPLIED, word
from tallyio.market.fused import apply_log
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, store256

_CYCLE_BYTES: Final = layout.CYCLE.itemsize
_LEG_COUNT: Final = word(layout.CYCLE, "leg_count")
_RECORD: Final = word(layout.EDGE, "record")
_EVENT: Final = word(LOG, "event")
_DATA_BYTES: Final = word(LOG, "data_bytes")
_TOPICS: Final = 8 * word(LOG, "topics")
_DATA: Final = 8 * word(LOG, "data")
_LOG_BYTES: Final = LOG.itemsize
_WORD: Final = 32
_GUESS: Final = 1e18


@hot("int64(int64, int64, int64, int64)")
def optimum_all(cycles: int, count: int, search: int, answers: int) -> int:
    """Write input and output of the best chain of every cycle; return how many gain."""
    gaining = 0
    for k in range(count):
        cycle = cycles + k * _CYCLE_BYTES
        x = solve(cycle, walk(cycle, 0.0)[1], _GUESS)
        chain = size(cycle, search, x, 0.0, reference.BUDGET)[0]
        if chain != 0:
            gaining += 1
            store256(answers + 2 * k * _WORD, load256(chain))
            store256(answers + (2 * k + 1) * _WORD, load256(chain + load(cycle, _LEG_COUNT) * _WORD))
    return gaining


@hot("int64(int64, int64, int64, int64, int64, int64)")
def changed_optimum_all(logs: int, each: int, cycles: int, count: int, search: int, answers: int) -> int:
    """Apply `each` logs to the last pool of every cycle, then do what `optimum_all` does; -1 if one fails."""
    for k in range(count):
        edge = load(cycles + k * _CYCLE_BYTES, load(cycles + k * _CYCLE_BYTES, _LEG_COUNT) - 1)
        for turn in range(each):
            log = logs + (k * each + turn) * _LOG_BYTES
            data_bytes = load(log, _DATA_BYTES)
            status = apply_log(load(edge, _RECORD), load(log, _EVENT), log + _TOPICS, log + _DATA, data_bytes)
            if status != LOG_APPLIED:
                return -1
    return optimum_all(cycles, count, search, answers)
