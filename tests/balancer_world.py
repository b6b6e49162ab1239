"""A world with the real Balancer V2: Vault and every factory of the package, on an EVM in this process.

Balances are put straight into the Vault's storage, so that a test may ask for a quote in any state.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final

from eth_abi.abi import decode, encode

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact, artifact_path, ensure_fetched, read_verified
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted, deploy
from tallyio.lab.world import OPERATOR
from tallyio.model.execution import Call
from tallyio.model.hashing import event_topic, keccak256, selector
from tallyio.model.units import ZERO_ADDRESS, Address, hex_text

DAY: Final = 86_400
GIVEN_IN: Final = 0
GIVEN_OUT: Final = 1
_FUNDS: Final = (hex_text(OPERATOR), False, hex_text(OPERATOR), False)
_POOL_CREATED: Final = event_topic("PoolCreated(address)")
_RATE_PROVIDER: Final = bytes.fromhex("5f545f5260205ff3")
"""A contract that answers every call with its storage slot 0."""

# Where the Vault keeps the balances of pools, by specialisation; `World.hold` checks against getPoolTokens.
_GENERAL_SLOT: Final = 1
_MINIMAL_SLOT: Final = 7
_TWO_TOKEN_SLOT: Final = 9

FACTORIES: Final = {
    "weighted_v1": ("20210418-weighted-pool/WeightedPoolFactory", "tokens weights fee owner", 1),
    "weighted_2tokens": (
        "20210418-weighted-pool/WeightedPool2TokensFactory",
        "tokens weights fee oracle owner",
        1,
    ),
    "weighted_v2": ("20220908-weighted-pool-v2/WeightedPoolFactory", "tokens weights providers fee owner", 2),
    "weighted_v3": ("20230206-weighted-pool-v3/WeightedPoolFactory", "tokens weights providers fee owner", 4),
    "stable_v1": ("20210624-stable-pool/StablePoolFactory", "tokens amp fee owner", 1),
    "stable_v2": ("20220609-stable-pool-v2/StablePoolFactory", "tokens amp fee owner", 1),
    "meta_stable": ("MetaStablePoolFactory", "tokens amp providers durations fee oracle owner", 1),
    "stable_phantom": ("StablePhantomPoolFactory", "tokens amp providers durations fee owner", 1),
    "composable_v1": (
        "20220906-composable-stable-pool/ComposableStablePoolFactory",
        "tokens amp providers durations exempt fee owner",
        2,
    ),
    "composable_v2": (
        "20221122-composable-stable-pool-v2/ComposableStablePoolFactory",
        "tokens amp providers durations exempt fee owner",
        4,
    ),
    "composable_v3": (
        "20230206-composable-stable-pool-v3/ComposableStablePoolFactory",
        "tokens amp providers durations exempt fee owner",
        4,
    ),
}
"""Per variant: the factory's artifact, what `create` takes after name and symbol, constructor arguments."""


def linked_meta_stable_factory(library: Address) -> Artifact:
    """Return the only factory that calls a library, with the library's address put in."""
    shelf, path = artifact_path("MetaStablePoolFactory")
    raw = json.loads(read_verified(ensure_fetched(shelf), path, shelf))
    code = raw["bytecode"].removeprefix("0x")
    for places in raw["linkReferences"].values():
        for place in places["QueryProcessor"]:
            start = 2 * place["start"]
            code = code[:start] + library.hex() + code[start + 40 :]
    return Artifact("MetaStablePoolFactory", tuple(raw["abi"]), bytes.fromhex(code))


class Pool:
    """A pool that a factory made. Tokens are in the Vault's order, the pool's own among them."""

    def __init__(self, vault: Contract, backend: RevmBackend, address: Address) -> None:
        self.vault, self.backend, self.address = vault, backend, address
        self.id = self.ask("getPoolId()")
        self.registered: tuple[Address, ...] = tuple(
            Address(bytes.fromhex(token[2:])) for token in backend.read(vault, "getPoolTokens", self.id)[0]
        )

    def ask(self, signature: str, *words: bytes) -> bytes:
        """Return what a function of the pool answers."""
        return self.backend.call(Call(to=self.address, data=selector(signature) + b"".join(words)))

    def do(self, signature: str, kinds: Sequence[str] = (), args: Sequence[object] = ()) -> None:
        """Let the pool's owner call a function, in a block of its own."""
        self.backend.transact(Call(to=self.address, data=selector(signature) + encode(kinds, args)))

    @property
    def tokens(self) -> tuple[Address, ...]:
        """The tokens without the pool's own."""
        return tuple(token for token in self.registered if token != self.address)

    def hold(self, balances: Sequence[tuple[int, int]]) -> None:
        """Let the Vault have these balances of the pool's tokens, as (cash, managed)."""
        held = dict(zip(self.tokens, balances, strict=True))
        for token, slot in zip(self.registered, self._slots, strict=True):
            cash, managed = held.get(token, (0, 0))
            self._store(slot, cash | managed << 112)
        if len(self._shared) == 2:
            (cash0, managed0), (cash1, managed1) = balances
            self._store(self._shared[0], cash0 | cash1 << 112)
            self._store(self._shared[1], managed0 | managed1 << 112)

    @cached_property
    def _slots(self) -> tuple[int | None, ...]:
        # 0 is a general pool, 1 one whose tokens are looked up alone, 2 one of two tokens.
        kind = int.from_bytes(self.id[20:22])
        if kind == 0:
            entries = _hash(self.id, _GENERAL_SLOT) + 1
            return tuple(_hash(k.to_bytes(32), entries) + 1 for k in range(len(self.registered)))
        if kind == 1:
            table = _hash(self.id, _MINIMAL_SLOT)
            return tuple(_hash(token.rjust(32, b"\0"), table) for token in self.registered)
        return (None, None)

    @cached_property
    def _shared(self) -> tuple[int, ...]:
        if self.id[20:22] != b"\0\2":
            return ()
        place = _hash(keccak256(b"".join(self.registered)), _hash(self.id, _TWO_TOKEN_SLOT) + 2)
        return place, place + 1

    def _store(self, slot: int | None, value: int) -> None:
        if slot is not None:
            self.backend.evm.insert_account_storage(hex_text(self.vault.address), slot, value)

    def query(self, kind: int, i: int, j: int, amount: int) -> int:
        """Return the other amount of a swap by `Vault.queryBatchSwap`; 0 where it reverts."""
        step = (self.id, 0, 1, amount, b"")
        assets = [hex_text(self.tokens[i]), hex_text(self.tokens[j])]
        try:
            answer = self.backend.call(self.vault.call("queryBatchSwap", kind, [step], assets, _FUNDS))
        except Reverted:
            return 0
        ((given, calculated),) = decode(["int256[]"], answer)
        return -int(calculated) if kind == GIVEN_IN else int(given)


class World:
    """The Vault, its factories, and tokens to make pools of."""

    def __init__(self) -> None:
        self.backend = RevmBackend()
        run = self.backend.run
        authorizer = run(deploy(artifact("Authorizer"), OPERATOR))
        self.vault = run(deploy(artifact("Vault"), authorizer.address, ZERO_ADDRESS, 90 * DAY, 30 * DAY))
        fees = run(deploy(artifact("ProtocolFeePercentagesProvider"), self.vault.address, 10**18, 10**18))
        self._constructor = (self.vault.address, fees.address, "1", "1")
        self._library = run(deploy(artifact("QueryProcessor"))).address
        self._factories = {name: self._factory(name) for name in FACTORIES}
        self._names = 0

    def _factory(self, variant: str) -> Contract:
        name, _, arguments = FACTORIES[variant]
        made = linked_meta_stable_factory(self._library) if variant == "meta_stable" else artifact(name)
        return self.backend.run(deploy(made, *self._constructor[:arguments]))

    def token(self, decimals: int) -> Address:
        """Deploy a token."""
        made: Contract = self.backend.run(deploy(artifact("Token"), "token", "T", decimals))
        return made.address

    def rate_provider(self, rate: int) -> Address:
        """Make a contract that answers `rate`, until `set_rate` changes it."""
        self._names += 1
        made = Address(keccak256(f"rate provider {self._names}".encode())[-20:])
        self.backend._set_code(made, _RATE_PROVIDER)
        self.set_rate(made, rate)
        return made

    def set_rate(self, provider: Address, rate: int) -> None:
        """Let the provider answer `rate` from now on."""
        self.backend.evm.insert_account_storage(hex_text(provider), 0, rate)

    def pool(self, variant: str, tokens: Sequence[Address], **facts: Any) -> Pool:
        """Create a pool of `tokens` with the factory of `variant`; `facts` go before the defaults."""
        count = len(tokens)
        values = {
            "tokens": sorted(tokens),
            "owner": OPERATOR,
            "oracle": False,
            "providers": [ZERO_ADDRESS] * count,
            "durations": [0] * count,
            "exempt": [False] * count,
            **facts,
        }
        arguments = [values[name] for name in FACTORIES[variant][1].split()]
        self.backend.transact(self._factories[variant].call("create", "pool", "P", *arguments))
        (created,) = (log for log in self.backend.logs if _bytes(log.topics[0]) == _POOL_CREATED)
        return Pool(self.vault, self.backend, Address(_bytes(created.topics[1])[-20:]))


def _hash(key: bytes, slot: int) -> int:
    return int.from_bytes(keccak256(key + slot.to_bytes(32)))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))
