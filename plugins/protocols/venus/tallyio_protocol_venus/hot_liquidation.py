"""One liquidation, step by step as the contracts go: the compiled counterpart of `reference.liquidate`."""

from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    CLOSED,
    COLLATERAL,
    DEBT,
    HEALTH_IS_SOUND,
    INACTIVE,
    LAWFUL,
    NO_CASH,
    NO_PRICE,
    NOT_COLLATERAL,
    NOTHING_GAINED,
    NOTHING_OWED,
    OUT_OF_DOMAIN,
    PAUSED,
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
from tallyio.native.u256 import const, divmod256, load256, store256, u256
from tallyio_protocol_venus import state
from tallyio_protocol_venus.hot_market import (
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
from tallyio_protocol_venus.layout import (
    CLOSE_FACTOR,
    LARGEST_RATIO,
    LEAST_TOKENS,
    LEAST_VAI,
    LIQUIDATOR_SHARE,
    LIQUIDATOR_TOKENS,
    OWN_FLAGS,
    OWN_VAI,
    POOLS,
    PRICE,
    REDEEM_FEE,
    SUPPLY,
)

_UNIT: Final = const(1)
_MORE: Final = const(3)
_LEAST_TOKENS: Final = const(LEAST_TOKENS)
_RATIO_MAX: Final = const(LARGEST_RATIO)
_WORD: Final = 32
_SEIZE: Final = 32
_FEE: Final = 64
_BEYOND: Final = state.BEYOND
_ENTERED: Final = state.ENTERED
_FORCE_VAI: Final = state.FORCE_VAI
_LIQUIDATE_PAUSED: Final = state.LIQUIDATE_PAUSED
_LISTED: Final = state.LISTED
_NATIVE: Final = state.NATIVE
_PAUSED: Final = state.PAUSED
_PENDING: Final = state.PENDING
_REPAY_PAUSED: Final = state.REPAY_PAUSED
_RESTRICTED: Final = state.RESTRICTED
_SEIZE_GATES: Final = state.SEIZE_PAUSED | state.REDEEM_PAUSED
_TRANSFER_PAUSED: Final = state.TRANSFER_PAUSED
_VAI: Final = state.VAI
_VIA: Final = state.VIA_LIQUIDATOR
_INCENTIVE: Final = 1


@hot("boolean(int64)", inline=True)
def _via(book: int) -> bool:
    return load(own_at(book) + OWN_FLAGS, 0) & _VIA != 0


@hot("boolean(int64, int64, int64)", inline=True)
def _is_paused(book: int, seized: int, repaid: int) -> bool:
    gates = _SEIZE_GATES | (_TRANSFER_PAUSED if _via(book) else 0)
    unpayable = _LIQUIDATE_PAUSED | (0 if flags_at(repaid) & _VAI else _REPAY_PAUSED)
    is_whole = load(own_at(book) + OWN_FLAGS, 0) & _PAUSED != 0
    return is_whole or flags_at(seized) & gates != 0 or flags_at(repaid) & unpayable != 0


@hot("int64(int64, int64, int64, int64)")
def gates(book: int, position: int, collateral: int, debt: int) -> int:  # noqa: PLR0911 - one for each gate
    """Return the verdict where the contracts would refuse whatever the amounts."""
    taken, paid = balance_at(position, collateral), balance_at(position, debt)
    seized, repaid = reserve_at(book, reserve_of(taken)), reserve_at(book, reserve_of(paid))
    both = flags_at(seized) | flags_at(repaid)
    if flags_at(seized) & _VAI:
        return NOT_COLLATERAL
    if both & _NATIVE or (balance_flags(taken) | balance_flags(paid)) & _BEYOND:
        return OUT_OF_DOMAIN
    if _via(book) and flags_of(position) & _RESTRICTED:
        return CLOSED
    if flags_at(seized) & _LISTED == 0 or flags_at(repaid) & (_LISTED | _VAI) == 0:
        return INACTIVE
    if _is_paused(book, seized, repaid):
        return PAUSED
    if balance_flags(taken) & _ENTERED == 0 or number_at(taken, COLLATERAL) == ZERO:
        return NOT_COLLATERAL
    return NOTHING_OWED if number_at(paid, DEBT) == ZERO else LAWFUL


@hot("int64(int64, int64, int64, int64, int64)")
def vai_comes_first(book: int, position: int, debt: int, time: int, number: int) -> int:
    """Return `PAUSED` where the debt in VAI is to be liquidated before `debt` (`_checkForceVAILiquidate`)."""
    own = own_at(book)
    vai = load(own + OWN_VAI, 0)
    paid = balance_at(position, debt)
    row = reserve_at(book, reserve_of(paid))
    wants = _VIA | _FORCE_VAI
    if load(own + OWN_FLAGS, 0) & wants != wants or vai < 0 or flags_at(row) & _VAI or is_forced(row, paid):
        return LAWFUL
    row, amount = reserve_at(book, vai), ZERO
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        if reserve_of(balance) == vai:
            if balance_flags(balance) & _BEYOND:
                return OUT_OF_DOMAIN
            status, index, _, _, _ = accrue(row, time, number)
            if status == LAWFUL:
                status, amount = owed(balance, index, True)
            if status != LAWFUL:
                return status
    is_due = flags_at(row) & _LIQUIDATE_PAUSED == 0 and amount >= number_at(own, LEAST_VAI)
    return PAUSED if is_due else LAWFUL


@hot("int64(int64, int64, int64, int64, int64, int64, int64)")
def falls_short(  # noqa: PLR0913, PLR0917 - an account in a block
    book: int, position: int, collateral: int, debt: int, time: int, number: int, scratch: int
) -> int:
    """Return `HEALTH_IS_SOUND` where nothing forces a liquidation and the account is above water.

    Uses 64 bytes at `scratch`.
    """
    taken, paid = reserve_of(balance_at(position, collateral)), reserve_of(balance_at(position, debt))
    if is_forced(reserve_at(book, paid), balance_at(position, debt)):
        return LAWFUL
    vai = load(own_at(book) + OWN_VAI, 0) if _via(book) else NO_RESERVE
    status = sums(book, position, taken, paid, vai, time, number, scratch)
    if status != LAWFUL:
        return status
    return HEALTH_IS_SOUND if load256(scratch) >= load256(scratch + _WORD) else LAWFUL


@hot("Tuple(int64, u256)(int64, int64, int64, u256)")
def seize_ratio(position: int, seized: int, repaid: int, rate: int) -> tuple[int, int]:
    """Return how many vTokens of row `seized` one unit repaid to row `repaid` takes, mantissa."""
    in_vai = flags_at(repaid) & _VAI != 0
    price = ONE if in_vai else number_at(repaid, PRICE)
    other = number_at(seized, PRICE)
    if price == ZERO or other == ZERO:  # noqa: PLR1714 - a tuple is no machine code
        return NO_PRICE, ZERO
    pool = seized + POOLS if in_vai else pool_at(seized, position)
    denominator = scaled(other, rate)  # of 2**120 and 2**112
    if denominator == ZERO:
        return OUT_OF_DOMAIN, ZERO
    # The incentive is below 2**62, so the numerator is below 2**123.
    numerator = scaled(u256(load(pool, _INCENTIVE)), price)
    ratio = divmod256(numerator * ONE, denominator)[0]
    if ratio > _RATIO_MAX:
        return OUT_OF_DOMAIN, ZERO
    return (NOTHING_GAINED, ZERO) if ratio == ZERO else (LAWFUL, ratio)


@hot("u256(u256, u256, u256)")
def repaid_vai(amount: int, whole: int, principal: int) -> int:
    """Return what an offer of VAI repays of a debt `whole` (`getVAICalculateRepayAmount`)."""
    if amount >= whole:
        return amount
    # Amounts are below 2**173, so the product with 1e18 is below 2**233; the share is below 1e18.
    share = divmod256(amount * ONE, whole)[0]
    return scaled(principal, share) + scaled(whole - principal, share)


@hot("u256(u256, u256, u256, u256)")
def most_vai(limit: int, affordable: int, whole: int, principal: int) -> int:
    """Return the largest offer of VAI up to `limit` that repays no more than `affordable`."""
    # Rounding loses less than whole / 1e18 + 2 units, so the answer is at most so far above.
    low = min(limit, affordable)
    high = min(limit, affordable + divmod256(whole, ONE)[0] + _MORE)
    while low < high:
        middle = low + ((high - low + _UNIT) >> 1)
        if repaid_vai(middle, whole, principal) <= affordable:
            low = middle
        else:
            high = middle - _UNIT
    return low


@hot("u256(int64, int64, int64, u256, u256, u256)")
def most_of(book: int, repaid: int, balance: int, whole: int, borrows: int, affordable: int) -> int:
    """Return the most that may be repaid of a debt `whole`, repaying no more than `affordable`.

    `repaid` is the market's row, `balance` the debt's and `borrows` all debt of the market.
    """
    # The debt is below 2**149 and the close factor at most 1e18.
    limit = whole if is_forced(repaid, balance) else scaled(number_at(own_at(book), CLOSE_FACTOR), whole)
    if flags_at(repaid) & _VAI:
        return most_vai(limit, affordable, whole, number_at(balance, DEBT))
    # The market subtracts the repayment from all its debt, which rounding may have left below.
    return min(limit, min(affordable, borrows))  # noqa: PLW3301 - wide numbers are compared in pairs


@hot("Tuple(int64, u256)(int64, int64, int64, u256)")
def kept_of(book: int, position: int, seized: int, tokens: int) -> tuple[int, int]:
    """Return how many of the vTokens seized the Liquidator keeps (`_splitLiquidationIncentive`)."""
    if not _via(book):
        return LAWFUL, ZERO
    incentive = u256(load(pool_at(seized, position), _INCENTIVE))
    if incentive < ONE:
        return OUT_OF_DOMAIN, ZERO
    # At most the account's tokens, below 2**96, times less than 2**62.
    bonus = divmod256(tokens * (incentive - ONE), incentive)[0]
    return LAWFUL, scaled(bonus, number_at(own_at(book), LIQUIDATOR_SHARE))


@hot("Tuple(boolean, u256, u256)(int64, u256, u256, u256, u256, u256)")
def _redeemed(
    row: int, borrows: int, reserves: int, cash: int, supply: int, tokens: int
) -> tuple[bool, int, int]:
    """Return whether `tokens` can be redeemed, and cash and supply thereafter."""
    status, rate = exchange_rate(row, borrows, reserves, cash, supply)
    amount = scaled(rate, tokens)  # of 2**112 and 2**129
    if status != LAWFUL or cash < amount or supply < tokens:
        return False, cash, supply
    return True, cash - amount, supply - tokens


@hot("Tuple(u256, u256)(int64, u256, u256, u256, u256, u256)")
def _liquidator_redeems(
    row: int, borrows: int, reserves: int, cash: int, supply: int, ours: int
) -> tuple[int, int]:
    """Return cash and supply after the Liquidator redeemed its share, and what it still held, if it can."""
    held = number_at(row, LIQUIDATOR_TOKENS)
    is_done, cash, supply = _redeemed(row, borrows, reserves, cash, supply, ours)
    if not is_done:
        held = held + ours
    if flags_at(row) & _PENDING:
        is_done, cash, supply = _redeemed(row, borrows, reserves, cash, supply, held)
    return cash, supply


@hot("int64(int64, int64, int64, u256, u256, u256, u256, int64)")
def settle(  # noqa: PLR0911, PLR0913, PLR0917 - a market, what is taken from it, and ways to fail
    book: int, position: int, row: int, borrows: int, reserves: int, cash: int, tokens: int, out: int
) -> int:
    """Write what the liquidator gets when `tokens` of market `row` are seized and redeemed, and the fees.

    `borrows`, `reserves` and `cash` are the market's after the repayment.
    """
    status, ours = kept_of(book, position, row, tokens)
    if status != LAWFUL:
        return status
    theirs, supply = tokens - ours, number_at(row, SUPPLY)
    if theirs < _LEAST_TOKENS:
        return NOTHING_GAINED
    status, rate = exchange_rate(row, borrows, reserves, cash, supply)
    if status != LAWFUL:
        return status
    kept = scaled(rate, ours)
    if _via(book):
        cash, supply = _liquidator_redeems(row, borrows, reserves, cash, supply, ours)
    status, rate = exchange_rate(row, borrows, reserves, cash, supply)
    if status != LAWFUL:
        return status
    amount = scaled(rate, theirs)
    if cash < amount or supply < theirs:
        return NO_CASH
    # The fee's share is at most 1e18 and the amount below 2**129.
    fee = scaled(amount, number_at(own_at(book), REDEEM_FEE))
    if amount == fee:
        return NOTHING_GAINED
    store256(out + _SEIZE, amount - fee)
    store256(out + _FEE, kept + fee)
    return LAWFUL
