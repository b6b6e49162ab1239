"""What a strategy proposes to take, and what it found and may not.

Layer: model.
"""

from __future__ import annotations

import msgspec

from tallyio.model.chain import Head
from tallyio.model.execution import Borrowing, Leg, Liquidation, Opportunity
from tallyio.model.lending import PositionKey
from tallyio.model.units import Address


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Cycles that pay, as of one block; `Opportunity` says what the fields are."""

    strategy: str = ""
    """As the configuration names it; the engine writes it."""
    token: Address
    legs: tuple[Leg | Liquidation, ...]
    amount_in: int
    amount_out: int
    gas: int
    """Estimated gas of the whole transaction."""
    net_wei: float
    """Estimated profit after gas in the native currency, for ranking only."""
    loan: Borrowing | None = None

    def opportunity(self, serial: int, head: Head) -> Opportunity:
        """Return this as opportunity number `serial` of a run, found in the state of `head`."""
        return Opportunity(
            id=serial,
            strategy=self.strategy,
            block_hash=head.hash,
            block_number=head.number,
            token=self.token,
            legs=self.legs,
            amount_in=self.amount_in,
            amount_out=self.amount_out,
            gas=self.gas,
            net_wei=self.net_wei,
            loan=self.loan,
        )


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """A position that could be liquidated by its health, and why it is left alone."""

    book: int
    key: PositionKey
    collateral: int
    debt: int
    """Reserve numbers."""
    reason: str
