"""The compiled functions of Venus's core pool; `tallyio.lending.abi` states what each must do.

They equal those of `reference` to the unit. The accounting unit is 1e-18 of a dollar, in which the
comptroller sums up.
"""

from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    HEALTH_SIGNATURE,
    HEALTHY,
    KNOWN,
    LAWFUL,
    LIQUIDATABLE,
    LIQUIDATE_SIGNATURE,
    NOTHING_GAINED,
    NOTHING_OWED,
    TOO_MUCH,
    UNKNOWN,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
    balance_flags,
    count_of,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, store256, to_f64
from tallyio_protocol_venus import state
from tallyio_protocol_venus.hot_liquidation import (
    falls_short,
    gates,
    most_of,
    repaid_vai,
    seize_ratio,
    settle,
    vai_comes_first,
)
from tallyio_protocol_venus.hot_market import (
    EVERY_RESERVE,
    NO_RESERVE,
    ONE,
    ZERO,
    accrue,
    exchange_rate,
    flags_at,
    is_forced,
    number_at,
    owed,
    pool_at,
    scaled,
    sums,
)
from tallyio_protocol_venus.layout import PRICE, SHIFT, SUPPLY, UNIT_SLACK, VAI_UNITS

_UNIT: Final = const(1)
_LARGEST: Final = const(state.UINT256_MAX)
_LISTED: Final = state.LISTED
_VAI: Final = state.VAI
_ENTERED: Final = state.ENTERED
_MANTISSA: Final = 1e-18
_DEBT_UNIT: Final = 2.0**-SHIFT * 1e-18
_VAI_LENT: Final = VAI_UNITS + 1.0
_FINE: Final = 1e11
"""An exchange rate, and a rate times price, from which on the contract's roundings of both are within the
slack that the adapter states, for thresholds from 1 % on."""
_COARSE: Final = UNIT_SLACK * 1e18
"""A price up to which a debt's rounding to smallest units of the token is within that slack."""
_DEBT_BYTES: Final = 32
_FACTOR_BYTES: Final = 64
_WORD: Final = 32
_WORDS: Final = 5
_MOST: Final = 128


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:
    """Write what a vToken, and a unit of debt, is worth in 1e-18 of a dollar once the market has accrued."""
    row = reserve_at(book, reserve)
    status, index, borrows, reserves, cash = accrue(row, time, number)
    if status != LAWFUL:
        return UNKNOWN
    if flags_at(row) & _VAI:
        store_f64(out, 0, 1.0)
        store_f64(out, 1, _VAI_LENT + to_f64(index) * _MANTISSA)
        return KNOWN
    if flags_at(row) & _LISTED == 0:
        # The comptroller leaves out what is not listed, debts too.
        store_f64(out, 0, 0.0)
        store_f64(out, 1, 0.0)
        return KNOWN
    supply, price = number_at(row, SUPPLY), to_f64(number_at(row, PRICE))
    status, rate = exchange_rate(row, borrows, reserves, cash, supply)
    fine = to_f64(rate)
    if status != LAWFUL or price == 0.0 or fine < _FINE or fine * price * _MANTISSA < _FINE:
        return UNKNOWN
    if price > _COARSE:
        return UNKNOWN
    if supply != ZERO:
        fine = to_f64(cash + borrows - reserves) / to_f64(supply) / _MANTISSA
    store_f64(out, 0, fine * price * _MANTISSA * _MANTISSA)
    store_f64(out, 1, to_f64(index) * price * _DEBT_UNIT)
    return KNOWN


@hot("boolean(int64, int64)")
def _has_forced(book: int, position: int) -> bool:
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        if is_forced(reserve_at(book, reserve_of(balance)), balance):
            return True
    return False


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:
    """Return the liquidation threshold for the position's pool; 0 where the market was not entered.

    All of it is 0 for who may be liquidated whatever the health: so he is among those looked at.
    """
    balance = balance_at(position, k)
    row = reserve_at(book, reserve_of(balance))
    if flags_at(row) & _VAI:
        return 1.0
    counts = balance_flags(balance) & _ENTERED != 0 and flags_at(row) & _LISTED != 0
    if not counts or _has_forced(book, position):
        return 0.0
    return float(load(pool_at(row, position), 0)) * _MANTISSA


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:
    """Write what `getAccountLiquidity` sums up once every market has accrued."""
    status = sums(book, position, EVERY_RESERVE, NO_RESERVE, NO_RESERVE, time, number, out)
    if status != LAWFUL:
        return UNKNOWN
    collateral, debt = load256(out), load256(out + _DEBT_BYTES)
    # The sums are below 2**190, and 1e18 is below 2**60.
    factor = _LARGEST if debt == ZERO else divmod256(collateral * ONE, debt)[0]
    store256(out + _FACTOR_BYTES, factor)
    return LIQUIDATABLE if collateral < debt or _has_forced(book, position) else HEALTHY


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - one liquidation has this many facts
    book: int, position: int, collateral: int, debt: int, repay: int, time: int, number: int, out: int
) -> int:
    """Write what the Liquidator contract, and redeeming thereafter, takes and gives; return the verdict."""
    verdict = gates(book, position, collateral, debt)
    if verdict == LAWFUL:
        verdict = vai_comes_first(book, position, debt, time, number)
    if verdict == LAWFUL:
        verdict = falls_short(book, position, collateral, debt, time, number, out)
    for k in range(_WORDS):
        store256(out + k * _WORD, ZERO)
    return (
        _trade(book, position, collateral, debt, repay, time, number, out) if verdict == LAWFUL else verdict
    )


@hot(LIQUIDATE_SIGNATURE)
def _trade(  # noqa: PLR0913, PLR0917 - one liquidation has this many facts, and ways to fail
    book: int, position: int, collateral: int, debt: int, repay: int, time: int, number: int, out: int
) -> int:
    taken, paid = balance_at(position, collateral), balance_at(position, debt)
    seized, repaid = reserve_at(book, reserve_of(taken)), reserve_at(book, reserve_of(paid))
    in_vai = flags_at(repaid) & _VAI != 0
    status, index, borrows, _, _ = accrue(repaid, time, number)
    if status != LAWFUL:
        return status
    status, whole = owed(paid, index, in_vai)
    if status != LAWFUL or whole == ZERO:
        return NOTHING_OWED if status == LAWFUL else status
    status, _, others, reserves, cash = accrue(seized, time, number)
    if status != LAWFUL:
        return status
    status, rate = exchange_rate(seized, others, reserves, cash, number_at(seized, SUPPLY))
    if status == LAWFUL:
        status, ratio = seize_ratio(position, seized, repaid, rate)
    else:
        ratio = ZERO
    if status != LAWFUL:
        return status
    # Tokens are below 2**96. What is seized for up to `affordable` is no more than there is.
    affordable = divmod256((number_at(taken, COLLATERAL) + _UNIT) * ONE - _UNIT, ratio)[0]
    most = most_of(book, repaid, paid, whole, borrows, affordable)
    store256(out + _MOST, most)
    amount = most if repay == _LARGEST else repay
    if amount == ZERO or amount > most:
        return NOTHING_GAINED if amount == ZERO else TOO_MUCH
    actual = repaid_vai(amount, whole, number_at(paid, DEBT)) if in_vai else amount
    if seized == repaid:
        others, cash = others - amount, cash + amount
    verdict = settle(book, position, seized, others, reserves, cash, scaled(ratio, actual), out)
    if verdict == LAWFUL:
        store256(out, amount)
    return verdict
