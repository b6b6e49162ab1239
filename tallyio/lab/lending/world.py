"""A lending world on top of the lab's pools: three protocols, one set of feeds, borrowers of many shapes.

Layer: lab. Everybody starts healthy; the feeds' seeded prices (`moves`) push some under water.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final, NamedTuple

import msgspec

from tallyio.lab.lending.aave import AaveMarket, AaveVersion, deploy_aave
from tallyio.lab.lending.aave import Listing as AaveListing
from tallyio.lab.lending.balancer import deploy_vault
from tallyio.lab.lending.facts import Borrower, LendingFacts, MorphoPair, Place
from tallyio.lab.lending.feeds import Feed
from tallyio.lab.lending.morpho import (
    Morpho,
    MorphoMarket,
    create_market,
    deploy_feed_oracle,
    deploy_morpho,
    lend,
)
from tallyio.lab.lending.venus import Listing as VenusListing
from tallyio.lab.lending.venus import VenusWorld, deploy_venus
from tallyio.lab.recipe import DECIMALS, UNLIMITED, USD_PRICES, build_world, units
from tallyio.lab.steps import BLOCK_GAS_LIMIT, Recipe, Send, Transaction, send
from tallyio.lab.world import OPERATOR, World, account
from tallyio.model.erc20 import approve, transfer
from tallyio.model.execution import Call
from tallyio.model.units import ZERO_ADDRESS, Address, Wei

PRICE_UNIT: Final = 10**8
COMPETITOR: Final = account("competitor")

AAVE_SYMBOLS: Final = ("WETH", "USDC", "DAI", "WBTC", "LINK")
VENUS_SYMBOLS: Final = ("WETH", "USDC", "USDT", "WBTC")
MORPHO_PAIRS: Final = (("WETH", "USDC", 860), ("WBTC", "WETH", 860), ("LINK", "USDC", 770))
"""Collateral, loan, and the loan-to-value at which a market liquidates, in thousandths."""

SUPPLY_USD: Final = 5_000_000
"""What the operator lends of each token in each place."""

SCARCE: Final = "DAI"
SPARE_USD: Final = 20_000
"""Of that token Aave has so much left to lend for the length of a call: large loans are pools' business."""

VAULT_SYMBOLS: Final = ("DAI", "USDT")
VAULT_USD: Final = 8_000
"""What Balancer's Vault holds of each: enough for small loans, for which nobody is cheaper."""

BORROWERS: Final[Mapping[Place, int]] = {"aave": 120, "morpho": 50, "venus": 80}
GAS_MONEY: Final = Wei(10**18)
DOLLARS_PERCENT: Final = 70
SMALLEST_USD: Final = 3_000
LARGEST_USD: Final = 120_000
LOAN_TO_VALUE: Final = 750
"""Thousandths of the collateral's value that Aave and Venus lend; Morpho's are those of its markets."""
VARIABLE: Final = 2
"""Aave's number of the variable rate."""

APPROVE_GAS: Final = 80_000
CALL_GAS: Final = 900_000


class _Loan(NamedTuple):
    """What one borrower does, in smallest units."""

    borrower: Borrower
    secured: int
    owed: int


class _Places(NamedTuple):
    """The protocols as they were deployed."""

    aave: AaveMarket
    morpho: Morpho
    markets: tuple[MorphoMarket, ...]
    venus: VenusWorld


def build_lending_world(seed: int) -> Recipe[World]:
    """Deploy the pools, the protocols and the borrowers of `seed`; return what stands where."""
    world = yield from build_world()
    aave = yield from deploy_aave(AaveVersion.V3_0, [_aave_listing(world, each) for each in AAVE_SYMBOLS])
    morpho, markets = yield from _morpho(world, aave.feeds)
    venus = yield from deploy_venus([_native(), *(_venus_listing(world, each) for each in VENUS_SYMBOLS)])
    places = _Places(aave, morpho, markets, venus)
    vault = yield from deploy_vault(
        world.weth,
        {_token(world, symbol): units(symbol, VAULT_USD) for symbol in VAULT_SYMBOLS},
    )
    loans = list(_loans(Random(f"tallyio lab borrowers {seed}")))
    yield from _supply(world, places, loans)
    yield from _open(world, places, loans)
    yield from _arm_competitor(world, aave)
    return msgspec.structs.replace(world, lending=_facts(places, vault.address, loans))


def _aave_listing(world: World, symbol: str) -> AaveListing:
    price = USD_PRICES[symbol] * PRICE_UNIT
    return AaveListing(
        symbol=symbol, token=world.tokens[symbol].address, decimals=DECIMALS[symbol], price=price
    )


def _venus_listing(world: World, symbol: str) -> VenusListing:
    return VenusListing(
        symbol=symbol,
        token=world.tokens[symbol].address,
        decimals=DECIMALS[symbol],
        price=venus_price(symbol, USD_PRICES[symbol] * PRICE_UNIT),
        supply=units(symbol, SUPPLY_USD),
    )


def _native() -> VenusListing:
    return VenusListing(symbol="BNB", token=None, price=10**18)


def venus_price(symbol: str, answer: int) -> int:
    """Return a feed's answer, in 1e-8, as Venus's oracle has it: for a smallest unit, in 1e-36."""
    return int(answer * 10 ** (36 - DECIMALS[symbol]) // PRICE_UNIT)


def _morpho(world: World, feeds: Mapping[str, Feed]) -> Recipe[tuple[Morpho, tuple[MorphoMarket, ...]]]:
    morpho = yield from deploy_morpho(sorted({lltv * 10**15 for _, _, lltv in MORPHO_PAIRS}))
    markets = []
    for collateral, loan, lltv in MORPHO_PAIRS:
        sources = [feeds[collateral].proxy.address, ZERO_ADDRESS, feeds[loan].proxy.address, ZERO_ADDRESS]
        oracle = yield from deploy_feed_oracle(sources, 10 ** (36 + DECIMALS[loan] - DECIMALS[collateral]))
        market = MorphoMarket(
            world.tokens[loan].address,
            world.tokens[collateral].address,
            oracle.address,
            morpho.rate.address,
            lltv * 10**15,
        )
        markets.append((yield from create_market(morpho, market)))
    return morpho, tuple(markets)


def _supply(world: World, places: _Places, loans: Sequence[_Loan]) -> Recipe[None]:
    """Let the operator lend in Aave and Morpho; in Venus the listings did."""
    pool = places.aave.pool
    for symbol in AAVE_SYMBOLS:
        token = world.tokens[symbol].address
        amount = _scarce(symbol, loans) if symbol == SCARCE else units(symbol, SUPPLY_USD)
        calls = (approve(token, pool.address, amount), pool.call("supply", token, amount, OPERATOR, 0))
        yield from send(OPERATOR, *calls, gas_limit=CALL_GAS)
    for market, (_, loan, _) in zip(places.markets, MORPHO_PAIRS, strict=True):
        yield from lend(places.morpho, market, OPERATOR, units(loan, SUPPLY_USD))


def _scarce(symbol: str, loans: Sequence[_Loan]) -> int:
    """Return with how much of a token Aave has `SPARE_USD` left when everybody has borrowed."""
    there = [loan for loan in loans if loan.borrower.place == "aave"]
    owed = sum(loan.owed for loan in there if loan.borrower.debt == symbol)
    secured = sum(loan.secured for loan in there if loan.borrower.collateral == symbol)
    return max(owed - secured, 0) + units(symbol, SPARE_USD)


def _loans(rng: Random) -> Iterator[_Loan]:
    for place, count in BORROWERS.items():
        for number in range(count):
            yield _loan(rng, place, number)


def _loan(rng: Random, place: Place, number: int) -> _Loan:
    if place == "morpho":
        collateral, debt, most = MORPHO_PAIRS[number % len(MORPHO_PAIRS)]
    else:
        collateral, debt = _pair(rng, AAVE_SYMBOLS if place == "aave" else VENUS_SYMBOLS)
        most = LOAN_TO_VALUE
    usd = int(SMALLEST_USD * (LARGEST_USD / SMALLEST_USD) ** rng.random())
    share = rng.randrange(most * 85 // 100, most - 5)
    borrower = Borrower(
        account=account(f"{place} borrower {number}"), place=place, collateral=collateral, debt=debt
    )
    return _Loan(borrower, units(collateral, usd), units(debt, usd) * share // 1_000)


def _pair(rng: Random, symbols: Sequence[str]) -> tuple[str, str]:
    """Return collateral and debt: mostly dollars borrowed against something else, as people do."""
    if rng.randrange(100) < DOLLARS_PERCENT:
        dollars = [symbol for symbol in symbols if USD_PRICES[symbol] == 1]
        return rng.choice([symbol for symbol in symbols if symbol not in dollars]), rng.choice(dollars)
    collateral, debt = rng.sample(symbols, 2)
    return collateral, debt


def _open(world: World, places: _Places, loans: Sequence[_Loan]) -> Recipe[None]:
    """Let everybody deposit and borrow, many in a block."""
    gas = [
        Transaction(
            sender=OPERATOR,
            call=Call(to=loan.borrower.account, data=b"", value_wei=GAS_MONEY),
            gas_limit=21_000,
        )
        for loan in loans
    ]
    tokens = [
        Transaction(
            sender=OPERATOR,
            call=transfer(_token(world, loan.borrower.collateral), loan.borrower.account, loan.secured),
            gas_limit=APPROVE_GAS,
        )
        for loan in loans
    ]
    yield from _in_blocks([*gas, *tokens])
    steps = [_steps(world, places, loan) for loan in loans]
    for step in range(max(map(len, steps))):
        yield from _in_blocks([each[step] for each in steps if step < len(each)])


def _steps(world: World, places: _Places, loan: _Loan) -> list[Transaction]:
    """Return what a borrower does, one transaction after the other."""
    calls = {"aave": _aave_calls, "morpho": _morpho_calls, "venus": _venus_calls}[loan.borrower.place]
    return [
        Transaction(sender=loan.borrower.account, call=call, gas_limit=CALL_GAS if place else APPROVE_GAS)
        for place, call in enumerate(calls(world, places, loan))
    ]


def _aave_calls(world: World, places: _Places, loan: _Loan) -> list[Call]:
    pool, owner = places.aave.pool, loan.borrower.account
    secured, owed = (_token(world, symbol) for symbol in (loan.borrower.collateral, loan.borrower.debt))
    return [
        approve(secured, pool.address, loan.secured),
        pool.call("supply", secured, loan.secured, owner, 0),
        pool.call("borrow", owed, loan.owed, VARIABLE, 0, owner),
    ]


def _morpho_calls(world: World, places: _Places, loan: _Loan) -> list[Call]:
    contract, owner = places.morpho.contract, loan.borrower.account
    market = next(
        market
        for market, (collateral, debt, _) in zip(places.markets, MORPHO_PAIRS, strict=True)
        if (collateral, debt) == (loan.borrower.collateral, loan.borrower.debt)
    )
    return [
        approve(_token(world, loan.borrower.collateral), contract.address, loan.secured),
        contract.call("supplyCollateral", market.parameters, loan.secured, owner, b""),
        contract.call("borrow", market.parameters, loan.owed, 0, owner, owner),
    ]


def _venus_calls(world: World, places: _Places, loan: _Loan) -> list[Call]:
    secured, owed = (
        places.venus.market(symbol).vtoken for symbol in (loan.borrower.collateral, loan.borrower.debt)
    )
    return [
        approve(_token(world, loan.borrower.collateral), secured.address, loan.secured),
        secured.call("mint", loan.secured),
        places.venus.market_facet.call("enterMarkets", [secured.address]),
        owed.call("borrow", loan.owed),
    ]


def _arm_competitor(world: World, aave: AaveMarket) -> Recipe[None]:
    money = Call(to=COMPETITOR, data=b"", value_wei=Wei(100 * GAS_MONEY))
    yield from send(OPERATOR, money)
    for symbol in AAVE_SYMBOLS:
        token = _token(world, symbol)
        yield from send(OPERATOR, transfer(token, COMPETITOR, units(symbol, SUPPLY_USD)))
        yield from send(COMPETITOR, approve(token, aave.pool.address, UNLIMITED))


def _in_blocks(transactions: Iterable[Transaction]) -> Recipe[None]:
    """Send the transactions, as many in a block as its gas allows."""
    block: list[Transaction] = []
    for transaction in transactions:
        if sum(each.gas_limit for each in block) + transaction.gas_limit > BLOCK_GAS_LIMIT:
            yield Send(tuple(block))
            block = []
        block.append(transaction)
    yield Send(tuple(block))


def _token(world: World, symbol: str) -> Address:
    return world.tokens[symbol].address


def _facts(places: _Places, vault: Address, loans: Sequence[_Loan]) -> LendingFacts:
    feeds = places.aave.feeds
    return LendingFacts(
        feeds={symbol: feed.aggregator.address for symbol, feed in feeds.items()},
        aave_provider=places.aave.provider.address,
        aave_pool=places.aave.pool.address,
        morpho=places.morpho.contract.address,
        vault=vault,
        pairs=tuple(
            MorphoPair(id=market.id, collateral=collateral, debt=debt)
            for market, (collateral, debt, _) in zip(places.markets, MORPHO_PAIRS, strict=True)
        ),
        venus_comptroller=places.venus.comptroller,
        venus_oracle=places.venus.oracle.address,
        vtokens={symbol: places.venus.market(symbol).vtoken.address for symbol in VENUS_SYMBOLS},
        borrowers=tuple(loan.borrower for loan in loans),
        competitor=COMPETITOR,
    )
