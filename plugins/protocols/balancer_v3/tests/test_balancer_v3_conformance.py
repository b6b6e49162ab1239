"""The conformance cards, on a weighted and a stable pool."""

from __future__ import annotations

from tallyio_protocol_balancer_v3.layout import READ_AT

from tallyio.model.market import PoolSpec
from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_v3_desk import Desk


class TestConformance(ProtocolCards):
    """Two coins, one of which has a rate."""

    plugin = "balancer_v3"

    @property
    def made(self) -> Desk:
        """The Vault and both pools."""
        return self.once("made", Desk)

    def chain(self) -> RevmChain:
        """Stand where they are."""
        return self.made.world

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name them."""
        return self.made.settings()

    def takes(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_out: int) -> int:
        """Ask the Vault: its exact outputs round another way than its exact inputs."""
        coins = {coin.address: coin for coin in self.made.coins}
        pair = coins[pool.tokens[i]], coins[pool.tokens[j]]
        return self.made.world.ask(pool.address, pair, amount_out, exact_in=False)

    def meaning(self, row: bytes) -> object:
        """Leave out when it was read."""
        return row[:READ_AT] + row[READ_AT + 8 :]
