"""Quotes, discovery, rows and calls against the pools' own bytecode, on an EVM in this process.

The contracts are Aerodrome's `Pool` and `PoolFactory`, compiled from the source that a package ships.
The other solvers are the same pool with one word changed: see `variants`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import tallyio_protocol_solidly.adapter as adapter_module
from tallyio_protocol_solidly import hot, reference
from tallyio_protocol_solidly.adapter import Solidly
from tallyio_protocol_solidly.layout import (
    CLOSED,
    KIND,
    ROW_BYTES,
    SOLVER_SOLIDLY,
    SOLVER_SUPERCHAIN,
    SOLVER_VELODROME_V2,
    UINT256_MAX,
    VOLATILE,
    pack_row,
    unpack_reserves,
)

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.revm import RevmBackend
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.chain import Log
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

CONTRACTS = Path(__file__).parent / "contracts"
AERODROME = "sphere-mezo-solidity-files/domains/aerodrome/contracts/"
SOLVERS = {
    "velodrome_v2": SOLVER_VELODROME_V2,
    "superchain": SOLVER_SUPERCHAIN,
    "solidly": SOLVER_SOLIDLY,
}


def variants(pool: str) -> dict[str, str]:
    """Return the source of a pool per solver, made from Aerodrome's.

    The superchain's pools differ in the function that `_get_y` asks about y + 1; Solidly's and Velodrome
    V1's in `_get_y` itself, which is ours there, after the public source.
    """
    made = {
        "velodrome_v2": pool,
        "superchain": pool.replace("_k(x0, y + 1)", "_f(x0, y + 1)"),
        "solidly": pool.replace("- _get_y(", "- solidlyGetY(").replace(
            "\nimport", '\nimport {solidlyGetY} from "SolidlySolver.sol";\nimport', 1
        ),
    }
    assert len(set(made.values())) == len(made)
    return made


@cache
def contracts() -> dict[str, Artifact]:
    """Return a pool per solver by its name, and "FactoryBench" and "Coin"."""
    sources = {path.replace(AERODROME, "aerodrome/"): text for path, text in package_sources().items()}
    own = {path.name: path.read_text() for path in CONTRACTS.glob("*.sol")}
    bench = own.pop("PoolBench.sol")
    for solver, text in variants(sources["aerodrome/Pool.sol"]).items():
        sources[f"aerodrome/{solver}.sol"] = text
        own[f"{solver}.sol"] = bench.replace("aerodrome/Pool.sol", f"aerodrome/{solver}.sol")
    made = compile_solidity({**sources, **own}, own)
    pools = {solver: made[f"{solver}.sol:PoolBench"] for solver in SOLVERS}
    return pools | {name: made[f"FactoryBench.sol:{name}"] for name in ("FactoryBench", "Coin")}


class Deployed(NamedTuple):
    """A factory with its pools, and the backend that all is on."""

    backend: RevmBackend
    factory: Contract
    pool: Artifact

    def create(self, coins: Sequence[Contract], *, stable: bool) -> Contract:
        """Create a pool; nobody has a share of it yet."""
        call = self.factory.call("createPool", coins[0].address, coins[1].address, stable)
        (address,) = self.factory.artifact.decode("createPool", self.backend.transact(call))
        return Contract(self.pool, address)


def deploy(backend: RevmBackend, solver: str) -> Deployed:
    """Deploy a factory for pools with that solver."""
    made = contracts()
    pool = backend.deploy(made[solver].encode_constructor())
    factory = backend.deploy(made["FactoryBench"].encode_constructor(pool))
    return Deployed(backend, Contract(made["FactoryBench"], factory), made[solver])


def coin(backend: RevmBackend, decimals: int = 18) -> Contract:
    """Deploy a token."""
    made = contracts()["Coin"]
    return Contract(made, backend.deploy(made.encode_constructor(decimals)))


# --- arithmetic ------------------------------------------------------------------------------

UNITS = tuple(10**decimals for decimals in (0, 6, 8, 18, 18, 24))
FEES = (0, 1, 5, 30, 300, 9_999, 10_000)
EDGES = (0, 1, 2, 10**18, 2**112 - 1, 2**112, 2**128 - 1, 2**128, 2**255, UINT256_MAX // 10**18, UINT256_MAX)


def any_word(draw: random.Random) -> int:
    return draw.choice(EDGES) if draw.random() < 0.3 else draw.getrandbits(draw.randrange(1, 257))


def any_case(draw: random.Random, kind: int) -> tuple[reference.Pool, int, int]:
    """Draw a pool, a token to sell and an amount: common pools, extreme ones, and any words at all."""
    units = (draw.choice(UNITS), draw.choice(UNITS))
    i, shape = draw.randrange(2), draw.random()
    if shape < 0.2:
        reserves, amount = (any_word(draw), any_word(draw)), any_word(draw)
    else:
        tokens, ratio = (draw.uniform(3, 9), 2) if shape < 0.6 else (draw.uniform(-12, 13), 12)
        first = int(10**tokens * units[0])
        reserves = (first, int(first * units[1] * 10 ** draw.uniform(-ratio, ratio)) // units[0])
        amount = int(reserves[i] * 10 ** draw.uniform(-9, 3)) + draw.randrange(3)
    return reference.Pool(reserves, units, kind, draw.choice(FEES)), i, amount


def trial(
    backend: RevmBackend, bench: Contract, pool: reference.Pool, i: int, amount_in: int
) -> tuple[int, int]:
    """Return how far the pool's own code gets, and what it pays."""
    state = (*pool.reserves, *pool.units, pool.kind != VOLATILE, pool.fee_numerator)
    status, paid = bench.artifact.decode("trial", backend.call(bench.call("trial", state, i, amount_in)))
    return status, paid


def row_of(pool: reference.Pool) -> bytes:
    return pack_row(
        pool.reserves,
        units=pool.units,
        kind=pool.kind,
        fee_numerator=pool.fee_numerator,
        fee_denominator=pool.fee_denominator,
    )


@pytest.fixture(scope="module")
def row() -> Iterator[Region]:
    with Region(4096) as memory:
        yield memory


@pytest.mark.parametrize("solver", SOLVERS)
def test_quotes_equal_the_bytecode_in_success_and_revert(
    solver: str, row: Region, capsys: pytest.CaptureFixture[str]
) -> None:
    """`getAmountOut`, and then `swap` with what it says; 6,000 states and amounts for each solver."""
    backend = RevmBackend()
    deployed = deploy(backend, solver)
    bench = deployed.create([coin(backend), coin(backend)], stable=True)
    backend.transact(bench.call("share", OPERATOR, 10**18))
    draw, ends = random.Random(solver), Counter[str]()
    for number in range(6_000):
        kind = SOLVERS[solver] if number % 3 else VOLATILE
        pool, i, amount = any_case(draw, kind)
        status, paid = trial(backend, bench, pool, i, amount)
        row.view("u1", ROW_BYTES)[:] = bytearray(row_of(pool))
        assert hot.quote(row.address, i, 1 - i, amount) == paid == reference.quote(pool, i, amount), pool
        ends[("paid", "getAmountOut reverts", "swap reverts", "no such amount")[status]] += 1
        ends["of them volatile"] += kind == VOLATILE
    with capsys.disabled():
        print(f"\n{solver}: {dict(ends)}")
    assert min(ends["paid"], ends["getAmountOut reverts"], ends["swap reverts"]) > 300
