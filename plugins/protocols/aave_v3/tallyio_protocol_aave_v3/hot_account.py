"""A position's account in compiled code: `reference.account_data` says what it is.

Beyond the domain of `hot_math` a value must be below 2**96 of the oracle's units (with 8 decimals and dollars
7.9e20 dollars), so that sums, thresholds and 1e18 multiply to less than 2**96 * 2**32 * 2**16 * 2**60, which
is 2**204.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    LAWFUL,
    NO_PRICE,
    OUT_OF_DOMAIN,
    balance_at,
    balance_flags,
    count_of,
    reserve_at,
    reserve_of,
)
from tallyio.native.jit import hot
from tallyio.native.u256 import const, limb, load128, u256
from tallyio_protocol_aave_v3.hot_category import SKIPS_ZERO, price_of, rules_of, threshold_of
from tallyio_protocol_aave_v3.hot_math import (
    ZERO,
    collateral_amount,
    debt_amount,
    debt_index_at,
    debt_value,
    floor,
    half_up,
    income_at,
)
from tallyio_protocol_aave_v3.hot_memo import sums
from tallyio_protocol_aave_v3.layout import (
    AS_COLLATERAL,
    STABLE_DEBT,
    UNIT,
    Rules,
)

AVERAGES: Final = int(Rules.AVERAGES)
UNLIMITED: Final = const(2**256 - 1)
WHOLE: Final = const(10_000)
_WAD: Final = const(10**18)
_WHOLE64: Final = const(10_000, 64)
_HALF_LIMB: Final = const(32, 64)
_LOW_HALF: Final = const((1 << 32) - 1, 64)
_VALUE_LIMIT: Final = const(1 << 96)


@hot("Tuple(u256, u256, int64)(int64, int64, int64, int64)")
def _worth(  # noqa: PLR0911 - one return for each reason not to know
    book: int, position: int, k: int, time: int
) -> tuple[int, int, int]:
    """Return the value of balance k as collateral and as debt, and `LAWFUL` or why they are not known."""
    balance, rules = balance_at(position, k), rules_of(book)
    row, flags = reserve_at(book, reserve_of(balance)), balance_flags(balance)
    if flags & STABLE_DEBT:
        return ZERO, ZERO, OUT_OF_DOMAIN
    owed = u256(load128(balance + DEBT))
    if owed == ZERO and not flags & AS_COLLATERAL:
        return ZERO, ZERO, LAWFUL
    price = price_of(book, position, reserve_of(balance))
    if price == ZERO:
        return ZERO, ZERO, NO_PRICE
    if price >= _VALUE_LIMIT:
        return ZERO, ZERO, OUT_OF_DOMAIN
    unit, collateral, debt = u256(load128(row + UNIT)), ZERO, ZERO
    if flags & AS_COLLATERAL:
        income = income_at(row, time)
        if income == ZERO:
            return ZERO, ZERO, OUT_OF_DOMAIN
        held = collateral_amount(u256(load128(balance + COLLATERAL)) * income, rules)
        collateral = floor(held * price, unit)
    if owed != ZERO:
        index = debt_index_at(row, time, rules)
        if index == ZERO:
            return ZERO, ZERO, OUT_OF_DOMAIN
        debt = debt_value(debt_amount(owed * index, rules) * price, unit, rules)
    if collateral >= _VALUE_LIMIT or debt >= _VALUE_LIMIT:
        return ZERO, ZERO, OUT_OF_DOMAIN
    return collateral, debt, LAWFUL


@hot("Tuple(u256, u256, u256, int64)(int64, int64, int64)")
def account_of(book: int, position: int, time: int) -> tuple[int, int, int, int]:
    """Return the values of collateral and debt, the sum of value times threshold, and `LAWFUL` or why not."""
    held, owed, counting, is_certain = sums(book, position, time)
    if is_certain:
        return u256(held), u256(owed), u256(counting), LAWFUL
    return _divided(book, position, time)


@hot("Tuple(u256, u256, u256, int64)(int64, int64, int64)")
def _divided(book: int, position: int, time: int) -> tuple[int, int, int, int]:
    """Do what `account_of` does, for any account, with every division."""
    collateral, debt, weighted = ZERO, ZERO, ZERO
    for k in range(count_of(position)):
        held, owed, status = _worth(book, position, k, time)
        if status != LAWFUL:
            return ZERO, ZERO, ZERO, status
        threshold = threshold_of(book, position, reserve_of(balance_at(position, k)))
        if threshold != 0 or not rules_of(book) & SKIPS_ZERO:
            collateral = collateral + held
            weighted = weighted + held * u256(threshold)
        debt = debt + owed
    return collateral, debt, weighted, LAWFUL


@hot("u256(u256)", inline=True)
def _of_whole(n: int) -> int:
    """Return n / 10_000 rounded down; below 2**128 in digits of 32 bits, which the compiler multiplies."""
    if n >> 128 != ZERO:
        return floor(n, WHOLE)
    # Each rest is below 10_000 < 2**14, so that with a digit it is below 2**46.
    high, low = limb(n, 1), limb(n, 0)
    quotient1, rest = high // _WHOLE64, high % _WHOLE64
    upper = (rest << _HALF_LIMB) | (low >> _HALF_LIMB)
    lower = ((upper % _WHOLE64) << _HALF_LIMB) | (low & _LOW_HALF)
    quotient0 = ((upper // _WHOLE64) << _HALF_LIMB) + lower // _WHOLE64
    return (u256(quotient1) << 64) | u256(quotient0)


@hot("u256(u256, u256, int64)")
def secured(collateral: int, weighted: int, rules: int) -> int:
    """Return how much debt the collateral covers, in the oracle's unit, as the rules sum it."""
    if not rules & AVERAGES:
        return _of_whole(weighted)
    average = floor(weighted, collateral) if collateral != ZERO else ZERO
    return half_up(collateral * average, WHOLE)


@hot("u256(u256, u256, u256, int64)")
def factor_of(collateral: int, debt: int, weighted: int, rules: int) -> int:
    """Return the health factor in 1e-18; 2**256 - 1 without debt."""
    if debt == ZERO:
        return UNLIMITED
    if rules & AVERAGES:
        return half_up(secured(collateral, weighted, rules) * _WAD, debt)
    return _of_whole(half_up(weighted * _WAD, debt))
