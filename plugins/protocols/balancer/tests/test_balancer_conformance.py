"""The conformance cards, on one pool of each variant."""

from __future__ import annotations

from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_pools import every_pool
from tests.balancer_rows import Chain
from tests.balancer_world import World


class TestConformance(ProtocolCards):
    """Weighted and stable pools of a Vault."""

    plugin = "balancer"

    def chain(self) -> RevmChain:
        """Deploy the Vault, its factories and the pools."""
        world = World()
        every_pool(world)
        return Chain(world)

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name the Vault."""
        assert isinstance(chain, Chain)
        vault = checksum(chain.balancer.vault.address)
        return {"venues": [{"name": "balancer", "vault": vault, "from_block": 0}]}
