"""Discovery, loading and calls against the real manager, on an EVM in this process."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs
from tallyio_protocol_uniswap_v4.adapter import UniswapV4
from tallyio_protocol_uniswap_v4.permissions import AFTER_SWAP, BEFORE_SWAP

from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.world import OPERATOR
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
)
from tallyio.model.chain import Log, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address, checksum
from tests.v4_desk import Key
from tests.v4_world import DONATION_HOOK, V4World, adapter_of, spec_of


@pytest.fixture
def world() -> V4World:
    """Return a fresh world; building it takes some tens of milliseconds."""
    return V4World()


async def test_pools_are_found_with_all_that_identifies_them(world: V4World) -> None:
    a, b, c = world.new_tokens(3)
    keys = [
        Key(a, b, 3000, 60),
        Key(a, b, 3000, 61),
        Key(b, c, 1_000_000, 32_767),
        Key(ZERO_ADDRESS, b, 0, 1, DONATION_HOOK),
    ]
    for key in keys:
        world.open(key, 7)
    pools = await adapter_of(world).discover(world, block=world.latest)
    assert [pool.id for pool in pools] == [key.id for key in keys]
    assert [pool.tokens for pool in pools] == [(key.currency0, key.currency1) for key in keys]
    assert [pool.fee_pips for pool in pools] == [3000, 3000, 1_000_000, 0]
    for pool, key in zip(pools, keys, strict=True):
        facts = dict(pool.parameters)
        assert (facts["fee"], facts["tick_spacing"]) == (key.fee, key.spacing)
        assert facts["hooks"] == int.from_bytes(key.hooks)
        assert pool.log_sources == (LogSource(world.manager, key.id),)
        assert pool.can_flash
        assert not pool.ages


async def test_only_pools_between_the_configured_tokens_are_found(world: V4World) -> None:
    a, b, c = world.new_tokens(3)
    for pair in ((a, b), (b, c), (a, c), (ZERO_ADDRESS, a)):
        world.open(Key(*pair, 500, 10))
    tokens = [checksum(token) for token in (ZERO_ADDRESS, a, c)]
    pools = await adapter_of(world, tokens=tokens).discover(world, block=world.latest)
    assert [pool.tokens for pool in pools] == [(a, c), (ZERO_ADDRESS, a)]


async def test_a_pool_whose_hook_takes_part_in_swaps_is_refused_and_told(
    world: V4World, caplog: pytest.LogCaptureFixture
) -> None:
    a, b = world.new_tokens(2)
    fine = Key(a, b, 3000, 60)
    before, after = (Key(a, b, 3000, 60, hook(bits)) for bits in (BEFORE_SWAP, AFTER_SWAP | 1 << 2))
    for key in (fine, before, after):
        world.open(key)
    adapter = adapter_of(world)
    found = await adapter.survey(world, block=world.latest)
    assert [pool.id for pool in found.pools] == [fine.id]
    assert [(pool.id, pool.hooks, pool.tokens) for pool in found.refused] == [
        (key.id, key.hooks, (a, b)) for key in (before, after)
    ]
    assert "set the fee" in found.refused[0].reason
    assert "may take part of what comes out" in found.refused[1].reason
    with caplog.at_level(logging.INFO):
        assert await adapter.discover(world, block=world.latest) == list(found.pools)
    assert [record.getMessage() for record in caplog.records] == [
        f"pool {pool.id.hex()} is not quoted: {pool.reason}" for pool in found.refused
    ]


def hook(bits: int) -> Address:
    return Address((9 << 100 | bits).to_bytes(20))


async def test_a_pool_opened_in_an_abandoned_block_is_not_found(world: V4World) -> None:
    """An event whose pool the manager does not have at the block is left out."""

    class Haunted(V4World):
        async def logs(self, query: LogFilter) -> list[Log]:
            (opened, *others) = await super().logs(query)
            ghost = structs.replace(opened, data=(77).to_bytes(32) + opened.data[32:])
            return [opened, *others, ghost]

    haunted = Haunted()
    haunted.open(Key(*haunted.new_pair(), 3000, 60))
    pools = await adapter_of(haunted).discover(haunted, block=haunted.latest)
    assert [pool.fee_pips for pool in pools] == [3000]


async def test_everything_is_read_at_the_block_that_was_given(world: V4World) -> None:
    world.open(Key(*world.new_pair(), 3000, 60))
    adapter = adapter_of(world)
    pools = await adapter.discover(world, block=world.latest)
    await adapter.load(world, pools, block=world.latest)
    assert set(world.asked_at) == {world.latest.hash}


async def test_a_manager_that_is_none_is_named(world: V4World) -> None:
    world.open(Key(*world.new_pair(), 3000, 60))
    pool = (await adapter_of(world).discover(world, block=world.latest))[0]
    other = structs.replace(pool, address=OPERATOR)
    with pytest.raises(ChainError, match="does not answer as a Uniswap V4 manager does; check the factory"):
        await adapter_of(world).load(world, [other], block=world.latest)


async def test_a_node_that_lies_about_liquidity_is_caught(world: V4World) -> None:
    key = Key(*world.new_pair(), 3000, 60)
    world.open(key)
    world.desk.modify(key, -600, 600, 10**18)
    pool = await spec_of(world, key)

    class Liar:
        chain_id = world.chain_id

        async def call(self, calls: Sequence[Call], **how: Any) -> list[bytes | None]:
            answers = await world.call(calls, **how)
            true, lie = (10**18).to_bytes(32), (10**18 + 1).to_bytes(32)
            return [said and said.replace(true, lie, 1) for said in answers]

    with pytest.raises(ChainError, match="contradicts itself"):
        await adapter_of(world).load(Liar(), [pool], block=world.latest)  # type: ignore[arg-type]


async def test_the_adapters_calls_are_those_of_the_abi(world: V4World) -> None:
    a, b = world.new_tokens(2)
    manager = world.desk.manager
    for token0 in (a, ZERO_ADDRESS):
        key = Key(token0, b, 3000, 60)
        world.open(key)
        pool = await spec_of(world, key)
        for i, limit in ((0, LOWEST_LIMIT), (1, HIGHEST_LIMIT)):
            packed: list[tuple[Call, ...]] = []
            inner = (Call(to=OPERATOR, data=b"inner"),)
            (call,) = swap_on(adapter_of(world), pool, i, inner, packed)
            assert (call.to, call.data) == (manager.address, manager.call("unlock", b"packed").data)
            sold, bought = pool.tokens[i], pool.tokens[1 - i]
            pay = (Contract(artifact("Token"), sold).call("transfer", manager.address, 77),)
            assert packed == [
                (
                    manager.call("swap", key, (i == 0, -77, limit), b""),
                    manager.call("take", bought, OPERATOR, 55),
                    *inner,
                    manager.call("sync", sold),
                    *(() if sold == ZERO_ADDRESS else pay),
                    manager.call("settle", value_wei=77 if sold == ZERO_ADDRESS else 0),
                )
            ]


def swap_on(
    adapter: UniswapV4,
    pool: PoolSpec,
    i: int,
    inner: tuple[Call, ...],
    packed: list[tuple[Call, ...]],
) -> tuple[Call, ...]:
    def encode(calls: tuple[Call, ...]) -> bytes:
        packed.append(calls)
        return b"packed"

    return adapter.swap(
        pool,
        token_in=i,
        token_out=1 - i,
        amount_in=77,
        amount_out=55,
        recipient=OPERATOR,
        inner=inner,
        encode=encode,
    )
