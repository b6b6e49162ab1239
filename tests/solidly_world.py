"""Factories and pools of the Solidly family on an EVM in this process, for the tests of their plugin.

The contracts are Aerodrome's `Pool` and `PoolFactory`, compiled from the source that a package ships.
The other solvers are the same pool with one word changed: see `variants`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tallyio_protocol_solidly.layout import (
    SOLVER_SOLIDLY,
    SOLVER_SUPERCHAIN,
    SOLVER_VELODROME_V2,
)

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.revm import RevmBackend, RevmWorld
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.world import OPERATOR
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain

CONTRACTS = Path(__file__).parents[1] / "plugins/protocols/solidly/tests/contracts"

LARGEST_CODE = 1 << 15
"""More bytes than a chain allows: see `contracts`."""

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
    fetched = package_sources("sphere-mezo-solidity-files", "@openzeppelin/contracts")
    sources = {path.replace(AERODROME, "aerodrome/"): text for path, text in fetched.items()}
    own = {path.name: path.read_text() for path in CONTRACTS.glob("*.sol")}
    bench = own.pop("PoolBench.sol")
    for solver, text in variants(sources["aerodrome/Pool.sol"]).items():
        sources[f"aerodrome/{solver}.sol"] = text
        own[f"{solver}.sol"] = bench.replace("aerodrome/Pool.sol", f"aerodrome/{solver}.sol")
    # Optimising takes half of the time, and what is asked of a pool is what it pays.
    made = compile_solidity({**sources, **own}, own, optimised=False)
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


class Town(NamedTuple):
    """A factory per solver on one chain, each with a volatile and two stable pools that hold liquidity."""

    chain: RevmChain
    factories: dict[str, Deployed]
    coins: list[Contract]
    pools: dict[str, list[Contract]]

    def settings(self, **more: object) -> dict[str, object]:
        """Return a configuration of all three, each asking for fees and pools in another way."""
        asked = {"velodrome_v2": ("pool", "by_pool"), "superchain": ("pair", "by_kind")}
        venues: list[dict[str, object]] = []
        for solver, deployed in self.factories.items():
            names, fee = asked.get(solver, ("pair", "fixed"))
            venue = {"name": solver, "factory": checksum(deployed.factory.address), "solver": solver}
            fixed = {"fee_numerator": 5} if fee == "fixed" else {}
            venues.append({**venue, "names": names, "fee": fee, **fixed})
        return {"venues": venues, **more}


def coin_at(address: Address) -> Contract:
    return Contract(contracts()["Coin"], address)


def balance(chain: RevmChain, token: Address, owner: Address) -> int:
    (amount,) = chain.backend.read(coin_at(token), "balanceOf", owner)
    return int(amount)


def fund(chain: RevmChain, pool: Contract, *, tokens: int) -> None:
    """Give `pool` that many tokens of each kind, beside what it has."""
    for token in chain.backend.read(pool, "tokens"):
        (decimals,) = chain.backend.read(coin_at(token), "decimals")
        amount = balance(chain, token, pool.address) + tokens * 10**decimals
        chain.block_of(coin_at(token).call("set", pool.address, amount))


def make_town() -> Town:
    """Deploy all of it."""
    chain = RevmChain(RevmWorld(largest_code=LARGEST_CODE))
    coins = [coin(chain.backend, decimals) for decimals in (6, 18, 24)]
    factories = {solver: deploy(chain.backend, solver) for solver in SOLVERS}
    pools = {}
    for solver, deployed in factories.items():
        made = [deployed.create(coins[:2], stable=False)]
        made += [deployed.create(pair, stable=True) for pair in (coins[:2], coins[1:])]
        for pool in made:
            fund(chain, pool, tokens=1_000_000)
            chain.block_of(pool.call("mint", OPERATOR))
        pools[solver] = made
        chain.block_of(deployed.factory.call("setAnyFee", 5))
    return Town(chain, factories, coins, pools)
