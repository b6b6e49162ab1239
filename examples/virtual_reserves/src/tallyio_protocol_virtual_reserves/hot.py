"""The compiled functions. A row is reserve 0 and 1, virtual reserve 0 and 1: the words that `state` answers.

They stay in the chain's byte order, so that a log is copied as it came; only quoting reads numbers.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load, load_be256, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, muldiv, to_f64

WORD: Final = 32
ROW_BYTES: Final = 4 * WORD
EVENT_BYTES: Final = 2 * WORD
SWAP_GAS: Final = 85_000
_VIRTUAL: Final = 2 * WORD
_MOST: Final = const(2**112 - 1)
_ZERO: Final = const(0)
_997: Final = const(997)
_1000: Final = const(1_000)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays, rounded down; 0 where it reverts. See `reference.quote`."""
    held, paid = load_be256(row + WORD * i), load_be256(row + WORD * j)
    if held > _MOST or amount_in > _MOST - held:
        return _ZERO
    # All reserves are below 2**112, virtual ones too: kept < 2**122, the divisor < 2**113 * 1000 + 2**122
    # < 2**124, so nothing wraps in 256 bits; the product needs more and has it inside `muldiv`.
    kept = amount_in * _997
    below = (held + load_be256(row + _VIRTUAL + WORD * i)) * _1000 + kept
    if below == _ZERO:
        return _ZERO
    out = muldiv(kept, paid + load_be256(row + _VIRTUAL + WORD * j), below)
    return out if out <= paid else _ZERO


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return the same curve in floating point, with its slope."""
    paid = to_f64(load_be256(row + WORD * j))
    x = to_f64(load_be256(row + WORD * i)) + to_f64(load_be256(row + _VIRTUAL + WORD * i))
    y = paid + to_f64(load_be256(row + _VIRTUAL + WORD * j))
    if x == 0.0:
        return 0.0, 0.0
    depth = x + 0.997 * amount_in
    out = 0.997 * amount_in / depth * y
    if out > paid:
        return 0.0, 0.0
    return out, 0.997 * x / depth * (y / depth)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return what a swap costs, with its transfer to the pool."""
    return SWAP_GAS


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - it has no topics
    """Copy both reserves."""
    if event != 0 or data_bytes != EVENT_BYTES:
        return LOG_RELOAD
    for k in range(EVENT_BYTES // 8):
        store(row, k, load(data, k))
    return LOG_APPLIED
