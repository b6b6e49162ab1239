"""The conformance cards, on one pool of each variant."""

from __future__ import annotations

from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_pools import every_pool, token
from tests.balancer_rows import Chain, timeless
from tests.balancer_world import GIVEN_OUT, Pool, World

RESERVE = 1_000_000
"""Whole tokens that each pool has of each kind."""


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

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int:
        """Ask the Vault: given out it rounds another way than given in."""
        assert isinstance(chain, Chain)
        asked = Pool(chain.balancer.vault, chain.backend, pool.address)
        return asked.query(GIVEN_OUT, i, j, amount_out)

    def curve_slack(self, chain: RevmChain, pool: PoolSpec, j: int) -> float:
        """Allow what weighted pools allow their own powers: 1e-14 of the reserve."""
        (decimals,) = chain.backend.read(token(pool.tokens[j]), "decimals")
        return 1e-14 * RESERVE * float(10**decimals)

    def meaning(self, row: bytes) -> object:
        """Leave out when it was read, and what rates were then."""
        return timeless(row)
