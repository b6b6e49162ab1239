"""The conformance cards, on the pairs of the lab."""

from __future__ import annotations

import struct

from tallyio_protocol_uniswap_v2 import reference
from tallyio_protocol_uniswap_v2.layout import FEE_NUMERATORS, unpack_reserves

from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain


class TestConformance(ProtocolCards):
    """`UniswapV2Pair`s of two factories."""

    plugin = "uniswap_v2"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Return both venues of the lab."""
        fee = {"fee_numerator": 997, "fee_denominator": 1000}
        venues = chain.world.v2.items()
        return {"venues": [{"name": name, "factory": checksum(each.factory), **fee} for name, each in venues]}

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Quote with Python's integers."""
        reserves = unpack_reserves(row)
        numerator, _, denominator = struct.unpack_from("<3q", row, FEE_NUMERATORS)
        fees = {"fee_numerator": numerator, "fee_denominator": denominator}
        return reference.quote(reserves[i], reserves[j], amount_in, **fees)
