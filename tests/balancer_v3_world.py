"""A world with the Vault of Balancer V3, compiled from its published source, on an EVM in this process.

Balances are put straight into the Vault's storage, so that a test may ask for a quote in any state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmWorld
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Reverted
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.model.hashing import keccak256
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text
from tallyio.model.words import address_word, unsigned, word
from tallyio.testing import RevmChain

SOURCE: Final = (
    Path(__file__).parents[1]
    / "plugins"
    / "protocols"
    / "balancer_v3"
    / "tests"
    / "contracts"
    / "VaultBench.sol"
)
PACKAGES: Final = tuple(
    f"@balancer-labs/v3-{name}"
    for name in ("interfaces", "pool-stable", "pool-utils", "pool-weighted", "solidity-utils", "vault")
)
LARGEST_CODE: Final = 1 << 16
"""Compiled without the intermediate language, which takes minutes, the Vault is larger than chains allow."""
LEAST_TRADE: Final = 10**6
"""The Vault's minimum trade amount, as on mainnet."""
SHARE: Final = 5 * 10**17
"""Of swap fees, what the Vault keeps."""

_POOL_TOKEN_BALANCES: Final = 5
"""Slot of the Vault."""
_RATE_PROVIDER: Final = bytes.fromhex("5f545f5260205ff3")
"""A contract that answers every call with its storage slot 0."""
_NO_ROLES: Final = (ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS)
_NO_LIQUIDITY_RULES: Final = (False, False, False, False)
_RICH: Final = 2**120


class Coin(NamedTuple):
    """A token of a pool, and where its rate comes from; the zero address: it has none."""

    address: Address
    decimals: int
    provider: Address


@cache
def contracts() -> Mapping[str, Artifact]:
    """Return the contracts of `VaultBench.sol` by name."""
    sources = {**package_sources("@openzeppelin/contracts", *PACKAGES), SOURCE.name: SOURCE.read_text()}
    # Optimising takes two thirds of half a minute, and what is asked of the Vault is what it pays.
    made = compile_solidity(sources, [SOURCE.name], optimised=False)
    return {name.partition(":")[2]: each for name, each in made.items()}


class V3World(RevmChain):
    """The lab's world, and a Vault with a router of the tests' own."""

    def __init__(self) -> None:
        super().__init__(RevmWorld(largest_code=LARGEST_CODE))
        made = contracts()
        start = self.backend.evm.basic(hex_text(DEPLOYER)).nonce
        vault = _created(DEPLOYER, start + 3)
        admin = self._deploy("BenchAdmin", vault, LEAST_TRADE)
        extension = self._deploy("BenchExtension", vault, admin)
        controller = self._deploy("BenchController", vault, SHARE)
        assert self._deploy("BenchVault", extension, OPERATOR, controller) == vault
        self.vault = vault
        self.extension = Contract(made["BenchExtension"], vault)
        self.router = Contract(made["BenchRouter"], self._deploy("BenchRouter", vault))

    def coins(self, decimals: Sequence[int], *, rates: Sequence[bool]) -> list[Coin]:
        """Deploy tokens, some with a rate; in the order that the Vault wants."""
        token = artifact("Token")
        found = []
        for each, has_rate in zip(decimals, rates, strict=True):
            address = self.backend.deploy(token.encode_constructor("T", "T", each))
            self.block_of(
                Contract(token, address).call("mint", OPERATOR, _RICH),
                Contract(token, address).call("approve", self.router.address, 2**255),
            )
            provider = ZERO_ADDRESS
            if has_rate:
                size = len(_RATE_PROVIDER)
                start = bytes.fromhex(f"60{size:02x}600c60003960{size:02x}6000f3")
                provider = self.backend.deploy(start + _RATE_PROVIDER)
                self.set_rate(provider, 10**18)
            found.append(Coin(address, each, provider))
        return sorted(found)

    def set_rate(self, provider: Address, rate: int) -> None:
        """Let a provider answer `rate`."""
        self._write(provider, 0, rate)

    def weighted(
        self, coins: Sequence[Coin], weights: Sequence[int], *, fee: int, hooks: Address = ZERO_ADDRESS
    ) -> Address:
        """Deploy, register and fund a weighted pool."""
        least = [max(10**6, 10 ** (18 - coin.decimals)) for coin in coins]
        facts = ("W", "W", len(coins), list(weights), "", least)
        return self._open(self._deploy("BenchWeighted", facts, self.vault), coins, fee, hooks)

    def stable(self, coins: Sequence[Coin], amp: int, *, fee: int) -> Address:
        """Deploy, register and fund a stable pool."""
        return self._open(
            self._deploy("BenchStable", ("S", "S", amp, ""), self.vault), coins, fee, ZERO_ADDRESS
        )

    def hook(self, flag: int) -> Address:
        """Deploy a hook that wants what the flag at this place says."""
        return self._deploy("BenchHook", flag)

    def hold(self, pool: Address, balances: Sequence[tuple[int, int]]) -> None:
        """Give a pool these balances: raw and live."""
        for k, (raw, live) in enumerate(balances):
            inner = keccak256(address_word(pool) + word(_POOL_TOKEN_BALANCES))
            self._write(self.vault, int.from_bytes(keccak256(word(k) + inner)), raw | live << 128)

    def ask(self, pool: Address, coins: tuple[Coin, Coin], amount: int, *, exact_in: bool) -> int:
        """Return what the Vault says of a swap; 0 where it reverts."""
        name = f"querySwapSingleTokenExact{'In' if exact_in else 'Out'}"
        call = self.router.call(name, pool, coins[0].address, coins[1].address, amount, OPERATOR, b"")
        try:
            return unsigned(self.backend.call(call, sender=ZERO_ADDRESS), 0)
        except Reverted:
            return 0

    def _open(self, pool: Address, coins: Sequence[Coin], fee: int, hooks: Address) -> Address:
        config = [(coin.address, int(coin.provider != ZERO_ADDRESS), coin.provider, False) for coin in coins]
        facts = (pool, config, fee, 0, False, _NO_ROLES, hooks, _NO_LIQUIDITY_RULES)
        amounts = [1_000 * 10**coin.decimals for coin in coins]
        self.block_of(
            self.extension.call("registerPool", *facts),
            self.router.call("fund", pool, [coin.address for coin in coins], amounts),
        )
        return pool

    def _deploy(self, name: str, *arguments: object) -> Address:
        return self.backend.deploy(contracts()[name].encode_constructor(*arguments))

    def _write(self, contract: Address, slot: int, value: int) -> None:
        self.backend.evm.insert_account_storage(hex_text(contract), slot, value)


def _created(creator: Address, nonce: int) -> Address:
    """Return where a creator's next contract will be: of the RLP of both, for nonces below 256."""
    small = bytes([nonce]) if 0 < nonce < 0x80 else bytes([0x81, nonce])
    raw = bytes([0x94]) + creator + small
    return Address(keccak256(bytes([0xC0 + len(raw)]) + raw)[12:])
