"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

They are those of any pool of concentrated liquidity, within what a caller of the manager can hold, and
equal `reference.quote` and `reference.quote_exact_out` to the unit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.abi import (
    ADVANCE_SIGNATURE,
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_IGNORED,
    LOG_RELOAD,
    QUOTE_EXACT_OUT_SIGNATURE,
    QUOTE_SIGNATURE,
)
from tallyio.market.concentrated.changes import change_liquidity, move_price, set_fee
from tallyio.market.concentrated.layout import DIRECTION_BYTES, DIRECTIONS, FEE_PIPS, SQRT_PRICE
from tallyio.market.concentrated.quotes import curve as any_curve
from tallyio.market.concentrated.quotes import gas as any_gas
from tallyio.market.concentrated.quotes import quote as any_quote
from tallyio.market.concentrated.quotes import quote_exact_out as any_quote_exact_out
from tallyio.market.concentrated.reference_math import PIPS
from tallyio.native.atomics import load, load_be256, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, i64, is_negative, lo64, load256, u128
from tallyio_protocol_uniswap_v4.own import FEE_READ_AT, FEE_SECONDS, LP_FEE, PROTOCOL_FEE
from tallyio_protocol_uniswap_v4.permissions import DYNAMIC_FEE_FLAG
from tallyio_protocol_uniswap_v4.reference import MAX_AMOUNT

_ZERO: Final = const(0)
_NO_LIQUIDITY: Final = const(0, 128)
_MAX_AMOUNT: Final = const(MAX_AMOUNT)
_MAX_AMOUNT_F64: Final = float(MAX_AMOUNT)
_WORD: Final = 32

_INITIALIZE: Final = 0
_SWAP: Final = 1
_MODIFY_LIQUIDITY: Final = 2
_PROTOCOL_FEE_UPDATED: Final = 3
_DATA_BYTES: Final = np.array([5 * _WORD, 6 * _WORD, 4 * _WORD, _WORD], np.int64)

_DIRECTION_BITS: Final = 12
_DIRECTION_MASK: Final = (1 << _DIRECTION_BITS) - 1
_MAX_PACKED: Final = (1 << 2 * _DIRECTION_BITS) - 1


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays for `amount_in`, exactly; 0 where it cannot take it all."""
    if amount_in > _MAX_AMOUNT:
        return _ZERO
    paid = any_quote(row, i, j, amount_in)
    return paid if paid <= _MAX_AMOUNT else _ZERO


@hot(QUOTE_EXACT_OUT_SIGNATURE)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return the input, fees included, that the pool takes for exactly `amount_out`; 0 where it cannot."""
    if amount_out > _MAX_AMOUNT:
        return _ZERO
    taken = any_quote_exact_out(row, i, j, amount_out)
    return taken if taken <= _MAX_AMOUNT else _ZERO


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the gas of the swap from the ticks that it crosses and the bitmap words that it enters."""
    return any_gas(row, i, j, amount_in)


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; (0, 0) where the pool cannot take it all."""
    if not amount_in <= _MAX_AMOUNT_F64:
        return 0.0, 0.0
    paid, slope = any_curve(row, i, j, amount_in)
    if paid > _MAX_AMOUNT_F64:
        return 0.0, 0.0
    return paid, slope


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Ask for a reload where the fee is a hook's and was read too long ago: setting it emits no event."""
    seconds = load(row + FEE_SECONDS, 0)
    is_old = seconds > 0 and timestamp - load(row + FEE_READ_AT, 0) > seconds
    return LOG_RELOAD if is_old else LOG_IGNORED


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - the topics name the pool
    """Follow Initialize, Swap, ModifyLiquidity and ProtocolFeeUpdated.

    Asks for a reload where the row has no room for a tick, and where the event contradicts it: a Swap
    whose liquidity is not that of the ticks below, or whose fee is another, which a hook has set.
    """
    if not _INITIALIZE <= event <= _PROTOCOL_FEE_UPDATED or data_bytes != _DATA_BYTES[event]:
        return LOG_RELOAD
    if event == _SWAP:
        return _swap(row, data)
    if event == _MODIFY_LIQUIDITY:
        delta = u128(load_be256(data + 2 * _WORD))
        if delta == _NO_LIQUIDITY:
            return LOG_IGNORED
        return _status(change_liquidity(row, _signed(data), _signed(data + _WORD), delta))
    if event == _PROTOCOL_FEE_UPDATED:
        return _status(_set_fees(row, load(row + LP_FEE, 0), _signed(data)))
    return _initialize(row, data)


@hot("int64(int64, int64)")
def _initialize(row: int, data: int) -> int:
    # A dynamic fee starts at 0, and the pool's hook may have set another one since.
    lp_fee = _signed(data)
    if lp_fee == DYNAMIC_FEE_FLAG or not _set_fees(row, lp_fee, 0):
        return LOG_RELOAD
    price, tick = load_be256(data + 3 * _WORD), _signed(data + 4 * _WORD)
    return _status(move_price(row, price, _NO_LIQUIDITY, tick))


@hot("int64(int64, int64)")
def _swap(row: int, data: int) -> int:
    price, before = load_be256(data + 2 * _WORD), load256(row + SQRT_PRICE)
    # The caller's amounts: what it paid is negative. Where it paid nothing, the price may tell.
    i = -1
    if is_negative(load_be256(data)) or price < before:
        i = 0
    elif is_negative(load_be256(data + _WORD)) or price > before:
        i = 1
    if i >= 0 and load(row + DIRECTIONS + i * DIRECTION_BYTES + FEE_PIPS, 0) != _signed(data + 5 * _WORD):
        return LOG_RELOAD
    liquidity = u128(load_be256(data + 3 * _WORD))
    return _status(move_price(row, price, liquidity, _signed(data + 4 * _WORD)))


@hot("boolean(int64, int64, int64)")
def _set_fees(row: int, lp_fee: int, packed: int) -> bool:
    if not 0 <= lp_fee <= PIPS or not 0 <= packed <= _MAX_PACKED:
        return False
    store(row + LP_FEE, 0, lp_fee)
    store(row + PROTOCOL_FEE, 0, packed)
    down, up = packed & _DIRECTION_MASK, packed >> _DIRECTION_BITS
    return set_fee(row, 0, _swap_fee(down, lp_fee)) and set_fee(row, 1, _swap_fee(up, lp_fee))


@hot("int64(int64, int64)")
def _swap_fee(protocol_fee: int, lp_fee: int) -> int:
    # `ProtocolFeeLibrary.calculateSwapFee`; both are below 2**20, so nothing wraps.
    return protocol_fee + lp_fee - protocol_fee * lp_fee // PIPS


@hot("int64(boolean)", inline=True)
def _status(followed: bool) -> int:  # noqa: FBT001 - compiled functions take arguments by position
    return LOG_APPLIED if followed else LOG_RELOAD


@hot("int64(int64)")
def _signed(word: int) -> int:
    # A signed integer of at most 64 bits is sign-extended to the whole word: its low limb is enough.
    return i64(lo64(load_be256(word)))
