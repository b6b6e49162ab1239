"""What pools of V3 and its forks lend, and for how much, on the real contracts."""

from __future__ import annotations

import random

import pytest
from tallyio_protocol_uniswap_v3.adapter import UniswapV3
from tallyio_protocol_uniswap_v3.dialects import NAMES
from tallyio_protocol_uniswap_v3.loans import GAS, read_offers

from tallyio.hooks.lending import FlashLender
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import deploy
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import address_at, address_word, word
from tallyio.testing import RevmChain
from tests.loan_checks import Borrower
from tests.market.concentrated.injected import (
    ALGEBRA,
    PANCAKE,
    UNISWAP,
    Slots,
    creator_code,
    held,
    storage_of,
)
from tests.market.concentrated.pools import shaped_pool

CREATOR = Address(b"\x33" * 20)
HELD = 10**24


class Bench:
    """A chain with two tokens, rich in a pool of each fork."""

    def __init__(self) -> None:
        self.chain = RevmChain()
        self.backend = self.chain.backend
        self.token = artifact("Token")
        made = [self.backend.deploy(self.token.encode_constructor("T", "T", 18)) for _ in range(2)]
        self.tokens = (min(made), max(made))
        self.borrower = Borrower(self.backend)

    def pool(self, dialect: str) -> tuple[PoolSpec, Slots]:
        """Create an empty pool that holds both tokens."""
        address, slots = getattr(self, f"_{dialect}")()
        for token in self.tokens:
            self.backend.transact(Contract(self.token, token).call("mint", address, HELD))
            self.borrower.give(token, HELD)
        name = "algebra_v1" if dialect == "algebra" else "uniswap"
        spec = PoolSpec(
            address=address,
            tokens=self.tokens,
            venue="v",
            fee_pips=2500,
            can_flash=True,
            parameters=(("dialect", NAMES.index(name)), ("fee_pips", 2500)),
        )
        return spec, slots

    def _uniswap(self) -> tuple[Address, Slots]:
        factory = Contract(artifact("UniswapV3Factory"), self.chain.world.v3.factory)
        self.backend.transact(factory.call("enableFeeAmount", 2500, 50), sender=DEPLOYER)
        created = self.backend.transact(factory.call("createPool", *self.tokens, 2500))
        return address_at(created, 0), UNISWAP

    def _pancake(self) -> tuple[Address, Slots]:
        facts = [address_word(DEPLOYER), *map(address_word, self.tokens), word(2500), word(50)]
        creation = artifact("PancakeV3Pool").encode_constructor()
        with self.backend.pretending({CREATOR: creator_code(facts)}):
            return address_at(self.backend.transact(Call(to=CREATOR, data=creation)), 0), PANCAKE

    def _algebra(self) -> tuple[Address, Slots]:
        deployer = self.backend.run(deploy(artifact("AlgebraPoolDeployer")))
        factory = self.backend.run(deploy(artifact("AlgebraFactory"), deployer.address, DEPLOYER))
        self.backend.transact(deployer.call("setFactory", factory.address), sender=DEPLOYER)
        return address_at(self.backend.transact(factory.call("createPool", *self.tokens)), 0), ALGEBRA


@pytest.fixture
def bench() -> Bench:
    return Bench()


ADAPTER = UniswapV3({"venues": [{"name": "v", "preset": "uniswap"}]})


FEES = [("uniswap", 2500), ("pancake", 2500), ("algebra", 2500), ("algebra", 100), ("algebra", 1)]
"""Algebra's pools change theirs; the others have it from their making."""


@pytest.mark.parametrize(("dialect", "fee"), FEES)
async def test_a_pool_lends_what_it_holds_at_its_swap_fee(bench: Bench, dialect: str, fee: int) -> None:
    """Random amounts, one unit, and everything; a unit less of fee or more of loan is refused."""
    spec, slots = bench.pool(dialect)
    draw = random.Random(fee)
    pool = shaped_pool(draw, 8, (fee, fee), 60 if dialect == "algebra" else 50)
    storage = storage_of(pool, slots) | {slots.liquidity: 10**12}
    with held(bench.backend, spec.address, storage):
        offers = await read_offers(bench.chain, [spec], bench.tokens, block=bench.chain.latest)
        assert [offer.token for offer in offers] == list(bench.tokens)
        for side, offer in enumerate(offers):
            assert (offer.lender, offer.available, offer.gas) == (spec.address, HELD, GAS)
            assert (offer.fee_numerator, offer.fee_denominator) == (fee, 10**6)
            assert offer.parameters == (("side", side),)
            amounts = {draw.getrandbits(draw.randrange(1, 79)) + 1 for _ in range(15)}
            bench.borrower.check(ADAPTER, offer, {1, *amounts})


async def test_a_pool_without_liquidity_in_range_lends_nothing(bench: Bench) -> None:
    """Its contract refuses: there is nobody to whom the fee would go."""
    spec, slots = bench.pool("uniswap")
    pool = shaped_pool(random.Random(1), 8, (2500, 2500), 50)
    full, empty = (storage_of(pool, slots) | {slots.liquidity: amount} for amount in (1, 0))
    with held(bench.backend, spec.address, full):
        (offer,) = await read_offers(bench.chain, [spec], {bench.tokens[0]}, block=bench.chain.latest)
    with held(bench.backend, spec.address, empty):
        assert await read_offers(bench.chain, [spec], bench.tokens, block=bench.chain.latest) == []
        bench.borrower.refuses(ADAPTER, offer, 1)


async def test_the_pools_that_discover_found_last_are_asked_at_the_block(bench: Bench) -> None:
    chain, world = bench.chain, bench.chain.world
    adapter = UniswapV3({"venues": [{"name": "lab", "factory": checksum(world.v3.factory)}]})
    assert isinstance(adapter, FlashLender)
    weth = world.tokens["WETH"].address
    offers = await adapter.loans(chain, {weth}, block=chain.latest)
    pools = [pool for pool in world.pools if pool.kind == "v3" and "WETH" in pool.tokens]
    assert {offer.lender for offer in offers} == {pool.address for pool in pools}
    assert {offer.token for offer in offers} == {weth}
    chain.asked_at.clear()
    assert await adapter.loans(chain, {weth}, block=chain.latest) == offers
    assert chain.asked_at == [chain.latest.hash]
    assert await adapter.loans(chain, {OPERATOR}, block=chain.latest) == []
    with (
        chain.backend.pretending({pools[0].address: b"\xfe"}),
        pytest.raises(ChainError, match="does not answer as a Uniswap V3 contract"),
    ):
        await adapter.loans(chain, {weth}, block=chain.latest)
