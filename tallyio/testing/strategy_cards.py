"""The cards of a compiled strategy.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.testing.cards import Cards
from tallyio.testing.market_worlds import MarketWorld


class StrategyCards(Cards):
    """The cards of a plugin that builds a `Strategy`, on small markets that the kit makes.

    The markets' pools are constant-product pairs of the kit's own, fused with the strategy as real
    protocols are. In a quiet market nothing pays; in a planted one a single pool is off by some percent.
    """

    kind: ClassVar[Kind] = "strategy"
    worlds: ClassVar[int] = 8
    """How many random markets of each sort are tried."""

    def settings(self, world: MarketWorld) -> Mapping[str, object]:
        """Return the strategy's settings table for a market; by default empty."""
        return {}

    def quiet(self, seed: int) -> MarketWorld:
        """Return a market in which nothing pays."""
        raise NotImplementedError

    def planted(self, seed: int) -> MarketWorld:
        """Return a market in which this strategy must find a gain."""
        raise NotImplementedError
