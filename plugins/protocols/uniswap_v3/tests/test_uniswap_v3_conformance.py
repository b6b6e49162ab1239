"""The conformance cards, on the pools of the lab."""

from __future__ import annotations

from tallyio.market.concentrated.layout import contents
from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain


class TestConformance(ProtocolCards):
    """`UniswapV3Pool`s of three fees."""

    plugin = "uniswap_v3"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Return the venue of the lab."""
        return {"venues": [{"name": "lab", "factory": checksum(chain.world.v3.factory)}]}

    def meaning(self, row: bytes) -> object:
        """Leave out the room that a row has for more ticks."""
        return contents(row)
