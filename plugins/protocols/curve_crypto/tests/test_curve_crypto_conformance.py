"""The conformance cards, on a pool of the next generation."""

from __future__ import annotations

from tallyio.lab.artifact import Contract
from tallyio.lab.steps import Reverted
from tallyio.model.market import PoolSpec
from tallyio.testing import ProtocolCards, RevmChain
from tests.curve_crypto_lab import Lab, code_of

KIND = "twocrypto_ng"


class TestConformance(ProtocolCards):
    """Two coins."""

    plugin = "curve_crypto"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Deploy the pool and name it."""
        return {"pools": [Lab(code_of, KIND, chain=chain).settings]}

    def pays(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_in: int) -> int:
        """Ask the pool's view: what an exchange does after it paid may revert it, a known exception."""
        asked = Contract(code_of(KIND), pool.address).call("get_dy", i, j, amount_in)
        try:
            return int.from_bytes(chain.backend.call(asked))
        except Reverted:
            return 0
