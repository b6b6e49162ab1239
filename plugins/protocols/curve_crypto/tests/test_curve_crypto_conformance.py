"""The conformance cards, on a pool of the next generation."""

from __future__ import annotations

from tallyio.testing import ProtocolCards, RevmChain
from tests.curve_crypto_lab import Lab, code_of


class TestConformance(ProtocolCards):
    """Two coins."""

    plugin = "curve_crypto"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Deploy the pool and name it."""
        return {"pools": [Lab(code_of, "twocrypto_ng", chain=chain).settings]}
