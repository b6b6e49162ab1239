"""Discovery, loading, events, time and calls against the real contracts, on an EVM in this process."""

from __future__ import annotations

import random

import pytest
from eth_abi.abi import encode
from tallyio_protocol_balancer import hot
from tallyio_protocol_balancer.adapter import Balancer
from tallyio_protocol_balancer.layout import (
    STABLE_ROUNDED,
    STABLE_TRUNCATED,
    WEIGHTED,
    WEIGHTED_POWERS,
)

from tallyio.lab.steps import BLOCK_SECONDS, Reverted
from tallyio.lab.world import OPERATOR
from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.chain import Block
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum, hex_text
from tests.balancer_pools import EVEN, RATE, adapter_of, every_pool, join, token
from tests.balancer_rows import Chain, Rows
from tests.balancer_world import DAY, GIVEN_IN, GIVEN_OUT, Pool, World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def chain(world: World) -> Chain:
    return Chain(world)


def leave(world: World, pool: Pool, data: bytes) -> None:
    request = ([hex_text(each) for each in pool.registered], [0] * len(pool.registered), data, False)
    account = hex_text(OPERATOR)
    world.backend.transact(world.vault.call("exitPool", pool.id, account, account, request))


KINDS = {
    "weighted_v1": WEIGHTED,
    "weighted_2tokens": WEIGHTED,
    "weighted_v2": WEIGHTED_POWERS,
    "weighted_v3": WEIGHTED_POWERS,
    "stable_v1": STABLE_ROUNDED,
    "meta_stable": STABLE_ROUNDED,
    "stable_phantom": STABLE_ROUNDED,
    "stable_v2": STABLE_TRUNCATED,
    "composable_v1": STABLE_TRUNCATED,
    "composable_v2": STABLE_TRUNCATED,
    "composable_v3": STABLE_TRUNCATED,
}


async def test_every_variant_is_found_and_told_apart(world: World, chain: Chain) -> None:
    pools = every_pool(world)
    found = {spec.id: spec for spec in await adapter_of(world).discover(chain, block=chain.latest)}
    assert set(found) == {pool.id for pool in pools.values()}
    assert {name: dict(found[pool.id].parameters)["kind"] for name, pool in pools.items()} == KINDS
    for pool in pools.values():
        spec = found[pool.id]
        assert (spec.tokens, spec.fee_pips, spec.can_flash) == (pool.tokens, 1000, False)
        assert pool.address not in spec.tokens
        assert [source.address for source in spec.sources] == [world.vault.address, pool.address]
        assert spec.sources[0].topic1 == pool.id
    assert set(chain.asked_at) == {chain.latest.hash}


async def test_named_pools_and_named_tokens_select(world: World, chain: Chain) -> None:
    pools = every_pool(world)
    wanted = pools["stable_v2"]
    adapter = adapter_of(world, from_block=None, pools=[hex_text(wanted.id)])
    assert [spec.id for spec in await adapter.discover(chain, block=chain.latest)] == [wanted.id]
    venue = {"name": "x", "vault": checksum(world.vault.address), "from_block": 0}
    both = Balancer({"venues": [venue], "tokens": [checksum(each) for each in wanted.tokens]})
    found = {spec.id for spec in await both.discover(chain, block=chain.latest)}
    assert found == {pool.id for pool in pools.values() if set(wanted.tokens) <= set(pool.tokens)}


async def test_a_named_pool_of_another_kind_is_refused(world: World, chain: Chain) -> None:
    pool = world.pool("weighted_v3", [world.token(18), world.token(18)], fee=10**15, weights=EVEN)
    world.backend._set_code(pool.address, b"\xfe")
    adapter = adapter_of(world, pools=[hex_text(pool.id)])
    with pytest.raises(ChainError, match="neither weighted nor stable"):
        await adapter.discover(chain, block=chain.latest)
    assert await adapter_of(world).discover(chain, block=chain.latest) == []


async def test_rows_follow_swaps_joins_and_exits(world: World, chain: Chain) -> None:
    """Real swaps through the adapter's calls pay the quote and not a unit more; rows equal a fresh load."""
    named = every_pool(world)
    pools = list(named.values())
    adapter = adapter_of(world)
    specs = {spec.id: spec for spec in await adapter.discover(chain, block=chain.latest)}
    ordered = [specs[pool.id] for pool in pools]
    rows = Rows(chain, adapter, ordered, await adapter.load(chain, ordered, block=chain.latest))
    draw = random.Random(7)
    for _ in range(60):
        k = draw.randrange(len(pools))
        i, j = draw.sample(range(len(ordered[k].tokens)), 2)
        amount = unit_of(world, ordered[k].tokens[i]) * draw.randrange(1, 10**10) // 10**5
        quoted = hot.quote(rows.addresses[k], i, j, amount)
        assert quoted == pools[k].query(GIVEN_IN, i, j, amount)
        if quoted:
            before = balance(world, ordered[k].tokens[j])
            with pytest.raises(Reverted, match="42414c23353037"):
                trade(chain, adapter, ordered[k], i, j, amount, quoted + 1)
            block = trade(chain, adapter, ordered[k], i, j, amount, quoted)
            assert balance(world, ordered[k].tokens[j]) - before == quoted
            rows.follow(block)
        wanted = max(1, quoted // 2)
        taken = hot.quote_exact_out(rows.addresses[k], i, j, wanted)
        assert taken == pools[k].query(GIVEN_OUT, i, j, wanted)
    del named["stable_phantom"]  # it knows no exits, only swaps for its own token
    for pool in named.values():
        number = world.backend.number
        leave(world, pool, exit_data(pool))
        if pool.address not in pool.registered:
            for address in pool.tokens:
                world.backend.transact(token(address).call("approve", world.vault.address, 10**30))
            units = [unit_of(world, each) for each in pool.tokens]
            join(world, pool, encode(["uint256", "uint256[]", "uint256"], [1, units, 0]))
        for each in range(number + 1, world.backend.number + 1):
            assert LOG_RELOAD not in set().union(*rows.follow(chain.block(each)))
    assert await rows.equal_a_fresh_load()


def exit_data(pool: Pool) -> bytes:
    """Return what a pool needs to hand out a part of everything."""
    if pool.address in pool.registered:  # BPT in for exact tokens out
        return encode(["uint256", "uint256[]", "uint256"], [1, [10**6] * len(pool.tokens), 2**255])
    return encode(["uint256", "uint256"], [1, 10**18])


def unit_of(world: World, address: Address) -> int:
    """Return what a whole token is."""
    unit: int = 10 ** int.from_bytes(world.backend.call(token(address).call("decimals")))
    return unit


def balance(world: World, address: Address) -> int:
    return int.from_bytes(world.backend.call(token(address).call("balanceOf", OPERATOR)))


def trade(  # noqa: PLR0913, PLR0917 - the facts of one swap
    chain: Chain, adapter: Balancer, spec: PoolSpec, i: int, j: int, amount_in: int, amount_out: int
) -> Block:
    """Make the adapter's calls as the operator."""
    calls = adapter.swap(
        spec,
        token_in=i,
        token_out=j,
        amount_in=amount_in,
        amount_out=amount_out,
        recipient=OPERATOR,
        inner=(),
        encode=lambda _: b"",
    )
    assert [call.to for call in calls] == [spec.tokens[i], spec.log_sources[0].address, spec.tokens[i]]
    return chain.block_of(*calls)


async def test_a_swap_leaves_no_allowance_and_cannot_flash(world: World, chain: Chain) -> None:
    pool = every_pool(world)["weighted_v3"]
    adapter = adapter_of(world)
    (spec,) = (spec for spec in await adapter.discover(chain, block=chain.latest) if spec.id == pool.id)
    trade(chain, adapter, spec, 0, 1, unit_of(world, spec.tokens[0]), 1)
    left = world.backend.call(token(spec.tokens[0]).call("allowance", OPERATOR, world.vault.address))
    assert int.from_bytes(left) == 0
    with pytest.raises(ValueError, match="cannot flash"):
        adapter.swap(
            spec,
            token_in=0,
            token_out=1,
            amount_in=1,
            amount_out=1,
            recipient=OPERATOR,
            inner=(Call(to=OPERATOR, data=b""),),
            encode=lambda _: b"",
        )


@pytest.mark.parametrize(
    "variant", ["stable_v1", "stable_v2", "meta_stable", "stable_phantom", "composable_v3"]
)
async def test_a_ramp_of_amp_is_followed_through_time(world: World, chain: Chain, variant: str) -> None:
    """Start, middle, stop and end of a ramp, from its events and from a load in its middle."""
    pool = every_pool(world)[variant]
    adapter = adapter_of(world)
    (spec,) = (spec for spec in await adapter.discover(chain, block=chain.latest) if spec.id == pool.id)
    rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
    until = chain.latest.timestamp + 2 * DAY
    pool.do("startAmplificationParameterUpdate(uint256,uint256)", ["uint256", "uint256"], [350, until])
    seen = rows.follow(chain.block(world.backend.number))[0]
    quotes, amount = [], 100_000 * unit_of(world, pool.tokens[0])
    for blocks in (1, 2, 3000, 1):
        for _ in range(blocks - 1):
            world.backend.block(())
        seen |= rows.follow(chain.block_of())[0]
        with world.backend.undone():
            world.backend.block(())  # what is traded next is in the next block, with its time
            quotes.append(pool.query(GIVEN_IN, 0, 1, amount))
        assert hot.quote(rows.addresses[0], 0, 1, amount) == quotes[-1]
        assert await rows.equal_a_fresh_load()
    pool.do("stopAmplificationParameterUpdate()")
    seen |= rows.follow(chain.block(world.backend.number))[0]
    assert await rows.equal_a_fresh_load()
    assert seen == {LOG_APPLIED, LOG_IGNORED}
    assert len(set(quotes)) == 4


async def test_a_phantom_pool_pays_by_the_rate_that_has_expired(world: World, chain: Chain) -> None:
    """It looks whether to cache a rate after it has read the old one: the swap after pays by the new one."""
    pool = every_pool(world)["stable_phantom"]
    adapter = adapter_of(world)
    (spec,) = (spec for spec in await adapter.discover(chain, block=chain.latest) if spec.id == pool.id)
    for _ in range(DAY // BLOCK_SECONDS + 2):
        world.backend.block(())
    world.set_rate(Address(dict(spec.parameters)["provider1"].to_bytes(20)), RATE + 10**16)
    rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
    for _ in range(2):
        amount = unit_of(world, pool.tokens[0])
        quoted = hot.quote(rows.addresses[0], 0, 1, amount)
        assert quoted == pool.query(GIVEN_IN, 0, 1, amount) > 0
        assert LOG_RELOAD not in rows.follow(trade(chain, adapter, spec, 0, 1, amount, quoted))[0]
        assert await rows.equal_a_fresh_load()


@pytest.mark.parametrize("variant", ["meta_stable", "composable_v1", "composable_v2", "composable_v3"])
async def test_an_expired_rate_is_read_afresh(world: World, chain: Chain, variant: str) -> None:
    """The next swap caches the provider's rate: a row serves it once, and asks for a reload after that."""
    pool = every_pool(world)[variant]
    adapter = adapter_of(world)
    (spec,) = (spec for spec in await adapter.discover(chain, block=chain.latest) if spec.id == pool.id)
    for _ in range(DAY // BLOCK_SECONDS + 2):
        world.backend.block(())
    provider = Address(dict(spec.parameters)["provider1"].to_bytes(20))
    world.set_rate(provider, RATE + 10**16)
    rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
    amount = unit_of(world, pool.tokens[0])
    quoted = hot.quote(rows.addresses[0], 0, 1, amount)
    with world.backend.undone():
        world.backend.block(())
        assert quoted == pool.query(GIVEN_IN, 0, 1, amount) > 0
    assert LOG_RELOAD in rows.follow(chain.block_of())[0]
    rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
    block = trade(chain, adapter, spec, 0, 1, amount, quoted)
    assert LOG_RELOAD not in rows.follow(block)[0]
    assert await rows.equal_a_fresh_load()


async def test_fees_and_pauses_are_followed(world: World, chain: Chain) -> None:
    pools = every_pool(world)
    adapter = adapter_of(world)
    specs = {spec.id: spec for spec in await adapter.discover(chain, block=chain.latest)}
    for variant in ("weighted_v3", "composable_v3"):
        spec, pool = specs[pools[variant].id], pools[variant]
        rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
        pool.do("setSwapFeePercentage(uint256)", ["uint256"], [7 * 10**15])
        assert LOG_APPLIED in rows.follow(chain.block(world.backend.number))[0]
        assert await rows.equal_a_fresh_load()
        amount = unit_of(world, pool.tokens[0])
        assert hot.quote(rows.addresses[0], 0, 1, amount) == pool.query(GIVEN_IN, 0, 1, amount) > 0


async def test_what_an_asset_manager_holds_is_known_but_not_paid(world: World, chain: Chain) -> None:
    pool = every_pool(world)["stable_v2"]
    held = [(10**9, 10**12), (10**18, 10**24)]
    held = held if unit_of(world, pool.tokens[0]) == 10**6 else held[::-1]
    pool.hold(held)
    adapter = adapter_of(world)
    (spec,) = (spec for spec in await adapter.discover(chain, block=chain.latest) if spec.id == pool.id)
    rows = Rows(chain, adapter, [spec], await adapter.load(chain, [spec], block=chain.latest))
    for amount in (10**6, 10**9, 10**13, 10**20):
        quoted = hot.quote(rows.addresses[0], 0, 1, amount)
        assert quoted == pool.query(GIVEN_IN, 0, 1, amount)
