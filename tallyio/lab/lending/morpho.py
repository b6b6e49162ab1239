"""Morpho Blue with its adaptive interest rate, as recipes: the contract, oracles, markets, positions.

Layer: lab. The contracts are compiled from the sources that a package ships, which are those of
@morpho-org/morpho-blue 1.0.0 and morpho-blue-irm with a younger pragma and other comments. `FeedOracle.sol`
beside this file is ours, after the formula of `MorphoChainlinkOracleV2`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

import msgspec

from tallyio.lab.abi import encode
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Recipe, deploy, read, send
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import ZERO_ADDRESS, Address

DOMAINS: Final = "sphere-mezo-solidity-files/domains/"
MORPHO: Final = f"{DOMAINS}morpho/contracts/Morpho.sol"
RATE: Final = f"{DOMAINS}morphoIrm/contracts/AdaptiveCurveIrm.sol"
SET_ORACLE: Final = f"{DOMAINS}morpho/contracts/mocks/OracleMock.sol"
FEED_ORACLE: Final = "FeedOracle.sol"

WAD: Final = 10**18
PRICE_SCALE: Final = 10**36
FEEDS: Final = 4


class MorphoMarket(msgspec.Struct, frozen=True):
    """What a market is: its parameters, whose hash is its id."""

    loan: Address
    collateral: Address
    oracle: Address
    irm: Address
    lltv: int

    @property
    def parameters(self) -> tuple[Address, Address, Address, Address, int]:
        """The contract's `MarketParams`."""
        return self.loan, self.collateral, self.oracle, self.irm, self.lltv

    @property
    def id(self) -> bytes:
        """The contract's `Id`."""
        return keccak256(encode(["address"] * 4 + ["uint256"], self.parameters))


class Morpho(msgspec.Struct, frozen=True):
    """The contract, owned by the operator, and the rate model that its markets may use."""

    contract: Contract
    rate: Contract


@cache
def morpho_artifacts() -> dict[str, Artifact]:
    """Return "Morpho", "AdaptiveCurveIrm", "OracleMock" and "FeedOracle". Compiles on first use."""
    fetched = package_sources("sphere-mezo-solidity-files")
    sources = {path: text for path, text in fetched.items() if path.startswith(f"{DOMAINS}morpho")}
    sources[FEED_ORACLE] = (Path(__file__).parent / FEED_ORACLE).read_text(encoding="utf-8")
    made = compile_solidity(sources, [MORPHO, RATE, SET_ORACLE, FEED_ORACLE])
    return {name.rpartition(":")[2]: artifact for name, artifact in made.items()}


def deploy_morpho(lltvs: Sequence[int]) -> Recipe[Morpho]:
    """Deploy the contract and its rate model; markets may have these loan-to-values, in 1e-18."""
    made = morpho_artifacts()
    contract = yield from deploy(made["Morpho"], OPERATOR)
    rate = yield from deploy(made["AdaptiveCurveIrm"], contract.address)
    models = [contract.call("enableIrm", each) for each in (rate.address, ZERO_ADDRESS)]
    yield from send(OPERATOR, *models, *(contract.call("enableLltv", lltv) for lltv in lltvs))
    return Morpho(contract, rate)


def deploy_set_oracle(price: int) -> Recipe[Contract]:
    """Deploy an oracle that says what `setPrice` was told: loan units for 1e36 units of collateral."""
    oracle = yield from deploy(morpho_artifacts()["OracleMock"])
    yield from send(OPERATOR, oracle.call("setPrice", price))
    return oracle


def deploy_feed_oracle(
    feeds: Sequence[Address], scale: int, *, vault: Address = ZERO_ADDRESS, sample: int = 1
) -> Recipe[Contract]:
    """Deploy an oracle over two feeds of the collateral and two of the loan token; 0 means none.

    Its price is `scale` times the answers of the first two over those of the others.
    """
    oracle = yield from deploy(morpho_artifacts()["FeedOracle"], vault, sample, list(feeds), scale)
    return oracle


def create_market(morpho: Morpho, market: MorphoMarket) -> Recipe[MorphoMarket]:
    """Create a market; return it."""
    yield from send(OPERATOR, morpho.contract.call("createMarket", market.parameters))
    return market


def lend(morpho: Morpho, market: MorphoMarket, account: Address, amount: int) -> Recipe[None]:
    """Let `account`, which has that much, lend `amount` to a market."""
    supply = morpho.contract.call("supply", market.parameters, amount, 0, account, b"")
    yield from send(account, approve(market.loan, morpho.contract.address, amount), supply)


def open_position(
    morpho: Morpho, market: MorphoMarket, account: Address, *, collateral: int, borrow: int
) -> Recipe[None]:
    """Let `account` deposit collateral that it has, and borrow against it."""
    contract = morpho.contract
    calls: list[Call] = [approve(market.collateral, contract.address, collateral)]
    calls.append(contract.call("supplyCollateral", market.parameters, collateral, account, b""))
    if borrow:
        calls.append(contract.call("borrow", market.parameters, borrow, 0, account, account))
    yield from send(account, *calls)


def market_price(market: MorphoMarket) -> Recipe[int]:
    """Return what the oracle of a market says."""
    oracle = Contract(morpho_artifacts()["OracleMock"], market.oracle)
    (price,) = yield from read(oracle, "price")
    return int(price)
