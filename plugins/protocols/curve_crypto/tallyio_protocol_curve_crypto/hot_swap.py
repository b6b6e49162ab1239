"""One exchange in compiled code; `reference.exchange` is the specification."""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import QUOTE_SIGNATURE
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, u256
from tallyio_protocol_curve_crypto.hot_cubic import get_y
from tallyio_protocol_curve_crypto.hot_newton import WAD, newton_y, xp_of
from tallyio_protocol_curve_crypto.hot_words import ONE, REVERTED, ZERO, add, div, mul, ratio, sub
from tallyio_protocol_curve_crypto.layout import (
    BALANCE,
    COIN_BYTES,
    COINS,
    COUNT,
    FEE_GAMMA,
    MID_FEE,
    MULTIPLIER,
    NG,
    OUT_FEE,
    PRICE,
)
from tallyio_protocol_curve_crypto.reference import FEE_DENOMINATOR
from tallyio_protocol_curve_crypto.reference_newton import PRECISION

_THREE: Final = const(3)
_FOUR_WADS: Final = const(4 * PRECISION)
_FEE_BASE: Final = const(FEE_DENOMINATOR)
_PAIR: Final = 2


@hot("boolean(int64, int64, int64)", inline=True)
def is_direction(row: int, i: int, j: int) -> bool:
    """Return whether `i` and `j` are two coins of the pool."""
    count = load(row + COUNT, 0)
    return 0 <= i < count and 0 <= j < count and i != j


@hot("u256(int64, int64, u256)")
def scaled(row: int, k: int, balance: int) -> int:
    """Return `balance` of coin `k` as the invariant takes it; `REVERTED` where it does not fit."""
    at = row + COINS + k * COIN_BYTES
    whole = mul(balance, u256(load(at + MULTIPLIER, 0)))
    # The source multiplies by the price first: a product of three, in any order, fits or does not.
    return whole if k == 0 else ratio(whole, load256(at + PRICE), WAD)


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what an exchange pays for `amount_in`, exactly; 0 where it reverts or pays nothing."""
    if not is_direction(row, i, j) or amount_in == ZERO:
        return ZERO
    sold, bought = row + COINS + i * COIN_BYTES, row + COINS + j * COIN_BYTES
    x = scaled(row, i, add(load256(sold + BALANCE), amount_in))
    if x == REVERTED:
        return ZERO
    before = xp_of(row, j)
    y = get_y(row, i, j, x) if load(row + NG, 0) else newton_y(row, i, j, x)
    if REVERTED in (y, before) or y >= before:
        return ZERO
    dy = before - y - ONE
    if j > 0:
        dy = ratio(dy, WAD, load256(bought + PRICE))
    dy = div(dy, u256(load(bought + MULTIPLIER, 0)))
    paid = sub(dy, ratio(fee_of(row, i, x, j, y), dy, _FEE_BASE))
    # At most the scaled difference, scaled back: no more than the balance.
    return ZERO if paid == REVERTED or paid > load256(bought + BALANCE) else paid


@hot("u256(int64, int64, u256, int64, u256)")
def fee_of(row: int, i: int, x: int, j: int, y: int) -> int:
    """Return the fee once coins `i` and `j` are at `x` and `y`, of `FEE_DENOMINATOR`."""
    mid, out, gamma = load(row + MID_FEE, 0), load(row + OUT_FEE, 0), u256(load(row + FEE_GAMMA, 0))
    two = load(row + COUNT, 0) == _PAIR
    first, second = (x, y) if i < j else (y, x)
    if two:
        total = add(x, y)
        share = ratio(ratio(_FOUR_WADS, first, total), second, total)
    else:
        share = _balance_of_three(row, i, x, j, y)
    if share > WAD:  # REVERTED; a product is never above its mean's power, and every step rounds down
        return REVERTED
    if gamma > ZERO or two:
        share = div(gamma * WAD, gamma + WAD - share)  # gamma <= 10**18
    if share == REVERTED:
        return REVERTED
    # A share is at most 10**18 and a fee 10**10.
    return divmod256(u256(mid) * share + u256(out) * (WAD - share), WAD)[0]


@hot("u256(int64, int64, u256, int64, u256)")
def _balance_of_three(row: int, i: int, x: int, j: int, y: int) -> int:
    total = add(add(x, y), xp_of(row, 3 - i - j))
    share = WAD
    for k in range(3):
        here = xp_of(row, k)
        if k == i:
            here = x
        if k == j:
            here = y
        share = ratio(mul(share, _THREE), here, total)
    return share
