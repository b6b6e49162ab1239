"""Which loans change what others were priced on, shown on the contracts that lend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tallyio_protocol_aave_v3.adapter import AaveV3

from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.lending.aave import AaveVersion, Listing, deploy_aave
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import approve
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain
from tests.engine.practice import CYCLES, Cycle, Practice
from tests.loan_checks import Borrower

USDC = 10**6
LOAN = 10**5 * USDC


@pytest.fixture(scope="module")
def shared() -> Practice:
    practice = Practice()
    practice.unbalance()
    return practice


@pytest.fixture
def practice(shared: Practice) -> Iterator[Practice]:
    with shared.backend.undone():
        yield shared


async def borrow(practice: Practice, pool: str) -> LoanOffer:
    """Let somebody borrow USDC of a pool and pay it back with the fee; return what was offered."""
    lender, place = practice.adapters[practice.find(pool)], practice.specs[practice.find(pool)].address
    assert isinstance(lender, FlashLender)
    chain, token = RevmChain(practice.lab), practice.token("USDC")
    offers = await lender.loans(chain, {token}, block=chain.latest)
    (offer,) = (each for each in offers if each.lender == place)
    borrower = Borrower(practice.backend)
    borrower.give(token, offer.fee(LOAN))
    practice.backend.transact(borrower.run(lender, offer, LOAN))
    return offer


async def test_the_fee_of_a_constant_product_pool_moves_its_price(practice: Practice) -> None:
    """Who sells there what was lent gets less than before; a plan that was priced before reverts."""
    found = practice.opportunity(Cycle("USDC", 3_000 * USDC, ("v2a:USDC/WETH:3000", "v3:USDC/WETH:500")))
    before = practice.quote(practice.find("v2a:USDC/WETH:3000"), "USDC", USDC)
    offer = await borrow(practice, "v2a:USDC/WETH:3000")
    assert offer.disturbs
    assert practice.quote(practice.find("v2a:USDC/WETH:3000"), "USDC", USDC) < before
    with pytest.raises(Reverted):
        practice.land(practice.plan(found))


async def test_the_fee_of_a_concentrated_pool_moves_no_price(practice: Practice) -> None:
    """It goes to the positions in range: a plan that was priced before brings what it promised."""
    found = practice.opportunity(CYCLES["V3 to V2"])
    place = practice.find("v3:USDC/WETH:500")
    before = [practice.quote(place, symbol, 10**9) for symbol in ("USDC", "WETH")]
    offer = await borrow(practice, "v3:USDC/WETH:500")
    assert not offer.disturbs
    assert [practice.quote(place, symbol, 10**9) for symbol in ("USDC", "WETH")] == before
    assert practice.land(practice.plan(found)) == found.profit


async def test_the_fee_of_aave_lets_the_deposits_of_what_was_lent_grow() -> None:
    chain = RevmChain()
    backend, tokens = chain.backend, chain.world.tokens
    symbols = ("USDC", "DAI")
    listings = [
        Listing(symbol=symbol, token=tokens[symbol].address, decimals=tokens[symbol].decimals, price=10**8)
        for symbol in symbols
    ]
    market = backend.run(deploy_aave(AaveVersion.V3_0, listings))
    for listing in listings:
        amount = 10**6 * 10**listing.decimals
        backend.transact(approve(listing.token, market.pool.address, amount))
        backend.transact(market.pool.call("supply", listing.token, amount, OPERATOR, 0))
    lender = AaveV3({"venues": [{"name": "lab", "factory": checksum(market.provider.address)}]})
    usdc = tokens["USDC"].address
    (offer,) = await lender.loans(chain, {usdc}, block=chain.latest)
    assert offer.disturbs
    held = [backend.read(market.pool, "getReserveData", each.token)[0][8] for each in listings]
    deposits = [_deposit(chain, each) for each in held]
    borrower = Borrower(backend)
    borrower.give(usdc, offer.fee(LOAN))
    backend.transact(borrower.run(lender, offer, LOAN))
    grown = [_deposit(chain, each) for each in held]
    assert grown[0] > deposits[0]
    assert grown[1] == deposits[1]


def _deposit(chain: RevmChain, a_token: str) -> int:
    """Return what the operator's deposit is worth."""
    token = Contract(artifact("Token"), Address(bytes.fromhex(a_token[2:])))
    amount: int = chain.backend.read(token, "balanceOf", OPERATOR)[0]
    return amount
