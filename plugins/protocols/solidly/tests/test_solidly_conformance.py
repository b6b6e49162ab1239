"""The conformance cards, on pools of three solvers."""

from __future__ import annotations

import struct

from tallyio_protocol_solidly.layout import KIND, UNITS, WORD_BYTES, unpack_reserves
from tallyio_protocol_solidly.reference import Pool, quote

from tallyio.model.units import Address
from tallyio.testing import ProtocolCards, RevmChain
from tallyio.testing.funds import held
from tests.solidly_world import Town, coin_at, make_town


class TestConformance(ProtocolCards):
    """Volatile and stable pools of each."""

    plugin = "solidly"

    @property
    def town(self) -> Town:
        """The factories and their pools."""
        return self.once("town", make_town)

    def chain(self) -> RevmChain:
        """Stand where they are."""
        return self.town.chain

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name the factories."""
        return self.town.settings()

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        units = tuple(
            int.from_bytes(row[at : at + WORD_BYTES], "little") for at in (UNITS, UNITS + WORD_BYTES)
        )
        kind, numerator, denominator = struct.unpack_from("<3q", row, KIND)
        pool = Pool(unpack_reserves(row), (units[0], units[1]), kind, numerator, denominator)
        return quote(pool, i, amount_in)

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Set the balance: these coins let anybody."""
        chain.block_of(coin_at(token).call("set", account, held(chain, token, account) + amount))
