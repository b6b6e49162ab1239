"""A full Aave V3 market as a recipe: pool, configurator, tokens, oracle, roles.

Layer: lab. Of two ages: `AaveVersion.V3_0` from the bytecode that @aave/core-v3 publishes, and
`AaveVersion.V3_6` compiled from @aave-dao/aave-v3-origin. Sources of the order of steps: the deployment
procedures of both packages (`PoolAddressesProvider`, `PoolConfigurator.initReserves`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, Final

import msgspec

from tallyio.lab.abi import encode
from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.feeds import Feed, deploy_feed
from tallyio.lab.solidity import compile_solidity, package_sources
from tallyio.lab.steps import Deploy, Recipe, read, send
from tallyio.lab.world import OPERATOR, account
from tallyio.model.units import ZERO_ADDRESS, Address

PACKAGE: Final = "@aave-dao/aave-v3-origin/src/contracts/"
LARGEST_CODE: Final = 1 << 16
"""Bytes of code that a chain must accept for 3.6, whose pool, as compiled here, is beyond EIP-170."""

SETUP_GAS: Final = 15_000_000
"""Gas limit of a step that creates proxies."""

TREASURY: Final = account("aave treasury")
BASE_UNIT: Final = 10**8
"""One dollar in the oracle's unit."""

FLASH_PREMIUM_BPS: Final = 5

_FILES: Final = (
    "instances/PoolInstance",
    "instances/PoolConfiguratorInstance",
    "instances/ATokenInstance",
    "instances/VariableDebtTokenInstance",
    "misc/AaveOracle",
    "misc/DefaultReserveInterestRateStrategyV2",
    "misc/PriceOracleSentinel",
    "protocol/configuration/PoolAddressesProvider",
    "protocol/configuration/ACLManager",
    "protocol/libraries/logic/BorrowLogic",
    "protocol/libraries/logic/ConfiguratorLogic",
    "protocol/libraries/logic/FlashLoanLogic",
    "protocol/libraries/logic/LiquidationLogic",
    "protocol/libraries/logic/PoolLogic",
    "protocol/libraries/logic/SupplyLogic",
)
# Contracts of 3.6 that have another name than the ones of 3.0 that they stand for.
_RENAMED: Final = {
    "Pool": "PoolInstance",
    "PoolConfigurator": "PoolConfiguratorInstance",
    "AToken": "ATokenInstance",
    "VariableDebtToken": "VariableDebtTokenInstance",
}
# Libraries in an order in which each finds what it calls.
_LIBRARIES: Final = (
    "BorrowLogic",
    "BridgeLogic",
    "ConfiguratorLogic",
    "EModeLogic",
    "LiquidationLogic",
    "PoolLogic",
    "SupplyLogic",
    "FlashLoanLogic",
)
_GONE_IN_3_6: Final = ("BridgeLogic", "EModeLogic")
_RAY: Final = 10**27


class AaveVersion(Enum):
    """Whose rules a market follows."""

    V3_0 = "3.0"
    V3_6 = "3.6"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """An asset to list, and its terms. Shares are in 1e-4; a bonus of 10_500 is 5 %."""

    symbol: str
    token: Address
    decimals: int
    price: int
    """In dollars, times 1e8."""
    ltv: int = 7_500
    threshold: int = 8_000
    bonus: int = 10_500
    protocol_fee: int = 1_000
    reserve_factor: int = 1_000


class AaveMarket(msgspec.Struct, frozen=True, kw_only=True):
    """What the recipe made. The lab's operator has every role in it."""

    version: AaveVersion
    provider: Contract
    pool: Contract
    configurator: Contract
    oracle: Contract
    listings: tuple[Listing, ...]
    feeds: Mapping[str, Feed]
    """By symbol."""


@cache
def aave_artifacts(version: AaveVersion) -> dict[str, Artifact]:
    """Return the contracts of that age by their names of 3.0. Those of 3.6 are compiled on first use."""
    if version is AaveVersion.V3_0:
        names = (*_LIBRARIES, *_RENAMED, "StableDebtToken", "AaveOracle", "PriceOracleSentinel")
        names += ("PoolAddressesProvider", "ACLManager", "DefaultReserveInterestRateStrategy")
        return {name: artifact(f"@aave/{name}") for name in names}
    wanted = [f"{PACKAGE}{file}.sol" for file in _FILES]
    made = compile_solidity(aave_sources(), wanted, optimised=False)  # which saves twenty seconds
    found = {name.rpartition(":")[2]: each for name, each in made.items()}
    return found | {old: found[new] for old, new in _RENAMED.items()}


@cache
def aave_sources() -> Mapping[str, str]:
    """Return the sources of 3.6, with the library that they import by the name they know it by."""
    fetched = package_sources("@aave-dao/aave-v3-origin", "@openzeppelin/contracts")
    return {
        path.replace("@openzeppelin/contracts/", "openzeppelin-contracts/contracts/"): text
        for path, text in fetched.items()
    }


def deploy_aave(
    version: AaveVersion, listings: Sequence[Listing], *, artifacts: Mapping[str, Artifact] | None = None
) -> Recipe[AaveMarket]:
    """Deploy a market that lists `listings`, each open to supply, borrowing and flash loans.

    `artifacts` are contracts other than `aave_artifacts`.
    """
    made = artifacts or aave_artifacts(version)
    libraries = yield from _libraries(made, version)
    provider = yield from _deploy(made["PoolAddressesProvider"], "lab", OPERATOR)
    yield from _roles(made["ACLManager"], provider)
    strategy = yield from _strategy(made, version, provider)
    pool = yield from _proxied(
        provider, "Pool", made["Pool"].linked(libraries), *_pool_arguments(version, provider, strategy)
    )
    linked = made["PoolConfigurator"].linked(libraries)
    configurator = yield from _proxied(provider, "PoolConfigurator", linked)
    feeds = {}
    for listing in listings:
        feeds[listing.symbol] = yield from deploy_feed(listing.price)
    oracle = yield from _oracle(made["AaveOracle"], provider, listings, feeds)
    tokens = yield from _tokens(made, version, pool)
    for listing in listings:
        yield from _list(configurator, version, listing, tokens, strategy)
    yield from _set_premium(configurator, version)
    return AaveMarket(
        version=version,
        provider=provider,
        pool=pool,
        configurator=configurator,
        oracle=oracle,
        listings=tuple(listings),
        feeds=feeds,
    )


def deploy_sentinel(market: AaveMarket, *, grace_seconds: int) -> Recipe[Feed]:
    """Give the market a sentinel that watches a sequencer's feed; return the feed, which says "up"."""
    feed = yield from deploy_feed(0)
    made = aave_artifacts(market.version)["PriceOracleSentinel"]
    arguments = (market.provider.address, feed.aggregator.address, grace_seconds)
    sentinel = yield from _deploy(made, *arguments)
    yield from send(OPERATOR, market.provider.call("setPriceOracleSentinel", sentinel.address))
    return feed


def _deploy(made: Artifact, *arguments: object) -> Recipe[Contract]:
    address: Address = yield Deploy(made.encode_constructor(*arguments))
    return Contract(made, address)


def _libraries(made: Mapping[str, Artifact], version: AaveVersion) -> Recipe[dict[str, Address]]:
    libraries: dict[str, Address] = {}
    for name in _LIBRARIES:
        if version is AaveVersion.V3_6 and name in _GONE_IN_3_6:
            continue
        library = yield from _deploy(made[name].linked(libraries))
        libraries[name] = library.address
    return libraries


def _roles(made: Artifact, provider: Contract) -> Recipe[None]:
    yield from send(OPERATOR, provider.call("setACLAdmin", OPERATOR))
    manager = yield from _deploy(made, provider.address)
    roles = ("addPoolAdmin", "addEmergencyAdmin", "addRiskAdmin", "addAssetListingAdmin")
    yield from send(
        OPERATOR,
        provider.call("setACLManager", manager.address),
        *(manager.call(role, OPERATOR) for role in roles),
    )


def _strategy(made: Mapping[str, Artifact], version: AaveVersion, provider: Contract) -> Recipe[Contract]:
    if version is AaveVersion.V3_6:
        return (yield from _deploy(made["DefaultReserveInterestRateStrategyV2"], provider.address))
    # The usage that is best, the base rate, two slopes; then the same for stable debt, which stays closed.
    rates = (8 * _RAY // 10, _RAY // 100, 4 * _RAY // 100, 6 * _RAY // 10)
    stable = (2 * _RAY // 100, 6 * _RAY // 10, _RAY // 100, 8 * _RAY // 100, _RAY // 5)
    return (yield from _deploy(made["DefaultReserveInterestRateStrategy"], provider.address, *rates, *stable))


def _pool_arguments(version: AaveVersion, provider: Contract, strategy: Contract) -> tuple[Address, ...]:
    if version is AaveVersion.V3_6:
        return provider.address, strategy.address
    return (provider.address,)


def _proxied(provider: Contract, name: str, made: Artifact, *arguments: object) -> Recipe[Contract]:
    if name == "PoolConfigurator" and not _has_arguments(made):
        arguments = ()
    implementation = yield from _deploy(made, *arguments)
    call = provider.call(f"set{name}Impl", implementation.address)
    yield from send(OPERATOR, call, gas_limit=SETUP_GAS)
    (proxy,) = yield from read(provider, f"get{name}")
    return Contract(made, proxy)


def _has_arguments(made: Artifact) -> bool:
    return any(item["type"] == "constructor" and item["inputs"] for item in made.abi)


def _oracle(
    made: Artifact, provider: Contract, listings: Sequence[Listing], feeds: Mapping[str, Feed]
) -> Recipe[Contract]:
    assets = [listing.token for listing in listings]
    sources = [feeds[listing.symbol].proxy.address for listing in listings]
    oracle = yield from _deploy(
        made, provider.address, assets, sources, ZERO_ADDRESS, ZERO_ADDRESS, BASE_UNIT
    )
    yield from send(OPERATOR, provider.call("setPriceOracle", oracle.address))
    return oracle


def _tokens(
    made: Mapping[str, Artifact], version: AaveVersion, pool: Contract
) -> Recipe[tuple[Address, ...]]:
    if version is AaveVersion.V3_6:
        collateral = yield from _deploy(made["AToken"], pool.address, ZERO_ADDRESS, TREASURY)
        debt = yield from _deploy(made["VariableDebtToken"], pool.address, ZERO_ADDRESS)
        return collateral.address, debt.address
    addresses = []
    for name in ("AToken", "StableDebtToken", "VariableDebtToken"):
        token = yield from _deploy(made[name], pool.address)
        addresses.append(token.address)
    return tuple(addresses)


def _list(
    configurator: Contract,
    version: AaveVersion,
    listing: Listing,
    tokens: tuple[Address, ...],
    strategy: Contract,
) -> Recipe[None]:
    asset = listing.token
    reserve = (_reserve_3_6 if version is AaveVersion.V3_6 else _reserve_3_0)(listing, tokens, strategy)
    yield from send(OPERATOR, configurator.call("initReserves", [reserve]), gas_limit=SETUP_GAS)
    calls = [
        configurator.call("setReserveBorrowing", asset, True),
        configurator.call("setReserveFlashLoaning", asset, True),
        configurator.call("setReserveFactor", asset, listing.reserve_factor),
        configurator.call("setLiquidationProtocolFee", asset, listing.protocol_fee),
    ]
    if listing.threshold:
        terms = (listing.ltv, listing.threshold, listing.bonus)
        calls.append(configurator.call("configureReserveAsCollateral", asset, *terms))
    yield from send(OPERATOR, *calls)


def _reserve_3_0(listing: Listing, tokens: tuple[Address, ...], strategy: Contract) -> tuple[Any, ...]:
    names = [f"{kind}{listing.symbol}" for kind in ("a", "a", "v", "v", "s", "s")]
    addresses = (strategy.address, listing.token, TREASURY, ZERO_ADDRESS)
    return (*tokens, listing.decimals, *addresses, *names, b"")


def _reserve_3_6(listing: Listing, tokens: tuple[Address, ...], strategy: Contract) -> tuple[Any, ...]:
    del strategy  # the pool has one for all
    names = [f"{kind}{listing.symbol}" for kind in ("a", "a", "v", "v")]
    rates = encode(["uint16", "uint32", "uint32", "uint32"], [8_000, 100, 400, 6_000])
    return (*tokens, listing.token, *names, b"", rates)


def _set_premium(configurator: Contract, version: AaveVersion) -> Recipe[None]:
    name = "updateFlashloanPremium" + ("" if version is AaveVersion.V3_6 else "Total")
    yield from send(OPERATOR, configurator.call(name, FLASH_PREMIUM_BPS))
