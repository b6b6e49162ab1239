"""The compiled functions. A row is reserve 0 and reserve 1, 32 bytes each, in the chain's byte order.

That is how `Sync` brings them, so a log is copied as it came; only quoting reads numbers.
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
ROW_BYTES: Final = 2 * WORD
SWAP_GAS: Final = 90_000
_MOST: Final = const(2**112 - 1)
_ZERO: Final = const(0)
_997: Final = const(997)
_1000: Final = const(1_000)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pond pays, rounded down; 0 where it would not swap."""
    held, paid = load_be256(row + WORD * i), load_be256(row + WORD * j)
    if held == _ZERO or amount_in > _MOST or held + amount_in > _MOST:
        return _ZERO
    # Below 2**112 * 997 and below 2**123: no sum or product wraps in 256 bits.
    kept = amount_in * _997
    return muldiv(kept, paid, held * _1000 + kept)


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return the same curve in floating point, with its slope."""
    held, paid = to_f64(load_be256(row + WORD * i)), to_f64(load_be256(row + WORD * j))
    if held == 0.0:
        return 0.0, 0.0
    depth = held + 0.997 * amount_in
    return 0.997 * amount_in / depth * paid, 0.997 * held / depth * (paid / depth)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what a swap costs."""
    return SWAP_GAS


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Copy both reserves."""
    if event != 0 or data_bytes != ROW_BYTES:
        return LOG_RELOAD
    for k in range(ROW_BYTES // 8):
        store(row, k, load(data, k))
    return LOG_APPLIED
