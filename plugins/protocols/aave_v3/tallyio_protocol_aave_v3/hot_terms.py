"""A liquidation's terms in compiled code: `terms` says what they are.

With the domain of `hot_math` and values below 2**96: an amount times a price is below 2**96 * 10**24, and
that times the other token's unit below 2**96 * 10**48 < 2**255.5. A price times a unit is below 2**176.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    GRACE_PERIOD,
    HEALTH_IS_SOUND,
    INACTIVE,
    LAWFUL,
    LEAVES_DUST,
    NO_CASH,
    NO_PRICE,
    NOTHING_GAINED,
    OUT_OF_DOMAIN,
    PAUSED,
    SENTINEL,
    balance_at,
    balance_flags,
    flags_of,
    own_at,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, store256, u256
from tallyio_protocol_aave_v3 import layout
from tallyio_protocol_aave_v3.hot_account import UNLIMITED, WHOLE
from tallyio_protocol_aave_v3.hot_category import (
    BITMAPS,
    SKIPS_ZERO,
    category_at,
    category_of,
    price_of,
    threshold_of,
)
from tallyio_protocol_aave_v3.hot_math import (
    DIRECTED,
    ONE,
    RAY,
    ZERO,
    ceil,
    collateral_amount,
    debt_amount,
    debt_index_at,
    debt_value,
    floor,
    half_up,
    income_at,
)

# One position, one collateral, one debt: what `terms.Case` has, as a tuple of 256-bit values.
CASE: Final = "UniTuple(u256, 15)"
_BALANCE: Final = 0
_OWED: Final = 1
_COLLATERAL_PRICE: Final = 2
_DEBT_PRICE: Final = 3
_COLLATERAL_UNIT: Final = 4
_DEBT_UNIT: Final = 5
_BONUS: Final = 6
_FEE: Final = 7
_INCOME: Final = 8
_DEBT_INDEX: Final = 9
_SCALED: Final = 10
_TOTAL_COLLATERAL: Final = 11
_TOTAL_DEBT: Final = 12
_FACTOR: Final = 13
_CASH: Final = 14

BY_TOTAL: Final = int(layout.Rules.BY_TOTAL)
SPLIT_DOWN: Final = int(layout.Rules.SPLIT_DOWN)

_CLOSE_FACTOR: Final = const(5_000)
_HALF_WHOLE: Final = const(5_000)
_WAD: Final = const(10**18)
_DEEP: Final = const(95 * 10**16)
_LARGE: Final = const(2_000 * 10**8)
_LEFTOVER: Final = const(1_000 * 10**8)
_LEFTOVER_BELOW: Final = const(1_000 * 10**8 - 1)
_VALUE_LIMIT: Final = const(1 << 96)
_WORD: Final = 32


@hot("int64(int64, int64, int64, u256, int64)")
def gate(book: int, held: int, owed: int, factor: int, time: int) -> int:
    """Return why the contract refuses, looking at gates and health; `held` and `owed` are reserve rows."""
    flags = load(held + layout.FLAGS, 0) & load(owed + layout.FLAGS, 0)
    either = load(held + layout.FLAGS, 0) | load(owed + layout.FLAGS, 0)
    if not flags & layout.ACTIVE:
        return INACTIVE
    if either & layout.PAUSED:
        return PAUSED
    if factor >= _DEEP and not _sequencer_is_up(book, time):
        return SENTINEL
    if load(held + layout.GRACE_UNTIL, 0) >= time or load(owed + layout.GRACE_UNTIL, 0) >= time:
        return GRACE_PERIOD
    return HEALTH_IS_SOUND if factor >= _WAD else LAWFUL


@hot("boolean(int64, int64)")
def _sequencer_is_up(book: int, time: int) -> bool:
    own = own_at(book)
    if load(own + layout.OWN_SENTINEL, 0) == 0:
        return True
    since = load(own + layout.OWN_SEQUENCER_SINCE, 0)
    return load(own + layout.OWN_SEQUENCER, 0) == 0 and time - since > load(own + layout.OWN_GRACE, 0)


@hot("boolean(int64, int64, int64)")
def counts(book: int, position: int, k: int) -> bool:
    """Return whether balance k can be taken as collateral."""
    balance = balance_at(position, k)
    if not balance_flags(balance) & layout.AS_COLLATERAL:
        return False
    is_open = load(own_at(book) + layout.OWN_RULES, 0) & SKIPS_ZERO == 0
    return is_open or threshold_of(book, position, reserve_of(balance)) != 0


@hot("u256(int64, int64, int64)")
def debt_price_of(book: int, position: int, reserve: int) -> int:
    """Return the price of the debt: before 3.2 the price source of the category holds for any debt."""
    own = u256(load128(reserve_at(book, reserve) + layout.PRICE))
    category = category_at(book, flags_of(position))
    if category == 0 or load(own_at(book) + layout.OWN_RULES, 0) & BITMAPS:
        return own
    price = u256(load128(category + layout.CATEGORY_PRICE))
    return price if price != ZERO else own


@hot("int64(int64, int64, int64)")
def bonus_of(book: int, position: int, reserve: int) -> int:
    """Return the liquidation bonus that counts for the position."""
    category = category_of(book, position, reserve)
    if category != 0:
        return load(category + layout.CATEGORY_BONUS, 0)
    return load(reserve_at(book, reserve) + layout.BONUS, 0)


@hot(f"{CASE}(int64, int64, int64, int64, int64, u256, u256, u256)")
def case_of(  # noqa: PLR0913, PLR0917 - one liquidation has this many facts
    book: int,
    position: int,
    collateral: int,
    debt: int,
    time: int,
    total_collateral: int,
    total_debt: int,
    factor: int,
) -> tuple[int, ...]:
    """Return what the terms are made of."""
    held, owed = balance_at(position, collateral), balance_at(position, debt)
    held_row, owed_row = reserve_at(book, reserve_of(held)), reserve_at(book, reserve_of(owed))
    rules = load(own_at(book) + layout.OWN_RULES, 0)
    income, index = income_at(held_row, time), debt_index_at(owed_row, time, rules)
    return (
        collateral_amount(u256(load128(held + COLLATERAL)) * income, rules),
        debt_amount(u256(load128(owed + DEBT)) * index, rules),
        price_of(book, position, reserve_of(held)),
        debt_price_of(book, position, reserve_of(owed)),
        u256(load128(held_row + layout.UNIT)),
        u256(load128(owed_row + layout.UNIT)),
        u256(bonus_of(book, position, reserve_of(held))),
        u256(load(held_row + layout.FEE, 0)),
        income,
        index,
        u256(load128(held + COLLATERAL)),
        total_collateral,
        total_debt,
        factor,
        u256(load128(held_row + layout.CASH)),
    )


@hot(f"int64({CASE}, int64)")
def domain(case: tuple[int, ...], rules: int) -> int:
    """Return `LAWFUL` where the arithmetic of the terms is proved not to overflow."""
    if case[_DEBT_PRICE] == ZERO:
        return NO_PRICE
    if case[_DEBT_PRICE] >= _VALUE_LIMIT or case[_BONUS] < WHOLE or case[_FEE] > WHOLE:
        return OUT_OF_DOMAIN
    value = debt_value(case[_OWED] * case[_DEBT_PRICE], case[_DEBT_UNIT], rules)
    return LAWFUL if value < _VALUE_LIMIT else OUT_OF_DOMAIN


@hot(f"u256({CASE}, int64)")
def close_limit(case: tuple[int, ...], rules: int) -> int:
    """Return how much of the debt the close factor lets anybody repay."""
    is_deep = case[_FACTOR] <= _DEEP
    if not rules & BY_TOTAL:
        return half_up(case[_OWED] * (WHOLE if is_deep else _CLOSE_FACTOR), WHOLE)
    value = debt_value(case[_OWED] * case[_DEBT_PRICE], case[_DEBT_UNIT], rules)
    secures = floor(case[_BALANCE] * case[_COLLATERAL_PRICE], case[_COLLATERAL_UNIT])
    half = half_up(case[_TOTAL_DEBT] * _CLOSE_FACTOR, WHOLE)
    if is_deep or value < _LARGE or secures < _LARGE or value <= half:
        return case[_OWED]
    return floor(half * case[_DEBT_UNIT], case[_DEBT_PRICE])


@hot(f"u256({CASE}, u256, int64)")
def with_bonus(case: tuple[int, ...], amount: int, rules: int) -> int:
    """Return the collateral, bonus included, that repaying `amount` (at most what is owed) is worth."""
    # At most (value + 1) * unit / price < 2**177, and the bonus is below 2**16.
    base = floor(
        case[_DEBT_PRICE] * amount * case[_COLLATERAL_UNIT], case[_COLLATERAL_PRICE] * case[_DEBT_UNIT]
    )
    product = base * case[_BONUS]
    return floor(product, WHOLE) if rules & SPLIT_DOWN else half_up(product, WHOLE)


@hot(f"UniTuple(u256, 2)({CASE}, u256, int64)")
def clipped(case: tuple[int, ...], offer: int, rules: int) -> tuple[int, int]:
    """Return what is repaid of an offer within the limit, and the collateral taken for it."""
    taken = with_bonus(case, offer, rules)
    if taken <= case[_BALANCE]:
        return offer, taken
    worth = floor(
        case[_COLLATERAL_PRICE] * case[_BALANCE] * case[_DEBT_UNIT],
        case[_DEBT_PRICE] * case[_COLLATERAL_UNIT],
    )
    needed = ceil(worth * WHOLE, case[_BONUS]) if rules & DIRECTED else half_up(worth * WHOLE, case[_BONUS])
    return needed, case[_BALANCE]


@hot(f"boolean({CASE}, u256, u256, int64)")
def leaves_dust(case: tuple[int, ...], repay: int, taken: int, rules: int) -> bool:
    """Return whether too little of both sides would remain."""
    if not rules & BY_TOTAL or repay >= case[_OWED] or taken >= case[_BALANCE]:
        return False
    owed = debt_value((case[_OWED] - repay) * case[_DEBT_PRICE], case[_DEBT_UNIT], rules)
    held = floor((case[_BALANCE] - taken) * case[_COLLATERAL_PRICE], case[_COLLATERAL_UNIT])
    return owed < _LEFTOVER or held < _LEFTOVER


@hot(f"u256({CASE}, int64)")
def most_lawful(case: tuple[int, ...], rules: int) -> int:
    """Return the largest offer that the contract takes and does not cut by the close factor; 0: none."""
    limit = close_limit(case, rules)
    repay, taken = clipped(case, limit, rules)
    if not leaves_dust(case, repay, taken, rules):
        return limit
    return min(min(limit, _leaving_debt(case, rules)), _leaving_collateral(case, rules))  # noqa: PLW3301 - of two, in compiled code


@hot(f"u256({CASE}, int64)")
def _leaving_debt(case: tuple[int, ...], rules: int) -> int:
    if rules & DIRECTED:
        left = floor(_LEFTOVER_BELOW * case[_DEBT_UNIT], case[_DEBT_PRICE]) + ONE
    else:
        left = ceil(_LEFTOVER * case[_DEBT_UNIT], case[_DEBT_PRICE])
    return case[_OWED] - left if left < case[_OWED] else ZERO


@hot(f"u256({CASE}, int64)")
def _leaving_collateral(case: tuple[int, ...], rules: int) -> int:
    left = ceil(_LEFTOVER * case[_COLLATERAL_UNIT], case[_COLLATERAL_PRICE])
    if left > case[_BALANCE]:
        return ZERO
    # The difference is at least 10_000 - 5_000 - 1. As the bonus is at least 10_000, `base` is at most the
    # balance, whose value is below 2**96: the last product is below (2**96 + 2) * 10**48, less than 2**256.
    rounding = ONE if rules & SPLIT_DOWN else _HALF_WHOLE + ONE
    base = floor((case[_BALANCE] - left + ONE) * WHOLE - rounding, case[_BONUS])
    scaled = (base + ONE) * case[_COLLATERAL_PRICE] * case[_DEBT_UNIT] - ONE
    return floor(scaled, case[_DEBT_PRICE] * case[_COLLATERAL_UNIT])


@hot(f"u256({CASE}, u256, int64)")
def fee_of(case: tuple[int, ...], taken: int, rules: int) -> int:
    """Return the part of the collateral taken that the protocol keeps."""
    if rules & SPLIT_DOWN:
        return ceil((taken - floor(taken * WHOLE, case[_BONUS])) * case[_FEE], WHOLE)
    return half_up((taken - half_up(taken * WHOLE, case[_BONUS])) * case[_FEE], WHOLE)


@hot(f"u256({CASE}, u256, int64)")
def scaled_of(case: tuple[int, ...], amount: int, rules: int) -> int:
    """Return the scaled collateral that goes with `amount`, as burning and transferring round it."""
    return ceil(amount * RAY, case[_INCOME]) if rules & DIRECTED else half_up(amount * RAY, case[_INCOME])


@hot(f"boolean({CASE}, u256, u256, u256, int64)")
def takes_all(case: tuple[int, ...], seize: int, fee: int, taken: int, rules: int) -> bool:
    """Return whether nothing of value secures the position afterwards: the debt left is written off."""
    if not rules & BY_TOTAL:
        return False
    if rules & SPLIT_DOWN:
        consumed = min(scaled_of(case, seize, rules) + scaled_of(case, fee, rules), case[_SCALED])
        taken = floor(consumed * case[_INCOME], RAY)
    return floor(taken * case[_COLLATERAL_PRICE], case[_COLLATERAL_UNIT]) == case[_TOTAL_COLLATERAL]


@hot(f"u256({CASE}, u256, u256, int64)")
def kept(case: tuple[int, ...], fee: int, burned: int, rules: int) -> int:
    """Return the fee that reaches the treasury: no more than is there after the liquidator's part."""
    left = case[_SCALED] - burned
    if scaled_of(case, fee, rules) <= left:
        return fee
    return collateral_amount(left * case[_INCOME], rules)


@hot(f"int64({CASE}, u256, int64, int64, int64)")
def settle(case: tuple[int, ...], offer: int, rules: int, is_same: int, out: int) -> int:
    """Write the terms of an offer to `out`, and return the verdict."""
    most = most_lawful(case, rules)
    store256(out + 4 * _WORD, most)
    offer = most if offer == UNLIMITED else min(offer, close_limit(case, rules))
    repay, taken = clipped(case, offer, rules)
    if leaves_dust(case, repay, taken, rules):
        return LEAVES_DUST
    fee = fee_of(case, taken, rules)
    seize = taken - fee
    burned, is_all = scaled_of(case, seize, rules), takes_all(case, seize, fee, taken, rules)
    paid = (case[_OWED] if is_all else repay) * RAY
    owed_burned = floor(paid, case[_DEBT_INDEX]) if rules & DIRECTED else half_up(paid, case[_DEBT_INDEX])
    if min(burned, owed_burned) == ZERO:
        return NOTHING_GAINED
    if seize > case[_CASH]:
        is_open = is_same != 0 and rules & BITMAPS != 0 and seize <= case[_CASH] + repay
        return OUT_OF_DOMAIN if is_open else NO_CASH
    store256(out, repay)
    store256(out + _WORD, seize)
    store256(out + 2 * _WORD, kept(case, fee, burned, rules))
    store256(out + 3 * _WORD, case[_OWED] - repay if is_all else ZERO)
    return LAWFUL
