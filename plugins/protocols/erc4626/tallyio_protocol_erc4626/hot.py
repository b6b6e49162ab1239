"""A vault's compiled functions; `tallyio.market.abi` states what each must do.

`quote` and `quote_exact_out` equal those of `reference` to the unit. `i` and `j` are 0 (asset) and 1 (shares)
in either order; anything else quotes 0. The output grows with the input up to the vault's limit; beyond, the
vault reverts and the quote is 0.

No overflow anywhere: amounts and totals are below 2**128, one unit of virtual assets makes that at most
2**128, and so each product is below 2**256. A mint cannot overflow the supply either: it gives at most
(2**128 - 1) * 2**128 shares, to fewer than 2**128 that there are.
"""

from __future__ import annotations

from typing import Final

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
from tallyio.native.atomics import load, load_be256
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store128, to_f64, u128, u256
from tallyio_protocol_erc4626.layout import (
    ASSET,
    FOLLOWS,
    GAS,
    MAX_AGE,
    MAX_DEPOSIT,
    MAX_MINT,
    MAX_REDEEM,
    MAX_WITHDRAW,
    READ_AT,
    SUPPLY,
    TOTAL_ASSETS,
    VIRTUAL_SHARES,
)
from tallyio_protocol_erc4626.reference import MOST

_ZERO: Final = const(0)
_ONE: Final = const(1)
_MOST: Final = const(MOST)
_DEPOSITED: Final = 0
_EVENT_BYTES: Final = 64
_WORD: Final = 32
_SLACK: Final = 1.0 + 1e-12


@hot("boolean(int64, int64)", inline=True)
def _is_direction(i: int, j: int) -> bool:
    return (i | j) == 1 and i != j


@hot("u256(int64, int64)", inline=True)
def _number(row: int, field: int) -> int:
    return u256(load128(row + field))


@hot("UniTuple(u256, 2)(int64)", inline=True)
def _sides(row: int) -> tuple[int, int]:
    """Return assets and shares whose ratio is the price."""
    total, supply, virtual = _number(row, TOTAL_ASSETS), _number(row, SUPPLY), _number(row, VIRTUAL_SHARES)
    if virtual != _ZERO:
        return total + _ONE, supply + virtual
    if supply == _ZERO:
        return _ONE, _ONE
    return total, supply


@hot("u256(u256, u256, u256)", inline=True)
def _up(amount: int, times: int, over: int) -> int:
    if over == _ZERO:
        return _ZERO
    quotient, rest = divmod256(amount * times, over)
    return quotient if rest == _ZERO else quotient + _ONE


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what a deposit or a redemption pays, exactly; 0 where it reverts or pays nothing."""
    if not _is_direction(i, j) or amount_in > _MOST:
        return _ZERO
    assets, shares = _sides(row)
    if i == ASSET:
        # Without assets behind shares the divisor is 0, where `divmod256` gives 0 and the vault reverts.
        return divmod256(amount_in * shares, assets)[0] if amount_in <= _number(row, MAX_DEPOSIT) else _ZERO
    if amount_in > _number(row, MAX_REDEEM):
        return _ZERO
    paid = divmod256(amount_in * assets, shares)[0]
    return paid if paid <= _number(row, MAX_WITHDRAW) else _ZERO


@hot(QUOTE_EXACT_OUT_SIGNATURE)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return what a mint or a withdrawal takes, exactly; 0 where it reverts or takes nothing."""
    if not _is_direction(i, j) or amount_out > _MOST:
        return _ZERO
    assets, shares = _sides(row)
    if i == ASSET:
        taken = _up(amount_out, assets, shares)
        return taken if amount_out <= _number(row, MAX_MINT) and taken <= _MOST else _ZERO
    taken = _up(amount_out, shares, assets)
    fits = amount_out <= _number(row, MAX_WITHDRAW) and taken <= _number(row, MAX_REDEEM)
    return taken if fits else _ZERO


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; relative error < 1e-14, and the floor's unit."""
    if not _is_direction(i, j):
        return 0.0, 0.0
    sides = _sides(row)
    assets, shares = to_f64(sides[0]), to_f64(sides[1])
    if i == ASSET:
        if assets == 0.0 or not 0.0 <= amount_in <= to_f64(_number(row, MAX_DEPOSIT)):
            return 0.0, 0.0
        return amount_in * (shares / assets), shares / assets
    if not 0.0 <= amount_in <= to_f64(_number(row, MAX_REDEEM)):
        return 0.0, 0.0
    paid = amount_in * (assets / shares)
    # All shares are worth exactly all assets: a rounding must not carry the last of them over the limit.
    return (paid, assets / shares) if paid <= to_f64(_number(row, MAX_WITHDRAW)) * _SLACK else (0.0, 0.0)


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every amount
    """Return the configured gas of a deposit or a redemption."""
    return load(row + GAS + 8 * i, 0) if _is_direction(i, j) else 0


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Ask for a reload where the row is too old: a gift to the vault, or what it earns, emits no event."""
    is_old = timestamp - load(row + READ_AT, 0) > load(row + MAX_AGE, 0)
    return LOG_RELOAD if is_old else LOG_IGNORED


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - who it was does not matter
    """Follow `Deposit` (0) and `Withdraw` (1), whose data are assets and shares; or ask for a reload."""
    if load(row + FOLLOWS, 0) == 0 or data_bytes != _EVENT_BYTES or not 0 <= event <= 1:
        return LOG_RELOAD
    assets, shares = load_be256(data), load_be256(data + _WORD)
    if assets > _MOST or shares > _MOST:
        return LOG_RELOAD
    total, supply = _number(row, TOTAL_ASSETS), _number(row, SUPPLY)
    if event == _DEPOSITED:
        total, supply = total + assets, supply + shares
    elif assets <= total and shares <= supply:
        total, supply = total - assets, supply - shares
    else:
        return LOG_RELOAD
    if total > _MOST or supply + _number(row, VIRTUAL_SHARES) > _MOST:
        return LOG_RELOAD
    store128(row + TOTAL_ASSETS, u128(total))
    store128(row + MAX_WITHDRAW, u128(total))
    store128(row + SUPPLY, u128(supply))
    store128(row + MAX_REDEEM, u128(supply))
    return LOG_APPLIED
