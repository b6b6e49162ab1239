"""Plain constant-product pairs in native memory: the pools of the kit's generated markets.

Layer: testing. A row holds two reserves (u128, below 2**112), the thousandths of the input that the fee
leaves, and the gas of a swap. The functions follow `tallyio.market.abi` as any protocol's do; the only event
sets both reserves.
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

TOPIC: Final = bytes(31) + b"\1"
"""Topic 0 of the event: both reserves, a word each."""
ROW_BYTES: Final = 64
_RESERVE_BYTES: Final = 16
_KEEP: Final = 4
_GAS: Final = 5
_EVENT_BYTES: Final = 64
_ZERO: Final = const(0)
_THOUSAND: Final = const(1000)
_LARGEST: Final = const((1 << 112) - 1)


def pack_row(reserve0: int, reserve1: int, *, keep: int = 997, gas: int = 100_000) -> bytes:
    """Return the row of a pair."""
    raw = b"".join(reserve.to_bytes(_RESERVE_BYTES, "little") for reserve in (reserve0, reserve1))
    return (raw + struct.pack("<qq", keep, gas)).ljust(ROW_BYTES, b"\0")


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the exact output; 0 where the input does not fit in 112 bits.

    Below 2**112 no product wraps: kept < 2**122, kept * reserve < 2**234.
    """
    if amount_in > _LARGEST:
        return _ZERO
    reserve_in = u256(load128(row + _RESERVE_BYTES * i))
    reserve_out = u256(load128(row + _RESERVE_BYTES * j))
    kept = amount_in * u256(load(row, _KEEP))
    whole = reserve_in * _THOUSAND + kept
    if whole == _ZERO:
        return _ZERO
    return divmod256(kept * reserve_out, whole)[0]


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope in floats."""
    reserve_in = to_f64(u256(load128(row + _RESERVE_BYTES * i)))
    reserve_out = to_f64(u256(load128(row + _RESERVE_BYTES * j)))
    if reserve_in == 0.0:
        return 0.0, 0.0
    keep = float(load(row, _KEEP)) / 1000.0
    depth = reserve_in + keep * amount_in
    return keep * amount_in * (reserve_out / depth), keep * (reserve_out / depth) * (reserve_in / depth)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the gas in the row."""
    return load(row, _GAS)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - one event, no topics
    """Set both reserves."""
    if data_bytes != _EVENT_BYTES:
        return LOG_RELOAD
    store128(row, u128(load_be256(data)))
    store128(row + _RESERVE_BYTES, u128(load_be256(data + 32)))
    return LOG_APPLIED
