"""Indexes, amounts and values in compiled code: `reference` says what each is.

The domain. Indexes are below 2**120, rates below 2**112, scaled balances below 2**128, prices below 2**96, a
token's unit at most 10**24 < 2**79.8, and what is elapsed below 2**32 seconds. Then every product here is
below 2**256: a scaled balance times an index < 2**248, an amount (< 2**248 / 10**27 < 2**159) times a price
< 2**255, an amount times 10**27 < 2**249. What leaves the domain is 0 for an index, which is else never 0.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, u256
from tallyio_protocol_aave_v3.layout import (
    DEBT_INDEX,
    DEBT_RATE,
    LIQUIDITY_INDEX,
    LIQUIDITY_RATE,
    UPDATED_AT,
    Rules,
)

DIRECTED: Final = int(Rules.DIRECTED)
_TAYLOR: Final = int(Rules.TAYLOR)

RAY: Final = const(10**27)
HALF_RAY: Final = const(10**27 // 2)
ZERO: Final = const(0)
ONE: Final = const(1)
_TWO: Final = const(2)
_SIX: Final = const(6)
_YEAR: Final = const(365 * 24 * 3_600)
_YEAR_SQUARED: Final = const((365 * 24 * 3_600) ** 2)
_INDEX_LIMIT: Final = const(1 << 120)
_RATE_LIMIT: Final = const(1 << 112)
_GROWTH_LIMIT: Final = const(1 << 128)
_X_LIMIT: Final = const(1 << 100)
_ELAPSED_LIMIT: Final = 1 << 32


@hot("u256(u256, u256)", inline=True)
def floor(n: int, d: int) -> int:
    """Return n / d rounded down."""
    return divmod256(n, d)[0]


@hot("u256(u256, u256)", inline=True)
def ceil(n: int, d: int) -> int:
    """Return n / d rounded up."""
    quotient, rest = divmod256(n, d)
    return quotient + (ZERO if rest == ZERO else ONE)


@hot("u256(u256, u256)", inline=True)
def half_up(n: int, d: int) -> int:
    """Return n / d to the nearest, halves up. The sum with d / 2 must be below 2**256."""
    return divmod256(n + (d >> 1), d)[0]


@hot("u256(u256, int64)", inline=True)
def collateral_amount(product: int, rules: int) -> int:
    """Return scaled balance times index, in smallest units."""
    return floor(product, RAY) if rules & DIRECTED else half_up(product, RAY)


@hot("u256(u256, int64)", inline=True)
def debt_amount(product: int, rules: int) -> int:
    """Return scaled debt times index, in smallest units."""
    return ceil(product, RAY) if rules & DIRECTED else half_up(product, RAY)


@hot("u256(u256, u256, int64)", inline=True)
def debt_value(product: int, unit: int, rules: int) -> int:
    """Return amount times price in the oracle's unit."""
    return ceil(product, unit) if rules & DIRECTED else floor(product, unit)


@hot("u256(u256, u256)")
def _grown(growth: int, index: int) -> int:
    # growth < 2**128 and index < 2**120.
    if growth >= _GROWTH_LIMIT or index >= _INDEX_LIMIT:
        return ZERO
    grown = half_up(growth * index, RAY)
    return grown if grown < _INDEX_LIMIT else ZERO


@hot("u256(int64, int64)")
def income_at(row: int, time: int) -> int:
    """Return the liquidity index of a reserve's row at `time`; 0 out of the domain."""
    elapsed = time - load(row + UPDATED_AT, 0)
    rate = u256(load128(row + LIQUIDITY_RATE))
    if not 0 <= elapsed < _ELAPSED_LIMIT or rate >= _RATE_LIMIT:
        return ZERO
    return _grown(RAY + floor(rate * u256(elapsed), _YEAR), u256(load128(row + LIQUIDITY_INDEX)))


@hot("u256(int64, int64, int64)")
def debt_index_at(row: int, time: int, rules: int) -> int:
    """Return the variable borrow index of a reserve's row at `time`; 0 out of the domain."""
    elapsed = time - load(row + UPDATED_AT, 0)
    rate = u256(load128(row + DEBT_RATE))
    if not 0 <= elapsed < _ELAPSED_LIMIT or rate >= _RATE_LIMIT:
        return ZERO
    index = u256(load128(row + DEBT_INDEX))
    if rules & _TAYLOR:
        return _grown(_exponential(rate, u256(elapsed)), index)
    return _grown(_binomial(rate, u256(elapsed)), index)


@hot("u256(u256, u256)")
def _exponential(rate: int, elapsed: int) -> int:
    # x < 2**100, so x * x / 6 < 2**200 and the inner sum < 2**99 + 2**109; its product with x < 2**210.
    x = floor(rate * elapsed, _YEAR)
    if x >= _X_LIMIT:
        return _GROWTH_LIMIT
    return RAY + x + half_up(x * (floor(x, _TWO) + half_up(x * floor(x, _SIX), RAY)), RAY)


@hot("u256(u256, u256)")
def _binomial(rate: int, elapsed: int) -> int:
    # rate < 2**112: power2 < 2**224 / 2**89.6 / 2**49.8 < 2**85, power3 < 2**197 / 2**89.6 / 2**24.9 < 2**83;
    # elapsed < 2**32, so the terms are below 2**149 and 2**179.
    if elapsed == ZERO:
        return RAY
    before = elapsed - ONE
    twice_before = elapsed - _TWO if elapsed > _TWO else ZERO
    power2 = floor(half_up(rate * rate, RAY), _YEAR_SQUARED)
    power3 = floor(half_up(power2 * rate, RAY), _YEAR)
    second = (elapsed * before * power2) >> 1
    third = floor(elapsed * before * twice_before * power3, _SIX)
    return RAY + floor(rate * elapsed, _YEAR) + second + third
