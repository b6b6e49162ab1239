"""Real lending protocols through the executor: Aave V3's liquidations, paid by everybody who lends here."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from tallyio_protocol_aave_v3.adapter import AaveV3
from tallyio_protocol_morpho_blue.adapter import MorphoBlue

from tallyio.engine.simulator import Simulator
from tallyio.engine.trades import Lending
from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import AaveVersion, Listing, deploy_aave
from tallyio.lab.lending.morpho import deploy_morpho
from tallyio.lab.recipe import DECIMALS, USD_PRICES
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.lending.loans import choose_loan, own_offer
from tallyio.model.chain import Block
from tallyio.model.execution import Leg, Liquidation, Opportunity, Plan
from tallyio.model.lending import BookSpec, LoanOffer, PositionKey
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain
from tests.engine.inprocess import InProcessChain
from tests.engine.practice import OWNER, Practice

USDC, WETH = 10**6, 10**18
DOLLAR = 10**8
VARIABLE = 2
SYMBOLS = ("WETH", "USDC")
HEALTHY = "45"
"""Aave's number for a position that is none of the liquidator's business."""
SOURCES = ("aave", "morpho", "uniswap v2", "uniswap v3", "own funds")


class AavePractice(Practice):
    """The lab's pools and executor, and a market of Aave 3.0 where debtors are under water."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = RevmChain(self.lab)
        listings = [
            Listing(
                symbol=symbol,
                token=self.token(symbol),
                decimals=DECIMALS[symbol],
                price=USD_PRICES[symbol] * DOLLAR,
            )
            for symbol in SYMBOLS
        ]
        self.market = self.backend.run(deploy_aave(AaveVersion.V3_0, listings))
        self.pool = self.market.pool
        self.aave = AaveV3({"venues": [{"name": "aave", "factory": checksum(self.market.provider.address)}]})
        self.morpho = self.backend.run(deploy_morpho((0,))).contract
        self.blue = MorphoBlue({"venues": [{"name": "morpho", "factory": checksum(self.morpho.address)}]})
        self.transact(self.transfer("USDC", self.morpho.address, 10**6 * USDC))
        self.supply(OPERATOR, "USDC", 10**6 * USDC)
        self.keys = [PositionKey(trader) for trader in self.world.traders[:2]]
        for key in self.keys:
            self.supply(key.account, "WETH", 4 * WETH)
            borrow = self.pool.call("borrow", self.token("USDC"), 7_000 * USDC, VARIABLE, 0, key.account)
            self.transact(borrow, key.account)
        self.transact(self.market.feeds["WETH"].aggregator.call("post", 2_150 * DOLLAR))

    def supply(self, account: Address, symbol: str, amount: int) -> None:
        """Let `account` deposit what it has."""
        token = Contract(artifact("Token"), self.token(symbol))
        self.transact(token.call("approve", self.pool.address, amount), account)
        self.transact(self.pool.call("supply", token.address, amount, account, 0), account)

    async def book(self) -> BookSpec:
        """Return the market as the plugin finds it."""
        (book,) = await self.aave.discover(self.chain, block=self.chain.latest)
        return book

    def liquidation(self, book: BookSpec, key: PositionKey, repay: int) -> Liquidation:
        """Return what repaying so much USDC brings in WETH, as the pool itself says by doing it."""
        call = self.pool.call(
            "liquidationCall",
            self.token("WETH"),
            self.token("USDC"),
            key.account,
            repay,
            False,
        )
        token = Contract(artifact("Token"), self.token("USDC"))
        with self.backend.undone():
            before = self.balance("WETH", OPERATOR)
            self.transact(token.call("approve", self.pool.address, repay))
            self.transact(call)
            seized = self.balance("WETH", OPERATOR) - before
        debts = [reserve.debt for reserve in book.reserves]
        collateral, debt = (debts.index(self.token(symbol)) for symbol in SYMBOLS)
        return Liquidation(
            book=0, key=key, collateral=collateral, debt=debt, amount_in=repay, amount_out=seized
        )

    def found(self, *cycles: tuple[Liquidation, str]) -> Opportunity:
        """Return liquidations, each sold at a pool of its own."""
        legs: list[Leg | Liquidation] = []
        for seize, name in cycles:
            pool = self.find(name)
            side = self.pools[pool].tokens.index("WETH")
            paid = self.quote(pool, "WETH", seize.amount_out)
            sale = Leg(
                pool=pool, token_in=side, token_out=1 - side, amount_in=seize.amount_out, amount_out=paid
            )
            legs += [seize, sale]
        return Opportunity(
            id=1,
            strategy="practice",
            block_hash=self.head.hash,
            block_number=self.head.number,
            token=self.token("USDC"),
            legs=tuple(legs),
            amount_in=sum(leg.amount_in for leg in legs[::2]),
            amount_out=sum(leg.amount_out for leg in legs[1::2]),
            gas=1,
            net_wei=1.0,
        )

    async def lend(self, source: str, found: Opportunity, amount: int) -> Opportunity:
        """Return `found`, paid with a loan of `amount` from one source that no leg needs."""
        locked = {self.specs[leg.pool].address for leg in found.legs if isinstance(leg, Leg)}
        loan = choose_loan(
            await self._offers(source),
            found.token,
            amount,
            native_per_unit=1,
            gas_price_wei=1,
            locked=locked,
        )
        assert loan is not None
        return msgspec.structs.replace(found, loan=loan)

    async def _offers(self, source: str) -> list[LoanOffer]:
        token = self.token("USDC")
        if source == "own funds":
            return [own_offer(OWNER, token, self.balance("USDC", OWNER))]
        return await self.lenders[source].loans(self.chain, {token}, block=self.chain.latest)

    @property
    def lenders(self) -> dict[str, FlashLender]:
        """Who lends, by name."""
        v2, v3 = (self.adapters[self.find(name)] for name in ("v2a:WETH/USDC:3000", "v3:USDC/WETH:500"))
        assert isinstance(v2, FlashLender)
        assert isinstance(v3, FlashLender)
        return {"aave": self.aave, "morpho": self.blue, "uniswap v2": v2, "uniswap v3": v3}

    def plan_for(self, found: Opportunity, book: BookSpec) -> Plan:
        """Return the plan of `found`, whoever lends."""
        lenders: dict[Address, FlashLender] = {self.pool.address: self.aave, self.morpho.address: self.blue}
        for spec, adapter in zip(self.specs, self.adapters, strict=True):
            assert isinstance(adapter, FlashLender)
            lenders[spec.address] = adapter
        lending = Lending(books=[book], protocols=[self.aave], lenders=lenders)
        made: Plan = self.plan(found, lending=lending)
        return made

    def earn(self, found: Opportunity, book: BookSpec) -> int:
        """Land the plan of `found`; return by how much the owner's balance grew."""
        return self.land(self.plan_for(found, book))


@pytest.fixture(scope="module")
def shared() -> AavePractice:
    """Return the one market of all tests; each undoes what it did."""
    return AavePractice()


@pytest.fixture
def desk(shared: AavePractice) -> Iterator[AavePractice]:
    """Return the market as it was made, and an owner with funds and an allowance."""
    with shared.backend.undone():
        shared.transact(shared.transfer("USDC", OWNER, 10**5 * USDC))
        token = Contract(artifact("Token"), shared.token("USDC"))
        shared.transact(token.call("approve", shared.executor, 10**5 * USDC), OWNER)
        yield shared


def assert_nothing_left(desk: AavePractice) -> None:
    for symbol in SYMBOLS:
        assert desk.balance(symbol, desk.executor) == 0
        for spender in (desk.pool.address, desk.morpho.address):
            assert desk.read(desk.token(symbol), "Token", "allowance", desk.executor, spender) == 0


@pytest.mark.parametrize("source", SOURCES)
async def test_a_liquidation_earns_what_was_predicted_whoever_lends(desk: AavePractice, source: str) -> None:
    """Aave lends for its own liquidation too, where loan and debt are taken by one contract in one token."""
    book = await desk.book()
    seize = desk.liquidation(book, desk.keys[0], 3_123_456_789)
    found = desk.found((seize, "v3:WETH/USDC:3000"))
    found = await desk.lend(source, found, seize.amount_in)
    assert desk.earn(found, book) == found.profit > 0
    assert_nothing_left(desk)


@pytest.mark.parametrize("source", SOURCES)
async def test_two_liquidations_share_a_loan_of_what_one_needs(desk: AavePractice, source: str) -> None:
    book = await desk.book()
    first, second = (desk.liquidation(book, key, 1_000 * USDC + k) for k, key in enumerate(desk.keys))
    found = desk.found((first, "v3:WETH/USDC:3000"), (second, "v2a:WETH/USDC:3000"))
    found = await desk.lend(source, found, first.amount_in)
    assert desk.earn(found, book) == found.profit > 0
    assert_nothing_left(desk)


async def test_a_debtor_who_was_saved_meanwhile_costs_a_revert(desk: AavePractice) -> None:
    book = await desk.book()
    found = desk.found((desk.liquidation(book, desk.keys[0], 1_000 * USDC), "v3:WETH/USDC:3000"))
    found = await desk.lend("aave", found, found.amount_in)
    desk.transact(desk.market.feeds["WETH"].aggregator.call("post", 2_500 * DOLLAR))
    with pytest.raises(Reverted):
        desk.earn(found, book)
    assert_nothing_left(desk)


async def test_the_simulation_sees_that_somebody_was_first_a_block_ago(
    desk: AavePractice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same plan, as of the block before the other's liquidation and as of its own."""
    book = await desk.book()
    found = desk.found((desk.liquidation(book, desk.keys[0], 1_000 * USDC), "v3:WETH/USDC:3000"))
    plan = desk.plan_for(await desk.lend("morpho", found, found.amount_in), book)
    monkeypatch.setattr(desk, "transact", desk.transact)  # the chain replaces it, and other tests follow
    chain = InProcessChain(desk)
    simulator = Simulator(chain.client)
    before = await simulator.simulate(plan, desk.head)
    assert (before.success, before.profit) == (True, found.profit)
    rival = desk.world.traders[2]
    token = Contract(artifact("Token"), desk.token("USDC"))
    tokens = [desk.token(symbol) for symbol in SYMBOLS]
    for call in (
        token.call("approve", desk.pool.address, 10**5 * USDC),
        desk.pool.call("liquidationCall", *tokens, desk.keys[0].account, 10**5 * USDC, False),
    ):
        desk.transact(call, rival)
        await simulator.follow(Block(head=desk.head, logs=(), bytes_in_ns=0, decoded_ns=0))
    after = await simulator.simulate(plan, desk.head)
    assert not after.success
    assert after.profit == 0
    assert HEALTHY in after.reason
