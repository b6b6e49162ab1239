"""What is known of a comptroller, its markets and one account, as records.

All numbers are the contracts' own: *mantissas* are in units of 1e-18, a price is the worth of one smallest
unit of the underlying in units of 1e-36 (so `price * amount / 1e18` is in 1e-18 of a dollar), rates are
per block, or per second where a market says so.
"""

from __future__ import annotations

from typing import Final

import msgspec

MANTISSA: Final = 10**18
UINT256_MAX: Final = 2**256 - 1
NEVER: Final = 2**62
"""A number of blocks that never passes."""

# --- a market's flags --------------------------------------------------------------------------
LISTED: Final = 1
LIQUIDATE_PAUSED: Final = 1 << 1
SEIZE_PAUSED: Final = 1 << 2
REPAY_PAUSED: Final = 1 << 3
REDEEM_PAUSED: Final = 1 << 4
TRANSFER_PAUSED: Final = 1 << 5
FORCED: Final = 1 << 6
"""Forced liquidation: neither shortfall nor close factor is asked for."""
TIMED: Final = 1 << 7
"""Interest counts seconds, not blocks."""
PENDING: Final = 1 << 8
"""The Liquidator redeems what it still holds of this vToken at the end of each liquidation."""
NATIVE: Final = 1 << 9
"""The underlying is the chain's native currency: it counts for health, and is not liquidated here."""
VAI: Final = 1 << 10
"""Not a market but the debt in VAI: `index` is the mint index, `rate` its growth per block."""

# --- the comptroller's flags -------------------------------------------------------------------
PAUSED: Final = 1
VIA_LIQUIDATOR: Final = 1 << 1
"""Only the Liquidator contract may liquidate; so it is called, and takes its share."""
FORCE_VAI: Final = 1 << 2
"""Who owes much VAI is to be liquidated in VAI first."""

# --- a balance's flags -------------------------------------------------------------------------
ENTERED: Final = 1
FORCED_USER: Final = 1 << 1
BEYOND: Final = 1 << 2
"""A number does not fit the record: everything about the position is unknown."""

# --- an account's flags: the pool below, and ---------------------------------------------------
RESTRICTED: Final = 1 << 32
"""The Liquidator lets only liquidators of its list near this account."""
POOL_MASK: Final = RESTRICTED - 1


class Pool(msgspec.Struct, frozen=True):
    """What a market is worth to accounts of one pool, the core pool (0) or an e-mode group."""

    threshold: int
    """Liquidation threshold, mantissa."""
    incentive: int
    """Liquidation incentive with the principal, mantissa: 1.1e18 is a bonus of 10 %."""


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """One vToken, or the debt in VAI, as its storage has it."""

    cash: int = 0
    borrows: int = 0
    reserves: int = 0
    supply: int = 0
    """vTokens in existence."""
    index: int = MANTISSA
    """Borrow index, mantissa."""
    rate: int = 0
    """Borrow rate per block until the next accrual, mantissa."""
    reserve_factor: int = 0
    price: int = 0
    """0: the oracle has none."""
    initial_rate: int = 0
    """Exchange rate while there are no vTokens; 0 where there are some."""
    accrued_at: int = 0
    """Number, or time, of the block of the last accrual."""
    reduced_at: int = 0
    """Number of the block in which reserves were last paid out."""
    reduce_after: int = NEVER
    """Reserves are paid out by the accrual that comes so many blocks later."""
    liquidator_tokens: int = 0
    """vTokens that the Liquidator contract holds."""
    flags: int = LISTED
    pools: tuple[Pool, ...] = (Pool(0, 0),)
    """By pool number; the fall-back to the core pool is already in it."""


class Comptroller(msgspec.Struct, frozen=True, kw_only=True):
    """The book itself."""

    flags: int = 0
    close_factor: int = 0
    redeem_fee: int = 0
    """Share of what is redeemed that goes to the treasury, mantissa."""
    liquidator_share: int = 0
    """Share of the bonus that the Liquidator contract keeps, mantissa."""
    least_vai: int = 0
    """From this debt in VAI on, `FORCE_VAI` applies."""
    vai: int = -1
    """Reserve number of the debt in VAI; -1: there is none."""


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """What an account has in one market, in the contracts' own numbers."""

    market: int
    tokens: int = 0
    principal: int = 0
    """Debt when it was last written down; for VAI the amount minted, less the interest in it."""
    index: int = MANTISSA
    """The borrow index at that time; for VAI the mint index."""
    past: int = 0
    """Interest of VAI that was added to the amount minted."""
    entered: bool = False
    forced: bool = False


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """A position: what it has by rising market number."""

    debts: tuple[Debt, ...]
    pool: int = 0
    restricted: bool = False


class Liquidation(msgspec.Struct, frozen=True, kw_only=True):
    """What a liquidation takes and gives; see `tallyio.lending.abi.LIQUIDATION`."""

    repay: int = 0
    seize: int = 0
    fee: int = 0
    most: int = 0
    seized_tokens: int = 0
    """vTokens that leave the account (the event's `seizeTokens`)."""
    kept_tokens: int = 0
    """... of which the Liquidator contract keeps these."""
    actual_repay: int = 0
    """What the event says: for VAI it may be some units below `repay`."""
