"""The adapter finds, follows and liquidates on real contracts: what it says is what they do."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any, Final

import msgspec
import pytest
from tallyio_protocol_venus import rates, state
from tallyio_protocol_venus.adapter import Venus
from tallyio_protocol_venus.layout import unpack_market, unpack_own
from tallyio_protocol_venus.state import MANTISSA

from tallyio.lab import Contract, Reverted
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.venus import EMode, Listing, VenusWorld, deploy_venus, set_price
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.lending import abi
from tallyio.lending.book import AS_MUCH_AS_ALLOWED, Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.lending.undo import Wanted
from tallyio.model.chain import Block
from tallyio.model.errors import ChainError, ConfigError, PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LiquidationTerms, PositionKey
from tallyio.model.units import Address, checksum, hex_text
from tallyio.model.words import unsigned
from tallyio.testing.revm_chain import RevmChain

SYMBOLS: Final = ("DAI", "WBTC", "USDC", "LINK")
DOLLARS: Final = {"DAI": 1, "WBTC": 60_000, "USDC": 1, "LINK": 15}
MODELS: Final = ("JumpRateModel", "TwoKinksInterestRateModel", "WhitePaperInterestRateModel", "JumpRateModel")
DAI, WBTC, USDC, LINK, NATIVE, VAI = range(6)
BLOCKS: Final = 160


class Scene:
    """Venus in the lab, an adapter, and the book it follows."""

    def __init__(self, fused: FusedLending) -> None:
        """Deploy the protocol on the lab's tokens, and give everybody some."""
        self.chain = RevmChain()
        tokens = self.chain.world.tokens
        self.tokens = [Contract(artifact("Token"), tokens[symbol].address) for symbol in SYMBOLS]
        listings = [
            Listing(
                symbol=symbol,
                token=tokens[symbol].address,
                decimals=tokens[symbol].decimals,
                price=DOLLARS[symbol] * 10 ** (36 - tokens[symbol].decimals),
                model=model,
            )
            for symbol, model in zip(SYMBOLS, MODELS, strict=True)
        ]
        listings.append(Listing(symbol="BNB", token=None, price=MANTISSA))
        groups = (EMode(label="dollars", symbols=("DAI", "USDC")),)
        self.venus: VenusWorld = self.chain.backend.run(deploy_venus(listings, groups))
        self.vtokens = [market.vtoken for market in self.venus.markets]
        self.users = self.chain.world.traders
        self._endow()
        venue = {"name": "lab", "comptroller": checksum(self.venus.comptroller)}
        self.adapter = Venus({"venues": [venue]})
        self.fused = fused
        self.spec: BookSpec
        self.book: Book
        self.quiet = 0
        """Blocks whose events were followed without reading rows again."""

    def _endow(self) -> None:
        for token, vtoken in zip(self.tokens, self.vtokens, strict=False):
            for user in (*self.users, OPERATOR):
                self.do(token.call("mint", hex_text(user), 10**27))
                self.do(token.call("approve", hex_text(vtoken.address), 2**256 - 1), user)
            self.do(vtoken.call("mint", 10 ** self._decimals(token)))
            self.do(vtoken.call("mint", 100_000 * 10 ** self._decimals(token)))
        for user in self.users:
            self.do(
                self.venus.vai.call("approve", hex_text(self.venus.vai_controller.address), 2**256 - 1), user
            )

    def _decimals(self, token: Contract) -> int:
        return int(self.chain.backend.read(token, "decimals")[0])

    def do(self, call: Call, sender: Address = OPERATOR) -> Block:
        """Let `sender` make a call in a block of its own."""
        return self.chain.block_of(call, sender=sender)

    def govern(self, contract: Contract, name: str, *args: object) -> None:
        """Let the deployer change something, and follow it."""
        self.do(contract.call(name, *args), DEPLOYER)

    async def open(self) -> None:
        """Discover and load the book."""
        latest = self.chain.latest
        (self.spec,) = await self.adapter.discover(self.chain, block=latest)
        rows = await self.adapter.load(self.chain, self.spec, block=latest)
        self.book = Book(self.fused, 0, self.spec, rows, self.adapter.compiled, latest.hash)
        keys = list(await self.adapter.accounts(self.chain, self.spec, block=latest))
        self.book.fill(await self.adapter.positions(self.chain, self.spec, keys, block=latest))

    def describe(self, number: int, *, without: tuple[str, ...]) -> None:
        """Let a reserve's description lack some parameters."""
        spec = self.spec.reserves[number]
        facts = tuple((name, value) for name, value in spec.parameters if name not in without)
        assert len(facts) < len(spec.parameters)
        reserves = list(self.spec.reserves)
        reserves[number] = msgspec.structs.replace(spec, parameters=facts)
        self.spec = msgspec.structs.replace(self.spec, reserves=tuple(reserves))

    async def follow(self, block: Block) -> Wanted:
        """Follow one block, which is the latest, and read what the adapter asks for."""
        edit = self.book.change(block.head)
        sources = {source.address for source in self.spec.log_sources}
        for log in block.logs:
            if log.address in sources and log.topics[0] in self.adapter.topics:
                self.adapter.follow(edit, self.spec, self.adapter.topics.index(log.topics[0]), log)
        answers = await self.chain.call(self.adapter.questions(self.spec), block=block.head.hash)
        self.adapter.answered(edit, self.spec, answers)
        if edit.wanted.rows:
            self.book.take_rows(await self.adapter.load(self.chain, self.spec, block=block.head))
        else:
            self.quiet += 1
        keys = sorted(edit.wanted.positions)
        self.book.take_positions(await self.adapter.positions(self.chain, self.spec, keys, block=block.head))
        return edit.wanted

    async def compare(self) -> None:
        """Fail unless the book is what a fresh read of the chain says."""
        latest = self.chain.latest
        rows = await self.adapter.load(self.chain, self.spec, block=latest)
        assert self.book.own() == rows.own
        for number, row in enumerate(rows.reserves):
            mine, fresh = (unpack_market(each, 2) for each in (self.book.reserve(number), row))
            if number == VAI:
                # What accrues without an event grows by the same amount each block.
                since = fresh.accrued_at - mine.accrued_at
                assert mine.index + since * mine.rate == fresh.index
                continue
            assert mine == fresh, number
        keys = [PositionKey(user) for user in self.users]
        for position in await self.adapter.positions(self.chain, self.spec, keys, block=latest):
            owes = any(each.debt for each in position.balances)
            mine_too = self.book.position(position.key)
            assert mine_too == position or (mine_too is None and not owes)

    def next_block(self) -> dict[str, int]:
        """Return time and number of the next block."""
        return {"time": self.chain.latest.timestamp + 12, "number": self.chain.latest.number + 1}

    def liquidate(self, user: Address, collateral: int, debt: int, repay: int) -> LiquidationTerms:
        """Return what the book says of a liquidation in the next block."""
        return self.book.liquidate(
            PositionKey(user), collateral=collateral, debt=debt, repay=repay, **self.next_block()
        )

    def calls(self, user: Address, collateral: int, debt: int, amounts: tuple[int, int]) -> tuple[Call, ...]:
        """Return the adapter's calls."""
        return self.adapter.liquidate(
            self.spec,
            PositionKey(user),
            collateral=collateral,
            debt=debt,
            repay=amounts[0],
            offer=amounts[0],
            seize=amounts[1],
            recipient=OPERATOR,
            inner=(),
            encode=lambda _calls: b"",
        )

    def balance(self, number: int) -> int:
        """Return the operator's balance of a reserve's token."""
        token = self.venus.vai if number == VAI else self.tokens[number]
        return int(self.chain.backend.read(token, "balanceOf", hex_text(OPERATOR))[0])


@pytest.fixture(scope="module")
def fused() -> FusedLending:
    """Return a fusion of this protocol alone."""
    return fuse_lending([("venus", Venus({"venues": [{"name": "any", "preset": "core"}]}).compiled)])


@pytest.fixture
def scene(fused: FusedLending) -> Scene:
    """Return a fresh scene."""
    return Scene(fused)


def indebted(scene: Scene, user: int, *, collateral: int = LINK, debt: int = DAI) -> Address:
    """Let a user supply LINK for 1,500 dollars and borrow 1,100 dollars."""
    account, at = scene.users[user], hex_text(scene.vtokens[collateral].address)
    scene.do(scene.vtokens[collateral].call("mint", 100 * 10**18), account)
    scene.do(scene.venus.market_facet.call("enterMarkets", [at]), account)
    scene.do(scene.vtokens[debt].call("borrow", 1_100 * 10 ** (6 if debt == USDC else 18)), account)
    return account


def reprice(scene: Scene, number: int, dollars: float) -> None:
    """Let the oracle say another price."""
    market = scene.venus.markets[number]
    price = int(dollars * 10**9) * 10 ** (27 - market.listing.decimals)
    scene.chain.backend.run(set_price(scene.venus, market, price))


def random_call(rng: Random, scene: Scene) -> tuple[Call, Address]:
    """Return something that a user may do, which may revert."""
    user, k = rng.choice(scene.users), rng.randrange(4)
    unit, vtoken = 10 ** scene.venus.markets[k].listing.decimals, scene.vtokens[k]
    worth = int(unit * rng.uniform(10, 4_000) / DOLLARS[SYMBOLS[k]])
    other = hex_text(rng.choice(scene.users))
    controller, facet = scene.venus.vai_controller, scene.venus.market_facet
    calls = [
        vtoken.call("mint", worth),
        vtoken.call("mint", worth),
        vtoken.call("mintBehalf", other, worth),
        facet.call("enterMarkets", [hex_text(each.address) for each in rng.sample(scene.vtokens[:4], 2)]),
        facet.call("exitMarket", hex_text(vtoken.address)),
        vtoken.call("borrow", worth // 2),
        vtoken.call("borrow", worth // 3),
        vtoken.call("repayBorrow", worth // 4),
        vtoken.call("repayBorrow", 2**256 - 1),
        vtoken.call("redeem", rng.randrange(10**10)),
        vtoken.call("redeemUnderlying", worth // 5),
        vtoken.call("transfer", other, rng.randrange(10**9)),
        controller.call("mintVAI", rng.randrange(10**20)),
        controller.call("repayVAI", rng.randrange(10**20)),
        controller.call("accrueVAIInterest"),
        facet.call("enterPool", rng.randrange(2)),
        vtoken.call("accrueInterest"),
        vtoken.call("_addReserves", rng.randrange(unit)),
        scene.vtokens[NATIVE].call("mint", value_wei=rng.randrange(10**18)),
        scene.vtokens[NATIVE].call("borrow", rng.randrange(10**16)),
    ]
    return rng.choice(calls), user


def random_rule(rng: Random, scene: Scene) -> Call:
    """Return something that governance may do."""
    setter, k = scene.venus.setter_facet, rng.randrange(4)
    at, user = hex_text(scene.vtokens[k].address), hex_text(rng.choice(scene.users))
    usual = DOLLARS[SYMBOLS[k]] * 10 ** (36 - scene.venus.markets[k].listing.decimals)
    price, vai_price = int(usual * rng.uniform(0.9, 1.1)), int(MANTISSA * rng.uniform(0.9, 1.1))
    return rng.choice(
        [
            setter.call("_setCloseFactor", rng.randrange(MANTISSA // 4, 9 * 10**17)),
            setter.call("setActionsPaused", [at], [rng.choice((1, 3, 4, 5, 6))], rng.random() < 0.4),
            setter.call("_setForcedLiquidationForUser", user, at, rng.random() < 0.5),
            setter.call("_setForcedLiquidation", at, rng.random() < 0.5),
            setter.call("setLiquidationIncentive", at, rng.randrange(MANTISSA, 12 * 10**17)),
            scene.vtokens[k].call("_setReserveFactor", rng.randrange(3 * 10**17)),
            scene.vtokens[k].call("setReduceReservesBlockDelta", rng.randrange(1, 30)),
            scene.venus.liquidator.call("restrictLiquidation", user),
            scene.venus.liquidator.call("unrestrictLiquidation", user),
            scene.venus.vai_controller.call("setBaseRate", rng.randrange(10**17)),
            scene.venus.vai_controller.call("setFloatRate", rng.randrange(10**18)),
            scene.venus.oracle.call("setUnderlyingPrice", at, price),
            scene.venus.oracle.call("setDirectPrice", hex_text(scene.venus.vai.address), vai_price),
        ]
    )


async def test_what_is_followed_is_what_a_fresh_read_says(scene: Scene) -> None:
    rng = Random(3)
    for user in range(4):
        indebted(scene, user)
    for account in scene.users:
        scene.chain.backend.fund(account, 10**20)
    await scene.open()
    # As are vTokens of earlier versions: cash is what they have, and nobody knows the rate model.
    scene.describe(WBTC, without=("counts_cash",))
    scene.describe(USDC, without=("counts_cash", *rates.JUMP, *rates.TWO_KINKS))
    done = 0
    for _ in range(BLOCKS):
        call, sender = random_call(rng, scene) if rng.random() < 0.9 else (random_rule(rng, scene), DEPLOYER)
        try:
            block = scene.do(call, sender)
            done += 1
        except Reverted:
            block = scene.chain.block(scene.chain.latest.number)
        wanted = await scene.follow(block)
        assert not wanted.rebuild
        await scene.compare()
    assert done > BLOCKS // 2
    assert scene.quiet > BLOCKS * 4 // 5


async def test_liquidations_take_and_give_what_was_said(scene: Scene) -> None:
    users = [indebted(scene, user, debt=debt) for user, debt in ((0, DAI), (1, USDC), (2, DAI))]
    scene.do(scene.vtokens[DAI].call("mint", 10**21), users[2])
    scene.do(scene.venus.market_facet.call("enterMarkets", [hex_text(scene.vtokens[DAI].address)]), users[2])
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert set(scene.book.at_risk(**scene.next_block())) == {PositionKey(user) for user in users[:2]}
    reprice(scene, LINK, 2)
    await scene.follow(scene.chain.block(scene.chain.latest.number))
    for user, collateral, debt in ((users[0], LINK, DAI), (users[1], LINK, USDC), (users[2], DAI, DAI)):
        terms = scene.liquidate(user, collateral, debt, AS_MUCH_AS_ALLOWED)
        assert terms.verdict == abi.LAWFUL
        assert terms.repay == terms.most > 0
        before = scene.balance(debt), scene.balance(collateral)
        block = scene.chain.block_of(*scene.calls(user, collateral, debt, (terms.repay, terms.seize)))
        after = scene.balance(debt), scene.balance(collateral)
        if debt == collateral:
            assert after[0] - before[0] == terms.seize - terms.repay
        else:
            assert (before[0] - after[0], after[1] - before[1]) == (terms.repay, terms.seize)
        assert not (await scene.follow(block)).rows
        await scene.compare()


async def test_what_is_read_after_health_are_questions_that_the_comptroller_answers(scene: Scene) -> None:
    user, stranger = indebted(scene, 0), scene.users[1]
    await scene.open()
    for account, may_seize in ((user, True), (stranger, False)):
        calls = scene.adapter.reads(
            scene.spec, PositionKey(account), collateral=LINK, debt=DAI, recipient=OPERATOR
        )
        answers = await scene.chain.call(calls, block=scene.chain.latest.hash)
        # Whoever did not enter the market has no collateral in it.
        assert [not unsigned(each or b"", 0) for each in answers] == [True, may_seize]


async def test_one_unit_above_the_most_reverts(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert scene.liquidate(user, LINK, DAI, terms.most + 1).verdict == abi.TOO_MUCH
    with pytest.raises(Reverted):
        scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.most + 1, terms.seize)))


async def test_a_debt_in_vai_is_liquidated_and_comes_first_where_it_is_large(scene: Scene) -> None:
    user, controller = indebted(scene, 0, debt=USDC), scene.venus.vai_controller
    scene.do(scene.vtokens[LINK].call("mint", 1_000 * 10**18), user)
    scene.do(controller.call("mintVAI", 5_000 * 10**18), user)
    scene.do(scene.venus.vai.call("transfer", hex_text(OPERATOR), 4_000 * 10**18), user)
    reprice(scene, LINK, 4)
    await scene.open()
    assert scene.liquidate(user, LINK, USDC, AS_MUCH_AS_ALLOWED).verdict == abi.PAUSED
    with pytest.raises(Reverted):
        scene.chain.block_of(*scene.calls(user, LINK, USDC, (10**6, 10**15)))
    await scene.open()
    terms = scene.liquidate(user, LINK, VAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    before = scene.balance(VAI), scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, VAI, (terms.repay, terms.seize)))
    assert (before[0] - scene.balance(VAI), scene.balance(LINK) - before[1]) == (terms.repay, terms.seize)
    await scene.follow(block)
    await scene.compare()
    # What is left is too little to come first.
    terms = scene.liquidate(user, LINK, VAI, terms.repay // 2)
    scene.chain.block_of(*scene.calls(user, LINK, VAI, (terms.repay, terms.seize)))
    govern_vai = scene.venus.liquidator.call("setMinLiquidatableVAI", 10**25)
    await scene.open()
    await scene.follow(scene.do(govern_vai, DEPLOYER))
    assert scene.liquidate(user, LINK, USDC, AS_MUCH_AS_ALLOWED).verdict == abi.LAWFUL


def rules(scene: Scene, user: Address) -> Iterator[tuple[Call, int]]:
    """Yield what governance may do to close the door to a liquidation of DAI for LINK, and the verdict."""
    setter, liquidator = scene.venus.setter_facet, scene.venus.liquidator
    dai, link = hex_text(scene.vtokens[DAI].address), hex_text(scene.vtokens[LINK].address)
    yield setter.call("_setProtocolPaused", True), abi.PAUSED
    yield setter.call("setActionsPaused", [dai], [5], True), abi.PAUSED
    yield setter.call("setActionsPaused", [dai], [3], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [4], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [1], True), abi.PAUSED
    yield setter.call("setActionsPaused", [link], [6], True), abi.PAUSED
    yield liquidator.call("restrictLiquidation", hex_text(user)), abi.CLOSED
    yield scene.venus.oracle.call("setUnderlyingPrice", link, 0), abi.NO_PRICE
    yield setter.call("setCollateralFactor", link, 10**17, 9 * 10**17), abi.HEALTH_IS_SOUND


async def test_each_gate_is_closed_where_the_contracts_close_it(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    for rule, verdict in rules(scene, user):
        with scene.chain.backend.undone():
            wanted = await scene.follow(scene.do(rule, DEPLOYER))
            assert not wanted.rebuild
            assert scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == verdict, rule
            with pytest.raises(Reverted):
                scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
        await scene.open()


@pytest.mark.parametrize("for_user", [False, True])
async def test_a_forced_liquidation_asks_for_no_shortfall_and_no_close_factor(
    scene: Scene,
    for_user: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    user, setter = indebted(scene, 0), scene.venus.setter_facet
    await scene.open()
    assert scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.HEALTH_IS_SOUND
    assert scene.book.at_risk(**scene.next_block()) == []
    at = hex_text(scene.vtokens[DAI].address)
    rule = (
        setter.call("_setForcedLiquidationForUser", hex_text(user), at, True)
        if for_user
        else setter.call("_setForcedLiquidation", at, True)
    )
    await scene.follow(scene.do(rule, DEPLOYER))
    assert scene.book.at_risk(**scene.next_block()) == [PositionKey(user)]
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert terms.verdict == abi.LAWFUL
    assert terms.repay > 1_100 * 10**18
    scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    owed = scene.chain.backend.read(scene.vtokens[DAI], "borrowBalanceStored", hex_text(user))[0]
    assert owed == 0


async def test_without_a_liquidator_contract_anybody_liquidates_and_nothing_is_kept(scene: Scene) -> None:
    user = indebted(scene, 0)
    reprice(scene, LINK, 12.5)
    scene.chain.backend.evm.insert_account_storage(hex_text(scene.venus.comptroller), 37, 0)
    await scene.open()
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    assert (terms.verdict, terms.fee) == (abi.LAWFUL, 0)
    before = scene.balance(DAI), scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    assert (before[0] - scene.balance(DAI), scene.balance(LINK) - before[1]) == (terms.repay, terms.seize)
    await scene.follow(block)
    await scene.compare()


async def test_what_the_liquidator_could_not_redeem_it_redeems_with_the_next_liquidation(
    scene: Scene,
) -> None:
    users = [indebted(scene, 0), indebted(scene, 1)]
    # Somebody borrows all the cash, so the Liquidator cannot redeem its share of the first.
    borrower, vlink = scene.users[2], scene.vtokens[LINK]
    cash = scene.chain.backend.read(vlink, "getCash")[0]
    scene.do(scene.vtokens[DAI].call("mint", 10**25), borrower)
    dai = hex_text(scene.vtokens[DAI].address)
    scene.do(scene.venus.market_facet.call("enterMarkets", [dai]), borrower)
    scene.do(vlink.call("borrow", cash), borrower)
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert scene.liquidate(users[0], LINK, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.NO_CASH
    scene.chain.block_of(*scene.calls(users[0], LINK, DAI, (10**20, 1))[:3])
    with pytest.raises(Reverted):
        scene.do(vlink.call("redeem", 1_000))
    scene.do(vlink.call("repayBorrow", cash // 2), borrower)
    await scene.open()
    market = unpack_market(scene.book.reserve(LINK), 2)
    assert market.flags & state.PENDING
    assert market.liquidator_tokens > 0
    terms = scene.liquidate(users[1], LINK, DAI, AS_MUCH_AS_ALLOWED)
    before = scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(users[1], LINK, DAI, (terms.repay, terms.seize)))
    assert scene.balance(LINK) - before == terms.seize
    await scene.follow(block)
    assert not unpack_market(scene.book.reserve(LINK), 2).flags & state.PENDING
    await scene.compare()


async def test_accounts_are_all_who_ever_borrowed_or_minted_vai(scene: Scene) -> None:
    borrower = indebted(scene, 0)
    supplier = scene.users[1]
    scene.do(scene.vtokens[DAI].call("mint", 10**21), supplier)
    minter = scene.users[2]
    scene.do(scene.vtokens[LINK].call("mint", 10**21), minter)
    entered = [hex_text(scene.vtokens[LINK].address)]
    scene.do(scene.venus.market_facet.call("enterMarkets", entered), minter)
    scene.do(scene.venus.vai_controller.call("mintVAI", 10**18), minter)
    await scene.open()
    assert set(scene.book.keys) == {PositionKey(borrower), PositionKey(minter)}


async def test_the_native_market_counts_for_health_and_is_not_liquidated(scene: Scene) -> None:
    user = scene.users[0]
    scene.chain.backend.fund(user, 10**24)
    scene.do(scene.vtokens[NATIVE].call("mint", value_wei=2_000 * 10**18), user)
    at = hex_text(scene.vtokens[NATIVE].address)
    scene.do(scene.venus.market_facet.call("enterMarkets", [at]), user)
    scene.do(scene.vtokens[DAI].call("borrow", 1_000 * 10**18), user)
    await scene.open()
    health = scene.book.health(PositionKey(user), **scene.next_block())
    above = scene.chain.backend.read(scene.venus.policy_facet, "getAccountLiquidity", hex_text(user))[1]
    assert abs(health.collateral - health.debt - above) < 10**15
    assert scene.liquidate(user, NATIVE, DAI, AS_MUCH_AS_ALLOWED).verdict == abi.OUT_OF_DOMAIN
    assert scene.spec.reserves[NATIVE].collateral is None
    assert scene.spec.reserves[NATIVE].debt is None
    with pytest.raises(PluginError, match="native"):
        scene.calls(user, NATIVE, DAI, (1, 1))


async def test_what_changes_the_description_of_a_book_asks_for_another(scene: Scene) -> None:
    await scene.open()
    facet, setter = scene.venus.market_facet, scene.venus.setter_facet
    income = hex_text(scene.venus.income)
    for call in (
        facet.call("createPool", "more"),
        setter.call("_setLiquidatorContract", income),
        setter.call("_setTreasuryData", income, income, 10**15),
        setter.call("_setPriceOracle", income),
    ):
        with scene.chain.backend.undone():
            assert (await scene.follow(scene.do(call, DEPLOYER))).rebuild
        await scene.open()


async def test_a_fee_on_redeeming_is_taken_off(scene: Scene) -> None:
    user, income = indebted(scene, 0), hex_text(scene.venus.income)
    scene.govern(scene.venus.setter_facet, "_setTreasuryData", income, income, 10**15)
    reprice(scene, LINK, 12.5)
    await scene.open()
    assert unpack_own(scene.book.own()).redeem_fee == 10**15
    terms = scene.liquidate(user, LINK, DAI, AS_MUCH_AS_ALLOWED)
    before = scene.balance(LINK)
    block = scene.chain.block_of(*scene.calls(user, LINK, DAI, (terms.repay, terms.seize)))
    assert scene.balance(LINK) - before == terms.seize
    await scene.follow(block)
    await scene.compare()


async def test_nobody_is_called_back(scene: Scene) -> None:
    await scene.open()
    assert not scene.adapter.can_call_back(scene.spec)
    assert not scene.adapter.polls(scene.spec)
    with pytest.raises(PluginError, match="calls nobody back"):
        scene.adapter.liquidate(
            scene.spec,
            PositionKey(scene.users[0]),
            collateral=LINK,
            debt=DAI,
            repay=1,
            offer=1,
            seize=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _calls: b"",
        )


class Lying(RevmChain):
    """A chain on which storage is somewhere else."""

    async def call(self, calls: Any, *, pretend: Any = (), **facts: Any) -> list[bytes | None]:
        """Answer questions for storage with zeros."""
        if pretend:
            return [bytes(len(call.data)) for call in calls]
        return await super().call(calls, **facts)


async def test_vtokens_of_another_layout_are_refused(scene: Scene) -> None:
    with pytest.raises(ChainError, match="other slots"):
        await scene.adapter.discover(Lying(scene.chain.lab), block=scene.chain.latest)


async def test_what_is_no_comptroller_is_refused(scene: Scene) -> None:
    adapter = Venus({"venues": [{"name": "no", "comptroller": checksum(scene.tokens[0].address)}]})
    with pytest.raises(ChainError, match="Venus"):
        await adapter.discover(scene.chain, block=scene.chain.latest)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"venues": []}, "names no venue"),
        ({"venues": [{"name": "a"}]}, "neither comptroller nor preset"),
        ({"venues": [{"name": "a", "preset": "cor"}]}, "did you mean"),
        ({"venues": [{"name": "a", "comptroller": "0x12"}]}, "an address is"),
        ({"venues": [{"name": "a", "preset": "core", "from_block": -1}]}, "from_block"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Venus(settings)


async def test_a_preset_knows_its_chains_only(scene: Scene) -> None:
    adapter = Venus({"venues": [{"name": "venus", "preset": "core"}]})
    with pytest.raises(ConfigError, match="no known comptroller on chain 31337"):
        await adapter.discover(scene.chain, block=scene.chain.latest)
