"""The contract between the market, protocol plugins and strategies, in compiled code.

Layer: market. A protocol plugin's `compiled.module` defines four functions and may define two more,
a strategy's one, all decorated with `tallyio.native.jit.hot` and these signatures. Addresses are
int64; amounts are 256-bit values (`tallyio.native.u256`). The functions run in a native thread
without the GIL, so they touch no Python object, allocate nothing, and never trap (guard every
hardware divide).

Protocol module:

    quote(row, i, j, amount_in) -> amount_out
        Exact output of selling `amount_in` of token `i` for token `j`, as the contract computes
        it; 0 where the contract would revert or pay nothing. Never decreases with `amount_in`.
    curve(row, i, j, amount_in) -> (amount_out, marginal)
        The same curve in float64, and its slope there (output per further input). Relative error
        at most 1e-9 plus two smallest units; it guides the search and never decides.
    gas(row, i, j, amount_in) -> gas
        Estimated gas of this swap inside a larger transaction.
    apply_log(row, event, topics, data, data_bytes) -> status
        Change the row as the event says. `event` is the index in `topics` of the adapter;
        `topics` points to the log's topics after topic 0, 32 bytes each (big-endian, as on the
        wire); `data` points to the log's data. Returns one of the `LOG_*` numbers. It changes no
        more than the adapter's `event_bytes` of this event says.
    quote_exact_out(row, i, j, amount_out) -> amount_in          (optional)
        Exact input that the contract takes for exactly `amount_out`, rounded as its exact-output
        swap does; 0 where it would revert, and for 0. Without it the market searches the least
        input whose `quote` reaches `amount_out`, which costs some hundred quotes.
    advance(row, timestamp) -> status                            (optional)
        Bring the row of a pool that ages (`PoolSpec.ages`) to a block with this time: first to the
        time of the block whose logs follow, then to that of the block to trade in. Returns one of
        the `LOG_*` numbers.

Strategy module:

    detect(market, index, found, capacity) -> count
        Write at most `capacity` records of `FOUND` to `found`, best `net` first, looking only at
        cycles through the dirty pools of `market` (a `MARKET` record). `index` is the address of
        the strategy's own `StrategyIndex`. For quotes it imports `quote`, `curve` and `gas` from
        `tallyio.market.fused`, which take the pool's POOL record address in place of `row` and
        dispatch over the enabled protocols.
"""

from __future__ import annotations

from typing import Final

import numpy as np

QUOTE_SIGNATURE: Final = "u256(int64, int64, int64, u256)"
CURVE_SIGNATURE: Final = "UniTuple(float64, 2)(int64, int64, int64, float64)"
GAS_SIGNATURE: Final = "int64(int64, int64, int64, u256)"
APPLY_LOG_SIGNATURE: Final = "int64(int64, int64, int64, int64, int64)"
QUOTE_EXACT_OUT_SIGNATURE: Final = "u256(int64, int64, int64, u256)"
ADVANCE_SIGNATURE: Final = "int64(int64, int64)"
DETECT_SIGNATURE: Final = "int64(int64, int64, int64, int64)"

LOG_IGNORED: Final = 0
"""The log does not change what the pool quotes."""
LOG_APPLIED: Final = 1
LOG_RELOAD: Final = -1
"""The row cannot follow (no room, contradiction): the control plane loads it afresh from the chain."""

MAX_LEGS: Final = 4
MAX_POOL_TOKENS: Final = 8

POOL: Final = np.dtype(
    [
        ("kind", "i8"),  # dense number of the protocol in the fused dispatcher
        ("row", "i8"),  # address of the protocol's row
        ("token_count", "i8"),
        ("flags", "i8"),  # POOL_* bits
        ("tokens", "i4", MAX_POOL_TOKENS),  # token ids in the pool's own order
    ]
)
"""One pool of the market: one cache line."""

POOL_ENABLED: Final = 1
"""Cleared while a row waits for a reload; detection skips the pool."""
POOL_CAN_FLASH: Final = 2
POOL_AGES: Final = 4
"""The row wants `advance` with each block."""

MARKET: Final = np.dtype(
    [
        ("pools", "i8"),  # address of POOL records
        ("pool_count", "i8"),
        ("token_count", "i8"),
        ("dirty", "i8"),  # address of int64 pool ids that the block touched
        ("dirty_count", "i8"),
        ("native_per_unit", "i8"),  # address of float64 per token: wei of one smallest unit; 0 = unknown
        ("gas_price_wei", "f8"),  # what one gas costs in the next block
        ("serial", "i8"),  # counts the blocks applied
    ]
)
"""What a strategy sees of the market: one cache line."""

FOUND: Final = np.dtype(
    [
        ("leg_count", "i8"),
        ("token", "i8"),  # token id that the cycle starts and ends with
        ("gas", "i8"),  # of the whole transaction, as estimated
        ("net", "f8"),  # profit after gas, in wei of the native currency
        ("pool", "i8", MAX_LEGS),
        ("token_in", "i8", MAX_LEGS),  # position in the pool's own order
        ("token_out", "i8", MAX_LEGS),
        ("amounts", "u8", (MAX_LEGS + 1, 4)),  # little-endian 256-bit: amounts[k] enters leg k
    ]
)
"""One opportunity as a strategy found it."""


def word(record: np.dtype[np.void], field: str) -> int:
    """Return the number of the 8-byte word where `field` of `record` starts, for `load` and `store`.

    Raises: KeyError: there is no such field.
    """
    if record.fields is None:
        raise KeyError(f"{record} has no fields")
    return record.fields[field][1] // 8
