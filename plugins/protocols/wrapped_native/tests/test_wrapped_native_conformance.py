"""The conformance cards, on WETH9's own bytecode."""

from __future__ import annotations

from tallyio_protocol_wrapped_native import reference

from tallyio.model.units import checksum
from tallyio.testing import ProtocolCards, RevmChain


class TestConformance(ProtocolCards):
    """The lab's wrapped native token."""

    plugin = "wrapped_native"

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name the token."""
        return {"token": checksum(chain.world.weth)}

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Quote one for one."""
        return reference.quote(amount_in)
