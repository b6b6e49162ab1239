"""The conformance cards, on pools of a manager of the tests' own."""

from __future__ import annotations

from tallyio.market.concentrated.layout import contents
from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.v4_desk import Key
from tests.v4_world import V4World

LIQUIDITY = 10**24


class TestConformance(ProtocolCards):
    """Pools of three fees and two widths, without hooks."""

    plugin = "uniswap_v4"

    def chain(self) -> RevmChain:
        """Deploy the manager, and pools with liquidity near and far from the price."""
        world = V4World()
        a, b = world.new_pair()
        for key in (Key(a, b, 3000, 60), Key(a, b, 500, 10)):
            world.open(key, 7)
            for width in (3, 40, 4_000):
                world.desk.modify(key, -width * key.spacing, width * key.spacing, LIQUIDITY // width)
        return world

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name the manager."""
        assert isinstance(chain, V4World)
        return {"venues": [{"name": "lab", "factory": checksum(chain.manager)}]}

    def meaning(self, row: bytes) -> object:
        """Leave out the room that a row has for more ticks."""
        return contents(row)
