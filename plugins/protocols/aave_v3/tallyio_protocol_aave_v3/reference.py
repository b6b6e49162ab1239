"""What a pool computes, in Python integers: the specification of `hot`.

Sources: `MathUtils`, `WadRayMath`, `PercentageMath`, `GenericLogic`, `ValidationLogic` and `LiquidationLogic`
of @aave/core-v3 (3.0) and @aave-dao/aave-v3-origin (3.3 to 3.6; what 3.7 changes is in its docs). Function
names are theirs. Amounts are smallest units, values the oracle's unit, shares 1e-4, indexes and rates ray.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.lending import abi
from tallyio.model.lending import Balance, Position
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    PAUSED,
    STABLE_DEBT,
    Category,
    Own,
    Reserve,
    Rules,
)

RAY: Final = 10**27
WAD: Final = 10**18
WHOLE: Final = 10_000
YEAR_SECONDS: Final = 365 * 24 * 3_600
UNLIMITED: Final = 2**256 - 1
CLOSE_FACTOR: Final = 5_000
CLOSE_FACTOR_HF_THRESHOLD: Final = 95 * WAD // 100
MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD: Final = 2_000 * 10**8
MIN_LEFTOVER_BASE: Final = MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD // 2


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool's rows in words."""

    own: Own
    reserves: Sequence[Reserve]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What `getUserAccountData` says, as far as it matters here."""

    collateral: int
    """Value of what is used as collateral, unweighted."""
    debt: int
    average_threshold: int
    factor: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of an offer to liquidate; amounts are zero where it is not lawful, but for `most`."""

    verdict: int
    repay: int = 0
    seize: int = 0
    fee: int = 0
    written_off: int = 0
    most: int = 0


def half_up(a: int, b: int, d: int) -> int:
    """Return a * b / d to the nearest, halves up: `rayMul`, `wadDiv`, `percentMul` and their kin."""
    return (a * b + d // 2) // d


def ceil(a: int, b: int, d: int) -> int:
    """Return a * b / d rounded up: `rayMulCeil`, `mulDivCeil` and their kin."""
    return -(-a * b // d)


def linear_interest(rate: int, seconds: int) -> int:
    """Return `MathUtils.calculateLinearInterest`."""
    return RAY + rate * seconds // YEAR_SECONDS


def compounded_interest(rules: Rules, rate: int, seconds: int) -> int:
    """Return `MathUtils.calculateCompoundedInterest`."""
    if rules & Rules.TAYLOR:
        x = rate * seconds // YEAR_SECONDS
        return RAY + x + half_up(x, x // 2 + half_up(x, x // 6, RAY), RAY)
    if seconds == 0:
        return RAY
    before, twice_before = seconds - 1, max(seconds - 2, 0)
    power2 = half_up(rate, rate, RAY) // YEAR_SECONDS**2
    power3 = half_up(power2, rate, RAY) // YEAR_SECONDS
    second = seconds * before * power2 // 2
    third = seconds * before * twice_before * power3 // 6
    return RAY + rate * seconds // YEAR_SECONDS + second + third


def normalized_income(reserve: Reserve, time: int) -> int:
    """Return the liquidity index at `time`: `getNormalizedIncome`."""
    growth = linear_interest(reserve.liquidity_rate, time - reserve.updated_at)
    return half_up(growth, reserve.liquidity_index, RAY)


def normalized_debt(rules: Rules, reserve: Reserve, time: int) -> int:
    """Return the variable borrow index at `time`: `getNormalizedDebt`."""
    growth = compounded_interest(rules, reserve.debt_rate, time - reserve.updated_at)
    return half_up(growth, reserve.debt_index, RAY)


def collateral_amount(rules: Rules, reserve: Reserve, scaled: int, time: int) -> int:
    """Return what an aToken's scaled balance amounts to."""
    index = normalized_income(reserve, time)
    return scaled * index // RAY if rules & Rules.DIRECTED else half_up(scaled, index, RAY)


def debt_amount(rules: Rules, reserve: Reserve, scaled: int, time: int) -> int:
    """Return what a variable debt token's scaled balance amounts to."""
    index = normalized_debt(rules, reserve, time)
    return ceil(scaled, index, RAY) if rules & Rules.DIRECTED else half_up(scaled, index, RAY)


def debt_value(rules: Rules, amount: int, price: int, unit: int) -> int:
    """Return what a debt is worth."""
    return ceil(amount, price, unit) if rules & Rules.DIRECTED else amount * price // unit


def category_of(pool: Pool, position: Position, number: int) -> Category | None:
    """Return the position's e-mode category if reserve `number` is collateral of it, or None."""
    category = pool.own.categories.get(position.flags)
    if not position.flags or category is None:
        return None
    if pool.own.rules & Rules.BITMAPS:
        return category if category.bitmap >> number & 1 else None
    return category if pool.reserves[number].category == position.flags else None


def price_of(pool: Pool, position: Position, number: int) -> int:
    """Return the price that counts for a position: before 3.2 a category may have one for all its assets."""
    category = None if pool.own.rules & Rules.BITMAPS else category_of(pool, position, number)
    return category.price if category and category.price else pool.reserves[number].price


def threshold_of(pool: Pool, position: Position, number: int) -> int:
    """Return the liquidation threshold that counts for a position."""
    if pool.own.rules & Rules.SKIPS_ZERO and not pool.reserves[number].threshold:
        return 0
    category = category_of(pool, position, number)
    return category.threshold if category else pool.reserves[number].threshold


def account_data(pool: Pool, position: Position, time: int) -> Account | None:
    """Return `calculateUserAccountData`, or None where there is no price, or stable debt."""
    rules, collateral, debt, weighted = pool.own.rules, 0, 0, 0
    for balance in position.balances:
        number = balance.reserve
        reserve, price = pool.reserves[number], price_of(pool, position, number)
        if balance.flags & STABLE_DEBT or (_counts(balance) and not price):
            return None
        threshold = threshold_of(pool, position, number)
        if balance.flags & AS_COLLATERAL and (threshold or not rules & Rules.SKIPS_ZERO):
            value = collateral_amount(rules, reserve, balance.collateral, time) * price // reserve.unit
            collateral += value
            weighted += value * threshold
        debt += debt_value(rules, debt_amount(rules, reserve, balance.debt, time), price, reserve.unit)
    average = weighted // collateral if collateral else 0
    factor = _factor(rules, collateral, debt, weighted, average)
    return Account(collateral=collateral, debt=debt, average_threshold=average, factor=factor)


def _counts(balance: Balance) -> bool:
    return bool(balance.debt or balance.flags & AS_COLLATERAL)


def _factor(rules: Rules, collateral: int, debt: int, weighted: int, average: int) -> int:
    if not debt:
        return UNLIMITED
    if rules & Rules.AVERAGES:
        return half_up(half_up(collateral, average, WHOLE), WAD, debt)
    return half_up(weighted, WAD, debt) // WHOLE


def gate(  # noqa: PLR0911 - one return for each check
    pool: Pool, account: Account, collateral: Balance, debt: Balance, *, counts: bool, time: int
) -> int:
    """Return why `validateLiquidationCall` reverts, or `LAWFUL`; its checks in its order."""
    rows = (pool.reserves[collateral.reserve], pool.reserves[debt.reserve])
    watch = pool.own.sentinel
    if not all(row.flags & ACTIVE for row in rows):
        return abi.INACTIVE
    if any(row.flags & PAUSED for row in rows):
        return abi.PAUSED
    is_up = watch is None or (watch.answer == 0 and time - watch.since > watch.grace_seconds)
    if account.factor >= CLOSE_FACTOR_HF_THRESHOLD and not is_up:
        return abi.SENTINEL
    if any(row.grace_until >= time for row in rows):
        return abi.GRACE_PERIOD
    if account.factor >= WAD:
        return abi.HEALTH_IS_SOUND
    if not (collateral.flags & AS_COLLATERAL and counts):
        return abi.NOT_COLLATERAL
    return abi.LAWFUL if debt.debt else abi.NOTHING_OWED
