"""The plugin beside contracts: bytecode at random states, and whole pools on an EVM in this process.

The bytecode is our own deployment of the public formulas (`CryptoSwap.vy` and the math files), for no
package registry carries Curve's. It is compiled once and kept between runs.
"""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import vyper
from tallyio_protocol_curve_crypto import hot, reference
from tallyio_protocol_curve_crypto.adapter import CurveCrypto
from tallyio_protocol_curve_crypto.events import TOPICS
from tallyio_protocol_curve_crypto.layout import unpack_d
from tallyio_protocol_curve_crypto.loading import pool_of
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.samples import Row, draw_amount, draw_state
from tallyio_protocol_curve_crypto.templates import TEMPLATES
from vyper.compiler.settings import OptimizationLevel, Settings

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.revm import RevmBackend
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_RELOAD
from tallyio.model.chain import Block
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

CodeOf = Callable[[str], Artifact]
HERE = Path(__file__).parent

MATH: Final = {
    "twocrypto": ("NewtonMath", "TwoMath", "OldMath"),
    "tricrypto": ("NewtonMath", "ThreeMath", "ThreeOldMath", "OldMath"),
    "twocrypto_ng": ("NewtonMath", "TwoMath", "CubicMath", "TwoCubicMath"),
    "tricrypto_ng": ("NewtonMath", "ThreeMath", "CubicMath", "ThreeCubicMath"),
}

CASES = int(os.environ.get("CURVE_CRYPTO_CASES", "2600"))
NOTHING = 2**256 - 1

DECIMALS: Final = (6, 8, 18)
PRICES: Final = (61_234 * 10**18, 2_345 * 10**18)
ROOM: Final = 2048
FEES: Final = (26 * 10**6, 45 * 10**6, 23 * 10**13)
NATIVE: Final = Address(bytes.fromhex("ee" * 20))


@pytest.fixture(scope="session")
def code_of(request: pytest.FixtureRequest) -> CodeOf:
    """Return what compiles a pool of a kind, or the factory."""
    folder = request.config.cache.mkdir("curve_crypto") if request.config.cache else None
    made: dict[str, Artifact] = {}

    def code(kind: str) -> Artifact:
        source = source_of(kind)
        key = hashlib.sha256(f"{vyper.__version__} {source}".encode()).hexdigest()
        if key not in made:
            made[key] = _compiled(kind, source, folder / f"{key}.json" if folder else None)
        return made[key]

    return code


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


def _compiled(name: str, source: str, kept: Path | None) -> Artifact:
    if kept is not None and kept.exists():
        return Artifact.from_json(name, kept.read_bytes())
    # Not optimised: it means the same and takes a third of the time.
    output = vyper.compile_code(
        source,
        output_formats=["abi", "bytecode"],
        settings=Settings(optimize=OptimizationLevel.NONE),
    )
    artifact = Artifact(name, tuple(output["abi"]), bytes.fromhex(output["bytecode"][2:]))
    if kept is not None:
        kept.write_bytes(msgspec.json.encode({"abi": artifact.abi, "bytecode": artifact.bytecode.hex()}))
    return artifact


@pytest.fixture(scope="module")
def backend() -> RevmBackend:
    return RevmBackend()


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    row = Row()
    yield row
    row.close()


def deployed(backend: RevmBackend, code: Artifact, coins: int) -> Contract:
    """Deploy a pool whose state does not matter: the tests hand one to `dy_of`."""
    arguments = ([bytes(20)] * coins, [1] * coins, [1] * (coins - 1), [0, 0], [0, 0, 0])
    return Contract(code, backend.deploy(code.encode_constructor(*arguments)))


def said(backend: RevmBackend, pool: Contract, function: str, *args: object) -> Any:
    """Return the number that a function answers, or None where it reverts."""
    try:
        answer = backend.call(pool.call(function, *args))
    except Reverted:
        return None
    return pool.artifact.decode(function, answer)[0]


@pytest.mark.parametrize("kind", TEMPLATES)
def test_an_exchange_equals_the_bytecode(backend: RevmBackend, code_of: CodeOf, row: Row, kind: str) -> None:
    """2,600 states a kind: the amount paid, or a revert, in all three; and D where it is computed anew."""
    draw, template = random.Random(f"curve {kind}"), TEMPLATES[kind]
    contract = deployed(backend, code_of(kind), template.coins)
    paid = reverted = moving = 0
    for _ in range(CASES):
        state = draw_state(draw, kind)
        pool = pool_of(state)
        i, j = draw.sample(range(template.coins), 2)
        amount = draw_amount(draw, state.balances[i])
        facts = (
            list(state.balances),
            list(state.price_scale),
            list(state.precisions),
            [pool.ann, pool.gamma],
        )
        fees = [state.mid_fee, state.out_fee, state.fee_gamma]
        answer = said(backend, contract, "dy_of", i, j, amount, *facts, state.d, pool.d is None, fees)
        assert paid_by_reference(pool, i, j, amount) == answer, (state, i, j, amount)
        assert hot.quote(row.set(state), i, j, amount) == (answer or 0), (state, i, j, amount)
        if pool.d is None:
            moving += 1
            xp = reference.scaled(pool, pool.balances)
            invariant = said(backend, contract, "newton_D_of", pool.ann, pool.gamma, xp)
            assert unpack_d(row.raw(template.coins)) == (NOTHING if invariant is None else invariant)
        paid, reverted = paid + (answer is not None), reverted + (answer is None)
    print(f"{kind}: {paid} paid, {reverted} reverted, {moving} with D anew")  # noqa: T201 - shown with -s
    assert paid > CASES // 2
    assert min(reverted, moving) > CASES // 50


def paid_by_reference(pool: reference.Pool, i: int, j: int, amount: int) -> int | None:
    """Return what the reference says, or None where it reverts."""
    try:
        return reference.exchange(pool, i, j, amount)
    except Revert:
        return None


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


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_pool_pays_the_quote_and_not_one_unit_more(code_of: CodeOf, kind: str) -> None:
    """Real swaps through the calls of the adapter; every exchange asks for a reload."""
    lab, draw = Lab(code_of, kind), random.Random(kind)
    pool = await lab.load()
    for _ in range(12):
        i, j = draw.sample(range(lab.coins), 2)
        amount = lab.units(i, draw.choice((1, 1_000, 300_000)) * draw.uniform(1, 2))
        quoted, before = hot.quote(lab.row, i, j, amount), lab.balance(j)
        assert quoted > 0
        approval, _, none = calls = lab.swap(pool, i, j, amount, quoted)
        lab.chain.block_of(approval)
        with pytest.raises(Reverted):
            lab.backend.call(lab.swap(pool, i, j, amount, quoted + 1)[1])
        block = lab.chain.block_of(calls[1])
        assert lab.balance(j) - before == quoted
        assert lab.statuses(block) == [LOG_RELOAD]
        lab.chain.block_of(none)
        await lab.reload(pool)
        lab.chain.block_of(lab.tokens[i].call("approve", lab.pool.address, 2**256 - 1))


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_moved_price_scale_is_read_anew(code_of: CodeOf, kind: str) -> None:
    lab = Lab(code_of, kind)
    pool = await lab.load()
    lab.transact("move", [price * 103 // 100 for price in PRICES[: lab.coins - 1]])
    lab.transact("exchange", 0, 1, lab.units(0, 1_000), 0)
    await lab.reload(pool)
    assert all(lab.pays_exactly(i, j, lab.units(i, 50_000)) for i, j in ((0, 1), (1, 0)))


@pytest.mark.parametrize("kind", TEMPLATES)
async def test_a_ramp_is_followed_block_by_block(code_of: CodeOf, kind: str) -> None:
    """An old pool computes D anew until somebody exchanges after the ramp; NG only while it runs."""
    lab = Lab(code_of, kind)
    pool = await lab.load()
    ends = lab.chain.latest.timestamp + 30 * 12
    block = lab.transact("ramp_A_gamma", lab.template.min_a * 900, 10**14, ends)
    assert lab.statuses(block) == [LOG_RELOAD]
    await lab.reload(pool)
    (kept,) = lab.backend.read(lab.pool, "D")
    seen = set()
    for _ in range(35):
        block = lab.chain.block_of()
        assert hot.advance(lab.row, block.head.timestamp) != LOG_RELOAD
        await lab.check_fresh(pool)
        assert lab.pays_exactly(0, 1, lab.units(0, 100_000))
        seen.add(unpack_d(lab.memory.view("u1", ROOM).tobytes()))
    assert len(seen) > 25
    moving = unpack_d(lab.memory.view("u1", ROOM).tobytes()) != kept
    assert moving != lab.template.ng
    lab.transact("exchange", 0, 1, lab.units(0, 1_000), 0)
    await lab.reload(pool)
    assert lab.pays_exactly(1, 0, lab.units(1, 70_000))


@pytest.mark.parametrize("kind", ["twocrypto", "tricrypto_ng"])
async def test_every_event_of_a_pool_asks_for_a_reload(code_of: CodeOf, kind: str) -> None:
    lab = Lab(code_of, kind)
    await lab.load()
    now = lab.chain.latest.timestamp
    for function, *args in (
        ("exchange", 0, 1, lab.units(0, 1_000), 0),
        ("remove_liquidity", 10**16),
        ("set_fees", [1, 2, 3]),
        ("ramp_A_gamma", lab.template.min_a * 500, 10**14, now + 10_000),
        ("stop_ramp_A_gamma",),
    ):
        assert lab.statuses(lab.transact(str(function), *args)) == [LOG_RELOAD], function


async def test_a_stopped_ramp_stays_where_it_was(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto_ng")
    pool = await lab.load()
    lab.transact("ramp_A_gamma", lab.template.min_a * 900, 10**14, lab.chain.latest.timestamp + 360)
    lab.chain.block_of()
    lab.transact("stop_ramp_A_gamma")
    await lab.reload(pool)
    lab.chain.block_of()
    hot.advance(lab.row, lab.chain.latest.timestamp)
    await lab.check_fresh(pool)
    assert lab.pays_exactly(0, 1, lab.units(0, 100_000))


async def test_a_pool_of_another_kind_is_refused(code_of: CodeOf) -> None:
    lab = Lab(code_of, "tricrypto_ng")
    adapter = CurveCrypto({"pools": [{**lab.settings, "kind": "tricrypto"}]})
    with pytest.raises(ChainError, match=r"does not compute as a 'tricrypto' pool: get_dy\("):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_an_address_that_is_no_pool_is_named(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    adapter = CurveCrypto({"pools": [{"address": checksum(OPERATOR), "kind": "twocrypto"}]})
    with pytest.raises(ChainError, match="a Curve CryptoSwap contract"):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_a_pool_that_names_native_ether_is_left_to_others(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    pool = lab.deploy(code_of("twocrypto"), [lab.tokens[0].address, NATIVE])
    adapter = CurveCrypto({"pools": [{"address": checksum(pool.address), "kind": "twocrypto"}]})
    with pytest.raises(ConfigError, match="native ether"):
        await adapter.discover(lab.chain, block=lab.chain.latest)


async def test_a_pool_takes_exactly_what_it_was_allowed(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    pool = await lab.load()
    assert set(lab.chain.asked_at) == {lab.chain.latest.hash}
    amount = lab.units(0, 1_000)
    quoted = hot.quote(lab.row, 0, 1, amount)
    approval, exchange, none = lab.swap(pool, 0, 1, amount, quoted)
    assert approval == lab.tokens[0].call("approve", pool.address, amount)
    assert exchange == lab.pool.call("exchange", 0, 1, amount, quoted)
    assert none == lab.tokens[0].call("approve", pool.address, 0)
    lab.chain.block_of(approval, exchange)
    assert lab.backend.read(lab.tokens[0], "allowance", OPERATOR, pool.address) == (0,)


async def test_a_pool_cannot_flash(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto")
    pool = await lab.load()
    assert not pool.can_flash
    with pytest.raises(ValueError, match="cannot flash"):
        lab.adapter.swap(
            pool,
            token_in=0,
            token_out=1,
            amount_in=1,
            amount_out=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _: b"",
        )


async def test_a_factory_lists_its_pools(code_of: CodeOf) -> None:
    lab = Lab(code_of, "twocrypto_ng")
    other = Lab(code_of, "twocrypto_ng", chain=lab.chain)
    code = code_of("factory")
    factory = Contract(code, lab.backend.deploy(code.encode_constructor()))
    for pool in (lab.pool, other.pool):
        lab.backend.transact(factory.call("add", pool.address))
    named = {"factories": [{"address": checksum(factory.address), "kind": "twocrypto_ng"}]}
    pools = await CurveCrypto(named).discover(lab.chain, block=lab.chain.latest)
    assert [(pool.address, pool.venue, pool.fee_pips) for pool in pools] == [
        (lab.pool.address, "curve twocrypto_ng", 2_600),
        (other.pool.address, "curve twocrypto_ng", 2_600),
    ]
