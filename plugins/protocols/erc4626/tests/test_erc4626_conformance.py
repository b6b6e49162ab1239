"""The conformance cards, on a vault of the lab's USDC."""

from __future__ import annotations

import msgspec
from tallyio_protocol_erc4626.layout import GAS, TOTAL_ASSETS
from tallyio_protocol_erc4626.reference import Vault, quote

from tallyio.lab.world import OPERATOR
from tallyio.model.units import Address, checksum
from tallyio.testing import ProtocolCards, RevmChain
from tallyio.testing.funds import give
from tests.erc4626_world import World, timeless, vaults

SHARES = 10**12
"""Assets whose shares the cards sell."""


class TestConformance(ProtocolCards):
    """A vault with virtual shares, as of OpenZeppelin, that has earned something."""

    plugin = "erc4626"

    def chain(self) -> RevmChain:
        """Deploy the vault."""
        return World(vaults()["Virtual"], 6)

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Name it."""
        assert isinstance(chain, World)
        return {"vaults": [{"address": checksum(chain.vault.address), "kind": "virtual", "idle": True}]}

    def reference(self, row: bytes, i: int, j: int, amount_in: int) -> int:
        """Ask the specification."""
        numbers = (int.from_bytes(row[at : at + 16], "little") for at in range(TOTAL_ASSETS, GAS, 16))
        names = (field.name for field in msgspec.structs.fields(Vault))
        return quote(Vault(**dict(zip(names, numbers, strict=True))), i, amount_in)

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Deposit for shares."""
        assert isinstance(chain, World)
        if token == chain.vault.address:
            give(chain, chain.usdc, OPERATOR, SHARES)
            chain.block_of(chain.vault.call("deposit", SHARES, account))
        else:
            give(chain, token, account, 1_000 * SHARES)

    def meaning(self, row: bytes) -> object:
        """Leave out when it was read."""
        return timeless(row)
