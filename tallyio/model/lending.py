"""Lending markets, positions and flash loans, as records.

Layer: model. A *book* is one lending market with everything that secures everything in it: an Aave pool, a
Comet, a Venus comptroller. A *reserve* is what a book lends, takes as collateral, or both. Amounts of a
position are *scaled*: in the protocol's own units, which do not change while interest accrues.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from tallyio.model.market import LogSource
from tallyio.model.units import Address


class ReserveSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A reserve: what does not change from block to block."""

    symbol: str
    """For display."""
    collateral: Address | None
    """The token that a liquidator receives for it; None: it secures nothing."""
    debt: Address | None
    """The token that a liquidator pays; None: it cannot be borrowed."""
    feeds: tuple[Address, ...] = ()
    """The contracts that its price comes from, as far as the plugin knows: feeds that an oracle names,
    and the aggregators behind them, to which answers are reported."""
    auction: str = ""
    """By which scheme updates of one of the feeds are sold, such as "svr"; empty: by none that is known. The
    engine writes it."""
    parameters: tuple[tuple[str, int], ...] = ()
    """What else the protocol plugin needs to load and liquidate it, as sorted (name, integer) pairs."""


class BookSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A book that a protocol plugin found."""

    address: Address
    venue: str
    """Which deployment it is, as the configuration names it (for display)."""
    reserves: tuple[ReserveSpec, ...]
    """Positions in this tuple are the reserve numbers of balances."""
    log_sources: tuple[LogSource, ...]
    """Where the events come from that change its reserves, prices and positions."""
    parameters: tuple[tuple[str, int], ...] = ()


class PositionKey(NamedTuple):
    """Whose position, and which, where an account may have several in one book."""

    account: Address
    part: int = 0
    """The number of the isolated market; 0 where an account has one position."""


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """What a position has in one reserve, in scaled units, each below 2**128."""

    reserve: int
    collateral: int = 0
    debt: int = 0
    extra: int = 0
    """What the protocol remembers besides, such as the index at which `debt` was written down."""
    flags: int = 0
    """The protocol's own bits, such as whether the deposit secures debt."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """One position: balances by rising reserve number, empty ones left out."""

    key: PositionKey
    balances: tuple[Balance, ...]
    flags: int = 0
    """The protocol's own number, such as the e-mode category."""

    def auction(self, book: BookSpec) -> str:
        """Return how updates of a price that it hangs on in `book` are sold; empty: they are not."""
        sold = (book.reserves[balance.reserve].auction for balance in self.balances)
        return next(filter(None, sold), "")


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """A position's exact health, as the contract computes it."""

    status: int
    """`HEALTHY`, `LIQUIDATABLE` or `UNKNOWN` of `tallyio.lending.abi`."""
    collateral: int
    """What counts against debt, in accounting units."""
    debt: int
    factor: int
    """In 1e-18."""


class LiquidationTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What one liquidation takes and gives, in smallest units; zeros where it is not lawful."""

    verdict: int
    """`LAWFUL`, or why not, of `tallyio.lending.abi`."""
    repay: int
    seize: int
    fee: int
    written_off: int
    most: int


class LoanOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What can be borrowed for the length of one call. The fee is `amount * numerator / denominator`."""

    lender: Address
    """The contract to call."""
    venue: str
    token: Address
    available: int
    """The most that it lends now, in smallest units."""
    fee_numerator: int
    fee_denominator: int
    fee_rounds: Literal["down", "half_up", "up"]
    gas: int
    """What borrowing and paying back adds to a transaction."""
    parameters: tuple[tuple[str, int], ...] = ()
    disturbs: bool = False
    """Whether the fee, once kept, changes what the lender's other business gives.

    It does where it joins reserves that swaps are computed from, or raises an index that deposits grow by.
    """

    def fee(self, amount: int) -> int:
        """Return the exact fee of borrowing `amount`."""
        addend = {"down": 0, "half_up": self.fee_denominator // 2, "up": self.fee_denominator - 1}
        return (amount * self.fee_numerator + addend[self.fee_rounds]) // self.fee_denominator
