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
    flags_of,
    own_at,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, lo64, load128, u256
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
from tallyio_protocol_aave_v3.layout import (
    AS_COLLATERAL,
    CATEGORIES,
    CATEGORY,
    CATEGORY_BITMAP,
    CATEGORY_BYTES,
    CATEGORY_COUNT,
    CATEGORY_PRICE,
    CATEGORY_THRESHOLD,
    OWN_RULES,
    PRICE,
    STABLE_DEBT,
    THRESHOLD,
    UNIT,
    Rules,
)

BITMAPS: Final = int(Rules.BITMAPS)
SKIPS_ZERO: Final = int(Rules.SKIPS_ZERO)
AVERAGES: Final = int(Rules.AVERAGES)
UNLIMITED: Final = const(2**256 - 1)
WHOLE: Final = const(10_000)
_WAD: Final = const(10**18)
_VALUE_LIMIT: Final = const(1 << 96)
_BITS: Final = 128


@hot("int64(int64)", inline=True)
def rules_of(book: int) -> int:
    """Return the rules of the pool."""
    return load(own_at(book) + OWN_RULES, 0)


@hot("int64(int64, int64)", inline=True)
def category_at(book: int, number: int) -> int:
    """Return the address of e-mode category `number`, or 0 for none."""
    if not 0 < number < CATEGORY_COUNT:
        return 0
    return own_at(book) + CATEGORIES + CATEGORY_BYTES * number


@hot("int64(int64, int64, int64)")
def category_of(book: int, position: int, reserve: int) -> int:
    """Return the address of the position's category if the reserve is collateral of it, or 0."""
    number = flags_of(position)
    category = category_at(book, number)
    if category == 0:
        return 0
    if rules_of(book) & BITMAPS:
        is_in = reserve < _BITS and lo64(load128(category + CATEGORY_BITMAP) >> reserve) & lo64(1) != lo64(0)
    else:
        is_in = load(reserve_at(book, reserve) + CATEGORY, 0) == number
    return category if is_in else 0


@hot("int64(int64, int64, int64)")
def threshold_of(book: int, position: int, reserve: int) -> int:
    """Return the liquidation threshold that counts for the position."""
    own = load(reserve_at(book, reserve) + THRESHOLD, 0)
    if own == 0 and rules_of(book) & SKIPS_ZERO:
        return 0
    category = category_of(book, position, reserve)
    return load(category + CATEGORY_THRESHOLD, 0) if category != 0 else own


@hot("u256(int64, int64, int64)")
def price_of(book: int, position: int, reserve: int) -> int:
    """Return the price that counts for the position; 0: there is none."""
    own = u256(load128(reserve_at(book, reserve) + PRICE))
    if rules_of(book) & BITMAPS:
        return own
    category = category_of(book, position, reserve)
    if category == 0:
        return own
    price = u256(load128(category + CATEGORY_PRICE))
    return price if price != ZERO else own


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


@hot("u256(u256, u256, int64)")
def secured(collateral: int, weighted: int, rules: int) -> int:
    """Return how much debt the collateral covers, in the oracle's unit, as the rules sum it."""
    if not rules & AVERAGES:
        return floor(weighted, WHOLE)
    average = floor(weighted, collateral) if collateral != ZERO else ZERO
    return half_up(collateral * average, WHOLE)


@hot("u256(u256, u256, u256, int64)")
def factor_of(collateral: int, debt: int, weighted: int, rules: int) -> int:
    """Return the health factor in 1e-18; 2**256 - 1 without debt."""
    if debt == ZERO:
        return UNLIMITED
    if rules & AVERAGES:
        return half_up(secured(collateral, weighted, rules) * _WAD, debt)
    return floor(half_up(weighted * _WAD, debt), WHOLE)
