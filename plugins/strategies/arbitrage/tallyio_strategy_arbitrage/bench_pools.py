"""Plain constant-product pools of two to eight tokens, for benchmarks and tests only.

A row holds the share in thousandths that the fee leaves, the gas of a swap, and a reserve (u128) per
token; any two tokens trade as in a pool of the two. The functions follow the contract of
`tallyio.market.abi` as any protocol plugin's do.
"""

from __future__ import annotations

import struct
from typing import Final

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store128, to_f64, u128, u256

RESERVES_TOPIC: Final = bytes(31) + b"\1"
"""Topic 0 of the only event: all reserves, a word each."""
THOUSAND: Final = 1000
_LINE: Final = 64
_ZERO: Final = const(0)
_THOUSAND: Final = const(THOUSAND)
_KEEP: Final = 0
_GAS: Final = 1
_RESERVES: Final = 16
_RESERVE_BYTES: Final = 16
_WORD: Final = 32


def pack_row(*reserves: int, keep: int = 997, gas: int = 100_000) -> bytes:
    """Return the row of a pool."""
    raw = b"".join(reserve.to_bytes(_RESERVE_BYTES, "little") for reserve in reserves)
    size = _RESERVES + len(raw)
    return (struct.pack("<qq", keep, gas) + raw).ljust(-(-size // _LINE) * _LINE, b"\0")


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the exact output. Reserves and amounts are below 2**112, so nothing wraps."""
    reserve_in = u256(load128(row + _RESERVES + _RESERVE_BYTES * i))
    reserve_out = u256(load128(row + _RESERVES + _RESERVE_BYTES * j))
    kept = amount_in * u256(load(row, _KEEP))
    if reserve_in == _ZERO or amount_in == _ZERO:  # noqa: PLR1714 - compiled functions have no `in`
        return _ZERO
    return divmod256(kept * reserve_out, reserve_in * _THOUSAND + kept)[0]


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope in floats."""
    reserve_in = to_f64(u256(load128(row + _RESERVES + _RESERVE_BYTES * i)))
    reserve_out = to_f64(u256(load128(row + _RESERVES + _RESERVE_BYTES * j)))
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
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - no topics
    """Take all reserves."""
    if event != 0 or data_bytes % _WORD != 0:
        return LOG_RELOAD
    for k in range(data_bytes // _WORD):
        store128(row + _RESERVES + _RESERVE_BYTES * k, u128(load_be256(data + _WORD * k)))
    return LOG_APPLIED
