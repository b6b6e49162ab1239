"""Venus's core pool, as one recipe: comptroller, markets, VAI and the Liquidator contract.

Layer: lab. The contracts are those of @venusprotocol/venus-protocol. The oracle is `SimplePriceOracle`,
whose prices anybody may set. The deployer governs. What the markets' income goes to is a contract that takes
everything and does nothing. Sources: `deploy/` of that package, and its facets' setters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from tallyio.lab.artifact import Artifact, Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import CALL_GAS, Deploy, Recipe, deploy, read, send
from tallyio.lab.world import CHAIN_ID, DEPLOYER, OPERATOR
from tallyio.model.hashing import selector
from tallyio.model.units import Address

MANTISSA: Final = 10**18
UNLIMITED: Final = 2**256 - 1
VTOKEN_DECIMALS: Final = 8
BLOCKS_PER_YEAR: Final = 70_080_000
FACETS: Final = ("MarketFacet", "PolicyFacet", "SetterFacet")
NATIVE_TOKEN: Final = "0x" + "bb" * 20
"""What Venus's oracles call the chain's native currency."""
TAKES_ALL: Final = bytes.fromhex("60016000f3")
"""Creation code of a contract whose code is one STOP."""

CLOSE_FACTOR: Final = MANTISSA // 2
SET_UP_GAS: Final = 3_000_000


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """A token to make a market of, and its terms in percent."""

    symbol: str
    token: Address | None
    """None: the chain's native currency, whose price the oracle has fixed at one dollar."""
    decimals: int = 18
    price: int
    """Of a smallest unit, as the oracle has it: dollars * 10 ** (36 - decimals)."""
    collateral_factor: int = 75
    threshold: int = 80
    incentive: int = 110
    reserve_factor: int = 10
    base_rate: int = 2
    """A year, in percent, as are the slopes below and above the kink of 80 %."""
    slope: int = 10
    jump: int = 250
    model: str = "JumpRateModel"
    supply: int = 0
    """Smallest units that the operator, who has them, supplies."""


class EMode(msgspec.Struct, frozen=True, kw_only=True):
    """A pool with its own terms, in percent, for some of the markets."""

    label: str
    symbols: tuple[str, ...]
    collateral_factor: int = 90
    threshold: int = 93
    incentive: int = 104
    falls_back: bool = True
    """Whether other markets count for accounts of this pool on the core pool's terms."""


class VenusMarket(msgspec.Struct, frozen=True, kw_only=True):
    """A market of the deployed protocol."""

    listing: Listing
    vtoken: Contract


class VenusWorld(msgspec.Struct, frozen=True, kw_only=True):
    """The deployed protocol. The facets are one contract: the comptroller's, by what they know."""

    market_facet: Contract
    policy_facet: Contract
    setter_facet: Contract
    oracle: Contract
    liquidator: Contract
    vai: Contract
    vai_controller: Contract
    income: Address
    markets: tuple[VenusMarket, ...]

    @property
    def comptroller(self) -> Address:
        """The address of the comptroller."""
        return self.market_facet.address

    def market(self, symbol: str) -> VenusMarket:
        """Return the market of token `symbol`. Raises: LookupError: there is none."""
        for market in self.markets:
            if market.listing.symbol == symbol:
                return market
        raise LookupError(f"the lab's Venus has no market of {symbol!r}")


def deploy_venus(listings: Sequence[Listing], groups: Sequence[EMode] = ()) -> Recipe[VenusWorld]:
    """Deploy the protocol with a market for each listing, and supply what they say.

    One listing must be native: the Liquidator wants to know its market. Liquidations go through the
    Liquidator contract, which keeps half of the bonus.
    """
    facets = yield from _deploy_comptroller()
    oracle: Contract = yield from deploy(artifact("SimplePriceOracle"))
    income: Address = yield Deploy(TAKES_ALL)
    access: Contract = yield from deploy(artifact("AccessControlManagerMock"), _hex(DEPLOYER))
    vai, vai_controller = yield from _deploy_vai(facets[0].address, access.address, income)
    yield from _configure(facets, oracle, access.address, vai_controller.address)
    code: Contract = yield from deploy(artifact("VBep20Delegate"))
    markets: list[VenusMarket] = []
    for listing in listings:
        vtoken = yield from _deploy_market(listing, facets[0].address, code.address)
        market = VenusMarket(listing=listing, vtoken=vtoken)
        yield from _list(market, facets, oracle, access.address, income)
        markets.append(market)
    native = next(market.vtoken for market in markets if market.listing.token is None)
    yield from _bound_prices(facets[2], oracle, native.address, vai.address)
    liquidator = yield from _deploy_liquidator(facets[2], native.address, access.address, income)
    world = VenusWorld(
        market_facet=facets[0],
        policy_facet=facets[1],
        setter_facet=facets[2],
        oracle=oracle,
        liquidator=liquidator,
        vai=vai,
        vai_controller=vai_controller,
        income=income,
        markets=tuple(markets),
    )
    for pool, group in enumerate(groups, 1):
        yield from _open_group(world, pool, group)
    for market in markets:
        yield from supply(market, OPERATOR, market.listing.supply)
    return world


def set_price(world: VenusWorld, market: VenusMarket, price: int) -> Recipe[None]:
    """Let the oracle say `price` for the token of a market."""
    yield from send(OPERATOR, world.oracle.call("setUnderlyingPrice", _hex(market.vtoken.address), price))


def supply(market: VenusMarket, account: Address, amount: int) -> Recipe[None]:
    """Let `account`, who has `amount` of the market's token, supply it."""
    if not amount:
        return
    if market.listing.token is None:
        yield from send(account, market.vtoken.call("mint", value_wei=amount), gas_limit=SET_UP_GAS)
        return
    token = Contract(artifact("Token"), market.listing.token)
    yield from send(
        account,
        token.call("approve", _hex(market.vtoken.address), UNLIMITED),
        market.vtoken.call("mint", amount),
        gas_limit=SET_UP_GAS,
    )


def _hex(address: Address) -> str:
    return "0x" + address.hex()


def _percent(value: int) -> int:
    return value * MANTISSA // 100


def _deploy_comptroller() -> Recipe[tuple[Contract, Contract, Contract]]:
    proxy: Contract = yield from deploy(artifact("Unitroller"))
    diamond: Contract = yield from deploy(artifact("Diamond"))
    yield from send(DEPLOYER, proxy.call("_setPendingImplementation", _hex(diamond.address)))
    yield from send(DEPLOYER, diamond.call("_become", _hex(proxy.address)))
    cuts, known = [], set(_selectors(diamond.artifact))
    for name in FACETS:
        facet: Contract = yield from deploy(artifact(name))
        added = [each for each in _selectors(facet.artifact) if each not in known]
        known.update(added)
        cuts.append((_hex(facet.address), 0, added))
    there = Contract(diamond.artifact, proxy.address)
    yield from send(DEPLOYER, there.call("diamondCut", cuts), gas_limit=15_000_000)
    market, policy, setter = (Contract(artifact(name), proxy.address) for name in FACETS)
    return market, policy, setter


def _selectors(code: Artifact) -> list[bytes]:
    functions = (item for item in code.abi if item["type"] == "function")
    return [
        selector(f"{item['name']}({','.join(_type(each) for each in item['inputs'])})") for item in functions
    ]


def _type(item: dict[str, Any]) -> str:
    kind: str = item["type"]
    if kind.startswith("tuple"):
        return f"({','.join(_type(each) for each in item['components'])}){kind.removeprefix('tuple')}"
    return kind


def _deploy_vai(comptroller: Address, access: Address, income: Address) -> Recipe[tuple[Contract, Contract]]:
    vai: Contract = yield from deploy(artifact("VAI"), CHAIN_ID)
    proxy: Contract = yield from deploy(artifact("VAIUnitroller"))
    code: Contract = yield from deploy(artifact("VAIController"))
    yield from send(DEPLOYER, proxy.call("_setPendingImplementation", _hex(code.address)))
    yield from send(DEPLOYER, code.call("_become", _hex(proxy.address)))
    controller = Contract(code.artifact, proxy.address)
    yield from send(
        DEPLOYER,
        controller.call("_setComptroller", _hex(comptroller)),
        controller.call("initialize"),
        controller.call("setVAIToken", _hex(vai.address)),
        controller.call("setAccessControl", _hex(access)),
        controller.call("setReceiver", _hex(income)),
        controller.call("setBaseRate", _percent(3)),
        vai.call("rely", _hex(controller.address)),
    )
    return vai, controller


def _configure(
    facets: tuple[Contract, Contract, Contract], oracle: Contract, access: Address, vai_controller: Address
) -> Recipe[None]:
    lens: Contract = yield from deploy(artifact("ComptrollerLens"))
    setter = facets[2]
    yield from send(
        DEPLOYER,
        setter.call("_setAccessControl", _hex(access)),
        setter.call("_setComptrollerLens", _hex(lens.address)),
        setter.call("_setPriceOracle", _hex(oracle.address)),
        setter.call("_setCloseFactor", CLOSE_FACTOR),
        setter.call("_setVAIController", _hex(vai_controller)),
        setter.call("_setVAIMintRate", 10_000),
    )


def _rate_model(listing: Listing) -> Recipe[Contract]:
    base, slope, jump = (_percent(each) for each in (listing.base_rate, listing.slope, listing.jump))
    kink = _percent(80)
    arguments = {
        "JumpRateModel": (base, slope, jump, kink, BLOCKS_PER_YEAR),
        "WhitePaperInterestRateModel": (base, slope, BLOCKS_PER_YEAR),
        "TwoKinksInterestRateModel": (base, slope, kink // 2, 2 * slope, base, kink, jump, BLOCKS_PER_YEAR),
    }
    made: Contract = yield from deploy(artifact(listing.model), *arguments[listing.model])
    return made


def _deploy_market(listing: Listing, comptroller: Address, code: Address) -> Recipe[Contract]:
    model = yield from _rate_model(listing)
    # One vToken starts as a fiftieth of a token.
    rate = MANTISSA * 10**listing.decimals // 10**VTOKEN_DECIMALS // 50
    names = (f"Venus {listing.symbol}", f"v{listing.symbol}", VTOKEN_DECIMALS)
    if listing.token is None:
        native: Contract = yield from deploy(
            artifact("VBNB"), _hex(comptroller), _hex(model.address), rate, *names, _hex(DEPLOYER)
        )
        return native
    made: Contract = yield from deploy(
        artifact("VBep20Delegator"),
        _hex(listing.token),
        _hex(comptroller),
        _hex(model.address),
        rate,
        *names,
        _hex(DEPLOYER),
        _hex(code),
        b"",
    )
    return Contract(artifact("VBep20Delegate"), made.address)


def _list(
    market: VenusMarket,
    facets: tuple[Contract, Contract, Contract],
    oracle: Contract,
    access: Address,
    income: Address,
) -> Recipe[None]:
    listing, vtoken, setter = market.listing, market.vtoken, facets[2]
    at = _hex(vtoken.address)
    if listing.token is None:
        yield from send(OPERATOR, oracle.call("setDirectPrice", NATIVE_TOKEN, MANTISSA))
    else:
        yield from send(OPERATOR, oracle.call("setUnderlyingPrice", at, listing.price))
    yield from send(
        DEPLOYER,
        vtoken.call("setAccessControlManager", _hex(access)),
        vtoken.call("setProtocolShareReserve", _hex(income)),
        vtoken.call("_setReserveFactor", _percent(listing.reserve_factor)),
        facets[0].call("_supportMarket", at),
        setter.call("_setMarketSupplyCaps", [at], [UNLIMITED]),
        setter.call("_setMarketBorrowCaps", [at], [UNLIMITED]),
        setter.call("setIsBorrowAllowed", 0, at, True),
        setter.call("setLiquidationIncentive", at, _percent(listing.incentive)),
        setter.call(
            "setCollateralFactor", at, _percent(listing.collateral_factor), _percent(listing.threshold)
        ),
        gas_limit=CALL_GAS,
    )


def _bound_prices(setter: Contract, oracle: Contract, native: Address, vai: Address) -> Recipe[None]:
    """Value borrowing power by the oracle's own prices: no token of the bounded oracle is bounded."""
    bounded: Contract = yield from deploy(
        artifact("DeviationBoundedOracle"), _hex(oracle.address), _hex(native), _hex(vai)
    )
    yield from send(DEPLOYER, setter.call("setDeviationBoundedOracle", _hex(bounded.address)))


def _deploy_liquidator(
    setter: Contract, native: Address, access: Address, income: Address
) -> Recipe[Contract]:
    code: Contract = yield from deploy(
        artifact("Liquidator"), _hex(setter.address), _hex(native), _hex(income)
    )
    start = code.artifact.encode("initialize", MANTISSA // 2, _hex(access), _hex(income))
    proxy: Contract = yield from deploy(artifact("ERC1967Proxy"), _hex(code.address), start)
    liquidator = Contract(code.artifact, proxy.address)
    yield from send(
        DEPLOYER,
        liquidator.call("setPendingRedeemChunkLength", 5),
        liquidator.call("setMinLiquidatableVAI", 1_000 * MANTISSA),
        liquidator.call("resumeForceVAILiquidate"),
        setter.call("_setLiquidatorContract", _hex(liquidator.address)),
    )
    return liquidator


def _open_group(world: VenusWorld, pool: int, group: EMode) -> Recipe[None]:
    facet, setter = world.market_facet, world.setter_facet
    ats = [_hex(world.market(symbol).vtoken.address) for symbol in group.symbols]
    yield from send(
        DEPLOYER,
        facet.call("createPool", group.label),
        facet.call("addPoolMarkets", [pool] * len(ats), ats),
        gas_limit=SET_UP_GAS,
    )
    for at in ats:
        yield from send(
            DEPLOYER,
            setter.call("setIsBorrowAllowed", pool, at, True),
            setter.call("setLiquidationIncentive", pool, at, _percent(group.incentive)),
            setter.call(
                "setCollateralFactor", pool, at, _percent(group.collateral_factor), _percent(group.threshold)
            ),
        )
    if group.falls_back:
        yield from send(DEPLOYER, setter.call("setAllowCorePoolFallback", pool, True))


def liquidity_of(world: VenusWorld, account: Address) -> Recipe[tuple[int, int]]:
    """Return what `account` has above its liquidation thresholds, and below, in 1e-18 of a dollar."""
    error, above, below = yield from read(world.policy_facet, "getAccountLiquidity", _hex(account))
    if error:
        raise LookupError(f"the comptroller has no liquidity of {_hex(account)}: error {error}")
    return above, below
