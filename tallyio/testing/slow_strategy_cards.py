"""The cards of a strategy that runs in Python, once a block.

Layer: testing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tallyio.hooks.contract import Kind
from tallyio.hooks.search import Scene
from tallyio.testing.cards import Cards


class SlowStrategyCards(Cards):
    """The cards of a plugin that builds a `SlowStrategy`: its contract names the capability "slow_lane"."""

    kind: ClassVar[Kind] = "strategy"

    def settings(self) -> Mapping[str, object]:
        """Return the strategy's settings table; by default empty."""
        return {}

    def quiet(self) -> Scene:
        """Return a scene in which nothing pays; by default pools of the kit that agree about every price."""
        raise NotImplementedError

    def planted(self) -> Scene:
        """Return a scene in which the strategy must find a gain; by default one of the pools is off."""
        raise NotImplementedError
