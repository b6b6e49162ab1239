"""The forks' own contracts, found and read by the adapter: what a row quotes is what they pay."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from tallyio_protocol_uniswap_v3 import hot
from tallyio_protocol_uniswap_v3.adapter import UniswapV3
from tallyio_protocol_uniswap_v3.dialects import NAMES

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import deploy
from tallyio.lab.world import DEPLOYER
from tallyio.market.concentrated.reference import Pool
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import address_at, address_word, word
from tallyio.native.memory import Region
from tallyio.testing import RevmChain
from tests.market.concentrated.injected import (
    ALGEBRA,
    CALLER,
    CALLER_CODE,
    PANCAKE,
    SAY_YES,
    Slots,
    creator_code,
    held,
    quoted,
    quoted_exact_out,
    storage_of,
)
from tests.market.concentrated.pools import shaped_pool

TOKENS = (Address(b"\1" * 20), Address(b"\2" * 20))
CREATOR = Address(b"\x33" * 20)


@pytest.fixture
def chain() -> Iterator[RevmChain]:
    """Yield a chain on which the caller and two tokens have their few instructions."""
    made = RevmChain()
    with made.backend.pretending({CALLER: CALLER_CODE, **dict.fromkeys(TOKENS, SAY_YES)}):
        yield made


async def check(chain: RevmChain, adapter: UniswapV3, spec: PoolSpec, pool: Pool, slots: Slots) -> int:
    """Put `pool` into the contract, load it, and compare quotes; return how many paid."""
    draw, paid = random.Random(1), 0
    with held(chain.backend, spec.address, storage_of(pool, slots)):
        (row,) = await adapter.load(chain, [spec], block=chain.latest)
        with Region(len(row)) as memory:
            memory.view("u1", len(row))[:] = bytearray(row)
            for _ in range(60):
                i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(1, 100)) + 1
                wanted = quoted(chain.backend, spec.address, pool, amount, i)
                assert hot.quote(memory.address, i, 1 - i, amount) == wanted
                taken = quoted_exact_out(chain.backend, spec.address, pool, amount, i)
                assert hot.quote_exact_out(memory.address, i, 1 - i, amount) == taken
                paid += (wanted > 0) + (taken > 0)
    return paid


async def test_algebras_pools_are_found_and_read(chain: RevmChain) -> None:
    """By its real factory: the only pool of a pair, with the fee of its state."""
    backend = chain.backend
    deployer = backend.run(deploy(artifact("AlgebraPoolDeployer")))
    factory = backend.run(deploy(artifact("AlgebraFactory"), deployer.address, DEPLOYER))
    backend.transact(deployer.call("setFactory", factory.address), sender=DEPLOYER)
    address = address_at(backend.transact(factory.call("createPool", *TOKENS)), 0)
    chain.block_of(Contract(artifact("AlgebraPool"), address).call("initialize", 2**96))
    venue = {"name": "q", "factory": checksum(factory.address), "dialect": "algebra_v1"}
    adapter = UniswapV3({"venues": [venue]})
    by_tokens = UniswapV3({"venues": [venue], "tokens": [checksum(token) for token in TOKENS]})
    (spec,) = await adapter.discover(chain, block=chain.latest)
    assert [spec] == await by_tokens.discover(chain, block=chain.latest)
    assert (spec.address, spec.tokens, dict(spec.parameters)["tick_spacing"]) == (address, TOKENS, 60)
    pool = shaped_pool(random.Random(3), 8, (777, 777), 60)
    assert await check(chain, adapter, spec, pool, ALGEBRA) > 30


async def test_pancakes_pools_are_read(chain: RevmChain) -> None:
    facts = [address_word(DEPLOYER), *map(address_word, TOKENS), word(2500), word(50)]
    creation = artifact("PancakeV3Pool").encode_constructor()
    with chain.backend.pretending({CREATOR: creator_code(facts)}):
        address = address_at(chain.backend.transact(Call(to=CREATOR, data=creation)), 0)
    chain.block_of()
    spec = PoolSpec(
        address=address,
        tokens=TOKENS,
        venue="p",
        fee_pips=2500,
        can_flash=True,
        parameters=(
            ("dialect", NAMES.index("uniswap")),
            ("fee_pips", 2500),
            ("gas", 1),
            ("gas_per_tick", 1),
            ("gas_per_word", 1),
            ("tick_spacing", 50),
        ),
    )
    adapter = UniswapV3({"venues": [{"name": "p", "preset": "pancakeswap"}]})
    pool = shaped_pool(random.Random(4), 8, (2500, 2500), 50)
    assert await check(chain, adapter, spec, pool, PANCAKE) > 30
