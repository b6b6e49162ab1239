"""The conformance cards, on a weighted and a stable pool."""

from __future__ import annotations

from tallyio.testing import ProtocolCards, RevmChain
from tests.balancer_v3_desk import Desk


class TestConformance(ProtocolCards):
    """Two coins, one of which has a rate."""

    plugin = "balancer_v3"

    def chain(self) -> RevmChain:
        """Deploy the Vault and both pools."""
        self.made = Desk()
        return self.made.world

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name them."""
        return self.made.settings()
