"""The adapter on whole markets: what it finds, loads and follows is what they have, and its calls work."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from typing import Any

import pytest
from tallyio_protocol_aave_v3 import abi, reference
from tallyio_protocol_aave_v3.adapter import AaveV3
from tallyio_protocol_aave_v3.layout import unpack_own, unpack_reserve
from tallyio_protocol_aave_v3.reference import Pool

from tallyio.engine.executor import deployment
from tallyio.engine.executor.calldata import CallPacker, encode_run
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import LARGEST_CODE, AaveMarket, AaveVersion, Listing, deploy_aave
from tallyio.lab.recipe import USD_PRICES
from tallyio.lab.revm import RevmWorld
from tallyio.lab.steps import Reverted, Transaction
from tallyio.lab.world import OPERATOR, account
from tallyio.lending import abi as lending
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.model.chain import Block
from tallyio.model.erc20 import transfer
from tallyio.model.errors import ChainError, PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey
from tallyio.model.units import Address, Wei, checksum
from tallyio.model.words import unsigned
from tallyio.testing import RevmChain

USERS = tuple(account(f"aave user {k}") for k in range(8))
SYMBOLS = ("USDC", "WETH", "WBTC", "DAI")
UNITS = {"USDC": 10**6, "WETH": 10**18, "WBTC": 10**8, "DAI": 10**18}
BLOCKS = 100


class Desk:
    """The lab's world with a market in it, an adapter, and a book that follows."""

    def __init__(self, version: AaveVersion, fused: FusedLending) -> None:
        self.chain = RevmChain(RevmWorld(largest_code=LARGEST_CODE))
        tokens = self.chain.world.tokens
        listings = [
            Listing(
                symbol=symbol,
                token=tokens[symbol].address,
                decimals=tokens[symbol].decimals,
                price=USD_PRICES[symbol] * 10**8,
            )
            for symbol in SYMBOLS
        ]
        self.market: AaveMarket = self.chain.backend.run(deploy_aave(version, listings))
        self.tokens = [self._token(symbol) for symbol in SYMBOLS]
        self._fund()
        self._add_category(version)
        self.adapter = AaveV3(
            {"venues": [{"name": "lab", "factory": checksum(self.market.provider.address)}]}
        )
        self._fused = fused

    async def open(self) -> None:
        """Make the book as of the latest block."""
        latest = self.chain.latest
        [self.spec] = await self.adapter.discover(self.chain, block=latest)
        rows = await self.adapter.load(self.chain, self.spec, block=latest)
        self.book = Book(self._fused, 0, self.spec, rows, self.adapter.compiled, latest.hash)
        self.book.fill(await self.fresh())

    async def fresh(self) -> list[Position]:
        """Return all positions as a fresh load has them."""
        keys = await self.adapter.accounts(self.chain, self.spec, block=self.chain.latest)
        return await self.adapter.positions(self.chain, self.spec, sorted(keys), block=self.chain.latest)

    async def follow(self, block: Block) -> Counter[str]:
        """Let the book follow a block, and read what the adapter asks for; return what it asked."""
        adapter, edit = self.adapter, self.book.change(block.head)
        sources = {source.address for source in self.spec.log_sources}
        before = len(block.logs)
        for log in block.logs:
            if log.address in sources and log.topics and log.topics[0] in adapter.topics:
                adapter.follow(edit, self.spec, adapter.topics.index(log.topics[0]), log)
        assert not edit.wanted.rebuild
        if edit.wanted.rows:
            self.book.take_rows(await adapter.load(self.chain, self.spec, block=block.head))
        keys = sorted(edit.wanted.positions)
        self.book.take_positions(await adapter.positions(self.chain, self.spec, keys, block=block.head))
        return Counter(logs=before, rows=edit.wanted.rows, positions=len(keys))

    async def check(self) -> int:
        """See that rows and positions are what a fresh load gives; return how many positions there are.

        Somebody whose last balance went is forgotten until the next loan.
        """
        rows = await self.adapter.load(self.chain, self.spec, block=self.chain.latest)
        assert unpack_own(self.book.own()) == unpack_own(rows.own)
        for number, row in enumerate(rows.reserves):
            assert unpack_reserve(self.book.reserve(number)) == unpack_reserve(row), SYMBOLS[number]
        positions = await self.fresh()
        for position in positions:
            known = self.book.position(position.key)
            if known is None:
                assert not any(balance.debt for balance in position.balances)
            else:
                assert (known.balances, known.flags) == (position.balances, position.flags)
        return len(positions)

    def pool(self) -> Pool:
        """Return the rows of the book in words."""
        reserves = [unpack_reserve(self.book.reserve(n)) for n in range(len(self.spec.reserves))]
        return Pool(own=unpack_own(self.book.own()), reserves=reserves)

    def call(self, name: str, *arguments: object) -> Call:
        """Return a call of the pool."""
        return self.market.pool.call(name, *arguments)

    def borrowable(self, user: Address, symbol: str) -> int:
        """Return how much of a token a user may borrow now."""
        data = self.chain.backend.read(self.market.pool, "getUserAccountData", user)
        (price,) = self.chain.backend.read(self.market.oracle, "getAssetPrice", self._token(symbol).address)
        available: int = data[2] * UNITS[symbol] // price
        return available

    def post(self, symbol: str, price: int) -> Call:
        """Return the call that makes a feed say a price in 1e-8 dollars."""
        return self.market.feeds[symbol].aggregator.call("post", price)

    def _token(self, symbol: str) -> Contract:
        made = artifact("WETH9" if symbol == "WETH" else "Token")
        return Contract(made, self.chain.world.tokens[symbol].address)

    def _fund(self) -> None:
        backend, pool = self.chain.backend, self.market.pool.address
        for symbol, token in zip(SYMBOLS, self.tokens, strict=True):
            amount = 10**7 * UNITS[symbol] // USD_PRICES[symbol]
            for user in (*USERS, OPERATOR):
                if user != OPERATOR:
                    backend.transact(token.call("transfer", user, amount // 100))
                backend.transact(token.call("approve", pool, 2**255), sender=user)
            supply = self.market.pool.call("supply", token.address, amount, OPERATOR, 0)
            backend.transact(supply)

    def _add_category(self, version: AaveVersion) -> None:
        configurator, backend = self.market.configurator, self.chain.backend
        terms = (1, 9_000, 9_300, 10_100)
        stable = [self.tokens[0].address, self.tokens[3].address]
        if version is AaveVersion.V3_0:
            zero = Address(bytes(20))
            backend.transact(configurator.call("setEModeCategory", *terms, zero, "stable"))
            for token in stable:
                backend.transact(configurator.call("setAssetEModeCategory", token, 1))
            return
        backend.transact(configurator.call("setEModeCategory", *terms, "stable"))
        for token in stable:
            backend.transact(configurator.call("setAssetCollateralInEMode", token, 1, True))
            backend.transact(configurator.call("setAssetBorrowableInEMode", token, 1, True))


@pytest.fixture(scope="module")
def fused() -> FusedLending:
    compiled = AaveV3({"venues": [{"name": "lab", "preset": "aave"}]}).compiled
    return fuse_lending([("aave_v3", compiled)])


@pytest.fixture(params=tuple(AaveVersion), ids=lambda version: version.value)
async def desk(request: pytest.FixtureRequest, fused: FusedLending) -> Desk:
    desk = Desk(request.param, fused)
    await desk.open()
    return desk


def random_action(draw: random.Random, desk: Desk, user: Address) -> Call:
    """Return something that a user may do; it may revert."""
    number = draw.randrange(len(SYMBOLS))
    symbol, token = SYMBOLS[number], desk.tokens[number].address
    amount = int(10 ** draw.uniform(1, 4.5) * UNITS[symbol]) // USD_PRICES[symbol]
    whole = amount if draw.random() < 0.7 else 2**256 - 1
    switch = draw.random() < 0.5
    a_token = Contract(artifact("Token"), address_of(desk.spec, number))
    return draw.choice(
        (
            lambda: desk.call("supply", token, amount, user, 0),
            lambda: desk.call("supply", token, amount, user, 0),
            lambda: desk.call("borrow", token, amount // 2, 2, 0, user),
            lambda: desk.call("borrow", token, desk.borrowable(user, symbol) * 95 // 100, 2, 0, user),
            lambda: desk.call("repay", token, whole, 2, user),
            lambda: desk.call("repayWithATokens", token, amount // 4, 2),
            lambda: desk.call("withdraw", token, whole, user),
            lambda: desk.call("setUserUseReserveAsCollateral", token, switch),
            lambda: a_token.call("transfer", draw.choice(USERS), amount // 3),
            lambda: desk.call("setUserEMode", draw.choice((0, 1))),
        )
    )()


def random_price(draw: random.Random, desk: Desk) -> Call:
    symbol = draw.choice(SYMBOLS)
    return desk.post(symbol, int(USD_PRICES[symbol] * 10**8 * draw.uniform(0.4, 1.6)))


def address_of(spec: BookSpec, number: int, name: str = "a_token") -> Address:
    return Address(dict(spec.reserves[number].parameters)[name].to_bytes(20))


async def try_to_liquidate(desk: Desk, draw: random.Random, seen: Counter[str]) -> None:
    """Liquidate somebody through the adapter's calls, having said what happens."""
    time = desk.chain.latest.timestamp + 3 * 12  # the third block from now, after an approval
    for key in desk.book.at_risk(time, 0):
        position = desk.book.position(key)
        assert position is not None
        held = [each.reserve for each in position.balances if each.collateral]
        owed = [each.reserve for each in position.balances if each.debt]
        if not held:
            continue
        sides = {"collateral": draw.choice(held), "debt": draw.choice(owed)}
        # Approval and liquidation are two blocks here; the executor makes them in one.
        terms = desk.book.liquidate(key, **sides, time=desk.chain.latest.timestamp + 2 * 12, number=0)
        if terms.verdict != lending.LAWFUL:
            seen[lending.VERDICTS[terms.verdict]] += 1
            continue
        calls = desk.adapter.liquidate(
            desk.spec,
            key,
            **sides,
            repay=terms.repay,
            offer=terms.most,
            seize=terms.seize,
            recipient=OPERATOR,
            inner=(),
            encode=lambda _: b"",
        )
        for call in calls:
            block = desk.chain.block_of(call)
            seen += await desk.follow(block)
            for log in block.logs:
                if log.topics[0] == desk.adapter.topics[6]:
                    assert (unsigned(log.data, 0), unsigned(log.data, 1)) == (terms.repay, terms.seize)
                    seen["liquidated"] += 1
        return


async def give_all_to_themselves(desk: Desk) -> int:
    """Let everybody transfer all aTokens of every kind to the same account; return how many securing ones."""
    backend, count = desk.chain.backend, 0
    for number, user in itertools.product(range(len(SYMBOLS)), USERS):
        a_token = Contract(artifact("Token"), address_of(desk.spec, number))
        (whole,) = backend.read(a_token, "balanceOf", user)
        await desk.follow(desk.chain.block_of(a_token.call("transfer", user, whole), sender=user))
        position = desk.book.position(PositionKey(user))
        held = position.balances if position else ()
        count += any(each.reserve == number and each.collateral for each in held)
    await desk.check()
    return count


async def test_rows_and_positions_that_follow_events_are_what_a_fresh_load_gives(desk: Desk) -> None:
    draw, seen = random.Random(5), Counter[str]()
    for _ in range(BLOCKS):
        actions = [(user, random_action(draw, desk, user)) for user in draw.choices(USERS, k=4)]
        if draw.random() < 0.5:
            actions.append((OPERATOR, random_price(draw, desk)))
        desk.chain.backend.block(
            tuple(Transaction(sender=user, call=call, may_fail=True) for user, call in actions)
        )
        seen += await desk.follow(desk.chain.block(desk.chain.backend.number))
        await try_to_liquidate(desk, draw, seen)
        seen["checked"] += await desk.check()
        pool, time = desk.pool(), desk.chain.latest.timestamp + 12
        dead = {
            key
            for key in desk.book.keys
            if (position := desk.book.position(key))
            and (data := reference.account_data(pool, position, time))
            and data.factor < reference.WAD
        }
        assert set(desk.book.at_risk(time, 0)) == dead
    seen["to oneself"] += await give_all_to_themselves(desk)
    assert min(seen["liquidated"], seen["to oneself"]) >= 5
    assert seen["rows"] == 0  # no event of these asks for a fresh read of the rows
    assert seen["positions"] < seen["logs"] // 10


@pytest.mark.parametrize("price", [2_100, 1_511], ids=("a debt in full", "all of the collateral"))
async def test_a_flash_loan_of_the_pool_itself_pays_for_a_liquidation(desk: Desk, price: int) -> None:
    chain, adapter = desk.chain, desk.adapter
    usdc, weth = desk.tokens[:2]
    for call in (
        desk.call("supply", weth.address, 10**18, USERS[0], 0),
        desk.call("borrow", usdc.address, 1_800 * 10**6, 2, 0, USERS[0]),
    ):
        chain.backend.transact(call, sender=USERS[0])
    chain.backend.transact(desk.post("WETH", price * 10**8))
    await desk.open()
    [offer] = await adapter.loans(chain, [usdc.address], block=chain.latest)
    held = chain.backend.read(usdc, "balanceOf", address_of(desk.spec, 0))[0]
    assert (offer.available, offer.fee(10_001), offer.lender) == (
        held,
        6 if desk.market.version is AaveVersion.V3_6 else 5,
        desk.market.pool.address,
    )
    executor = chain.backend.deploy(deployment(OPERATOR))
    chain.backend.transact(transfer(usdc.address, executor, 2_000 * 10**6))  # what a swap would have brought
    time = chain.latest.timestamp + 12
    terms = desk.book.liquidate(PositionKey(USERS[0]), collateral=1, debt=0, time=time, number=0)
    assert terms.verdict == lending.LAWFUL
    assert (terms.repay < terms.most) == (price < 1_800)
    packer = CallPacker()
    inner = adapter.liquidate(
        desk.spec,
        PositionKey(USERS[0]),
        collateral=1,
        debt=0,
        repay=terms.repay,
        offer=terms.most,
        seize=terms.seize,
        recipient=executor,
        inner=(),
        encode=packer.pack,
    )
    calls = adapter.borrow(offer, amount=terms.repay, recipient=executor, inner=inner, encode=packer.pack)
    data = encode_run(
        packer.pack(calls),
        token=weth.address,
        min_profit=terms.seize,
        tip_wei=Wei(0),
        deadline_block=2**32,
        sweep=(usdc.address,),
    )
    before = chain.backend.read(usdc, "balanceOf", OPERATOR)[0]
    assert unsigned(chain.backend.transact(Call(to=executor, data=data)), 0) == terms.seize
    left = 2_000 * 10**6 - terms.repay - offer.fee(terms.repay)
    assert chain.backend.read(usdc, "balanceOf", OPERATOR)[0] == before + left
    for token in (usdc, weth):
        assert chain.backend.read(token, "allowance", executor, desk.market.pool.address) == (0,)


async def test_a_loan_beyond_what_is_offered_is_refused_by_the_pool(desk: Desk) -> None:
    [offer] = await desk.adapter.loans(desk.chain, [desk.tokens[3].address], block=desk.chain.latest)
    executor = desk.chain.backend.deploy(deployment(OPERATOR))
    desk.chain.backend.transact(transfer(offer.token, executor, offer.fee(offer.available) + 2))
    for excess, is_lent in ((0, True), (1, False)):
        packer = CallPacker()
        nothing = (Call(to=offer.token, data=b"\x18\x16\x0d\xdd"),)  # totalSupply()
        amount = offer.available + excess
        calls = desk.adapter.borrow(
            offer, amount=amount, recipient=executor, inner=nothing, encode=packer.pack
        )
        # A run asks how much more of a token there is afterwards, so it is another token's.
        data = encode_run(
            packer.pack(calls),
            token=desk.tokens[2].address,
            min_profit=0,
            tip_wei=Wei(0),
            deadline_block=2**32,
            sweep=(),
        )
        with desk.chain.backend.undone():
            if is_lent:
                desk.chain.backend.transact(Call(to=executor, data=data))
                continue
            with pytest.raises(Reverted):
                desk.chain.backend.transact(Call(to=executor, data=data))


async def test_loans_are_asked_for_in_one_round_trip_of_the_pool_that_is_known(desk: Desk) -> None:
    await desk.open()
    asked: list[int] = []
    ask = desk.chain.call

    async def call(calls: Any, **facts: Any) -> list[bytes | None]:
        asked.append(len(calls))
        return await ask(calls, **facts)

    desk.chain.call = call  # type: ignore[method-assign]
    tokens = [token.address for token in desk.tokens]
    offers = await desk.adapter.loans(desk.chain, tokens, block=desk.chain.latest)
    assert [offer.token for offer in offers] == tokens
    assert asked == [1 + 3 * len(tokens)]


async def test_a_paused_reserve_lends_nothing(desk: Desk) -> None:
    token = desk.tokens[0].address
    desk.chain.backend.transact(desk.market.configurator.call("setReservePause", token, True))
    assert await desk.adapter.loans(desk.chain, [token], block=desk.chain.latest) == []


async def test_what_the_owner_changes_is_read_again(desk: Desk) -> None:
    configurator, usdc = desk.market.configurator, desk.tokens[0].address
    changes = (
        configurator.call("setReserveFreeze", usdc, True),
        configurator.call("configureReserveAsCollateral", usdc, 7_000, 7_700, 10_700),
        configurator.call("setLiquidationProtocolFee", usdc, 2_000),
        configurator.call("setReserveFactor", usdc, 500),
        configurator.call("setReservePause", usdc, True),
    )
    for change in changes:
        seen = await desk.follow(desk.chain.block_of(change))
        assert seen["rows"] == 1
        await desk.check()


async def test_a_new_reserve_a_new_source_and_a_new_category_ask_for_a_new_book(desk: Desk) -> None:
    zero = [Address(bytes(20))] if desk.market.version is AaveVersion.V3_0 else []
    category = desk.market.configurator.call("setEModeCategory", 2, 9_000, 9_300, 10_100, *zero, "two")
    source = desk.market.oracle.call(
        "setAssetSources", [desk.tokens[0].address], [desk.market.feeds["DAI"].proxy.address]
    )
    for change in (category, source):
        block = desk.chain.block_of(change)
        edit = desk.book.change(block.head)
        for log in block.logs:
            if log.topics[0] in desk.adapter.topics:
                desk.adapter.follow(edit, desk.spec, desk.adapter.topics.index(log.topics[0]), log)
        assert edit.wanted.rebuild


async def test_a_price_source_that_is_no_feed_is_polled(desk: Desk) -> None:
    assert not desk.adapter.polls(desk.spec)
    # Answers every call with one word, 1.5e8: `latestAnswer` as an adapter with a cap does, and no round.
    code = bytes.fromhex("6308f0d1805f5260205ff3")
    source = desk.chain.backend.deploy(bytes.fromhex(f"6a{code.hex()}5f52600b6015f3"))
    call = desk.market.oracle.call("setAssetSources", [desk.tokens[0].address], [source])
    desk.chain.backend.transact(call)
    [book] = await desk.adapter.discover(desk.chain, block=desk.chain.latest)
    rows = await desk.adapter.load(desk.chain, book, block=desk.chain.latest)
    assert unpack_reserve(rows.reserves[0]).price == 150_000_000
    assert desk.adapter.polls(book)


async def test_unknown_revisions_are_refused_by_name(desk: Desk) -> None:
    class Newer(RevmChain):
        async def call(self, calls, **options):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN003, ANN202
            answers = await super().call(calls, **options)
            revision = next((k for k, each in enumerate(calls) if each.data == abi.POOL_REVISION), None)
            return [(99).to_bytes(32) if k == revision else each for k, each in enumerate(answers)]

    with pytest.raises(ChainError, match="has POOL_REVISION 99, whose rules this plugin does not know"):
        await desk.adapter.discover(Newer(desk.chain.lab), block=desk.chain.latest)


async def test_a_liquidation_has_no_callback(desk: Desk) -> None:
    assert not desk.adapter.can_call_back(desk.spec)
    with pytest.raises(PluginError, match="has no callback in a liquidation"):
        desk.adapter.liquidate(
            desk.spec,
            PositionKey(USERS[0]),
            collateral=1,
            debt=0,
            repay=1,
            offer=1,
            seize=1,
            recipient=OPERATOR,
            inner=(desk.post("DAI", 1),),
            encode=lambda _: b"",
        )
