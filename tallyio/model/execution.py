"""Calls, opportunities, plans and transactions.

Layer: model.
"""

from __future__ import annotations

import msgspec

from tallyio.model.units import Address, Hash, Wei


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


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """A cycle that pays: start with `amount_in` of `token`, end with `amount_out` of it."""

    id: int
    """Serial within the run, from 1."""
    strategy: str
    block_hash: Hash
    """The state it was found in."""
    block_number: int
    token: Address
    legs: tuple[Leg, ...]
    amount_in: int
    amount_out: int
    gas: int
    """Estimated gas of the whole transaction."""
    net_wei: float
    """Estimated profit after gas in the native currency, for ranking only."""

    @property
    def profit(self) -> int:
        """Exact gross profit in smallest units of `token`; gas is paid apart, in native currency."""
        return self.amount_out - self.amount_in


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A call of the executor contract that takes an opportunity, or reverts."""

    call: Call
    token: Address
    min_profit: int
    deadline_block: int
    """The executor reverts in any later block."""
    sender: Address


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
