"""Calls, opportunities, plans and transactions.

Layer: model.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import msgspec

from tallyio.model.chain import PendingTransaction
from tallyio.model.lending import LoanOffer, PositionKey
from tallyio.model.units import Address, Hash, Wei

Use = int | tuple[int, PositionKey]
"""What a leg was priced on and changes: a pool by its id, or a position by its book and key."""


Ground = int | tuple[int, int]
"""What a loan's fee may change under others: a pool's reserves, or by book and number what a reserve owes."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A contract call: `data` is selector and arguments."""

    to: Address
    data: bytes
    value_wei: Wei = Wei(0)


class Leg(msgspec.Struct, frozen=True, kw_only=True):
    """One swap of a path, with its exact amounts in smallest units."""

    pool: int
    """Dense pool id in the market."""
    token_in: int
    """Position of the sold token in the pool's own order."""
    token_out: int
    amount_in: int
    amount_out: int

    @property
    def uses(self) -> Use:
        """The pool."""
        return self.pool


class Liquidation(msgspec.Struct, frozen=True, kw_only=True):
    """One liquidation of a path: pay somebody's debt, get collateral for it; amounts in smallest units."""

    book: int
    """Dense number of the book."""
    key: PositionKey
    """Whose debt."""
    collateral: int
    """Number of the reserve that is seized."""
    debt: int
    """Number of the reserve that is repaid."""
    amount_in: int
    """Debt that is repaid, exactly."""
    amount_out: int
    """Collateral that arrives, exactly."""
    offer: int = 0
    """What to offer, of which the protocol takes `amount_in`; 0: just that.

    Where the collateral is worth less than the debt some protocols give all of it for a larger offer only.
    """

    @property
    def uses(self) -> Use:
        """The position."""
        return self.book, self.key


class Borrowing(msgspec.Struct, frozen=True, kw_only=True):
    """A loan for the length of one transaction."""

    offer: LoanOffer
    amount: int
    """In smallest units of the offer's token."""
    fee: int
    """Paid back besides, in the same."""


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """Cycles that pay: start with `amount_in` of `token` in all, end with `amount_out` of it.

    The legs are one cycle, or several in turn: one ends where a leg brings `token` back and the next sells
    another amount of it.
    """

    id: int
    """Serial within the run, from 1."""
    strategy: str
    block_hash: Hash
    """The state it was found in."""
    block_number: int
    token: Address
    legs: tuple[Leg | Liquidation, ...]
    amount_in: int
    amount_out: int
    gas: int
    """Estimated gas of the whole transaction."""
    net_wei: float
    """Estimated profit after gas in the native currency, for ranking only."""
    loan: Borrowing | None = None
    """What the legs are paid with; None: the first leg of each cycle pays out before it is paid."""
    deposits: frozenset[Ground] = frozenset()
    """The reserves whose deposits secure the positions that it liquidates."""
    disturbs: Ground | None = None
    """What the fee of its loan changes, if that is anybody's ground."""
    trigger: Trigger | None = None
    """What has to come before it; None: nothing, the state of the block will do."""

    @property
    def profit(self) -> int:
        """Exact gross profit in smallest units of `token`; gas is paid apart, in native currency."""
        return self.amount_out - self.amount_in - (self.loan.fee if self.loan else 0)

    @property
    def uses(self) -> frozenset[Use]:
        """The pools and positions that must stay as they are until this has landed."""
        return frozenset(leg.uses for leg in self.legs)

    def is_disturbed_by(self, grounds: AbstractSet[Ground | None]) -> bool:
        """Return whether this was priced on one of `grounds`."""
        return not grounds.isdisjoint(self.deposits) or any(leg.uses in grounds for leg in self.legs)


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """A price update that waits for a block, behind which something can be taken."""

    transaction: PendingTransaction
    feeds: tuple[Address, ...]
    """The aggregators that it reports to."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the executor contract that takes an opportunity, or reverts."""

    call: Call
    token: Address
    min_profit: int
    """By how much the sender's balance of `token` grows at least."""
    deadline_block: int
    """The executor reverts in any later block."""
    sender: Address
    behind: PendingTransaction | None = None
    """What it is to run right behind: it is judged on what that leaves, and pays no more per gas."""
    own_funds: int = 0
    """How much of `token` the executor takes from the sender first, and gives back with the profit."""


class Simulation(msgspec.Struct, frozen=True, kw_only=True):
    """What the EVM said of a plan, on the state of one block."""

    block_hash: Hash
    success: bool
    profit: int
    """Balance change of the plan's token at the sender, in smallest units."""
    gas_used: int
    reason: str = ""
    """Why it failed, in words; empty on success."""


class UnsignedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """An EIP-1559 transaction before its signature."""

    chain_id: int
    nonce: int
    max_priority_fee_wei: Wei
    max_fee_wei: Wei
    gas_limit: int
    to: Address
    value_wei: Wei
    data: bytes


class SignedTransaction(msgspec.Struct, frozen=True, kw_only=True):
    """A transaction as it goes on the wire."""

    unsigned: UnsignedTransaction
    sender: Address
    raw: bytes
    hash: Hash
