"""What pairs lend, and for how much, on the real contracts."""

from __future__ import annotations

import random

import pytest
from tallyio_protocol_uniswap_v2.adapter import UniswapV2

from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import OPERATOR, Pool
from tallyio.model.errors import ChainError
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address, checksum
from tallyio.testing import RevmChain
from tests.loan_checks import Borrower

RESERVE_MAX = 2**112 - 1


@pytest.fixture
def chain() -> RevmChain:
    return RevmChain()


def adapter_of(chain: RevmChain, *, kept: int = 997, **more: object) -> UniswapV2:
    venues = [
        {
            "name": name,
            "factory": checksum(venue.factory),
            "fee_numerator": kept,
            "fee_denominator": 1000,
            "gas": 71_000,
            **more,
        }
        for name, venue in chain.world.v2.items()
    ]
    return UniswapV2({"venues": venues})


def pair_of(chain: RevmChain) -> Pool:
    """Return a pair whose tokens are both the lab's own."""
    return next(pool for pool in chain.world.pools if pool.kind == "v2" and "WETH" not in pool.tokens)


def tokens_of(chain: RevmChain, pool: Pool) -> tuple[Address, ...]:
    return tuple(chain.world.tokens[symbol].address for symbol in pool.tokens)


async def offers_of(chain: RevmChain, adapter: UniswapV2, pool: Pool) -> list[LoanOffer]:
    """Return what one pair lends, its first token's offer first."""
    found = await adapter.loans(chain, tokens_of(chain, pool), block=chain.latest)
    return [offer for offer in found if offer.lender == pool.address]


async def test_a_pair_lends_all_of_a_reserve_but_one_unit(chain: RevmChain) -> None:
    adapter, usdc = adapter_of(chain), chain.world.tokens["USDC"].address
    assert isinstance(adapter, FlashLender)
    offers = await adapter.loans(chain, {usdc}, block=chain.latest)
    pools = {pool.address: pool for pool in chain.world.pools if pool.kind == "v2" and "USDC" in pool.tokens}
    assert {offer.lender for offer in offers} == set(pools)
    for offer in offers:
        pool = pools[offer.lender]
        side = pool.tokens.index("USDC")
        pair = Contract(artifact("UniswapV2Pair"), pool.address)
        reserve = chain.backend.read(pair, "getReserves")[side]
        assert (offer.token, offer.available, offer.gas) == (usdc, reserve - 1, 71_000)
        assert (offer.fee_numerator, offer.fee_denominator, offer.fee_rounds) == (3, 997, "up")
        assert (offer.venue, offer.parameters) == (pool.venue, (("side", side),))


async def test_the_pools_found_last_are_asked_and_none_when_no_token_is_theirs(chain: RevmChain) -> None:
    adapter = adapter_of(chain)
    pools = await adapter.discover(chain, block=chain.latest)
    chain.asked_at.clear()
    tokens = {token for pool in pools for token in pool.tokens}
    assert len(await adapter.loans(chain, tokens, block=chain.latest)) == 2 * len(pools)
    assert chain.asked_at == [chain.latest.hash]
    assert await adapter.loans(chain, {OPERATOR}, block=chain.latest) == []
    assert chain.asked_at == [chain.latest.hash]


async def test_random_amounts_cost_the_least_fee_that_the_pair_takes(chain: RevmChain) -> None:
    draw, borrower, adapter = random.Random(11), Borrower(chain.backend), adapter_of(chain)
    pool = pair_of(chain)
    for offer in await offers_of(chain, adapter, pool):
        borrower.give(offer.token, 2 * offer.available)
        amounts = {1, 2, 331, 332, 333, 997, 998}
        amounts |= {draw.getrandbits(draw.randrange(1, offer.available.bit_length())) + 1 for _ in range(60)}
        borrower.check(adapter, offer, amounts)


@pytest.mark.parametrize("room", [0, 1, 2, 3, 1_000, 10**15 + 1, 10**31])
async def test_a_reserve_near_its_limit_has_room_for_the_fee_of_what_is_offered(
    chain: RevmChain, room: int
) -> None:
    borrower, adapter, pool = Borrower(chain.backend), adapter_of(chain), pair_of(chain)
    pair, token = Contract(artifact("UniswapV2Pair"), pool.address), tokens_of(chain, pool)[0]
    reserve = RESERVE_MAX - room
    missing = reserve - chain.backend.read(pair, "getReserves")[0]
    chain.block_of(Contract(artifact("Token"), token).call("mint", pool.address, missing), pair.call("sync"))
    found = [offer for offer in await offers_of(chain, adapter, pool) if offer.token == token]
    borrower.give(token, RESERVE_MAX)
    if room == 0:  # every loan costs at least one unit, which the reserve cannot take
        assert found == []
        return
    (offer,) = found
    assert offer.available == min(reserve - 1, room * 997 // 3)
    borrower.check(adapter, offer, {1, offer.available // 2 or 1})


async def test_a_pair_that_asks_no_fee_lends_for_nothing_in_the_books_alone(chain: RevmChain) -> None:
    """The real pair asks 0.3 %, so a venue that is configured without a fee is refused by it."""
    borrower, adapter, pool = Borrower(chain.backend), adapter_of(chain, kept=1000), pair_of(chain)
    offer = (await offers_of(chain, adapter, pool))[0]
    assert offer.fee(offer.available) == 0
    with pytest.raises(Reverted, match=b"UniswapV2: K".hex()):
        borrower.borrow(adapter, offer, 10**6)


async def test_a_pair_whose_callback_is_not_answered_lends_nothing(chain: RevmChain) -> None:
    adapter, pool = adapter_of(chain, callback="ownCall"), pair_of(chain)
    assert await offers_of(chain, adapter, pool) == []


async def test_a_pair_that_does_not_answer_is_named(chain: RevmChain) -> None:
    adapter, pool = adapter_of(chain), pair_of(chain)
    await adapter.discover(chain, block=chain.latest)
    with (
        chain.backend.pretending({pool.address: b"\xfe"}),
        pytest.raises(ChainError, match="does not answer as a Uniswap V2 contract"),
    ):
        await offers_of(chain, adapter, pool)
