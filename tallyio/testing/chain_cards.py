"""The cards of an EVM chain.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.testing.cards import Cards


class ChainCards(Cards):
    """The cards of a plugin that builds a `Chain`: against a node on loopback that misbehaves on a script."""

    kind: ClassVar[Kind] = "chain"

    def settings(self, url: str, chain_id: int) -> Mapping[str, object]:
        """Return settings for the node at `url`, a ws:// address on loopback, that are short of patience.

        Deadlines of half a second and a patience of a few: the cards wait for them to pass.
        """
        raise NotImplementedError
