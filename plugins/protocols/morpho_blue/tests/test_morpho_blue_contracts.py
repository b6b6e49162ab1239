"""The adapter against real contracts: books that follow the chain, and liquidations and loans that land."""

from __future__ import annotations

import random
from collections import Counter

import msgspec
import pytest
from tallyio_protocol_morpho_blue.adapter import MorphoBlue
from tallyio_protocol_morpho_blue.layout import Irm, unpack_row
from tallyio_protocol_morpho_blue.venues import DEPLOYMENTS

from tallyio.engine.books import load_books
from tallyio.engine.trades import Lending
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.morpho import (
    Morpho,
    MorphoMarket,
    create_market,
    deploy_morpho,
    deploy_set_oracle,
    lend,
    morpho_artifacts,
    open_position,
)
from tallyio.lab.steps import BLOCK_SECONDS, Reverted
from tallyio.lab.world import OPERATOR
from tallyio.lending import abi
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.model.erc20 import approve, balance_of
from tallyio.model.errors import ChainError, ConfigError
from tallyio.model.execution import Borrowing, Call, Leg, Liquidation, Opportunity
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.testing import RevmChain
from tests.engine.practice import OWNER, Practice
from tests.morpho_world import (
    ETH_PRICE,
    FEED_SCALE,
    FEED_UNIT,
    LLTV,
    LLTVS,
    USDC,
    WETH,
    World,
    adapter_of,
    open_book,
)

NOBODY = PositionKey(ZERO_ADDRESS)


@pytest.fixture(scope="module")
def fused() -> FusedLending:
    """Return this plugin's functions, fused once."""
    return fuse_lending([("morpho_blue", adapter_of(ZERO_ADDRESS).compiled)])


def acts(
    world: World, market: MorphoMarket, trader: Address, weak: Address, draw: random.Random
) -> dict[str, Call]:
    """Return what a trader may do in a market, where `weak` may be liquidated; most of it works."""
    call, some = world.contract.call, draw.randrange(1, 10**4) * USDC + draw.randrange(USDC)
    of, eth = market.parameters, draw.randrange(1, 10) * WETH + draw.randrange(10**9)
    return {
        "supply": call("supply", of, some, 0, trader, b""),
        "withdraw": call("withdraw", of, some // 2, 0, OPERATOR, OPERATOR),
        "borrow": call("borrow", of, some, 0, trader, trader),
        "borrow shares": call("borrow", of, 0, some * 10**6, trader, trader),
        "repay": call("repay", of, some // 3, 0, trader, b""),
        "repay shares": call("repay", of, 0, some * 10**5, trader, b""),
        "add collateral": call("supplyCollateral", of, eth, trader, b""),
        "take collateral": call("withdrawCollateral", of, eth // 3, trader, trader),
        "accrue": call("accrueInterest", of),
        "set fee": call("setFee", of, draw.randrange(25) * 10**16),
        "liquidate": call("liquidate", of, weak, eth // 7, 0, b""),
        "liquidate shares": call("liquidate", of, weak, 0, some * 10**5, b""),
    }


@pytest.mark.parametrize("kinds", ["followed", "all"])
async def test_a_book_that_follows_events_is_what_a_fresh_load_is(fused: FusedLending, kinds: str) -> None:
    """Through hundreds of actions of all kinds, price moves and reorgs; feeds and rates need no reload."""
    world, draw, seen = World(), random.Random(5), Counter[str]()
    markets = world.followed if kinds == "followed" else [*world.followed, *world.others]
    followed = await open_book(world, world.adapter(*markets), fused)
    assert followed.adapter.polls(followed.spec) == (kinds == "all")
    for market in markets:
        for trader in world.world.traders:
            debt = draw.randrange(9_000, 15_000) * USDC
            recipe = open_position(world.morpho, market, trader, collateral=8 * WETH, borrow=debt)
            head = world.latest
            world.backend.run(recipe)
            for block in world.blocks_after(head):
                await followed.follow(block)
    for block in world.allow_all():
        await followed.follow(block)
    for number in range(140):
        weak = draw.choice(followed.book.at_risk(world.latest.timestamp + BLOCK_SECONDS, 0) or [NOBODY])
        trader, market = draw.choice(world.world.traders), draw.choice(markets)
        market = markets[weak.part] if weak != NOBODY and draw.random() < 0.5 else market
        name, call = draw.choice(sorted(acts(world, market, trader, weak.account, draw).items()))
        if number % 9 == 0:
            name, answer = "price", draw.randrange(1_500, 3_500) * FEED_UNIT + draw.randrange(99)
            block = world.post(world.eth, answer)
            if kinds == "all":
                await followed.follow(block)
                block = world.block_of(
                    world.set_oracle.call("setPrice", ETH_PRICE * answer // (2_500 * FEED_UNIT))
                )
        else:
            try:
                block = world.block_of(call, sender=OPERATOR if name in {"set fee", "withdraw"} else trader)
            except Reverted:
                block, name = world.block(world.backend.number), "reverted"
        seen[name] += 1
        was = await followed.follow(block)
        assert kinds == "all" or not was, name
        await followed.check()
        if name not in {"price", "reverted"} and draw.random() < 0.2:
            followed.book.roll_back([block.head.hash])
            await followed.follow(block)
            await followed.check()
    head = world.latest
    keys = set(await followed.adapter.accounts(world, followed.spec, block=head))
    assert keys == {
        PositionKey(trader, part) for trader in world.world.traders for part in range(len(markets))
    }
    print(f"\nMorpho Blue, {kinds}: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    assert len(seen) == len(acts(world, market, trader, trader, draw)) + 2, seen


async def test_the_kinds_of_markets_are_told_apart(fused: FusedLending) -> None:
    world = World()
    followed = await open_book(world, world.adapter(), fused)
    rows = [unpack_row(followed.book.reserve(k)) for k in range(len(followed.spec.reserves))]
    assert [row.irm for row in rows] == [Irm.ADAPTIVE] * 3 + [Irm.NONE, Irm.FIXED]
    assert [row.scale for row in rows] == [FEED_SCALE, FEED_SCALE, 0, FEED_SCALE, FEED_SCALE]
    assert {row.price for row in rows} == {ETH_PRICE}
    emitters = {source.address for source in followed.spec.log_sources}
    assert {world.eth.aggregator.address, world.usd.aggregator.address} < emitters
    idle = MorphoMarket(world.usdc, ZERO_ADDRESS, ZERO_ADDRESS, ZERO_ADDRESS, LLTV)
    block = world.block_of(world.contract.call("createMarket", idle.parameters))
    edit = followed.book.change(block.head)
    (log,) = block.logs
    followed.adapter.follow(edit, followed.spec, followed.adapter.topics.index(log.topics[0]), log)
    assert edit.wanted.rebuild
    (again,) = await followed.adapter.discover(world, block=world.latest)
    assert again.reserves == followed.spec.reserves


async def test_a_feed_that_fails_leaves_no_price_until_it_answers(fused: FusedLending) -> None:
    world = World()
    market = world.followed[0]
    world.backend.run(open_position(world.morpho, market, OPERATOR, collateral=WETH, borrow=2_000 * USDC))
    followed = await open_book(world, world.adapter(market), fused)
    assert await followed.follow(world.post(world.eth, -1))
    await followed.check()
    key = PositionKey(OPERATOR)
    soon = world.latest.timestamp + BLOCK_SECONDS
    assert followed.book.health(key, soon, 0).status == abi.UNKNOWN
    assert followed.book.liquidate(key, collateral=0, debt=0, time=soon, number=0).verdict == abi.NO_PRICE
    assert followed.book.at_risk(soon, 0) == [key]
    assert await followed.follow(world.post(world.eth, 2_500 * FEED_UNIT))
    await followed.check()
    assert followed.book.at_risk(soon, 0) == []


async def test_whoever_is_at_risk_is_liquidated_as_predicted(fused: FusedLending) -> None:
    """Without a callback: an allowance, the liquidation, no allowance; amounts as the event tells."""
    world = World()
    market, traders = world.followed[0], world.world.traders
    for k, trader in enumerate(traders):
        debt = (2_140 - 300 * k) * USDC
        world.backend.run(open_position(world.morpho, market, trader, collateral=WETH, borrow=debt))
    followed = await open_book(world, world.adapter(market), fused)
    await followed.follow(world.post(world.eth, 2_300 * FEED_UNIT))
    soon = world.latest.timestamp + BLOCK_SECONDS
    (key,) = followed.book.at_risk(soon, 0)
    assert key.account == traders[0]
    for repay in (700 * USDC, 2**256 - 1):
        soon = world.latest.timestamp + BLOCK_SECONDS
        terms = followed.book.liquidate(key, collateral=0, debt=0, time=soon, number=0, repay=repay)
        assert terms.verdict == abi.LAWFUL
        calls = followed.adapter.liquidate(
            followed.spec,
            key,
            collateral=0,
            debt=0,
            repay=terms.repay,
            offer=terms.repay,
            seize=terms.seize,
            recipient=OPERATOR,
            inner=(),
            encode=lambda _: b"",
        )
        tokens = (world.usdc, world.weth)
        before = [int.from_bytes(world.backend.call(balance_of(token, OPERATOR))) for token in tokens]
        await followed.follow(world.block_of(*calls))
        after = [int.from_bytes(world.backend.call(balance_of(token, OPERATOR))) for token in tokens]
        assert (before[0] - after[0], after[1] - before[1]) == (terms.repay, terms.seize)
        await followed.check()
    coin = Contract(artifact("Token"), world.usdc)
    assert world.backend.read(coin, "allowance", OPERATOR, world.contract.address) == (0,)


async def test_bad_debt_is_written_off_and_shared_by_the_lenders(fused: FusedLending) -> None:
    """All collateral goes and the debt is not paid: what is left of it comes off supply and debt."""
    world = World()
    market, trader = world.followed[0], world.world.traders[0]
    world.backend.run(open_position(world.morpho, market, trader, collateral=WETH, borrow=2_100 * USDC))
    followed = await open_book(world, world.adapter(market), fused)
    await followed.follow(world.post(world.eth, 1_500 * FEED_UNIT))
    key, soon = PositionKey(trader), world.latest.timestamp + BLOCK_SECONDS
    terms = followed.book.liquidate(key, collateral=0, debt=0, time=soon, number=0)
    assert terms.seize == WETH
    assert terms.written_off > 600 * USDC
    before = unpack_row(followed.book.reserve(0))
    call = world.contract.call("liquidate", market.parameters, trader, terms.seize, 0, b"")
    await followed.follow(world.block_of(approve(world.usdc, world.contract.address, terms.repay), call))
    await followed.check()
    after = unpack_row(followed.book.reserve(0))
    interest = after.borrow_assets - (before.borrow_assets - terms.repay - terms.written_off)
    assert before.supply_assets + interest - after.supply_assets == terms.written_off
    assert followed.book.position(key) is None


class MorphoPractice(Practice):
    """The lab's pools and executor, and a market where one position is under water."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = RevmChain(self.lab)
        run = self.backend.run
        self.morpho: Morpho = run(deploy_morpho(LLTVS))
        self.oracle: Contract = run(deploy_set_oracle(ETH_PRICE))
        self.market = MorphoMarket(
            self.token("USDC"), self.token("WETH"), self.oracle.address, self.morpho.rate.address, LLTV
        )
        run(create_market(self.morpho, self.market))
        run(lend(self.morpho, self.market, OPERATOR, 10**6 * USDC))
        self.key = PositionKey(self.world.traders[0])
        run(
            open_position(
                self.morpho, self.market, self.key.account, collateral=4 * WETH, borrow=8_500 * USDC
            )
        )
        self.transact(self.oracle.call("setPrice", ETH_PRICE * 98 // 100))
        self.adapter = adapter_of(self.morpho.contract.address)

    async def liquidation(self, fused: FusedLending) -> tuple[BookSpec, Liquidation]:
        """Return the most profitable liquidation of the next block."""
        head = self.chain.latest
        (spec,) = await self.adapter.discover(self.chain, block=head)
        rows = await self.adapter.load(self.chain, spec, block=head)
        book = Book(fused, 0, spec, rows, self.adapter.compiled, head.hash)
        book.fill(await self.adapter.positions(self.chain, spec, [self.key], block=head))
        soon = head.timestamp + BLOCK_SECONDS
        assert book.at_risk(soon, 0) == [self.key]
        terms = book.liquidate(self.key, collateral=0, debt=0, time=soon, number=0)
        book.close()
        return spec, Liquidation(
            book=0,
            key=self.key,
            collateral=0,
            debt=0,
            amount_in=terms.repay,
            amount_out=terms.seize,
        )

    def found(self, first: Liquidation) -> Opportunity:
        """Return the liquidation and the sale of what it brings."""
        pool = self.find("v3:USDC/WETH:500")
        side = self.pools[pool].tokens.index("WETH")
        paid = self.quote(pool, "WETH", first.amount_out)
        sale = Leg(pool=pool, token_in=side, token_out=1 - side, amount_in=first.amount_out, amount_out=paid)
        return Opportunity(
            id=1,
            strategy="practice",
            block_hash=self.head.hash,
            block_number=self.head.number,
            token=self.token("USDC"),
            legs=(first, sale),
            amount_in=first.amount_in,
            amount_out=paid,
            gas=1,
            net_wei=1.0,
        )


@pytest.mark.parametrize("funds", ["callback", "flash loan"])
async def test_the_executor_liquidates_with_nothing_in_hand(fused: FusedLending, funds: str) -> None:
    """The collateral pays by itself, or a free loan of Morpho's does; predicted is realised."""
    desk = MorphoPractice()
    spec, first = await desk.liquidation(fused)
    found = desk.found(first)
    assert found.profit > 0
    if funds == "flash loan":
        (offer,) = await desk.adapter.loans(desk.chain, {found.token}, block=desk.chain.latest)
        assert (offer.fee(10**30), offer.available) == (0, 10**6 * USDC - 8_500 * USDC)
        loan = Borrowing(offer=offer, amount=found.amount_in, fee=0)
        found = msgspec.structs.replace(found, loan=loan)
    lending = Lending(books=[spec], protocols=[desk.adapter], lenders={spec.address: desk.adapter})
    plan = desk.plan(found, lending=lending)
    assert desk.land(plan) == found.profit
    coin = Contract(artifact("Token"), desk.token("USDC"))
    assert desk.backend.read(coin, "allowance", desk.executor, spec.address) == (0,)
    assert desk.balance("WETH", OWNER) == desk.balance("USDC", desk.executor) == 0


async def test_the_engine_holds_its_books(fused: FusedLending) -> None:
    world = World()
    books = await load_books(world, [("morpho_blue", world.adapter())], head=world.latest)
    market = world.followed[1]
    trader = world.world.traders[2]
    for block in world.allow_all():
        await books.apply(block)
    calls = [
        world.contract.call("supplyCollateral", market.parameters, WETH, trader, b""),
        world.contract.call("borrow", market.parameters, 1_900 * USDC, 0, trader, trader),
    ]
    await books.apply(world.block_of(*calls, sender=trader))
    (held,) = books
    assert not held.is_stale
    assert held.book.keys == [PositionKey(trader, 1)]
    await books.apply(world.post(world.eth, 2_000 * FEED_UNIT))
    assert held.book.at_risk(world.latest.timestamp + 1, 0) == [PositionKey(trader, 1)]
    books.close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "venues"),
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "m"}]}, "neither factory nor preset"),
        ({"venues": [{"name": "m", "preset": "morfo"}]}, "did you mean"),
        ({"venues": [{"name": "m", "preset": "morpho", "markets": ["0x12"]}]}, "64 hex digits"),
        ({"venues": [{"name": "m", "preset": "morpho", "market": []}]}, "unknown key"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        MorphoBlue(settings)


async def test_contracts_that_are_not_morpho_are_refused() -> None:
    world = World()
    unknown = world.adapter()
    (spec,) = await unknown.discover(world, block=world.latest)
    token = adapter_of(world.usdc, markets=["0x" + "11" * 32])
    with pytest.raises(ChainError, match="does not answer as Morpho"):
        await token.discover(world, block=world.latest)
    with pytest.raises(ChainError, match="does not answer as Morpho"):
        await unknown.load(world, msgspec.structs.replace(spec, address=world.usdc), block=world.latest)


def test_the_presets_are_addresses() -> None:
    for preset in DEPLOYMENTS.presets.values():
        assert preset.factories
        for text in preset.factories.values():
            adapter_of(Address(bytes.fromhex(text[2:])))
    assert morpho_artifacts()["Morpho"].bytecode
