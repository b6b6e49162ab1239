"""Rows and balances of a book of Venus, in bytes.

The comptroller's row, 128 bytes:

| offset | bytes | field |
|---|---|---|
| 0 | 8 | flags |
| 8 | 8 | reserve number of the debt in VAI, -1: none |
| 16 | 16 | close factor |
| 32 | 16 | redeem fee |
| 48 | 16 | the Liquidator's share of the bonus |
| 64 | 16 | least debt in VAI that comes first |

A market's row, 192 bytes and 64 for each four pools begun:

| offset | bytes | field |
|---|---|---|
| 0 | 4 x 16 | cash, borrows, reserves, supply of vTokens |
| 64 | 4 x 16 | borrow index, borrow rate, reserve factor, price |
| 128 | 4 x 8 | accrued at, reserves reduced at, reduced again after, flags |
| 160 | 2 x 16 | vTokens of the Liquidator, exchange rate while there are none |
| 192 | 16 each | per pool: liquidation threshold, liquidation incentive |

All little-endian; mantissas and amounts as in `state`.

**A debt** is not a multiple of one index, for it is written down with the index of that time. The balance
has `debt = ceil(principal * 2**72 / index)` and `extra = index`, so that debts of different times add up like
scaled ones, and the principal comes back exactly: `debt * index / 2**72` is less than one above it, because
the index is below 2**72.

**A debt in VAI** grows by `principal` for each unit of the mint index, and so is not a multiple of it at
all: it is `principal * (16 + mint index) - collateral` with the constant
`collateral = principal * (15 + index) - past`, which the balance has as collateral, at weight and value 1. So
it adds up like any other.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from tallyio.model.lending import Balance, Position, PositionKey
from tallyio_protocol_venus import state
from tallyio_protocol_venus.state import MANTISSA, Account, Comptroller, Debt, Market, Pool

# --- the domain: what the overflow proofs of `hot` allow for -----------------------------------
LARGEST_AMOUNT: Final = (1 << 128) - 1
LARGEST_TOKENS: Final = (1 << 96) - 1
LARGEST_PRINCIPAL: Final = (1 << 112) - 1
LARGEST_PRICE: Final = (1 << 120) - 1
LARGEST_RATE: Final = (1 << 112) - 1
LARGEST_INDEX: Final = (1 << 96) - 1
LARGEST_UNIT: Final = (1 << 160) - 1
LARGEST_RATIO: Final = (1 << 128) - 1
LARGEST_SUM: Final = (1 << 190) - 1
LARGEST_DELAY: Final = (1 << 32) - 1
LARGEST_INCENTIVE: Final = (1 << 62) - 1
LARGEST_FEE: Final = MANTISSA // 2
LEAST_TOKENS: Final = 3
"""Fewer vTokens are not worth redeeming: asking for their worth in the underlying could round to none."""
MOST_PER_BLOCK: Final = 5 * 10**12
"""`VTokenStorageBase.borrowRateMaxMantissa`; a VAI controller knows no limit, and none comes near."""

RELATIVE_SLACK: Final = 1e-9
UNIT_SLACK: Final = 1e13
"""What the adapter states as `CompiledLending.relative_slack` and `unit_slack`. A debt is rounded to smallest
units of its token, of which each may be worth so many accounting units: a hundred-thousandth of a dollar.
Where one is worth more, `values` says that the margin is worth nothing, and all holders are looked at."""

# --- rows ---------------------------------------------------------------------------------------
OWN_BYTES: Final = 128
OWN_FLAGS: Final = 0
OWN_VAI: Final = 8
CLOSE_FACTOR: Final = 16
REDEEM_FEE: Final = 32
LIQUIDATOR_SHARE: Final = 48
LEAST_VAI: Final = 64

CASH: Final = 0
BORROWS: Final = 16
RESERVES: Final = 32
SUPPLY: Final = 48
INDEX: Final = 64
RATE: Final = 80
RESERVE_FACTOR: Final = 96
PRICE: Final = 112
ACCRUED_AT: Final = 128
REDUCED_AT: Final = 136
REDUCE_AFTER: Final = 144
FLAGS: Final = 152
LIQUIDATOR_TOKENS: Final = 160
INITIAL_RATE: Final = 176
POOLS: Final = 192
POOL_BYTES: Final = 16
LINE: Final = 64

_OWN: Final = struct.Struct("<2q")
_TIMES: Final = struct.Struct("<4q")
_POOL: Final = struct.Struct("<2Q")
_WIDE: Final = ("cash", "borrows", "reserves", "supply", "index", "rate", "reserve_factor", "price")
_SHARES: Final = ("close_factor", "redeem_fee", "liquidator_share")
_LIMITS: Final = {"index": LARGEST_INDEX, "price": LARGEST_PRICE, "reserve_factor": MANTISSA}

# --- balances -----------------------------------------------------------------------------------
SHIFT: Final = 72
"""Debts are in units of 2**-72 of a smallest unit at index 1e-18."""
VAI_UNITS: Final = 15
"""What is lent to the constant of a debt in VAI, negative only where `past` is so many times as much."""


def row_bytes(pools: int) -> int:
    """Return the size of a market's row where there are `pools` pools, the core pool among them."""
    return POOLS + -(-pools * POOL_BYTES // LINE) * LINE


def pack_own(own: Comptroller) -> bytes:
    """Return the comptroller's row. Raises: ValueError: a number is out of its range."""
    if not all(0 <= getattr(own, name) <= MANTISSA for name in _SHARES) or own.redeem_fee > LARGEST_FEE:
        raise ValueError(f"a share is above 1e18, or more than half of what is redeemed: {own}")
    # From a debt beyond 2**128 on is from none on.
    wide = (*(getattr(own, name) for name in _SHARES), min(own.least_vai, LARGEST_AMOUNT))
    raw = _OWN.pack(own.flags, own.vai) + b"".join(value.to_bytes(16, "little") for value in wide)
    return raw.ljust(OWN_BYTES, b"\0")


def unpack_own(row: bytes) -> Comptroller:
    """Return the comptroller that a row says."""
    flags, vai = _OWN.unpack_from(row)
    wide = [_wide(row, CLOSE_FACTOR + 16 * k) for k in range(4)]
    return Comptroller(
        flags=flags,
        vai=vai,
        close_factor=wide[0],
        redeem_fee=wide[1],
        liquidator_share=wide[2],
        least_vai=wide[3],
    )


def pack_market(market: Market) -> bytes:
    """Return a market's row. Raises: ValueError: a number is out of its range."""
    for name in (*_WIDE, "liquidator_tokens", "initial_rate"):
        if not 0 <= getattr(market, name) <= _LIMITS.get(name, LARGEST_AMOUNT):
            raise ValueError(f"{name} is {getattr(market, name)}, beyond what is computed with")
    if any(pool.threshold > MANTISSA or pool.incentive > LARGEST_INCENTIVE for pool in market.pools):
        raise ValueError(f"a pool has a threshold above 1e18, or an incentive above 4.6e18: {market.pools}")
    times = (market.accrued_at, market.reduced_at, min(market.reduce_after, state.NEVER), market.flags)
    raw = b"".join(getattr(market, name).to_bytes(16, "little") for name in _WIDE) + _TIMES.pack(*times)
    raw += market.liquidator_tokens.to_bytes(16, "little") + market.initial_rate.to_bytes(16, "little")
    raw += b"".join(_POOL.pack(pool.threshold, pool.incentive) for pool in market.pools)
    return raw.ljust(row_bytes(len(market.pools)), b"\0")


def unpack_market(row: bytes, pools: int) -> Market:
    """Return the market that a row says, with its first `pools` pools."""
    accrued_at, reduced_at, reduce_after, flags = _TIMES.unpack_from(row, ACCRUED_AT)
    values = {name: _wide(row, 16 * k) for k, name in enumerate(_WIDE)}
    return Market(
        **values,
        accrued_at=accrued_at,
        reduced_at=reduced_at,
        reduce_after=reduce_after,
        flags=flags,
        liquidator_tokens=_wide(row, LIQUIDATOR_TOKENS),
        initial_rate=_wide(row, INITIAL_RATE),
        pools=tuple(Pool(*_POOL.unpack_from(row, POOLS + POOL_BYTES * k)) for k in range(pools)),
    )


def price_in(row: bytes) -> int:
    """Return the price of a market's row."""
    return _wide(row, PRICE)


def flags_in(row: bytes) -> int:
    """Return the flags of a market's row."""
    flags: int = _TIMES.unpack_from(row, ACCRUED_AT)[3]
    return flags


def _wide(row: bytes, at: int) -> int:
    return int.from_bytes(row[at : at + 16], "little")


def pack_debt(debt: Debt, *, in_vai: bool) -> Balance:
    """Return the balance of a `Debt`; it says so itself where it does not fit."""
    flags = (state.ENTERED if debt.entered else 0) | (state.FORCED_USER if debt.forced else 0)
    fits = (
        debt.principal <= LARGEST_PRINCIPAL
        and MANTISSA <= debt.index < 1 << SHIFT
        and debt.tokens <= LARGEST_TOKENS
        and debt.past <= min(LARGEST_PRINCIPAL, VAI_UNITS * debt.principal)
    )
    if not fits and (debt.principal or debt.past or debt.tokens):
        # The debt is the largest that there can be, so that the position is always looked at.
        return Balance(reserve=debt.market, debt=LARGEST_AMOUNT, flags=flags | state.BEYOND)
    if in_vai:
        constant = VAI_UNITS * debt.principal + debt.principal * debt.index // MANTISSA - debt.past
        return Balance(
            reserve=debt.market, collateral=constant, debt=debt.principal, extra=debt.index, flags=flags
        )
    scaled = -(-(debt.principal << SHIFT) // debt.index) if debt.principal else 0
    return Balance(
        reserve=debt.market,
        collateral=debt.tokens,
        debt=scaled,
        extra=debt.index if debt.principal else 0,
        flags=flags,
    )


def unpack_debt(balance: Balance, *, in_vai: bool) -> Debt:
    """Return the `Debt` of a balance that fits; without a debt, the index says nothing."""
    facts = {
        "entered": bool(balance.flags & state.ENTERED),
        "forced": bool(balance.flags & state.FORCED_USER),
    }
    if in_vai:
        grown = VAI_UNITS * balance.debt + balance.debt * balance.extra // MANTISSA
        return Debt(
            market=balance.reserve,
            principal=balance.debt,
            index=balance.extra,
            past=grown - balance.collateral,
            **facts,
        )
    return Debt(
        market=balance.reserve,
        tokens=balance.collateral,
        principal=balance.debt * balance.extra >> SHIFT,
        index=balance.extra or MANTISSA,
        **facts,
    )


def pack_account(key: PositionKey, account: Account, *, vai: int) -> Position:
    """Return the position of an account; `vai` is the reserve number of the debt in VAI."""
    balances = (pack_debt(each, in_vai=each.market == vai) for each in account.debts)
    return Position(
        key=key,
        balances=tuple(each for each in balances if each.collateral or each.debt),
        flags=account.pool | (state.RESTRICTED if account.restricted else 0),
    )


def changed(balance: Balance, **facts: int) -> Balance:
    """Return a balance with other facts."""
    return msgspec.structs.replace(balance, **facts)
