"""A market, and what an account has in it, in the block to come: the compiled counterpart of `reference`.

Every function returns one of the verdicts of `tallyio.lending.abi` first, `LAWFUL` (0) for all is well.
"""

from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    EXTRA,
    LAWFUL,
    NO_PRICE,
    OUT_OF_DOMAIN,
    balance_at,
    balance_flags,
    count_of,
    flags_of,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store256, u256
from tallyio_protocol_venus import state
from tallyio_protocol_venus.layout import (
    ACCRUED_AT,
    BORROWS,
    CASH,
    FLAGS,
    INDEX,
    INITIAL_RATE,
    LARGEST_AMOUNT,
    LARGEST_DELAY,
    LARGEST_INDEX,
    LARGEST_PRICE,
    LARGEST_RATE,
    LARGEST_SUM,
    LARGEST_UNIT,
    MOST_PER_BLOCK,
    POOL_BYTES,
    POOLS,
    PRICE,
    RATE,
    REDUCE_AFTER,
    REDUCED_AT,
    RESERVE_FACTOR,
    RESERVES,
    SHIFT,
    SUPPLY,
    VAI_UNITS,
)

ZERO: Final = const(0)
ONE: Final = const(state.MANTISSA)
AMOUNT_MAX: Final = const(LARGEST_AMOUNT)
PRICE_MAX: Final = const(LARGEST_PRICE)
_INDEX_MAX: Final = const(LARGEST_INDEX)
_RATE_MAX: Final = const(LARGEST_RATE)
_UNIT_MAX: Final = const(LARGEST_UNIT)
_SUM_MAX: Final = const(LARGEST_SUM)
_BLOCK_MAX: Final = const(MOST_PER_BLOCK)
_VAI_UNITS: Final = const(VAI_UNITS)
_DELAY_MAX: Final = LARGEST_DELAY
_SHIFT: Final = SHIFT
_LISTED: Final = state.LISTED
_TIMED: Final = state.TIMED
_VAI: Final = state.VAI
_FORCED: Final = state.FORCED
_FORCED_USER: Final = state.FORCED_USER
_ENTERED: Final = state.ENTERED
_BEYOND: Final = state.BEYOND
_POOL_MASK: Final = state.POOL_MASK
_WORD: Final = 32

NO_RESERVE: Final = -1
EVERY_RESERVE: Final = -2
"""Instead of a reserve that has accrued: all have."""


@hot("u256(int64, int64)", inline=True)
def number_at(address: int, field: int) -> int:
    """Return a 128-bit field of a row or balance."""
    return u256(load128(address + field))


@hot("u256(u256, u256)", inline=True)
def scaled(a: int, b: int) -> int:
    """Return a * b / 1e18 rounded down, of a product below 2**256."""
    return divmod256(a * b, ONE)[0]


@hot("int64(int64)", inline=True)
def flags_at(row: int) -> int:
    """Return the flags of a market's row."""
    return load(row + FLAGS, 0)


@hot("int64(int64, int64)", inline=True)
def pool_at(row: int, position: int) -> int:
    """Return the address of what a market is worth to a position's pool."""
    return row + POOLS + POOL_BYTES * (flags_of(position) & _POOL_MASK)


@hot("Tuple(int64, u256, u256, u256, u256)(int64, int64, int64)")
def accrue(row: int, time: int, number: int) -> tuple[int, int, int, int, int]:
    """Return index, borrows, reserves and cash of a market after `accrueInterest` in that block."""
    index, borrows = number_at(row, INDEX), number_at(row, BORROWS)
    reserves, cash = number_at(row, RESERVES), number_at(row, CASH)
    flags = flags_at(row)
    delay = (time if flags & _TIMED else number) - load(row + ACCRUED_AT, 0)
    if delay == 0:
        return LAWFUL, index, borrows, reserves, cash
    rate = number_at(row, RATE)
    if delay < 0 or delay > _DELAY_MAX or rate > _BLOCK_MAX:
        return OUT_OF_DOMAIN, index, borrows, reserves, cash
    factor = rate * u256(delay)  # below 2**43 * 2**32
    if flags & _VAI:
        index = index + factor
    else:
        # The factor times an amount is below 2**203, times an index below 2**171; the reserve factor is at
        # most 1e18, and what it is multiplied with below 2**144.
        interest = scaled(factor, borrows)
        index = index + scaled(factor, index)
        borrows = borrows + interest
        reserves = reserves + scaled(number_at(row, RESERVE_FACTOR), interest)
        if number - load(row + REDUCED_AT, 0) >= load(row + REDUCE_AFTER, 0):
            taken = min(cash, reserves)
            cash, reserves = cash - taken, reserves - taken
    if borrows > AMOUNT_MAX or reserves > AMOUNT_MAX or index > _INDEX_MAX:
        return OUT_OF_DOMAIN, index, borrows, reserves, cash
    return LAWFUL, index, borrows, reserves, cash


@hot("Tuple(int64, u256, u256, u256, u256)(int64)", inline=True)
def stored(row: int) -> tuple[int, int, int, int, int]:
    """Return index, borrows, reserves and cash of a market as they were last written."""
    return (
        LAWFUL,
        number_at(row, INDEX),
        number_at(row, BORROWS),
        number_at(row, RESERVES),
        number_at(row, CASH),
    )


@hot("Tuple(int64, u256)(int64, u256, u256, u256, u256)")
def exchange_rate(row: int, borrows: int, reserves: int, cash: int, supply: int) -> tuple[int, int]:
    """Return what a vToken is worth in units of the underlying, mantissa (`exchangeRateStored`)."""
    rate = number_at(row, INITIAL_RATE)
    if supply != ZERO:
        if cash + borrows < reserves:
            return OUT_OF_DOMAIN, ZERO
        rate = divmod256((cash + borrows - reserves) * ONE, supply)[0]  # below 2**129 * 2**60
    return (OUT_OF_DOMAIN, ZERO) if rate > _RATE_MAX else (LAWFUL, rate)


@hot("Tuple(int64, u256)(int64, u256, boolean)")
def owed(balance: int, index: int, in_vai: bool) -> tuple[int, int]:  # noqa: FBT001 - no keywords
    """Return the debt of a balance in smallest units, with the market's `index`."""
    debt, then = number_at(balance, DEBT), number_at(balance, EXTRA)
    if in_vai:
        if index < then:
            return OUT_OF_DOMAIN, ZERO
        # Principal and index are below 2**112 and 2**96. The constant is what `layout` says.
        past = _VAI_UNITS * debt + scaled(debt, then) - number_at(balance, COLLATERAL)
        return LAWFUL, debt + past + scaled(index - then, debt)
    principal = (debt * then) >> _SHIFT
    return LAWFUL, divmod256(principal * index, then)[0]


@hot("boolean(int64, int64)")
def is_forced(row: int, balance: int) -> bool:
    """Return whether a debt may be liquidated whatever the account's health."""
    is_allowed = flags_at(row) & _FORCED != 0 or balance_flags(balance) & _FORCED_USER != 0
    return is_allowed and number_at(balance, DEBT) != ZERO


@hot("Tuple(int64, u256, u256)(int64, int64, int64, boolean, int64, int64)")
def _worth(
    row: int,
    position: int,
    balance: int,
    is_accrued: bool,  # noqa: FBT001 - compiled calls have no keywords
    time: int,
    number: int,
) -> tuple[int, int, int]:
    """Return collateral that counts and debt of one balance in a market, in 1e-18 of a dollar."""
    status, index, borrows, reserves, cash = accrue(row, time, number) if is_accrued else stored(row)
    tokens = number_at(balance, COLLATERAL)
    if status == LAWFUL and tokens == ZERO and number_at(balance, DEBT) == ZERO:
        return LAWFUL, ZERO, ZERO
    if status == LAWFUL:
        status, rate = exchange_rate(row, borrows, reserves, cash, number_at(row, SUPPLY))
    else:
        rate = ZERO
    if status != LAWFUL:
        return status, ZERO, ZERO
    price = number_at(row, PRICE)
    if price == ZERO:
        return NO_PRICE, ZERO, ZERO
    amount = owed(balance, index, False)[1]
    # The threshold is at most 1e18, so with it the rate is below 2**112, and the price below 2**120.
    threshold = u256(load(pool_at(row, position), 0))
    unit = scaled(scaled(threshold, rate), price)
    if amount > AMOUNT_MAX or unit > _UNIT_MAX:
        return OUT_OF_DOMAIN, ZERO, ZERO
    # The unit is below 2**160 and tokens are below 2**96; price and amount below 2**120 and 2**128.
    return LAWFUL, scaled(unit, tokens), scaled(price, amount)


@hot("int64(int64, int64, int64, int64, int64, int64, int64, int64)")
def sums(  # noqa: PLR0913, PLR0917 - an account in a block
    book: int, position: int, first: int, second: int, third: int, time: int, number: int, out: int
) -> int:
    """Write collateral that counts, and debt, in 1e-18 of a dollar, to `out` (two 256-bit numbers).

    `first`, `second` and `third` are the reserves that have accrued in this block, or `EVERY_RESERVE`.
    """
    collateral, debt = ZERO, ZERO
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        number_of = reserve_of(balance)
        row = reserve_at(book, number_of)
        is_accrued = (
            first == EVERY_RESERVE or number_of == first or number_of == second or number_of == third  # noqa: PLR1714 - a set is no machine code
        )
        status, more, owes = LAWFUL, ZERO, ZERO
        if balance_flags(balance) & _BEYOND:
            status = OUT_OF_DOMAIN
        elif flags_at(row) & _VAI:
            status, index = _index(row, is_accrued, time, number)
            if status == LAWFUL:
                status, owes = owed(balance, index, True)
        elif balance_flags(balance) & _ENTERED and flags_at(row) & _LISTED:
            status, more, owes = _worth(row, position, balance, is_accrued, time, number)
        if status != LAWFUL:
            return status
        # Each is below 2**197, and so are the sums of as many balances as there can be.
        collateral, debt = collateral + more, debt + owes
    if collateral > _SUM_MAX or debt > _SUM_MAX:
        return OUT_OF_DOMAIN
    store256(out, collateral)
    store256(out + _WORD, debt)
    return LAWFUL


@hot("Tuple(int64, u256)(int64, boolean, int64, int64)", inline=True)
def _index(row: int, is_accrued: bool, time: int, number: int) -> tuple[int, int]:  # noqa: FBT001 - as above
    if is_accrued:
        status, index, _, _, _ = accrue(row, time, number)
        return status, index
    return LAWFUL, number_at(row, INDEX)
