"""The conformance cards, on pools of a manager of the tests' own."""

from __future__ import annotations

import struct

from tallyio_protocol_uniswap_v4 import reference
from tallyio_protocol_uniswap_v4.own import LP_FEE, Own

from tallyio.market.concentrated.layout import contents
from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain
from tests.concentrated_rows import facts_of
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

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        (lp_fee, protocol_fee) = struct.unpack_from("<2q", row, LP_FEE)
        pool = reference.Pool(**facts_of(row), own=Own(lp_fee=lp_fee, protocol_fee=protocol_fee))
        return reference.quote(pool, amount_in, zero_for_one=i == 0)

    def meaning(self, row: bytes) -> object:
        """Leave out the room that a row has for more ticks."""
        return contents(row)
