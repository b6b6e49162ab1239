"""A pool's compiled functions; `tallyio.lending.abi` states what each must do.

`health` equals `reference.account_data`, `liquidate` equals `terms.liquidate`, to the unit, and both refuse
what is out of the domain of `hot_math` and `hot_account`. The accounting unit is the oracle's.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    DEBT,
    HEALTH_SIGNATURE,
    HEALTHY,
    KNOWN,
    LAWFUL,
    LIQUIDATABLE,
    LIQUIDATE_SIGNATURE,
    NOT_COLLATERAL,
    NOTHING_OWED,
    UNKNOWN,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
    balance_flags,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, store256, to_f64, u256
from tallyio_protocol_aave_v3.hot_account import AVERAGES, account_of, factor_of, secured
from tallyio_protocol_aave_v3.hot_category import rules_of, threshold_of
from tallyio_protocol_aave_v3.hot_math import ZERO, debt_index_at, income_at
from tallyio_protocol_aave_v3.hot_terms import case_of, counts, domain, gate, settle
from tallyio_protocol_aave_v3.layout import AS_COLLATERAL, PRICE, UNIT

COARSEST: Final = 1e6
"""Accounting units that one smallest unit of a token may be worth; `unit_slack` covers no more."""

_WAD: Final = const(10**18)
_RAY_F64: Final = 1e27
_WHOLE_F64: Final = 1e4
_WORD: Final = 32
_MOST: Final = 4 * _WORD


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time is enough
    """Write what one scaled unit of collateral and of debt is worth; relative error < 1e-15 of each."""
    row = reserve_at(book, reserve)
    income, index = income_at(row, time), debt_index_at(row, time, rules_of(book))
    price, unit = to_f64(u256(load128(row + PRICE))), to_f64(u256(load128(row + UNIT)))
    if min(income, index) == ZERO or unit == 0.0 or not 0.0 < price <= COARSEST * unit:
        return UNKNOWN
    each = price / unit / _RAY_F64
    store_f64(out, 0, to_f64(income) * each)
    store_f64(out, 1, to_f64(index) * each)
    return KNOWN


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:
    """Return the threshold that counts for balance k.

    Where the contract rounds the average threshold down to 1e-4 it is 1e-4 less, so that a margin is never
    above what the contract finds: floor(average) > average - 1e-4.
    """
    balance = balance_at(position, k)
    if not balance_flags(balance) & AS_COLLATERAL:
        return 0.0
    threshold = float(threshold_of(book, position, reserve_of(balance)))
    if rules_of(book) & AVERAGES and threshold > 0.0:
        threshold -= 1.0
    return threshold / _WHOLE_F64


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:  # noqa: ARG001 - time is enough
    """Write the account's health as `getUserAccountData` computes it."""
    collateral, debt, weighted, status = account_of(book, position, time)
    if status != LAWFUL:
        return UNKNOWN
    rules = rules_of(book)
    factor = factor_of(collateral, debt, weighted, rules)
    store256(out, secured(collateral, weighted, rules))
    store256(out + _WORD, debt)
    store256(out + 2 * _WORD, factor)
    return LIQUIDATABLE if factor < _WAD else HEALTHY


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - as the ABI has it
    book: int,
    position: int,
    collateral: int,
    debt: int,
    repay: int,
    time: int,
    number: int,  # noqa: ARG001 - time is enough
    out: int,
) -> int:
    """Write what `liquidationCall` takes and gives; `most` is what to offer it for the most."""
    store256(out + _MOST, ZERO)
    total, owed, weighted, status = account_of(book, position, time)
    if status != LAWFUL:
        return status
    rules = rules_of(book)
    held_at, owed_at = balance_at(position, collateral), balance_at(position, debt)
    factor = factor_of(total, owed, weighted, rules)
    closed = gate(
        book, reserve_at(book, reserve_of(held_at)), reserve_at(book, reserve_of(owed_at)), factor, time
    )
    if closed != LAWFUL:
        return closed
    if not counts(book, position, collateral):
        return NOT_COLLATERAL
    if u256(load128(owed_at + DEBT)) == ZERO:
        return NOTHING_OWED
    case = case_of(book, position, collateral, debt, time, total, owed, factor)
    status = domain(case, rules)
    if status != LAWFUL:
        return status
    is_same = 1 if reserve_of(held_at) == reserve_of(owed_at) else 0
    return settle(case, repay, rules, is_same, out)
