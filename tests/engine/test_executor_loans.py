"""Liquidations and loans through the executor: every source of funds, on real contracts where they exist."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from eth_abi.abi import encode
from tallyio_protocol_balancer.adapter import Balancer

from tallyio.engine.executor import MAX_BYTES, MAX_CALLS, CallPacker, encode_run
from tallyio.engine.trades import Lending
from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted, deploy
from tallyio.lab.world import OPERATOR
from tallyio.lending.loans import choose_loan, own_offer
from tallyio.model.execution import Call, Leg, Liquidation, Opportunity
from tallyio.model.hashing import selector
from tallyio.model.lending import LoanOffer, PositionKey
from tallyio.model.units import Address, Wei, checksum
from tallyio.testing import RevmChain
from tests.engine import bank
from tests.engine.practice import CYCLES, FOREVER, OWNER, Practice

DAY = 86_400
USDC, WETH = 10**6, 10**18
BONUS = bank.ONE * 21 // 20
FLASH_FEE = 3 * 10**14
"""Of the Vault, of 10**18."""

KEYS = [PositionKey(Address(b"debtor".rjust(20, b"\0")), part) for part in range(8)]
SOURCES = ("v2", "v3", "balancer", "like aave", "like morpho", "own funds")


class Lenders(Practice):
    """The market of `Practice`, pulled apart, with a bank, a Vault of Balancer V2, and a rich owner."""

    def __init__(self) -> None:
        super().__init__()
        self.unbalance()
        self.chain = RevmChain(self.lab)
        self.bank = self.backend.deploy(bank.creation_code())
        self.vault = self._vault()
        for symbol, amount in (("WETH", 10_000 * WETH), ("USDC", 10**7 * USDC)):
            for holder in (self.bank, self.vault.address, OWNER):
                self.transact(self.transfer(symbol, holder, amount))
        self.books = [bank.book(self.bank, self.token("USDC"), self.token("WETH"))]
        venue = {"name": "balancer", "vault": checksum(self.vault.address), "from_block": 0}
        self.balancer = Balancer({"venues": [venue]})
        self.rate = self.quote(self.find("v3:USDC/WETH:500"), "USDC", USDC) * BONUS // USDC
        """What a unit of USDC seizes, times 10**18, at a price of the market and with the bonus."""
        for key in KEYS:
            self.transact(bank.learn(self.bank, key, debt=10**6 * USDC, rate=self.rate))

    async def offers(self, symbol: str) -> dict[str, list[LoanOffer]]:
        """Return by source what can be borrowed of a token."""
        token, block = self.token(symbol), self.chain.latest
        v2, v3 = (self.adapters[self.find(name)] for name in ("v2a:WETH/USDC:3000", "v3:USDC/WETH:500"))
        assert isinstance(v2, FlashLender)
        assert isinstance(v3, FlashLender)
        return {
            "v2": await v2.loans(self.chain, {token}, block=block),
            "v3": await v3.loans(self.chain, {token}, block=block),
            "balancer": await self.balancer.loans(self.chain, {token}, block=block),
            "like aave": [bank.offer(self.bank, token, 10**24, like="aave")],
            "like morpho": [bank.offer(self.bank, token, 10**24, like="morpho")],
            "own funds": [own_offer(OWNER, token, self.balance(symbol, OWNER))],
        }

    async def lend(self, source: str, found: Opportunity, symbol: str) -> Opportunity:
        """Return `found`, paid with a loan of a source that none of its legs needs."""
        locked = {self.specs[leg.pool].address for leg in found.legs if isinstance(leg, Leg)}
        offers = (await self.offers(symbol))[source]
        loan = choose_loan(
            offers, found.token, found.amount_in, native_per_unit=1, gas_price_wei=1, locked=locked
        )
        assert loan is not None
        if source == "own funds":
            approve = Contract(artifact("Token"), found.token).call("approve", self.executor, loan.amount)
            self.transact(approve, OWNER)
        return msgspec.structs.replace(found, loan=loan)

    def liquidation(self, repay: int, key: PositionKey = KEYS[0]) -> Liquidation:
        """Return what repaying so much USDC brings in WETH."""
        seized = repay * self.rate // bank.ONE
        return Liquidation(book=0, key=key, collateral=1, debt=0, amount_in=repay, amount_out=seized)

    def sales(self, amount: int, *pools: str, held: str = "WETH") -> list[Leg]:
        """Return the legs that sell `amount` of a token over `pools`."""
        legs: list[Leg] = []
        for pool in map(self.find, pools):
            tokens = self.pools[pool].tokens
            side, out = tokens.index(held), self.quote(pool, held, amount)
            legs.append(Leg(pool=pool, token_in=side, token_out=1 - side, amount_in=amount, amount_out=out))
            held, amount = tokens[1 - side], out
        return legs

    def found(self, *legs: Leg | Liquidation, symbol: str = "USDC") -> Opportunity:
        """Return one cycle of `legs` as an opportunity."""
        assert all(a.amount_out == b.amount_in for a, b in pairwise(legs))
        return Opportunity(
            id=1,
            strategy="practice",
            block_hash=self.head.hash,
            block_number=self.head.number,
            token=self.token(symbol),
            legs=legs,
            amount_in=legs[0].amount_in,
            amount_out=legs[-1].amount_out,
            gas=1,
            net_wei=1.0,
        )

    def lending(self, *, calls_back: bool = False) -> Lending:
        """Return what plans are made with."""
        made: Any = bank.Bank(calls_back=calls_back)
        lenders: dict[Address, Any] = {self.bank: made, self.vault.address: self.balancer}
        lenders |= {spec.address: adapter for spec, adapter in zip(self.specs, self.adapters, strict=True)}
        return Lending(books=self.books, protocols=[made], lenders=lenders)

    def earn(self, found: Opportunity, *, calls_back: bool = False) -> int:
        """Land the plan of `found`; return by how much the owner's balance grew."""
        return self.land(self.plan(found, lending=self.lending(calls_back=calls_back)))

    def debt(self, key: PositionKey = KEYS[0]) -> int:
        """Return a position's debt."""
        return int.from_bytes(self.backend.call(bank.debt_of(self.bank, key)))

    def _vault(self) -> Contract:
        run = self.backend.run
        authorizer = run(deploy(artifact("Authorizer"), OPERATOR))
        vault = run(deploy(artifact("Vault"), authorizer.address, self.token("WETH"), 90 * DAY, 30 * DAY))
        collector = Address(self.backend.call(vault.call("getProtocolFeesCollector"))[-20:])
        setter = selector("setFlashLoanFeePercentage(uint256)")
        ask = Call(to=collector, data=selector("getActionId(bytes4)") + encode(["bytes4"], [setter]))
        self.transact(authorizer.call("grantRole", self.backend.call(ask), OPERATOR))
        self.transact(Call(to=collector, data=setter + FLASH_FEE.to_bytes(32)))
        return vault


@pytest.fixture(scope="module")
def shared() -> Lenders:
    """Return the one market of all tests; each undoes what it did."""
    return Lenders()


@pytest.fixture
def lenders(shared: Lenders) -> Iterator[Lenders]:
    """Return the market as it was made."""
    with shared.backend.undone():
        yield shared


def assert_nothing_left(lenders: Lenders, spenders: Mapping[str, Address] | None = None) -> None:
    spenders = spenders or {"bank": lenders.bank, "vault": lenders.vault.address}
    for symbol in lenders.world.tokens:
        assert lenders.balance(symbol, lenders.executor) == 0
        for spender in spenders.values():
            assert lenders.read(lenders.token(symbol), "Token", "allowance", lenders.executor, spender) == 0
    assert lenders.read(lenders.token("USDC"), "Token", "allowance", OWNER, lenders.executor) == 0


# --- sources of funds ------------------------------------------------------------------------


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("cycle", ["V2 to V2", "V3 to V2", "V2 to V3"])
async def test_a_loan_pays_for_two_legs_to_the_unit(lenders: Lenders, source: str, cycle: str) -> None:
    made = CYCLES[cycle]
    found = await lenders.lend(source, lenders.opportunity(made), made.symbol)
    assert found.profit > 0
    assert lenders.earn(found) == found.profit
    assert_nothing_left(lenders)


@pytest.mark.parametrize("source", SOURCES)
async def test_a_loan_pays_for_a_liquidation_to_the_unit(lenders: Lenders, source: str) -> None:
    seize = lenders.liquidation(5_000 * USDC + 1)
    sales = lenders.sales(seize.amount_out, "v3:WETH/USDC:3000")
    found = await lenders.lend(source, lenders.found(seize, *sales), "USDC")
    before = lenders.debt()
    assert lenders.earn(found) == found.profit > 0
    assert lenders.debt() == before - seize.amount_in
    assert_nothing_left(lenders)


@pytest.mark.parametrize("source", SOURCES)
async def test_random_amounts_earn_what_was_predicted(lenders: Lenders, source: str) -> None:
    draw, landed = random.Random(source), 0
    for _ in range(20):
        seize = lenders.liquidation(draw.randrange(1, 10 ** draw.randrange(1, 11)))
        found = lenders.found(seize, *lenders.sales(seize.amount_out, "v3:WETH/USDC:500"))
        if found.profit > 1 + found.amount_in // 100:
            found = await lenders.lend(source, found, "USDC")
            with lenders.backend.undone():
                assert lenders.earn(found) == found.profit
                assert_nothing_left(lenders)
            landed += 1
    assert landed > 10


@pytest.mark.parametrize("sale", ["v2a:WETH/USDC:3000", "v3:WETH/USDC:500"])
def test_a_liquidation_that_calls_back_needs_no_loan(lenders: Lenders, sale: str) -> None:
    seize = lenders.liquidation(200 * USDC)
    found = lenders.found(seize, *lenders.sales(seize.amount_out, sale))
    assert found.profit > 0
    assert lenders.earn(found, calls_back=True) == found.profit
    assert_nothing_left(lenders)


def test_a_flash_swap_pays_for_a_liquidation_in_its_middle(lenders: Lenders) -> None:
    (first,) = lenders.sales(WETH, "v3:WETH/USDC:500")
    seize = lenders.liquidation(first.amount_out)
    found = lenders.found(first, seize, symbol="WETH")
    assert lenders.earn(found) == found.profit > 0
    assert_nothing_left(lenders)


def test_a_flash_swap_pays_for_a_liquidation_that_needs_another_token(lenders: Lenders) -> None:
    first, second = lenders.sales(3_000 * USDC, "v2b:USDC/USDT:3000", "v2b:WETH/USDT:3000", held="USDC")
    back = Liquidation(book=0, key=KEYS[0], collateral=0, debt=1, amount_in=second.amount_out, amount_out=0)
    rate = 4_000 * USDC  # of USDC for 10**18 WETH
    lenders.transact(bank.learn(lenders.bank, KEYS[0], debt=10 * WETH, rate=rate))
    seized = back.amount_in * rate // bank.ONE
    found = lenders.found(first, second, msgspec.structs.replace(back, amount_out=seized))
    assert lenders.earn(found) == found.profit > 0
    assert_nothing_left(lenders)


# --- many in one -----------------------------------------------------------------------------


def batch(lenders: Lenders) -> Opportunity:
    """Return three liquidations, each sold over pools of its own."""
    ways = (
        ("v3:WETH/USDT:3000", "v2b:USDC/USDT:3000"),
        ("v3:WETH/USDC:500",),
        ("v2b:WETH/USDC:3000",),
    )
    cycles: list[list[Leg | Liquidation]] = []
    for key, way in zip(KEYS, ways, strict=False):
        seize = lenders.liquidation(700 * USDC, key)
        cycles.append([seize, *lenders.sales(seize.amount_out, *way)])
    legs = tuple(leg for cycle in cycles for leg in cycle)
    return msgspec.structs.replace(
        lenders.found(*cycles[0]),
        legs=legs,
        amount_in=sum(cycle[0].amount_in for cycle in cycles),
        amount_out=sum(cycle[-1].amount_out for cycle in cycles),
    )


@pytest.mark.parametrize("source", SOURCES)
async def test_several_liquidations_share_one_loan_of_what_one_needs(lenders: Lenders, source: str) -> None:
    found = batch(lenders)
    one = await lenders.lend(source, msgspec.structs.replace(found, amount_in=800 * USDC), "USDC")
    found = msgspec.structs.replace(found, loan=one.loan)
    assert lenders.earn(found) == found.profit > 0
    assert_nothing_left(lenders)


def test_several_liquidations_that_call_back_share_a_transaction(lenders: Lenders) -> None:
    found = batch(lenders)
    assert lenders.earn(found, calls_back=True) == found.profit > 0
    assert_nothing_left(lenders)


def test_four_liquidations_in_one_loan_fit(lenders: Lenders) -> None:
    """Each is sold over two V3 pools, whose calls are the longest of those that need one call."""
    made, packer, counts = bank.Bank(), CallPacker(), list[int]()

    def pack(calls: tuple[Call, ...]) -> bytes:
        counts.append(len(calls))
        return packer.pack(calls)

    number = lenders.find("v3:USDC/WETH:500")
    calls: tuple[Call, ...] = ()
    for key in KEYS[:4]:
        calls += made.liquidate(
            lenders.books[0],
            key,
            collateral=1,
            debt=0,
            repay=2**120,
            offer=2**120,
            seize=1,
            recipient=lenders.executor,
            inner=(),
            encode=pack,
        )
        for part in range(2):
            calls += lenders.adapters[number].swap(
                lenders.specs[number],
                token_in=part,
                token_out=1 - part,
                amount_in=2**120 + key.part,
                amount_out=1,
                recipient=lenders.executor,
                inner=(),
                encode=pack,
            )
    loan = bank.offer(lenders.bank, lenders.token("USDC"), 2**128, like="aave")
    whole = made.borrow(loan, amount=2**121, recipient=lenders.executor, inner=calls, encode=pack)
    assert len(pack(whole)) <= 6_120 < MAX_BYTES
    assert max(counts) == 21 < MAX_CALLS


# --- what is refused -------------------------------------------------------------------------


async def test_what_earns_less_than_promised_reverts_whoever_lends(lenders: Lenders) -> None:
    seize = lenders.liquidation(5_000 * USDC)
    found = lenders.found(seize, *lenders.sales(seize.amount_out, "v3:WETH/USDC:3000"))
    for source in SOURCES:
        loaned = await lenders.lend(source, found, "USDC")
        made = lenders.plan(loaned, lending=lenders.lending())
        with lenders.backend.undone():
            lenders.pull_v3_apart("WETH", WETH // 100)
            with pytest.raises(Reverted, match=b"executor: profit".hex()):
                lenders.transact(made.call, OWNER)
        assert lenders.balance("USDC", lenders.executor) == 0


async def test_a_position_that_somebody_else_liquidated_reverts(lenders: Lenders) -> None:
    seize = lenders.liquidation(5_000 * USDC)
    found = lenders.found(seize, *lenders.sales(seize.amount_out, "v3:WETH/USDC:3000"))
    made = lenders.plan(await lenders.lend("balancer", found, "USDC"), lending=lenders.lending())
    lenders.transact(bank.learn(lenders.bank, KEYS[0], debt=0, rate=lenders.rate))
    with pytest.raises(Reverted):
        lenders.transact(made.call, OWNER)
    assert_nothing_left(lenders)


async def test_without_the_owners_allowance_nothing_of_his_is_taken(lenders: Lenders) -> None:
    found = await lenders.lend("own funds", lenders.opportunity(CYCLES["V2 to V3"]), "USDC")
    made = lenders.plan(found, lending=lenders.lending())
    token = Contract(artifact("Token"), found.token)
    lenders.transact(token.call("approve", lenders.executor, found.amount_in - 1), OWNER)
    before = lenders.balance("USDC", OWNER)
    with pytest.raises(Reverted):
        lenders.transact(made.call, OWNER)
    assert lenders.balance("USDC", OWNER) == before


def running(lenders: Lenders, calls: bytes) -> Call:
    """Return a run of packed calls that measures a token which they do not touch."""
    data = encode_run(
        calls,
        token=lenders.token("LINK"),
        min_profit=0,
        tip_wei=Wei(0),
        deadline_block=FOREVER,
        sweep=(),
    )
    return Call(to=lenders.executor, data=data)


async def test_a_pair_that_lends_refuses_to_trade(lenders: Lenders) -> None:
    """So the planner refuses a loan of a pool that a leg needs."""
    number = lenders.find("v2a:WETH/USDC:3000")
    pair, adapter, packer = lenders.specs[number], lenders.adapters[number], CallPacker()
    (offer,) = (each for each in (await lenders.offers("USDC"))["v2"] if each.lender == pair.address)
    assert isinstance(adapter, FlashLender)
    leg = lenders.opportunity(CYCLES["V2 to V3"]).legs[0]
    assert isinstance(leg, Leg)
    inner = adapter.swap(
        pair,
        token_in=leg.token_in,
        token_out=leg.token_out,
        amount_in=leg.amount_in,
        amount_out=leg.amount_out,
        recipient=lenders.executor,
        inner=(),
        encode=packer.pack,
    )
    calls = adapter.borrow(
        offer, amount=leg.amount_in, recipient=lenders.executor, inner=inner, encode=packer.pack
    )
    with pytest.raises(Reverted, match=b"UniswapV2: LOCKED".hex()):
        lenders.transact(running(lenders, packer.pack(calls)), OWNER)
