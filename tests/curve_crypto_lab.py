"""A chain with one Curve crypto pool of our own, for the tests of its plugin."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

import msgspec
import pytest
import vyper
from tallyio_protocol_curve_crypto import hot
from tallyio_protocol_curve_crypto.adapter import CurveCrypto
from tallyio_protocol_curve_crypto.events import TOPICS
from tallyio_protocol_curve_crypto.templates import TEMPLATES
from vyper.compiler.settings import OptimizationLevel, Settings

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact, cache_home
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import Block
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

CodeOf = Callable[[str], Artifact]


DECIMALS: Final = (6, 8, 18)


PRICES: Final = (61_234 * 10**18, 2_345 * 10**18)


ROOM: Final = 2048


FEES: Final = (26 * 10**6, 45 * 10**6, 23 * 10**13)


class Lab:
    """A chain with one pool of our own, and its row in native memory."""

    def __init__(self, code_of: CodeOf, kind: str, *, chain: RevmChain | None = None) -> None:
        self.kind, self.template = kind, TEMPLATES[kind]
        self.coins = self.template.coins
        self.chain = chain or RevmChain()
        self.backend = self.chain.backend
        self.memory = Region(ROOM)
        self.row = self.memory.address
        self.tokens = [self._token(decimals) for decimals in DECIMALS[: self.coins]]
        self.pool = self.deploy(code_of(kind), [token.address for token in self.tokens])
        self._provide()
        self.settings = {"address": checksum(self.pool.address), "kind": kind}
        self.adapter = CurveCrypto({"pools": [self.settings]})

    def _token(self, decimals: int) -> Contract:
        code = artifact("Token")
        token = Contract(code, self.backend.deploy(code.encode_constructor("T", "T", decimals)))
        self.backend.transact(token.call("mint", OPERATOR, 10 ** (decimals + 12)))
        return token

    def deploy(self, code: Artifact, coins: list[Address]) -> Contract:
        """Deploy a pool of these coins."""
        precisions = [10 ** (18 - decimals) for decimals in DECIMALS[: self.coins]]
        settings = [self.template.min_a * 400, 145 * 10**12]
        made = code.encode_constructor(
            coins, precisions, list(PRICES[: self.coins - 1]), settings, list(FEES)
        )
        return Contract(code, self.backend.deploy(made))

    def _provide(self) -> None:
        for token in self.tokens:
            self.backend.transact(token.call("approve", self.pool.address, 2**256 - 1))
        self.transact("add_liquidity", [self.units(k, 10_000_000) for k in range(self.coins)], 0)

    def units(self, k: int, value: float) -> int:
        """Return smallest units of coin `k` worth `value` whole first coins."""
        return int(value / (1, *PRICES)[k] * (1 if k == 0 else 10**18) * 10 ** DECIMALS[k])

    def transact(self, function: str, *args: object) -> Block:
        """Call the pool in a block of its own."""
        self.backend.transact(self.pool.call(function, *args))
        return self.chain.block(self.backend.number)

    async def load(self) -> PoolSpec:
        """Discover the pool and put its row into memory."""
        [pool] = await self.adapter.discover(self.chain, block=self.chain.latest)
        await self.reload(pool)
        return pool

    async def reload(self, pool: PoolSpec) -> None:
        """Put a fresh row into memory."""
        [row] = await self.adapter.load(self.chain, [pool], block=self.chain.latest)
        self.memory.view("u1", len(row))[:] = bytearray(row)

    async def check_fresh(self, pool: PoolSpec) -> None:
        """Compare the row in memory with one that is loaded now."""
        [fresh] = await self.adapter.load(self.chain, [pool], block=self.chain.latest)
        assert self.memory.view("u1", len(fresh)).tobytes() == fresh

    def statuses(self, block: Block) -> list[int]:
        """Return what the logs of a block say to the row."""
        known = [TOPICS.index(log.topics[0]) for log in block.logs if log.topics[0] in TOPICS]
        return [hot.apply_log(self.row, event, 0, 0, 0) for event in known]

    def swap(self, pool: PoolSpec, i: int, j: int, amount: int, out: int) -> tuple[Call, ...]:
        """Return the adapter's calls."""
        return self.adapter.swap(
            pool,
            token_in=i,
            token_out=j,
            amount_in=amount,
            amount_out=out,
            recipient=OPERATOR,
            inner=(),
            encode=lambda _: b"",
        )

    def balance(self, k: int) -> int:
        """Return what the operator has of coin `k`."""
        (held,) = self.backend.read(self.tokens[k], "balanceOf", OPERATOR)
        return int(held)

    def pays_exactly(self, i: int, j: int, amount: int) -> bool:
        """Return whether the pool pays the row's quote, and not one unit more."""
        quoted = hot.quote(self.row, i, j, amount)
        self.backend.call(self.pool.call("exchange", i, j, amount, quoted))
        with pytest.raises(Reverted):
            self.backend.call(self.pool.call("exchange", i, j, amount, quoted + 1))
        return quoted > 0


HERE = Path(__file__).parents[1] / "plugins/protocols/curve_crypto/tests"


MATH: Final = {
    "twocrypto": ("NewtonMath", "TwoMath", "OldMath"),
    "tricrypto": ("NewtonMath", "ThreeMath", "ThreeOldMath", "OldMath"),
    "twocrypto_ng": ("NewtonMath", "TwoMath", "CubicMath", "TwoCubicMath"),
    "tricrypto_ng": ("NewtonMath", "ThreeMath", "CubicMath", "ThreeCubicMath"),
}


@cache
def code_of(kind: str) -> Artifact:
    """Return a compiled pool of a kind, or the factory; it is kept between runs."""
    source = source_of(kind)
    folder = cache_home() / "vyper"
    folder.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(f"{vyper.__version__} {source}".encode()).hexdigest()
    return _compiled(kind, source, folder / f"{digest}.json")


def source_of(kind: str) -> str:
    """Return the Vyper source of a pool, or of the factory."""
    if kind == "factory":
        return (HERE / "Factory.vy").read_text()
    template = TEMPLATES[kind]
    facts: dict[str, object] = {
        "MATH": "\n\n".join((HERE / f"{name}.vy").read_text() for name in MATH[kind]),
        "N": template.coins,
        "NG": template.ng,
        "MAX_GAMMA": template.max_gamma,
        "TIGHT_GAMMA": template.tight_gamma,
        "MIN_A": template.min_a,
        "MAX_A": template.max_a,
        "EXCHANGE_FIELDS": "fee: uint256\n    packed_price_scale: uint256" if template.ng else "",
        "EXCHANGE_VALUES": ", fee=0, packed_price_scale=0" if template.ng else "",
        "PRICE_ARGUMENT": "k: uint256" if template.coins > len("ab") else "",
        "PRICE_INDEX": "k" if template.coins > len("ab") else "0",
    }
    source = (HERE / "CryptoSwap.vy").read_text()
    for name, value in facts.items():
        source = source.replace(f"${name}$", str(value))
    return source


def _compiled(name: str, source: str, kept: Path) -> Artifact:
    if kept.exists():
        return Artifact.from_json(name, kept.read_bytes())
    # Not optimised: it means the same and takes a third of the time.
    output = vyper.compile_code(
        source,
        output_formats=["abi", "bytecode"],
        settings=Settings(optimize=OptimizationLevel.NONE),
    )
    artifact = Artifact(name, tuple(output["abi"]), bytes.fromhex(output["bytecode"][2:]))
    kept.write_bytes(msgspec.json.encode({"abi": artifact.abi, "bytecode": artifact.bytecode.hex()}))
    return artifact
