"""What stands in the world of `lending_ground`: three places to borrow, and some odd tokens and oracles.

No traders, no competitor: whatever happens is what a test does. Everybody starts healthy.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import AaveMarket, AaveVersion, Listing, deploy_aave, deploy_sentinel
from tallyio.lab.lending.facts import LendingFacts, MorphoPair
from tallyio.lab.lending.feeds import Feed
from tallyio.lab.lending.morpho import Morpho, MorphoMarket, create_market, deploy_morpho, lend
from tallyio.lab.lending.venus import Listing as VenusListing
from tallyio.lab.lending.venus import VenusWorld, deploy_venus
from tallyio.lab.recipe import DECIMALS, USD_PRICES, build_world, units
from tallyio.lab.steps import Recipe, deploy, read, send
from tallyio.lab.world import DEPLOYER, OPERATOR, World
from tallyio.model.erc20 import approve, transfer
from tallyio.model.market import Token
from tallyio.model.units import ZERO_ADDRESS, Address
from tests.fault.odd_contracts import EXPIRING, FORGETFUL, TAXED, compiled

DOLLAR: Final = 10**8
GAS: Final = 900_000
POOL_GAS: Final = 6_000_000
GRACE_SECONDS: Final = 60
LLTV: Final = 86 * 10**16
MORPHO_SCALE: Final = 10**36
SUPPLY_USD: Final = 2_000_000
SCARCE: Final = 1_400 * 10**18
"""What Aave has of GEM, a token of a dollar that only one other pool knows."""
AAVE_SYMBOLS: Final = ("WETH", "USDC", "WBTC")
VENUS_SYMBOLS: Final = ("WETH", "USDC", "USDT")


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the world."""

    aave: AaveMarket
    sequencer: Feed
    """Behind the pool's sentinel."""
    morpho: Morpho
    forgetful: Contract
    """The oracle of `markets[0]`."""
    constant: Contract
    """The oracle of `markets[1]`, whose price stays fresh."""
    markets: tuple[MorphoMarket, MorphoMarket]
    """WETH secures USDC, and the taxed token does."""
    venus: VenusWorld
    expiring: Contract
    """The oracle of Venus."""
    taxed: Contract
    gem: Contract


def build_ground(found: list[Places]) -> Recipe[World]:
    """Build the world, and put what stands there besides into `found`."""
    world = yield from build_world()
    tokens = {symbol: token.address for symbol, token in world.tokens.items()}
    gem = yield from deploy(artifact("Token"), "Gem", "GEM", 18)
    taxed = yield from deploy(compiled(TAXED))
    yield from _pair(world, gem, units("WETH", SUPPLY_USD), SUPPLY_USD * 10**18)
    yield from _pair(world, taxed, units("WETH", SUPPLY_USD), SUPPLY_USD * 10**18)
    aave, sequencer = yield from _aave(tokens, gem)
    forgetful = yield from deploy(compiled(FORGETFUL))
    constant = yield from deploy(compiled(FORGETFUL))
    morpho, markets = yield from _morpho(tokens, taxed, [forgetful, constant])
    venus, expiring = yield from _venus(tokens)
    places = Places(
        aave=aave,
        sequencer=sequencer,
        morpho=morpho,
        forgetful=forgetful,
        constant=constant,
        markets=markets,
        venus=venus,
        expiring=expiring,
        taxed=taxed,
        gem=gem,
    )
    found.append(places)
    odd = {"GEM": Token(address=gem.address, symbol="GEM", decimals=18)}
    odd["TAXD"] = Token(address=taxed.address, symbol="TAXD", decimals=18)
    return msgspec.structs.replace(world, tokens=world.tokens | odd, lending=_facts(places))


def _pair(world: World, token: Contract, ether: int, amount: int) -> Recipe[None]:
    """Open a pool of `token` and WETH, with what arrives of both."""
    factory = Contract(artifact("UniswapV2Factory"), world.v2["v2a"].factory)
    weth = world.weth
    create = factory.call("createPair", token.address, weth)
    yield from send(OPERATOR, create, token.call("mint", OPERATOR, 10 * amount), gas_limit=POOL_GAS)
    (pair,) = yield from read(factory, "getPair", token.address, weth)
    minted = Contract(artifact("UniswapV2Pair"), pair).call("mint", OPERATOR)
    yield from send(OPERATOR, transfer(token.address, pair, amount), transfer(weth, pair, ether), minted)


def _aave(tokens: dict[str, Address], gem: Contract) -> Recipe[tuple[AaveMarket, Feed]]:
    listings = [
        Listing(
            symbol=symbol,
            token=tokens[symbol],
            decimals=DECIMALS[symbol],
            price=USD_PRICES[symbol] * DOLLAR,
        )
        for symbol in AAVE_SYMBOLS
    ]
    listings.append(Listing(symbol="GEM", token=gem.address, decimals=18, price=DOLLAR))
    market = yield from deploy_aave(AaveVersion.V3_6, listings)
    sequencer = yield from deploy_sentinel(market, grace_seconds=GRACE_SECONDS)
    for listing in listings:
        amount = SCARCE if listing.symbol == "GEM" else units(listing.symbol, SUPPLY_USD)
        pool = market.pool
        calls = (
            approve(listing.token, pool.address, amount),
            pool.call("supply", listing.token, amount, OPERATOR, 0),
        )
        yield from send(OPERATOR, *calls, gas_limit=GAS)
    return market, sequencer


def _morpho(
    tokens: dict[str, Address], taxed: Contract, oracles: list[Contract]
) -> Recipe[tuple[Morpho, tuple[MorphoMarket, MorphoMarket]]]:
    morpho = yield from deploy_morpho([LLTV])
    prices = (2_500 * MORPHO_SCALE // 10**12, MORPHO_SCALE // 10**12)
    markets = []
    for oracle, price, secured in zip(oracles, prices, (tokens["WETH"], taxed.address), strict=True):
        yield from send(OPERATOR, oracle.call("post", price, 0))
        market = MorphoMarket(tokens["USDC"], secured, oracle.address, morpho.rate.address, LLTV)
        yield from create_market(morpho, market)
        yield from lend(morpho, market, OPERATOR, units("USDC", SUPPLY_USD))
        markets.append(market)
    return morpho, (markets[0], markets[1])


def _venus(tokens: dict[str, Address]) -> Recipe[tuple[VenusWorld, Contract]]:
    listings = [VenusListing(symbol="BNB", token=None, price=10**18)]
    listings += [
        VenusListing(
            symbol=symbol,
            token=tokens[symbol],
            decimals=DECIMALS[symbol],
            price=USD_PRICES[symbol] * 10 ** (36 - DECIMALS[symbol]),
            supply=units(symbol, SUPPLY_USD),
        )
        for symbol in VENUS_SYMBOLS
    ]
    venus = yield from deploy_venus(listings)
    expiring = yield from deploy(compiled(EXPIRING), venus.oracle.address)
    yield from send(DEPLOYER, venus.setter_facet.call("_setPriceOracle", expiring.address))
    return venus, expiring


def _facts(places: Places) -> LendingFacts:
    return LendingFacts(
        feeds={symbol: feed.aggregator.address for symbol, feed in places.aave.feeds.items()},
        aave_provider=places.aave.provider.address,
        aave_pool=places.aave.pool.address,
        morpho=places.morpho.contract.address,
        vault=ZERO_ADDRESS,
        pairs=tuple(MorphoPair(id=each.id, collateral="", debt="USDC") for each in places.markets),
        venus_comptroller=places.venus.comptroller,
        venus_oracle=places.venus.oracle.address,
        vtokens={},
        borrowers=(),
        competitor=ZERO_ADDRESS,
    )
