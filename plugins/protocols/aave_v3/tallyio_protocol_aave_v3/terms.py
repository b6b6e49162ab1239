"""What a liquidation takes and gives, in Python integers: the specification of `hot.liquidate`.

Sources: `LiquidationLogic.executeLiquidationCall` and `_calculateAvailableCollateralToLiquidate` of both
packages.
"""

from __future__ import annotations

import msgspec

from tallyio.lending import abi
from tallyio.model.lending import Position
from tallyio_protocol_aave_v3.layout import Reserve, Rules
from tallyio_protocol_aave_v3.reference import (
    CLOSE_FACTOR,
    CLOSE_FACTOR_HF_THRESHOLD,
    MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD,
    MIN_LEFTOVER_BASE,
    RAY,
    UNLIMITED,
    WHOLE,
    Account,
    Outcome,
    Pool,
    account_data,
    category_of,
    ceil,
    collateral_amount,
    debt_amount,
    debt_value,
    gate,
    half_up,
    normalized_debt,
    normalized_income,
    price_of,
    threshold_of,
)


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One position, one collateral, one debt, and what the contract knows of them."""

    rules: Rules
    account: Account
    balance: int
    owed: int
    collateral_price: int
    debt_price: int
    collateral: Reserve
    debt: Reserve
    bonus: int
    is_same: bool
    income: int
    debt_index: int
    scaled: int


def liquidate(
    pool: Pool, position: Position, *, collateral: int, debt: int, repay: int, time: int
) -> Outcome:
    """Return what the contract does with an offer of `repay` for balances `collateral` and `debt`.

    An offer of 2**256 - 1 is one of the most that is lawful, which `Outcome.most` says.
    """
    account = account_data(pool, position, time)
    held, owed = position.balances[collateral], position.balances[debt]
    if account is None:
        return Outcome(verdict=_unknown(pool, position))
    counts = not pool.own.rules & Rules.SKIPS_ZERO or threshold_of(pool, position, held.reserve) != 0
    closed = gate(pool, account, held, owed, counts=counts, time=time)
    if closed != abi.LAWFUL:
        return Outcome(verdict=closed)
    case = _case(pool, position, account, collateral, debt, time)
    if case.bonus < WHOLE:
        return Outcome(verdict=abi.OUT_OF_DOMAIN)  # no market has such collateral; at 0 it reverts
    most = most_lawful(case)
    return _outcome(case, most if repay == UNLIMITED else repay, most)


def _unknown(pool: Pool, position: Position) -> int:
    missing = any(not price_of(pool, position, each.reserve) for each in position.balances)
    return abi.NO_PRICE if missing else abi.OUT_OF_DOMAIN


def _case(pool: Pool, position: Position, account: Account, k: int, j: int, time: int) -> Case:
    rules, held, owed = pool.own.rules, position.balances[k], position.balances[j]
    collateral, debt = pool.reserves[held.reserve], pool.reserves[owed.reserve]
    category = category_of(pool, position, held.reserve)
    debt_price = debt.price
    if not rules & Rules.BITMAPS and position.flags in pool.own.categories:
        # Before 3.2 the price source of the category holds for the debt whatever category that is in.
        debt_price = pool.own.categories[position.flags].price or debt_price
    return Case(
        rules=rules,
        account=account,
        balance=collateral_amount(rules, collateral, held.collateral, time),
        owed=debt_amount(rules, debt, owed.debt, time),
        collateral_price=price_of(pool, position, held.reserve),
        debt_price=debt_price,
        collateral=collateral,
        debt=debt,
        bonus=category.bonus if category else collateral.bonus,
        is_same=held.reserve == owed.reserve,
        income=normalized_income(collateral, time),
        debt_index=normalized_debt(rules, debt, time),
        scaled=held.collateral,
    )


def close_limit(case: Case) -> int:
    """Return how much of the debt the close factor lets anybody repay."""
    is_deep = case.account.factor <= CLOSE_FACTOR_HF_THRESHOLD
    if not case.rules & Rules.BY_TOTAL:
        return half_up(case.owed, WHOLE if is_deep else CLOSE_FACTOR, WHOLE)
    value = debt_value(case.rules, case.owed, case.debt_price, case.debt.unit)
    secured = case.balance * case.collateral_price // case.collateral.unit
    half = half_up(case.account.debt, CLOSE_FACTOR, WHOLE)
    if is_deep or min(value, secured) < MIN_BASE_MAX_CLOSE_FACTOR_THRESHOLD or value <= half:
        return case.owed
    return half * case.debt.unit // case.debt_price


def with_bonus(case: Case, amount: int) -> int:
    """Return the collateral, bonus included, that a repayment of `amount` is worth."""
    base = case.debt_price * amount * case.collateral.unit // (case.collateral_price * case.debt.unit)
    if case.rules & Rules.SPLIT_DOWN:
        return base * case.bonus // WHOLE
    return half_up(base, case.bonus, WHOLE)


def _needed(case: Case) -> int:
    """Return the repayment that the whole collateral is worth."""
    value = case.collateral_price * case.balance * case.debt.unit // (case.debt_price * case.collateral.unit)
    if case.rules & Rules.DIRECTED:
        return ceil(value, WHOLE, case.bonus)
    return half_up(value, WHOLE, case.bonus)


def _fee(case: Case, taken: int) -> int:
    """Return the part of the collateral taken that the protocol keeps."""
    if not case.collateral.fee:
        return 0
    if case.rules & Rules.SPLIT_DOWN:
        return ceil(taken - taken * WHOLE // case.bonus, case.collateral.fee, WHOLE)
    return half_up(taken - half_up(taken, WHOLE, case.bonus), case.collateral.fee, WHOLE)


def _leaves_dust(case: Case, repay: int, taken: int) -> bool:
    if not case.rules & Rules.BY_TOTAL or repay >= case.owed or taken >= case.balance:
        return False
    owed = debt_value(case.rules, case.owed - repay, case.debt_price, case.debt.unit)
    held = (case.balance - taken) * case.collateral_price // case.collateral.unit
    return min(owed, held) < MIN_LEFTOVER_BASE


def most_lawful(case: Case) -> int:
    """Return the largest offer that the contract takes and does not cut by the close factor; 0: none.

    Where the largest of all would leave dust it is the largest that leaves `MIN_LEFTOVER_BASE` of both.
    """
    limit = close_limit(case)
    repay, taken = _clipped(case, limit)
    if not _leaves_dust(case, repay, taken):
        return limit
    return max(min(limit, _leaving_debt(case), _leaving_collateral(case)), 0)


def _leaving_debt(case: Case) -> int:
    # ceil(left * P / U) >= M is left * P > (M - 1) * U; floor(left * P / U) >= M is left * P >= M * U.
    if case.rules & Rules.DIRECTED:
        return case.owed - ((MIN_LEFTOVER_BASE - 1) * case.debt.unit // case.debt_price + 1)
    return case.owed - ceil(MIN_LEFTOVER_BASE, case.debt.unit, case.debt_price)


def _leaving_collateral(case: Case) -> int:
    # The inverse of `with_bonus`, step by step: each floor(x) <= b is x < b + 1.
    room = case.balance - ceil(MIN_LEFTOVER_BASE, case.collateral.unit, case.collateral_price)
    if room < 0:
        return 0
    rounding = 0 if case.rules & Rules.SPLIT_DOWN else WHOLE // 2
    base = ((room + 1) * WHOLE - rounding - 1) // case.bonus
    scaled = (base + 1) * case.collateral_price * case.debt.unit - 1
    return scaled // (case.debt_price * case.collateral.unit)


def _clipped(case: Case, offer: int) -> tuple[int, int]:
    """Return what is repaid of an offer within the limit, and the collateral taken for it."""
    taken = with_bonus(case, offer)
    return (_needed(case), case.balance) if taken > case.balance else (offer, taken)


def _outcome(case: Case, offer: int, most: int) -> Outcome:
    repay, taken = _clipped(case, min(offer, close_limit(case)))
    if _leaves_dust(case, repay, taken):
        return Outcome(verdict=abi.LEAVES_DUST, most=most)
    fee = _fee(case, taken)
    seize = taken - fee
    burned, owed_burned = _scaled(case, seize), _debt_burned(case, repay, taken)
    if not burned or not owed_burned:
        return Outcome(verdict=abi.NOTHING_GAINED, most=most)
    if seize > case.collateral.cash:
        is_open = case.is_same and case.rules & Rules.BITMAPS and seize <= case.collateral.cash + repay
        return Outcome(verdict=abi.OUT_OF_DOMAIN if is_open else abi.NO_CASH, most=most)
    return Outcome(
        verdict=abi.LAWFUL,
        repay=repay,
        seize=seize,
        fee=_kept(case, fee, burned),
        written_off=case.owed - repay if _takes_all(case, seize, fee, taken) else 0,
        most=most,
    )


def _scaled(case: Case, amount: int) -> int:
    """Return the scaled collateral that goes with `amount`, as burning and transferring round it."""
    return (
        ceil(amount, RAY, case.income) if case.rules & Rules.DIRECTED else half_up(amount, RAY, case.income)
    )


def _debt_burned(case: Case, repay: int, taken: int) -> int:
    burned = case.owed if _takes_all(case, taken - _fee(case, taken), _fee(case, taken), taken) else repay
    if case.rules & Rules.DIRECTED:
        return burned * RAY // case.debt_index
    return half_up(burned, RAY, case.debt_index)


def _kept(case: Case, fee: int, burned: int) -> int:
    """Return the fee that reaches the treasury: no more than is there after the liquidator's part."""
    left = case.scaled - burned
    if not fee or _scaled(case, fee) <= left:
        return fee
    return left * case.income // RAY if case.rules & Rules.DIRECTED else half_up(left, case.income, RAY)


def _takes_all(case: Case, seize: int, fee: int, taken: int) -> bool:
    """Return whether nothing of value secures the position afterwards, so that the rest is written off."""
    if not case.rules & Rules.BY_TOTAL:
        return False
    if case.rules & Rules.SPLIT_DOWN:
        consumed = min(_scaled(case, seize) + _scaled(case, fee), case.scaled)
        taken = consumed * case.income // RAY
    return taken * case.collateral_price // case.collateral.unit == case.account.collateral
