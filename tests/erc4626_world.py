"""Vaults by ERC-4626 over the lab's USDC, for the tests of their plugin."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tallyio_protocol_erc4626.adapter import Erc4626
from tallyio_protocol_erc4626.layout import READ_AT

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import approve, balance_of, transfer
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain

SOURCE = Path(__file__).parents[1] / "plugins/protocols/erc4626/tests/contracts/Vaults.sol"


HELD = 2_000_000 * 10**6
"""Of USDC, what a new vault gets."""


GIFT = 123_456_789_123
"""What its shares are worth more."""


@cache
def vaults() -> dict[str, Artifact]:
    """Return the vaults by name."""
    fetched = package_sources("@openzeppelin/contracts", "openzeppelin-4.8", "solmate")
    found = compile_solidity({**fetched, SOURCE.name: SOURCE.read_text()}, [SOURCE.name], optimised=False)
    return {name.partition(":")[2]: each for name, each in found.items()}


class World(RevmChain):
    """The lab's world and a vault of its USDC, whose shares are worth a little more than at first."""

    def __init__(self, code: Artifact, *arguments: int) -> None:
        super().__init__()
        self.usdc = self.world.tokens["USDC"].address
        self.vault = Contract(code, self.backend.deploy(code.encode_constructor(self.usdc, *arguments)))
        self.block_of(approve(self.usdc, self.vault.address, 2**255))
        self.block_of(self.vault.call("deposit", HELD, OPERATOR))
        self.block_of(transfer(self.usdc, self.vault.address, GIFT))

    def adapter(self, **settings: object) -> Erc4626:
        """Return the adapter of the vault."""
        return Erc4626({"vaults": [{"address": checksum(self.vault.address), **settings}]})

    async def open(self, **settings: object) -> tuple[Erc4626, PoolSpec, bytes]:
        """Return the adapter, the pool and its row."""
        adapter = self.adapter(**settings)
        (pool,) = await adapter.discover(self, block=self.latest)
        (row,) = await adapter.load(self, [pool], block=self.latest)
        return adapter, pool, row

    def has(self, token: Address, account: Address = OPERATOR) -> int:
        """Return what an account has."""
        return int.from_bytes(self.backend.call(balance_of(token, account)))


def timeless(row: bytes) -> bytes:
    return row[:READ_AT] + row[READ_AT + 8 :]
