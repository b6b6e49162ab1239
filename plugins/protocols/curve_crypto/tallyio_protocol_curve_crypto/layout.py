"""The row of one pool: a header, then its coins.

| offset | bytes | field of the header |
|---|---|---|
| 0 | 8 | number of coins, 2 or 3 |
| 8 | 8 | 1 for NG, else 0 |
| 16 | 8 | A * N**N * 10**4 at `time`: derived |
| 24 | 8 | gamma at `time`: derived |
| 32 | 8 | where A's ramp starts |
| 40 | 8 | where it ends |
| 48 | 8 | where gamma's ramp starts |
| 56 | 8 | where it ends |
| 64 | 8 | when the ramp started, in seconds |
| 72 | 8 | when it ends |
| 80 | 8 | `time`: the block time that the row speaks of |
| 88 | 8 | fee in balance, of 10**10 |
| 96 | 8 | fee out of balance |
| 104 | 8 | what makes the one of the other: `fee_gamma`, of 10**18 |
| 112 | 8 | gas of one exchange |
| 120 | 8 | least A that the contract calls safe |
| 128 | 8 | largest A |
| 136 | 8 | largest gamma |
| 144 | 8 | gamma beyond which less imbalance is allowed |
| 160 | 32 | D as the pool keeps it |
| 192 | 32 | D at `time`: derived; all ones where the contract cannot compute it |

| offset | bytes | field of coin k |
|---|---|---|
| 0 | 32 | balance, below 2**128 |
| 32 | 32 | price scale, of 10**18; 10**18 for the first coin |
| 64 | 32 | scaled balance: derived |
| 96 | 32 | the balance that the others leave it by D, scaled: derived |
| 128 | 8 | 10**(18 - decimals) |
| 136 | 8 | 1 - K0 with that balance, float64: derived |

All little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio_protocol_curve_crypto.reference import FEE_DENOMINATOR
from tallyio_protocol_curve_crypto.reference_newton import PRECISION
from tallyio_protocol_curve_crypto.templates import Template

COUNT: Final = 0
NG: Final = 8
ANN: Final = 16
GAMMA: Final = 24
INITIAL_A: Final = 32
FUTURE_A: Final = 40
INITIAL_GAMMA: Final = 48
FUTURE_GAMMA: Final = 56
INITIAL_TIME: Final = 64
FUTURE_TIME: Final = 72
TIME: Final = 80
MID_FEE: Final = 88
OUT_FEE: Final = 96
FEE_GAMMA: Final = 104
GAS: Final = 112
MIN_A: Final = 120
MAX_A: Final = 128
MAX_GAMMA: Final = 136
TIGHT_GAMMA: Final = 144
KEPT_D: Final = 160
D: Final = 192
COINS: Final = 256

BALANCE: Final = 0
PRICE: Final = 32
XP: Final = 64
SOLVED: Final = 96
MULTIPLIER: Final = 128
LEFT: Final = 136
COIN_BYTES: Final = 160

UINT128_MAX: Final = 2**128 - 1
MAX_SETTING: Final = 2**60
"""The contracts allow A up to 4 * 10**9 and gamma up to 199 * 10**15."""
MAX_TIME: Final = 2**40
LINE: Final = 64

_HEADER: Final = struct.Struct("<19q8x32s32x32x")
_COIN: Final = struct.Struct("<32s32s64xq24x")


class Ramp(msgspec.Struct, frozen=True):
    """How A and gamma move, as the pool stores it; times in seconds."""

    initial_a: int
    initial_gamma: int
    future_a: int
    future_gamma: int
    started: int = 0
    ends: int = 0


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What a row is packed from: a pool as read from the chain."""

    template: Template
    balances: tuple[int, ...]
    price_scale: tuple[int, ...]
    precisions: tuple[int, ...]
    ramp: Ramp
    d: int
    mid_fee: int
    out_fee: int
    fee_gamma: int
    time: int
    gas: int = 0


def row_bytes(coins: int) -> int:
    """Return the size of a row with that many coins, in whole cache lines."""
    return -(-(COINS + coins * COIN_BYTES) // LINE) * LINE


def pack_row(state: State) -> bytes:
    """Return a row without what is derived; `hot_state.advance` fills that in.

    Raises: ValueError: a number is out of the range that the compiled code is proven for.
    """
    _check(state)
    template, ramp = state.template, state.ramp
    header = _HEADER.pack(
        template.coins,
        template.ng,
        -1,  # no A: `hot_state.advance` derives what is derived
        0,
        ramp.initial_a,
        ramp.future_a,
        ramp.initial_gamma,
        ramp.future_gamma,
        ramp.started,
        ramp.ends,
        state.time,
        state.mid_fee,
        state.out_fee,
        state.fee_gamma,
        state.gas,
        template.min_a,
        template.max_a,
        template.max_gamma,
        template.tight_gamma,
        _word(state.d),
    )
    coins = b"".join(
        _COIN.pack(_word(balance), _word(price), multiplier)
        for balance, price, multiplier in zip(
            state.balances, (PRECISION, *state.price_scale), state.precisions, strict=True
        )
    )
    return (header + coins).ljust(row_bytes(template.coins), b"\0")


def unpack_d(row: bytes) -> int:
    """Return the invariant in `row`, at its time."""
    return int.from_bytes(row[D : D + 32], "little")


def _word(value: int) -> bytes:
    return value.to_bytes(32, "little")


def _check(state: State) -> None:
    ramp, coins = state.ramp, state.template.coins
    lengths = (len(state.balances), len(state.price_scale) + 1, len(state.precisions))
    if lengths != (coins, coins, coins):
        raise ValueError(f"a {state.template.kind} pool must have {coins} coins")
    _within("balances", state.balances, 0, UINT128_MAX)
    _within("price scales", state.price_scale, 1, UINT128_MAX)
    _within("precisions", state.precisions, 1, PRECISION)
    settings = (ramp.initial_a, ramp.initial_gamma, ramp.future_a, ramp.future_gamma)
    _within("A and gamma", settings, 0, MAX_SETTING)
    _within("times", (ramp.started, ramp.ends, state.time), 0, MAX_TIME)
    _within("fees", (state.mid_fee, state.out_fee), 0, FEE_DENOMINATOR)
    _within("fee gamma", (state.fee_gamma,), 0, PRECISION)
    _within("D", (state.d,), 0, UINT128_MAX)


def _within(what: str, values: Sequence[int], low: int, high: int) -> None:
    if not all(low <= value <= high for value in values):
        raise ValueError(f"{what} must be {low} to {high}, not {list(values)}")
