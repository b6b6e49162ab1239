"""The cards of a protocol whose positions can be liquidated.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Health, PositionKey
from tallyio.model.units import Address
from tallyio.testing.cards import Cards
from tallyio.testing.revm_chain import RevmChain


class LendingCards(Cards):
    """The cards of a plugin that builds a `LendingProtocol`: its contract names the capability "lending"."""

    kind: ClassVar[Kind] = "protocol"

    def chain(self) -> RevmChain:
        """Return a fresh chain; by default the lab's world. Called once for all cards."""
        return RevmChain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy a book with some positions, one of them liquidatable; return the plugin's settings."""
        raise NotImplementedError

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Give `account` so much of `token` more; by default as `ProtocolCards.fund`."""
        raise NotImplementedError

    def changes(self, chain: RevmChain, book: BookSpec) -> Sequence[Call]:
        """Return calls, made by `tallyio.lab.world.OPERATOR`, that change rows and positions."""
        return ()

    def health(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Health | None:
        """Return what the contract says of a position's health, or None: this position is not compared."""
        raise NotImplementedError
