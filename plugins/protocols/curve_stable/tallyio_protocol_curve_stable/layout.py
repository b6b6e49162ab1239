"""The row of one pool: a header, then its coins.

| offset | bytes | field of the header |
|---|---|---|
| 0 | 8 | number of coins, 2 to 8 |
| 8 | 8 | `templates.Flag` |
| 16 | 8 | `templates.DRule` |
| 24 | 8 | A_PRECISION: 1 or 100 |
| 32 | 8 | A times A_PRECISION at `time`: derived |
| 40 | 8 | where A's ramp starts, times A_PRECISION |
| 48 | 8 | where it ends |
| 56 | 8 | when it started, in seconds |
| 64 | 8 | when it ends |
| 72 | 8 | `time`: the block time that the row speaks of |
| 80 | 8 | the time from which rates are too old; 0 where they never change |
| 88 | 8 | when the pool last read its base's virtual price; 0 where it keeps none |
| 96 | 8 | fee, of 10**10 |
| 104 | 8 | the admin's part of the fee, of 10**10 |
| 112 | 8 | gas of one exchange |
| 128 | 32 | off-peg fee multiplier, of 10**10 |
| 160 | 32 | D: derived; all ones where the contract cannot compute it |
| 192 | 32 | supply of pool tokens |
| 224 | 32 | the virtual price that the base pool answers now |
| 256 | 32 | the one that this pool keeps, where it keeps one |

| offset | bytes | field of coin k |
|---|---|---|
| 0 | 32 | balance, without the admin's; below 2**128 |
| 32 | 32 | rate; derived for the last coin of a pool that keeps its base's virtual price |
| 64 | 32 | scaled balance, rate * balance / 10**18: derived |

All little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio_protocol_curve_stable.reference import FEE_DENOMINATOR
from tallyio_protocol_curve_stable.templates import Template

COUNT: Final = 0
FLAGS: Final = 8
D_RULE: Final = 16
A_PRECISION: Final = 24
AMP: Final = 32
INITIAL_A: Final = 40
FUTURE_A: Final = 48
INITIAL_TIME: Final = 56
FUTURE_TIME: Final = 64
TIME: Final = 72
RATES_UNTIL: Final = 80
CACHE_TIME: Final = 88
FEE: Final = 96
ADMIN_FEE: Final = 104
GAS: Final = 112
MULTIPLIER: Final = 128
D: Final = 160
SUPPLY: Final = 192
BASE_RATE_NOW: Final = 224
BASE_RATE_KEPT: Final = 256
COINS: Final = 320

BALANCE: Final = 0
RATE: Final = 32
XP: Final = 64
COIN_BYTES: Final = 96

MIN_COINS: Final = 2
MAX_COINS: Final = 8
MAX_AMP: Final = 10**10
"""A is below 10**6 and its precision at most 100; the proofs of the compiled code allow for more."""
MAX_TIME: Final = 2**40
MAX_FEE: Final = 5 * 10**9
UINT128_MAX: Final = 2**128 - 1
LINE: Final = 64

_HEADER: Final = struct.Struct("<15q8x32s32x32s32s32s32x")


class Ramp(msgspec.Struct, frozen=True):
    """How A moves, as the pool stores it: values times A_PRECISION, times in seconds."""

    initial: int
    future: int
    started: int = 0
    ends: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a row is packed from: a pool as read from the chain."""

    template: Template
    balances: tuple[int, ...]
    rates: tuple[int, ...]
    ramp: Ramp
    fee: int
    admin_fee: int
    supply: int
    time: int
    offpeg_fee_multiplier: int = 0
    rates_until: int = 0
    cache_time: int = 0
    base_rate_now: int = 0
    gas: int = 0


def row_bytes(coins: int) -> int:
    """Return the size of a row with that many coins, in whole cache lines."""
    return -(-(COINS + coins * COIN_BYTES) // LINE) * LINE


def pack_row(state: State) -> bytes:
    """Return a row without what is derived; `hot_state.rebuild` fills that in.

    Raises: ValueError: a number is out of the range that the compiled code is proven for.
    """
    _check(state)
    header = _HEADER.pack(
        len(state.balances),
        int(state.template.flags),
        int(state.template.d_rule),
        state.template.a_precision,
        0,
        state.ramp.initial,
        state.ramp.future,
        state.ramp.started,
        state.ramp.ends,
        state.time,
        state.rates_until,
        state.cache_time,
        state.fee,
        state.admin_fee,
        state.gas,
        _word(state.offpeg_fee_multiplier),
        _word(state.supply),
        _word(state.base_rate_now),
        _word(state.rates[-1] if state.cache_time else 0),
    )
    coins = b"".join(
        _word(balance) + _word(rate) + bytes(32)
        for balance, rate in zip(state.balances, state.rates, strict=True)
    )
    return (header + coins).ljust(row_bytes(len(state.balances)), b"\0")


def unpack_balances(row: bytes) -> tuple[int, ...]:
    """Return the balances in `row`."""
    return tuple(_coin_words(row, BALANCE))


def unpack_d(row: bytes) -> int:
    """Return the invariant in `row`."""
    return int.from_bytes(row[D : D + 32], "little")


def _coin_words(row: bytes, field: int) -> list[int]:
    count = int.from_bytes(row[COUNT : COUNT + 8], "little")
    places = (COINS + k * COIN_BYTES + field for k in range(count))
    return [int.from_bytes(row[at : at + 32], "little") for at in places]


def _word(value: int) -> bytes:
    return value.to_bytes(32, "little")


def _check(state: State) -> None:
    if not MIN_COINS <= len(state.balances) <= MAX_COINS:
        raise ValueError(f"a pool must be of {MIN_COINS} to {MAX_COINS} coins, not {len(state.balances)}")
    _within("balances", state.balances, 0, UINT128_MAX)
    _within("rates", state.rates, 1, UINT128_MAX)
    _within("A", (state.ramp.initial, state.ramp.future), 1, MAX_AMP)
    _within("times", (state.ramp.started, state.ramp.ends, state.time), 0, MAX_TIME)
    _within("base rate", (state.base_rate_now,), 0, UINT128_MAX)
    _within("fee", (state.fee,), 0, MAX_FEE)
    _within("the admin's part of the fee", (state.admin_fee,), 0, FEE_DENOMINATOR)
    # NG itself refuses a fee of more than MAX_FEE at any imbalance.
    _within("fee times multiplier", (state.fee * state.offpeg_fee_multiplier,), 0, MAX_FEE * FEE_DENOMINATOR)


def _within(what: str, values: Sequence[int], low: int, high: int) -> None:
    if not all(low <= value <= high for value in values):
        raise ValueError(f"{what} must be {low} to {high}, not {list(values)}")
