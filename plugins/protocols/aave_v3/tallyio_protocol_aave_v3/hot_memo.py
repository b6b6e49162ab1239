"""What a reserve comes to at a time, kept in its memo; and an account's sums from that, without division.

A memo holds, for one time, what a scaled balance and an amount are multiplied with: income / RAY, debt
index / RAY and price / unit, each a *factor* of 128 bits with `POINT` bits after the point, cut off below.
So a factor F stands for a rational f with F <= f * 2**POINT < F + 1, and its *width* is 0 where nothing
was cut off: then F = f * 2**POINT. The exact product of an amount a with f, in units of 2**-POINT, is a * F
where the width is 0, and else between a * F and a * F + a, both excluded unless a = 0. So with w = 0 or
w = a, and r the part of a * F after the point:

    r + w < 2**POINT    the floor of a * F is the floor of the exact product, which is an integer itself
                        only where r + w == 0
    else                the exact product may be on either side of an integer: divide (`hot_account`)

Amounts of 2**POINT and more, and whatever else is beyond the bounds below, are divided as well. A product is
below 2**POINT * 2**128 = 2**236, so that adding half a unit, to round to the nearest, does not wrap.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    MEMO_BYTES,
    balance_at,
    balance_flags,
    count_of,
    flags_of,
    has_memos,
    memo_at,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store128, u64, u128, u256
from tallyio_protocol_aave_v3.hot_category import BITMAPS, SKIPS_ZERO, rules_of, threshold_of
from tallyio_protocol_aave_v3.hot_math import DIRECTED, RAY, ZERO, debt_index_at, income_at
from tallyio_protocol_aave_v3.layout import (
    AS_COLLATERAL,
    PRICE,
    STABLE_DEBT,
    THRESHOLD,
    UNIT,
)

POINT: Final = 108
"""Bits after the point: factors below 2**20 fit, so a unit may be worth 1e6, the most that `values` takes."""

_LIMB: Final = 64
# Bits of an upper limb below those bounds, and of a threshold.
_HIGH_POINT: Final = const(POINT - 64, 64)
_HIGH_VALUE: Final = const(96 - 64, 64)
_THRESHOLD_BITS: Final = const(16, 64)
_FACTOR_LIMIT: Final = const(1 << 128)
_NONE: Final = const(0, 128)
_ONE: Final = const(1, 128)
_FRACTION: Final = const((1 << POINT) - 1, 128)
_HALF: Final = const(1 << (POINT - 1))
_NOTHING: Final = const(0)
_VALUE_BITS: Final = 96

# A memo: words of 8 bytes, and numbers of 16.
_STAMP: Final = 0  # the time it is for, plus 1; 0: none
_KEPT_THRESHOLD: Final = 1
_INCOME: Final = 16
_INDEX: Final = 32
_WORTH: Final = 48
_INDEX_WIDTH: Final = 64
_WORTH_WIDTH: Final = 80


@hot("Tuple(u128, u128, boolean)(u256, u256)")
def _factor(n: int, d: int) -> tuple[int, int, bool]:
    """Return n / d as a factor, its width, and whether it fits; n < 2**120 and d > 0.

    The width is a mask, of which an amount is cut: all ones where something was cut off.
    """
    quotient, rest = divmod256(n << POINT, d)  # below 2**228
    return u128(quotient), _NONE if rest == ZERO else _NONE - _ONE, quotient < _FACTOR_LIMIT


@hot("boolean(int64, int64, int64)")
def _project(book: int, reserve: int, time: int) -> bool:
    """Fill the memo of a reserve for `time`; return whether its numbers are within the bounds."""
    memo, row = memo_at(book, reserve), reserve_at(book, reserve)
    income, index = income_at(row, time), debt_index_at(row, time, rules_of(book))
    price, unit = u256(load128(row + PRICE)), u256(load128(row + UNIT))
    # Indexes are below 2**120.
    if min(income, index) == ZERO or min(price, unit) == ZERO or price >> _VALUE_BITS != ZERO:
        return False
    by_income, _, fits_income = _factor(income, RAY)
    by_index, index_width, fits_index = _factor(index, RAY)
    by_price, price_width, fits_price = _factor(price, unit)
    if not (fits_income and fits_index and fits_price):
        return False
    store128(memo + _INCOME, by_income)
    store128(memo + _INDEX, by_index)
    store128(memo + _INDEX_WIDTH, index_width)
    store128(memo + _WORTH, by_price)
    store128(memo + _WORTH_WIDTH, price_width)
    store(memo, _KEPT_THRESHOLD, load(row + THRESHOLD, 0))
    store(memo, _STAMP, time + 1)
    return True


@hot("UniTuple(u128, 2)(u128, int64, u256)", inline=True)
def _down(amount: int, factor_at: int, more: int) -> tuple[int, int]:
    """Return the floor of amount times factor, plus `more` after the point, and r + w.

    The width is taken to be 1: it does not matter here whether the product is an integer.
    """
    product = u256(amount) * u256(load128(factor_at)) + more
    return u128(product >> POINT), (u128(product) & _FRACTION) + amount


@hot("UniTuple(u128, 2)(u128, int64, int64)", inline=True)
def _up(amount: int, factor_at: int, width_at: int) -> tuple[int, int]:
    """Return amount times factor rounded up, and r + w."""
    product = u256(amount) * u256(load128(factor_at))
    rest = (u128(product) & _FRACTION) + (amount & load128(width_at))
    return u128(product >> POINT) + (_ONE if rest != _NONE else _NONE), rest


@hot("uint64(u128)", inline=True)
def _high(n: int) -> int:
    return u64(n >> _LIMB)


@hot("boolean(int64, int64)", inline=True)
def _has_factors(book: int, position: int) -> bool:
    """Return whether memos say what counts for a position: before 3.2 a category may have its own price."""
    return has_memos(book) and (flags_of(position) == 0 or rules_of(book) & BITMAPS != 0)


@hot("Tuple(u128, u128, u128, boolean)(int64, int64, int64, boolean)", inline=True)
def _sums(
    book: int,
    position: int,
    time: int,
    directed: bool,  # noqa: FBT001 - compiled calls have no keywords
) -> tuple[int, int, int, bool]:
    nearest = _NOTHING if directed else _HALF
    memos, category, stamp = memo_at(book, 0), flags_of(position), time + 1
    collateral, debt, weighted = _NONE, _NONE, _NONE
    # The high bits of all amounts and of every r + w, and of all values; all bits of thresholds and flags.
    bits, values, thresholds, seen = u64(0), u64(0), u64(0), 0
    is_known, has_none = True, False
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        flags, owed, reserve = balance_flags(balance), load128(balance + DEBT), reserve_of(balance)
        if flags == 0 and owed == _NONE:
            continue
        memo = memos + reserve * MEMO_BYTES
        if load(memo, _STAMP) != stamp:
            is_known &= _project(book, reserve, time)
        seen |= flags
        if flags & AS_COLLATERAL:
            held, threshold = load128(balance + COLLATERAL), u64(load(memo, _KEPT_THRESHOLD))
            if category != 0:
                threshold = u64(threshold_of(book, position, reserve))
            amount, left = _down(held, memo + _INCOME, nearest)
            worth, over = _down(amount, memo + _WORTH, _NOTHING)
            bits |= _high(held) | _high(amount) | _high(left) | _high(over)
            values, thresholds, has_none = (
                values | _high(worth),
                thresholds | threshold,
                has_none | (threshold == u64(0)),
            )
            weighted, collateral = weighted + worth * u128(threshold), collateral + worth
        if owed != _NONE:
            if directed:
                amount, left = _up(owed, memo + _INDEX, memo + _INDEX_WIDTH)
                worth, over = _up(amount, memo + _WORTH, memo + _WORTH_WIDTH)
            else:
                amount, left = _down(owed, memo + _INDEX, nearest)
                worth, over = _down(amount, memo + _WORTH, _NOTHING)
            bits |= _high(owed) | _high(amount) | _high(left) | _high(over)
            values |= _high(worth)
            debt = debt + worth
    beyond = (bits >> _HIGH_POINT) | (values >> _HIGH_VALUE) | (thresholds >> _THRESHOLD_BITS)
    # Before 3.6 collateral without a threshold is left out.
    is_known &= seen & STABLE_DEBT == 0 and not (has_none and rules_of(book) & SKIPS_ZERO != 0)
    return collateral, debt, weighted, is_known and beyond == u64(0)


@hot("Tuple(u128, u128, u128, boolean)(int64, int64, int64)", inline=True)
def sums(book: int, position: int, time: int) -> tuple[int, int, int, bool]:
    """Return values of collateral and debt, the sum of value times threshold, and whether all is certain.

    It is not where an amount lies too near an integer, or anything is beyond the bounds or not known.
    """
    if not _has_factors(book, position):
        return _NONE, _NONE, _NONE, False
    # Twice the same code, in each of which rounding is known.
    if rules_of(book) & DIRECTED:
        return _sums(book, position, time, True)
    return _sums(book, position, time, False)
