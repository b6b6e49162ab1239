"""Plain constant-product pools, for this package's benchmark and tests only.

A row holds two reserves (u128), the share in thousandths that the fee leaves, and the gas. They
follow the contract of `tallyio.market.abi` as any protocol plugin does.
"""

from __future__ import annotations

import struct
from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_IGNORED,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, to_f64, u256

ROW_BYTES: Final = 64
THOUSAND: Final = 1000
_ZERO: Final = const(0)
_THOUSAND: Final = const(THOUSAND)
_KEEP: Final = 4
_GAS: Final = 5
_RESERVE_BYTES: Final = 16


def pack_row(reserve0: int, reserve1: int, *, keep: int = 997, gas: int = 100_000) -> bytes:
    """Return the row of a pool."""
    reserves = b"".join(reserve.to_bytes(_RESERVE_BYTES, "little") for reserve in (reserve0, reserve1))
    return (reserves + struct.pack("<qq", keep, gas)).ljust(ROW_BYTES, b"\0")


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the exact output. Reserves and amounts are below 2**112, so nothing wraps."""
    reserve_in, reserve_out = u256(load128(row + _RESERVE_BYTES * i)), u256(load128(row + _RESERVE_BYTES * j))
    kept = amount_in * u256(load(row, _KEEP))
    if reserve_in == _ZERO or amount_in == _ZERO:  # noqa: PLR1714 - compiled functions have no `in`
        return _ZERO
    return divmod256(kept * reserve_out, reserve_in * _THOUSAND + kept)[0]


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope in floats."""
    reserve_in = to_f64(u256(load128(row + _RESERVE_BYTES * i)))
    reserve_out = to_f64(u256(load128(row + _RESERVE_BYTES * j)))
    if reserve_in == 0.0:
        return 0.0, 0.0
    keep = float(load(row, _KEEP)) / THOUSAND
    depth = reserve_in + keep * amount_in
    return keep * amount_in * (reserve_out / depth), keep * (reserve_out / depth) * (reserve_in / depth)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the gas in the row."""
    return load(row, _GAS)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - no event
    """Ignore everything: benchmarks set rows, not logs."""
    return LOG_IGNORED
