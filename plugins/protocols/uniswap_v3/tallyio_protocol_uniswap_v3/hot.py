"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` equals `reference.quote` to the unit. `i` and `j` are 0 and 1, in either order; anything else
quotes 0. The output grows with the input up to the largest that the pool can take; beyond, a swap
would end at the pool's price limit with input left over, and the quote is 0.

`curve` is smooth where `quote` is a staircase. It differs by at most 1e-9 of the output, plus at each
stop of the swap two units of the output and two of the input (at the price there), plus
liquidity / 2**96 and the price, which is how finely the pool knows its own price.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.market.abi import (
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_APPLIED,
    LOG_IGNORED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, lo64, load128, load256, negate, to_f64, u128, u256
from tallyio_protocol_uniswap_v3.hot_math import ZERO, output_within
from tallyio_protocol_uniswap_v3.hot_state import change_liquidity, move_price, settle
from tallyio_protocol_uniswap_v3.hot_walk import crossed, is_open, range_before, tick_address, walk
from tallyio_protocol_uniswap_v3.layout import (
    AT_DOWN_IN,
    AT_SQRT,
    AT_UP_IN,
    CURSOR,
    FEE_PIPS,
    GAS_BASE,
    GAS_PER_TICK,
    GAS_PER_WORD,
    LIQUIDITY,
    OUT_AFTER_IN,
    ROOM_DOWN,
    ROOM_UP,
    SQRT_PRICE,
    TICK_COUNT,
)
from tallyio_protocol_uniswap_v3.reference import MAX_AMOUNT
from tallyio_protocol_uniswap_v3.reference_math import PIPS

_MAX_AMOUNT: Final = const(MAX_AMOUNT)
_PER_X96: Final = 2.0**-96
_WORD: Final = 32

_INITIALIZE: Final = 0
_SWAP: Final = 1
_MINT: Final = 2
_BURN: Final = 3
_DATA_BYTES: Final = np.array([2 * _WORD, 5 * _WORD, 4 * _WORD, 3 * _WORD], np.int64)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays for `amount_in`, exactly; 0 where it cannot take it all."""
    price = load256(row + SQRT_PRICE)
    if i + j != 1 or i * j != 0 or amount_in > _MAX_AMOUNT or not is_open(price, i):
        return ZERO
    if amount_in < load256(row + (ROOM_DOWN if i == 0 else ROOM_UP)):
        liquidity = u256(load128(row + LIQUIDITY))
        return output_within(price, liquidity, amount_in, load(row + FEE_PIPS, 0), i)
    return walk(row, amount_in, i)[0]


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the gas of the swap from the ticks that it crosses and the bitmap words that it enters."""
    base = load(row + GAS_BASE, 0)
    if i + j != 1 or i * j != 0 or not is_open(load256(row + SQRT_PRICE), i):
        return base
    if amount_in < load256(row + (ROOM_DOWN if i == 0 else ROOM_UP)):
        return base
    _, ticks, words = walk(row, amount_in, i)
    return base + ticks * load(row + GAS_PER_TICK, 0) + words * load(row + GAS_PER_WORD, 0)


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; (0, 0) where the pool cannot take it all."""
    start = load256(row + SQRT_PRICE)
    if i + j != 1 or i * j != 0 or not amount_in >= 0.0 or not is_open(start, i):
        return 0.0, 0.0
    keep = float(PIPS - load(row + FEE_PIPS, 0)) / PIPS
    count = load(row + TICK_COUNT, 0)
    k, step = (load(row + CURSOR, 0) - 1, -1) if i == 0 else (load(row + CURSOR, 0), 1)
    liquidity, out, rest = u256(load128(row + LIQUIDITY)), 0.0, amount_in
    price = to_f64(start) * _PER_X96
    if not 0 <= k < count:
        return 0.0, 0.0
    needed, gained = _span(start, load256(tick_address(row, k) + AT_SQRT), to_f64(liquidity), keep)
    while rest >= needed:
        at = tick_address(row, k)
        rest, out = rest - needed, out + gained
        liquidity, price = crossed(liquidity, at, i), to_f64(load256(at + AT_SQRT)) * _PER_X96
        k += step
        if not 0 <= k < count:
            return 0.0, 0.0
        sums = range_before(tick_address(row, k), i) + (AT_DOWN_IN if i == 0 else AT_UP_IN)
        needed, gained = to_f64(load256(sums)), to_f64(load256(sums + OUT_AFTER_IN))
    last, slope = _within(price, to_f64(liquidity), rest * keep, i)
    return out + last, slope * keep


@hot("UniTuple(float64, 2)(u256, u256, float64, float64)")
def _span(start: int, target: int, liquidity: float, keep: float) -> tuple[float, float]:
    # The difference is taken in integers: in float64 two near prices would cancel.
    product = to_f64(start) * _PER_X96 * (to_f64(target) * _PER_X96)
    if target < start:
        moved = liquidity * (to_f64(start - target) * _PER_X96)
        return moved / product / keep, moved
    moved = liquidity * (to_f64(target - start) * _PER_X96)
    return moved / keep, moved / product


@hot("UniTuple(float64, 2)(float64, float64, float64, int64)")
def _within(price: float, liquidity: float, amount: float, i: int) -> tuple[float, float]:
    # Forms without a difference of nearly equal numbers: the reserves behind a range are virtual.
    if i == 0:
        depth = liquidity + amount * price
        reached = price * (liquidity / depth)
        return price * amount * reached, reached * reached
    reached = price + amount / liquidity
    return amount / (price * reached), 1.0 / (reached * reached)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Follow Initialize, Swap, Mint and Burn.

    Asks for a reload where the row has no room for a tick, and where the event contradicts it: a
    Swap whose liquidity is not that of the ticks below, a Burn of what is not there.
    """
    if not _INITIALIZE <= event <= _BURN or data_bytes != _DATA_BYTES[event]:
        return LOG_RELOAD
    if event == _INITIALIZE:
        move_price(row, load_be256(data), u128(ZERO), _signed(data + _WORD))
        return LOG_APPLIED if settle(row) else LOG_RELOAD
    if event == _SWAP:
        liquidity = u128(load_be256(data + 3 * _WORD))
        move_price(row, load_be256(data + 2 * _WORD), liquidity, _signed(data + 4 * _WORD))
        return LOG_APPLIED if settle(row) else LOG_RELOAD
    # Mint's data starts with the sender; the owner is the first topic of both.
    amount = u128(load_be256(data + (_WORD if event == _MINT else 0)))
    if amount == u128(ZERO):
        return LOG_IGNORED
    delta = amount if event == _MINT else negate(amount)
    lower, upper = _signed(topics + _WORD), _signed(topics + 2 * _WORD)
    return LOG_APPLIED if change_liquidity(row, lower, upper, delta) else LOG_RELOAD


@hot("int64(int64)")
def _signed(word: int) -> int:
    # A signed integer of at most 64 bits is sign-extended to the whole word: its low limb is enough.
    return lo64(load_be256(word))
