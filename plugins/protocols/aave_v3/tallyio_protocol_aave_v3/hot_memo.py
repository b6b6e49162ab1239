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
from tallyio.native.u256 import const, divmod256, load128, store128, u128, u256
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

READY: Final = 1
_BEYOND: Final = 2
_THRESHOLD_BITS: Final = 16
_FACTOR_LIMIT: Final = const(1 << 128)
_NONE: Final = const(0, 128)
_ONE: Final = const(1, 128)
_FRACTION: Final = const((1 << POINT) - 1, 128)
_HALF: Final = const(1 << (POINT - 1))
_NOTHING: Final = const(0)
_VALUE_BITS: Final = 96

# A memo: words of 8 bytes, and numbers of 16.
_TIME: Final = 0
_STATE: Final = 1
_INCOME: Final = 16
_INDEX: Final = 32
_WORTH: Final = 48
_INCOME_WIDTH: Final = 64
_INDEX_WIDTH: Final = 80
_WORTH_WIDTH: Final = 96


@hot("boolean(int64, int64, u256, u256)")
def _keep(factor_at: int, width_at: int, n: int, d: int) -> bool:
    """Keep n / d as a factor; n < 2**120 and d > 0. Return whether it fits."""
    quotient, rest = divmod256(n << POINT, d)  # below 2**228
    store128(factor_at, u128(quotient))
    # The width as a mask, all ones for 1: what an amount is cut to.
    store128(width_at, _NONE if rest == ZERO else _NONE - _ONE)
    return quotient < _FACTOR_LIMIT


@hot("int64(int64, int64, int64)")
def project(book: int, reserve: int, time: int) -> int:
    """Fill the memo of a reserve for `time`; return its state."""
    memo, row = memo_at(book, reserve), reserve_at(book, reserve)
    income, index = income_at(row, time), debt_index_at(row, time, rules_of(book))
    price, unit = u256(load128(row + PRICE)), u256(load128(row + UNIT))
    state = _BEYOND
    # Indexes are below 2**120.
    if min(income, index) != ZERO and min(price, unit) != ZERO and price >> _VALUE_BITS == ZERO:
        fits = _keep(memo + _INCOME, memo + _INCOME_WIDTH, income, RAY)
        fits &= _keep(memo + _INDEX, memo + _INDEX_WIDTH, index, RAY)
        fits &= _keep(memo + _WORTH, memo + _WORTH_WIDTH, price, unit)
        state = READY if fits else _BEYOND
    store(memo, _TIME, time)
    store(memo, _STATE, state)
    return state


@hot("UniTuple(u128, 2)(u128, int64, int64, u256)", inline=True)
def _times(amount: int, factor_at: int, width_at: int, more: int) -> tuple[int, int]:
    """Return the floor of amount times factor, plus `more` after the point, and r + w as above."""
    product = u256(amount) * u256(load128(factor_at)) + more
    return u128(product >> POINT), (u128(product) & _FRACTION) + (amount & load128(width_at))


@hot("u128(u128)", inline=True)
def _up(rest: int) -> int:
    """Return 1 where rounding up adds it."""
    return _ONE if rest != _NONE else _NONE


@hot("int64(int64, int64, int64)", inline=True)
def _state_at(book: int, reserve: int, time: int) -> int:
    memo = memo_at(book, reserve)
    state = load(memo, _STATE)
    return state if state != 0 and load(memo, _TIME) == time else project(book, reserve, time)


@hot("boolean(int64, int64)", inline=True)
def _has_factors(book: int, position: int) -> bool:
    """Return whether memos say what counts for a position: before 3.2 a category may have its own price."""
    return has_memos(book) and (flags_of(position) == 0 or rules_of(book) & BITMAPS != 0)


@hot("u128(int64, int64, int64)", inline=True)
def _threshold(book: int, position: int, reserve: int) -> int:
    if flags_of(position) == 0:
        return u128(load(reserve_at(book, reserve) + THRESHOLD, 0))
    return u128(threshold_of(book, position, reserve))


@hot("Tuple(u128, u128, u128, boolean)(int64, int64, int64)")
def sums(book: int, position: int, time: int) -> tuple[int, int, int, bool]:
    """Return values of collateral and debt, the sum of value times threshold, and whether all is certain.

    It is not where an amount lies too near an integer, or anything is beyond the bounds or not known.
    """
    rules, is_known = rules_of(book), _has_factors(book, position)
    directed, skips = rules & DIRECTED != 0, rules & SKIPS_ZERO != 0
    nearest = _NOTHING if directed else _HALF
    collateral, debt, weighted = _NONE, _NONE, _NONE
    # All bits of amounts and of every r + w; of values; and of thresholds.
    bits, values, thresholds = _NONE, _NONE, _NONE
    for k in range(count_of(position) if is_known else 0):
        balance = balance_at(position, k)
        flags, owed, reserve = balance_flags(balance), load128(balance + DEBT), reserve_of(balance)
        if flags == 0 and owed == _NONE:
            continue
        memo = memo_at(book, reserve)
        is_known &= _state_at(book, reserve, time) == READY and flags & STABLE_DEBT == 0
        if flags & AS_COLLATERAL:
            held, threshold = load128(balance + COLLATERAL), _threshold(book, position, reserve)
            amount, left = _times(held, memo + _INCOME, memo + _INCOME_WIDTH, nearest)
            worth, over = _times(amount, memo + _WORTH, memo + _WORTH_WIDTH, _NOTHING)
            bits |= held | amount | left | over
            values, thresholds = values | worth, thresholds | threshold
            weighted = weighted + worth * threshold
            collateral = collateral + (_NONE if skips and threshold == _NONE else worth)
        if owed != _NONE:
            amount, left = _times(owed, memo + _INDEX, memo + _INDEX_WIDTH, nearest)
            amount = amount + _up(left) if directed else amount
            worth, over = _times(amount, memo + _WORTH, memo + _WORTH_WIDTH, _NOTHING)
            worth = worth + _up(over) if directed else worth
            bits |= owed | amount | left | over
            values |= worth
            debt = debt + worth
    is_certain = (bits >> POINT) | (values >> _VALUE_BITS) | (thresholds >> _THRESHOLD_BITS) == _NONE
    return collateral, debt, weighted, is_known and is_certain
