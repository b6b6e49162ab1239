"""What goes into the ledger and comes out of it.

Layer: ledger.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash, Wei

Mode = Literal["paper", "live"]
IntentState = Literal["reserved", "signed", "submitted", "settled", "released"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """An opportunity as the ledger keeps it."""

    id: int
    strategy: str
    block_number: int
    block_hash: Hash
    path: str
    token: Address
    amount_in: int
    predicted: int
    net_wei: float
    simulated: int | None = None
    gate: Gate | None = None
    reason: str | None = None


class NewIntent(msgspec.Struct, frozen=True, kw_only=True):
    """What we are about to sign, before its nonce is fixed."""

    opportunity: int
    unsigned: UnsignedTransaction
    """Its nonce is what the caller wants; the ledger refuses one that is taken."""
    signing_hash: Hash
    token: Address
    predicted: int
    """Profit in smallest units of `token`."""
    deadline_block: int


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A durable intent and how far it came."""

    id: int
    run: int
    opportunity: int
    account: Address
    unsigned: UnsignedTransaction
    state: IntentState
    token: Address
    predicted: int
    deadline_block: int
    raw: bytes | None = None
    hash: Hash | None = None

    @property
    def signed(self) -> SignedTransaction | None:
        """The transaction as it was signed; None: no bytes are known."""
        if self.raw is None or self.hash is None:
            return None
        return SignedTransaction(unsigned=self.unsigned, sender=self.account, raw=self.raw, hash=self.hash)


class Settlement(msgspec.Struct, frozen=True, kw_only=True):
    """What the chain made of a transaction."""

    block_number: int
    block_hash: Hash
    success: bool
    gas_used: int
    gas_price_wei: Wei
    realised: int
    """Profit in smallest units of the opportunity's token; 0 when it reverted."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """Where opportunities died, for `why`."""

    gate: Gate
    reason: str
    count: int


class Funnel(msgspec.Struct, frozen=True, kw_only=True):
    """How far the opportunities of a run came. Each stage counts those that reached it."""

    run: int
    mode: Mode
    seen: int
    priced: int
    simulated: int
    signed: int
    landed: int
    deaths: tuple[Death, ...]
