"""What the market's lane runs: take a command, change the market, look for opportunities, answer.

Layer: engine. Compiled, and built on the fused functions: import it through `Fused.load`. Arguments
and results of a command lie in the `LANE` record, which is the lane's state; the command and its
answer are one word each. Python writes the record only while the lane waits.
"""

from __future__ import annotations

from typing import Final

from tallyio.engine.market_record import APPLY, LANE, RELOAD, ROLL_BACK
from tallyio.kernel.lane_program import lane_answer, lane_enter, lane_next, lane_state, lane_word
from tallyio.market import abi, layout
from tallyio.market.abi import word
from tallyio.market.apply import REFUSED, apply_batch, put_row, roll_back
from tallyio.market.detectors import detect
from tallyio.market.prices import refresh_prices
from tallyio.native.atomics import load, store
from tallyio.native.clock import cycle_count
from tallyio.native.jit import hot

_STATE: Final = word(LANE, "state")
_BLOCK: Final = word(LANE, "block")
_HASH: Final = word(LANE, "hash")
_POOL: Final = word(LANE, "pool")
_ROW: Final = word(LANE, "row")
_ROW_BYTES: Final = word(LANE, "row_bytes")
_HOME: Final = word(LANE, "home")
_STRATEGIES: Final = word(LANE, "strategies")
_INDEXES: Final = word(LANE, "indexes")
_COUNTS: Final = word(LANE, "counts")
_FOUND: Final = word(LANE, "found")
_CAPACITY: Final = word(LANE, "capacity")
_APPLY_CYCLES: Final = word(LANE, "apply_cycles")
_DETECT_CYCLES: Final = word(LANE, "detect_cycles")
_MARKET: Final = word(layout.STATE, "market")
_FOUND_BYTES: Final = abi.FOUND.itemsize


@hot("int64(int64)")
def run(context: int) -> int:
    """Serve commands until the lane shall end."""
    # One function on purpose: each layer of calls above the fused code is optimised once more when
    # it is compiled, which takes seconds.
    lane = lane_state(context)
    state = load(lane, _STATE)
    status = 0
    while lane_next(context):
        command = lane_word(context, 0)
        if command == APPLY:
            start = cycle_count()
            status = apply_batch(state, load(lane, _BLOCK))
            if status != REFUSED:
                refresh_prices(state)
                applied = cycle_count()
                for k in range(load(lane, _STRATEGIES)):
                    lane_enter(context, k + 1)
                    found = load(lane, _FOUND) + k * load(lane, _CAPACITY) * _FOUND_BYTES
                    index = load(load(lane, _INDEXES), k)
                    count = detect(k, load(state, _MARKET), index, found, load(lane, _CAPACITY))
                    store(load(lane, _COUNTS), k, count)
                store(lane, _APPLY_CYCLES, applied - start)
                store(lane, _DETECT_CYCLES, cycle_count() - applied)
        elif command == ROLL_BACK:
            status = roll_back(state, load(lane, _HASH))
        elif command == RELOAD:
            row, size, home = load(lane, _ROW), load(lane, _ROW_BYTES), load(lane, _HOME)
            status = put_row(state, load(lane, _POOL), row, size, home, load(lane, _HASH))
        if not lane_answer(context, status):
            break
    return 0
