"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

The row and its quotes are those of `tallyio.market.concentrated`; here is what the events of the V3
contracts say. `reference.quote` there is the specification of `quote`, to the unit.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.abi import APPLY_LOG_SIGNATURE, LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.concentrated.changes import change_liquidity, move_price, set_fee
from tallyio.market.concentrated.quotes import curve, gas, quote, quote_exact_out
from tallyio.native.atomics import load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, lo64, negate, u128

__all__ = ["apply_log", "curve", "gas", "quote", "quote_exact_out"]

INITIALIZE: Final = 0
SWAP: Final = 1
MINT: Final = 2
BURN: Final = 3
SWAP_WITH_FEES: Final = 4
FEE: Final = 5
FEE_SOURCE: Final = 6

_WORD: Final = 32
_DATA_BYTES: Final = np.array([2 * _WORD, 5 * _WORD, 4 * _WORD, 3 * _WORD, 7 * _WORD, _WORD], np.int64)
_NOTHING: Final = const(0, 128)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Follow Initialize, Swap, Mint, Burn and Fee.

    Asks for a reload where the row has no room for a tick, where the event contradicts it (a Swap whose
    liquidity is not that of the ticks below, a Burn of what is not there), and where something else than
    the pool decides its fee and has changed it.
    """
    if not INITIALIZE <= event <= FEE or data_bytes != _DATA_BYTES[event]:
        return LOG_RELOAD
    if event == MINT or event == BURN:  # noqa: PLR1714, SIM109 - a set would be built on the heap
        return _apply_position(row, event, topics, data)
    if event == FEE:
        fee_pips = _signed(data)
        return LOG_APPLIED if set_fee(row, 0, fee_pips) and set_fee(row, 1, fee_pips) else LOG_RELOAD
    if event == INITIALIZE:
        is_sound = move_price(row, load_be256(data), _NOTHING, _signed(data + _WORD))
    else:
        liquidity = u128(load_be256(data + 3 * _WORD))
        is_sound = move_price(row, load_be256(data + 2 * _WORD), liquidity, _signed(data + 4 * _WORD))
    return LOG_APPLIED if is_sound else LOG_RELOAD


@hot("int64(int64, int64, int64, int64)")
def _apply_position(row: int, event: int, topics: int, data: int) -> int:
    # Mint's data starts with the sender; the owner is the first topic of both.
    amount = u128(load_be256(data + (_WORD if event == MINT else 0)))
    if amount == _NOTHING:
        return LOG_IGNORED
    delta = amount if event == MINT else negate(amount)
    lower, upper = _signed(topics + _WORD), _signed(topics + 2 * _WORD)
    return LOG_APPLIED if change_liquidity(row, lower, upper, delta) else LOG_RELOAD


@hot("int64(int64)")
def _signed(word: int) -> int:
    # A signed integer of at most 64 bits is sign-extended to the whole word: its low limb is enough.
    return lo64(load_be256(word))
