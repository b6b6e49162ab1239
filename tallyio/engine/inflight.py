"""Transactions of ours whose outcome the chain has not told yet, and those a reorg may take back.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tallyio.engine.trace import Trace
from tallyio.model.execution import Ground, SignedTransaction, Use
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash


class Sent(msgspec.Struct, kw_only=True):
    """One signed transaction under way."""

    intent: int
    opportunity: int
    """Serial within `run`."""
    run: int
    transaction: SignedTransaction
    token: Address
    strategy: str = ""
    """Whose it is; a transaction taken over from an earlier run is nobody's."""
    uses: frozenset[Use]
    """What it was priced on and will change."""
    deposits: frozenset[Ground] = frozenset()
    """See `Opportunity`."""
    disturbs: Ground | None = None
    """See `Opportunity`."""
    predicted: int
    simulated: int
    path: str
    found_in: int
    """Number of the block whose state it was priced on."""
    deadline_block: int
    trace: Trace | None
    """None once its times were counted, and for a transaction taken over from an earlier run."""
    gate: Gate | None = None
    """What stopped it, as far as was said."""
    gas_cost_wei: int = 0
    """What the block that holds it charged."""
    gain: int = 0
    """What it earned in that block, in smallest units of `token`."""
    rival: Hash | None = None
    """Whose transaction was first at one of its positions since it was priced, as far as is known."""
    reorged: bool = False
    """Whether a block that held it left the chain."""
    overtaken: bool = False
    """Whether its nonce was mined when last looked at, without a receipt of it."""


class InFlight:
    """What is under way, by hash."""

    def __init__(self) -> None:
        self._open: dict[Hash, Sent] = {}
        self._settled: dict[Hash, list[Sent]] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[Sent]:
        return iter(tuple(self._open.values()))

    def add(self, sent: Sent) -> None:
        """Follow a transaction that is about to be submitted."""
        self._open[sent.transaction.hash] = sent

    def settle(self, sent: Sent, block: Hash) -> None:
        """Stop following: `block` holds it."""
        del self._open[sent.transaction.hash]
        self._settled.setdefault(block, []).append(sent)

    def held(self, block: Hash) -> list[Sent]:
        """Return what was settled in `block`, in this run."""
        return self._settled.get(block, [])

    def drop(self, sent: Sent) -> None:
        """Stop following: no block can hold it any more."""
        del self._open[sent.transaction.hash]

    def reopen(self, block: Hash) -> list[Sent]:
        """Follow again what `block` held: it left the chain."""
        again = self._settled.pop(block, [])
        for sent in again:
            self.add(sent)
        return again
