"""Liquidations of Venus through the executor: vTokens are seized, and redeemed in the same plan."""

from __future__ import annotations

import msgspec
import pytest
from tallyio_protocol_venus.adapter import Venus

from tallyio.engine.trades import Lending
from tallyio.hooks.lending import FlashLender
from tallyio.lab.lending.venus import Listing, deploy_venus, set_price, supply
from tallyio.lending.loans import choose_loan
from tallyio.model.execution import Leg, Liquidation, Opportunity
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.model.units import checksum, hex_text
from tallyio.testing import RevmChain
from tests.engine.practice import OWNER, Practice

USDC, WETH = 10**6, 10**18
PRICE = 10**18
"""Of a smallest unit of WETH for each dollar of a whole one; `Listing.price` has the rule."""


class VenusPractice(Practice):
    """The lab's pools and executor, and a Venus where one debtor is under water."""

    def __init__(self) -> None:
        super().__init__()
        self.chain = RevmChain(self.lab)
        run = self.backend.run
        self.venus = run(
            deploy_venus(
                [
                    Listing(
                        symbol="USDC",
                        token=self.token("USDC"),
                        decimals=6,
                        price=10**30,
                        supply=10**6 * USDC,
                    ),
                    Listing(symbol="WETH", token=self.token("WETH"), price=2_500 * PRICE),
                    Listing(symbol="ETH", token=None, price=PRICE),
                ]
            )
        )
        self.dollars, self.ether = (self.venus.market(symbol) for symbol in ("USDC", "WETH"))
        self.debtor = self.world.traders[0]
        run(supply(self.ether, self.debtor, 4 * WETH))
        enter = self.venus.market_facet.call("enterMarkets", [hex_text(self.ether.vtoken.address)])
        self.transact(enter, self.debtor)
        self.transact(self.dollars.vtoken.call("borrow", 7_000 * USDC), self.debtor)
        run(set_price(self.venus, self.ether, 2_100 * PRICE))
        comptroller = checksum(self.venus.comptroller)
        self.adapter = Venus({"venues": [{"name": "venus", "comptroller": comptroller}]})

    def liquidation(self, book: BookSpec, repay: int) -> Liquidation:
        """Return what repaying so much USDC brings in WETH, as the contracts say by doing it."""
        numbers = [reserve.debt for reserve in book.reserves]
        collateral, debt = (numbers.index(self.token(symbol)) for symbol in ("WETH", "USDC"))
        key = PositionKey(self.debtor)
        first = Liquidation(book=0, key=key, collateral=collateral, debt=debt, amount_in=repay, amount_out=1)
        with self.backend.undone():
            self.transact(self.transfer("USDC", OWNER, repay))
            allow, liquidate, *_ = self.adapter.liquidate(
                book,
                key,
                collateral=collateral,
                debt=debt,
                repay=repay,
                offer=repay,
                seize=1,
                recipient=OWNER,
                inner=(),
                encode=lambda _: b"",
            )
            for call in (allow, liquidate):
                self.transact(call, OWNER)
            vtoken = self.ether.vtoken
            held = int(self.backend.read(vtoken, "balanceOf", OWNER)[0])
            before = self.balance("WETH", OWNER)
            self.transact(vtoken.call("redeem", held), OWNER)
            return msgspec.structs.replace(first, amount_out=self.balance("WETH", OWNER) - before)

    def found(self, seize: Liquidation) -> Opportunity:
        """Return the liquidation and the sale of what it brings."""
        pool = self.find("v3:USDC/WETH:500")
        side = self.pools[pool].tokens.index("WETH")
        paid = self.quote(pool, "WETH", seize.amount_out)
        sale = Leg(pool=pool, token_in=side, token_out=1 - side, amount_in=seize.amount_out, amount_out=paid)
        return Opportunity(
            id=1,
            strategy="practice",
            block_hash=self.head.hash,
            block_number=self.head.number,
            token=self.token("USDC"),
            legs=(seize, sale),
            amount_in=seize.amount_in,
            amount_out=paid,
            gas=1,
            net_wei=1.0,
        )


@pytest.mark.parametrize("repay", [1_000 * USDC, 1_234_567_891, 3_500 * USDC])
async def test_a_liquidation_earns_what_was_predicted_and_leaves_nothing(repay: int) -> None:
    desk = VenusPractice()
    (book,) = await desk.adapter.discover(desk.chain, block=desk.chain.latest)
    found = desk.found(desk.liquidation(book, repay))
    lender = desk.adapters[desk.find("v2a:WETH/USDC:3000")]
    assert isinstance(lender, FlashLender)
    offers = await lender.loans(desk.chain, {found.token}, block=desk.chain.latest)
    loan = choose_loan(offers, found.token, repay, native_per_unit=1, gas_price_wei=1)
    assert loan is not None
    found = msgspec.structs.replace(found, loan=loan)
    assert found.profit > 0
    lending = Lending(books=[book], protocols=[desk.adapter], lenders={loan.offer.lender: lender})
    assert desk.land(desk.plan(found, lending=lending)) == found.profit
    liquidator = desk.venus.liquidator.address
    for symbol in ("USDC", "WETH"):
        assert desk.balance(symbol, desk.executor) == 0
        assert desk.read(desk.token(symbol), "Token", "allowance", desk.executor, liquidator) == 0
    assert desk.backend.read(desk.ether.vtoken, "balanceOf", desk.executor) == (0,)
