"""One exchange in compiled code, and NG's estimate of the input for an output."""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import divmod256, load256
from tallyio_protocol_curve_stable.hot_math import (
    FEE_BASE,
    ONE,
    WAD,
    ZERO,
    dynamic_fee,
    fits,
    get_y,
    prices_fit,
    xp_of,
)
from tallyio_protocol_curve_stable.hot_newton import REVERTED
from tallyio_protocol_curve_stable.hot_state import coin
from tallyio_protocol_curve_stable.layout import BALANCE, FLAGS, RATE, D
from tallyio_protocol_curve_stable.templates import Flag

_BALANCES_FROM_XP: Final = int(Flag.BALANCES_FROM_XP)
_DYNAMIC_FEE: Final = int(Flag.DYNAMIC_FEE)
_NO_MARGIN: Final = int(Flag.NO_MARGIN)


@hot("UniTuple(u256, 4)(int64, int64, int64, u256)")
def solve(row: int, i: int, j: int, amount_in: int) -> tuple[int, int, int, int]:
    """Return what an exchange pays, its whole fee (scaled), and coins `i` and `j` after it, scaled.

    All zero where it reverts. `i` and `j` are a direction of the pool.
    """
    d, nothing = load256(row + D), (ZERO, ZERO, ZERO, ZERO)
    x = scaled_after(row, i, amount_in)
    if REVERTED in (d, x):
        return nothing
    y, before = get_y(row, d, i, j, x), xp_of(row, j)
    margin = ZERO if load(row + FLAGS, 0) & _NO_MARGIN else ONE
    if y > before or before - y < margin:
        return nothing
    dy = before - y - margin
    fee = dynamic_fee(row, (xp_of(row, i) + x) >> 1, (before + y) >> 1)
    if fee == REVERTED or not prices_fit(row, d, i, x, j, y):
        return nothing
    # dy <= rate * balance / 10**18 < 2**197, and a fee is at most half: fee * dy < 2**230. So also
    # dy * 10**18 <= rate * balance < 2**256. The balance of j bears it: paid and the admin's part
    # together are at most dy * 10**18 / rate.
    taken = divmod256(dy * fee, FEE_BASE)[0]
    return divmod256((dy - taken) * WAD, load256(coin(row, j) + RATE))[0], taken, x, y


@hot("u256(int64, int64, u256)")
def scaled_after(row: int, i: int, amount_in: int) -> int:
    """Return the scaled balance of coin `i` with the input; `REVERTED` where the pool cannot take it."""
    rate, balance, flags = load256(coin(row, i) + RATE), load256(coin(row, i) + BALANCE), load(row + FLAGS, 0)
    if not fits(amount_in, rate) or (flags & _DYNAMIC_FEE and amount_in == ZERO):
        return REVERTED
    # Both parts are below 2**197.
    x = xp_of(row, i) + divmod256(amount_in * rate, WAD)[0]
    if flags & _BALANCES_FROM_XP:
        return x if fits(x, WAD) else REVERTED
    return x if balance + amount_in >= balance else REVERTED


@hot("u256(int64, int64, int64, u256)")
def estimate_input(row: int, i: int, j: int, amount_out: int) -> int:
    """Return `reference.get_dx`; 0 where it reverts. `i` and `j` are a direction of the pool."""
    d, rate_j, before = load256(row + D), load256(coin(row, j) + RATE), xp_of(row, j)
    fee = dynamic_fee(row, xp_of(row, i), before)
    if REVERTED in (d, fee) or not fits(amount_out, rate_j):
        return ZERO
    wanted = divmod256(amount_out * rate_j, WAD)[0] + ONE  # < 2**198, and times 10**10 < 2**232
    taken = divmod256(wanted * FEE_BASE, FEE_BASE - fee)[0]
    if taken > before:
        return ZERO
    x = get_y(row, d, j, i, before - taken)
    # `get_y` returns at most 2**128, so the product with 10**18 fits.
    if x == REVERTED or x < xp_of(row, i):
        return ZERO
    return divmod256((x - xp_of(row, i)) * WAD, load256(coin(row, i) + RATE))[0]
