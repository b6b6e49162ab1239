"""The conformance cards, on the pools of the lab."""

from __future__ import annotations

from tallyio_protocol_uniswap_v3 import reference

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.market.concentrated.layout import contents
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.market import PoolSpec
from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.concentrated_rows import facts_of


class TestConformance(ProtocolCards):
    """`UniswapV3Pool`s of three fees."""

    plugin = "uniswap_v3"
    curve_units = 400.0  # two at each tick that is crossed

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Return the venue of the lab."""
        return {"venues": [{"name": "lab", "factory": checksum(chain.world.v3.factory)}]}

    def pays(self, chain: RevmChain, pool: PoolSpec, i: int, j: int, amount_in: int) -> int:
        """Ask QuoterV2; 0 where the pool would leave some of the input, at its furthest price."""
        quoter = Contract(artifact("QuoterV2"), chain.world.v3.quoter)
        order = (pool.tokens[i], pool.tokens[j], amount_in, pool.fee_pips, 0)
        try:
            said = chain.backend.call(quoter.call("quoteExactInputSingle", order))
        except Reverted:
            return 0
        paid, price, _, _ = quoter.artifact.decode("quoteExactInputSingle", said)
        return 0 if price in {LOWEST_LIMIT, HIGHEST_LIMIT} else int(paid)

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        return reference.quote(reference.Pool(**facts_of(row)), amount_in, zero_for_one=i == 0)

    def meaning(self, row: bytes) -> object:
        """Leave out the room that a row has for more ticks."""
        return contents(row)
