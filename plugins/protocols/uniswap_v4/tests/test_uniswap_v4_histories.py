"""Rows that follow the real manager through random histories, on an EVM in this process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import pytest
from tallyio_protocol_uniswap_v4 import hot
from tallyio_protocol_uniswap_v4.adapter import UniswapV4
from tallyio_protocol_uniswap_v4.permissions import DYNAMIC_FEE_FLAG

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.concentrated.layout import PRICE_BYTES, contents
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MAX_TICK,
)
from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Block
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address
from tests.v4_desk import Key
from tests.v4_pools import Row
from tests.v4_world import DONATION_HOOK, V4World, adapter_of, spec_of


@pytest.fixture
def world() -> V4World:
    """Return a fresh world; building it takes some tens of milliseconds."""
    return V4World()


class Case(NamedTuple):
    """A pool to play with."""

    fee: int
    spacing: int
    native: bool = False
    hooks: Address = ZERO_ADDRESS
    tick: int = 0
    bits: int = 110
    """Of the largest amounts: with a spacing of 1 a walk to the end takes thousands of steps."""


CASES = {
    "tiny fee": Case(1, 1, bits=60),
    "usual": Case(500, 10, native=True),
    "with a hook": Case(3000, 60, hooks=DONATION_HOOK),
    "dear": Case(10_000, 200, tick=-5000),
    "no fee": Case(0, 61, tick=12_345),
    "far away": Case(100, 60, native=True, tick=300_000),
    "wide": Case(250_000, 32_767, tick=100),
    "dynamic": Case(DYNAMIC_FEE_FLAG, 60, hooks=Address(b"\x44" * 18 + b"\0\0")),  # without permissions
}


@pytest.mark.parametrize("name", CASES)
async def test_quotes_equal_real_swaps_through_random_histories(world: V4World, name: str) -> None:
    """Positions, swaps and fees change; before each, both directions, in and out, at all sizes.

    The row follows the real logs alone, and at the end says what a fresh one does.
    """
    case, draw = CASES[name], random.Random(name)
    tokens = world.new_tokens(2)
    key = Key(ZERO_ADDRESS if case.native else tokens[0], tokens[1], case.fee, case.spacing, case.hooks)
    world.open(key, case.tick)
    world.desk.modify(key, *ends_of(case.spacing), 1 << 70)
    history = History(world, key, await spec_of(world, key), case.bits)
    await history.load()
    for _ in range(40):
        await history.step(draw)
    row, fresh = history.row.raw, (await history.fresh())[0]
    assert contents(row) == contents(fresh)
    assert history.paid > 100
    assert history.refused > 0
    assert history.reloads == 40 if name == "dynamic" else history.reloads <= 4


def ends_of(spacing: int) -> tuple[int, int]:
    """Return the ticks at the ends of the price range."""
    return -(MAX_TICK // spacing) * spacing, MAX_TICK // spacing * spacing


class History:
    """A pool, its row, and what was seen of both."""

    def __init__(self, world: V4World, key: Key, pool: PoolSpec, bits: int = 110) -> None:
        self.world, self.key, self.pool, self.bits = world, key, pool, bits
        self.adapter, self.row = adapter_of(world), Row()
        self.positions: list[tuple[int, int, int]] = []
        self.paid = self.refused = self.reloads = 0

    async def fresh(self) -> list[bytes]:
        """Return the row as of the latest block."""
        return await self.adapter.load(self.world, [self.pool], block=self.world.latest)

    async def load(self) -> None:
        """Load the row."""
        self.row.place((await self.fresh())[0])

    async def step(self, draw: random.Random) -> None:
        """Change the pool, follow, and compare."""
        seen = self.world.latest
        self.change(draw)
        followed = follow(self.row, self.adapter, self.pool, self.world.blocks_after(seen))
        if LOG_RELOAD in {followed, hot.advance(self.row.address, self.world.latest.timestamp + 12)}:
            self.reloads += 1
            await self.load()
        for _ in range(6):
            i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(1, self.bits)) + 1
            for quote, exact in (
                (self.row.quote(amount, i), self.world.paid(self.key, i, amount)),
                (self.row.quote_exact_out(amount, i), self.world.paid(self.key, i, -amount)),
            ):
                assert quote == exact
                self.paid += exact > 0
                self.refused += exact == 0

    def change(self, draw: random.Random) -> None:
        """Make one random change of the pool, a real one."""
        kind, desk = draw.random(), self.world.desk
        if kind < 0.1:
            desk.set_protocol_fee(self.key, draw.randrange(1001) | draw.randrange(1001) << 12)
        elif kind < 0.2 and self.key.fee == DYNAMIC_FEE_FLAG:
            set_fee = desk.manager.call("updateDynamicLPFee", self.key, draw.randrange(20_000))
            self.world.block_of(set_fee, sender=self.key.hooks)
        elif kind < 0.3 and self.positions:
            lower, upper, amount = self.positions.pop(draw.randrange(len(self.positions)))
            desk.modify(self.key, lower, upper, -amount)
        elif kind < 0.65:
            end = MAX_TICK // self.key.spacing
            near = min(max(self.pool_tick() // self.key.spacing, -end), end - 1)
            lower = max(near - draw.randrange(30), -end)
            position = (lower, min(lower + draw.choice((1, 2, 40, 700)), end), draw.getrandbits(80) + 1)
            ends = (position[0] * self.key.spacing, position[1] * self.key.spacing, position[2])
            self.positions.append(ends)
            desk.modify(self.key, *ends)
        else:
            i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(10, min(self.bits, 80))) + 1
            if self.world.paid(self.key, i, amount):
                limit = HIGHEST_LIMIT if i else LOWEST_LIMIT
                desk.swap(self.key, zero_for_one=i == 0, amount=-amount, limit=limit)

    def pool_tick(self) -> int:
        """Return the pool's tick, from its row."""
        return int.from_bytes(self.row.raw[48:56], "little", signed=True)


def follow(row: Row, adapter: UniswapV4, pool: PoolSpec, blocks: Sequence[Block]) -> int:
    """Apply the logs of the pool that the adapter names, in order, until the row cannot follow."""
    (source,) = pool.sources
    for log in (log for block in blocks for log in block.logs):
        if log.address == source.address and log.topics[1:2] == (source.topic1,):
            event = adapter.topics.index(log.topics[0])
            status = row.apply(event, log.data, b"".join(log.topics[1:]))
            if status == LOG_RELOAD:
                return status
            assert status in {LOG_APPLIED, LOG_IGNORED}
    return LOG_APPLIED


async def test_a_pool_that_is_not_open_loads_and_follows_its_start(world: V4World) -> None:
    """As after a reorg that dropped the block which opened it."""
    key = Key(*world.new_pair(), 500, 10)
    with world.backend.undone():
        world.open(key)
        pool = await spec_of(world, key)
    history = History(world, key, pool)
    await history.load()
    assert history.row.quote(10**9, 0) == 0
    seen = world.latest
    world.open(key, 123)
    world.desk.modify(key, -1000, 1000, 10**18)
    assert follow(history.row, history.adapter, pool, world.blocks_after(seen)) == LOG_APPLIED
    assert history.row.quote(10**9, 0) == world.paid(key, 0, 10**9) > 0


async def test_a_dynamic_fee_ages_and_is_read_again(world: V4World) -> None:
    """A hook sets its fee in silence: the row asks to be loaded again after a while, or at a swap."""
    case = CASES["dynamic"]
    key = Key(*world.new_pair(), case.fee, case.spacing, case.hooks)
    world.open(key)
    world.desk.modify(key, -6000, 6000, 10**18)
    pools = await adapter_of(world, dynamic_fee_seconds=30).discover(world, block=world.latest)
    (pool,) = pools
    assert pool.ages
    history = History(world, key, pool)
    await history.load()
    seen = world.latest
    world.block_of(world.desk.manager.call("updateDynamicLPFee", key, 4321), sender=key.hooks)
    assert world.block(world.latest.number).logs == ()
    assert hot.advance(history.row.address, seen.timestamp + 30) == LOG_IGNORED
    assert hot.advance(history.row.address, seen.timestamp + 31) == LOG_RELOAD
    world.desk.swap(key, zero_for_one=True, amount=-(10**9), limit=LOWEST_LIMIT)
    assert follow(history.row, history.adapter, pool, world.blocks_after(seen)) == LOG_RELOAD
    await history.load()
    assert history.row.quote(10**12, 1) == world.paid(key, 1, 10**12) > 0
    assert (await spec_of(world, key)).fee_pips == 4321


async def test_a_market_follows_each_pool_of_one_manager_by_its_own_events(world: V4World) -> None:
    """The pools share an address; a dynamic one among them is loaded again when its fee is old."""
    pair, draw = world.new_pair(), random.Random(8)
    names = ("usual", "with a hook", "dynamic")
    keys = [Key(*pair, CASES[name].fee, CASES[name].spacing, CASES[name].hooks) for name in names]
    for key in keys:
        world.open(key)
        world.desk.modify(key, *ends_of(key.spacing), 1 << 70)
    adapter = adapter_of(world, dynamic_fee_seconds=36)
    pools = await adapter.discover(world, block=world.latest)
    rows = await adapter.load(world, pools, block=world.latest)
    holding = Holding(
        protocol="uniswap_v4",
        compiled=adapter.compiled,
        topics=adapter.topics,
        pools=tuple(pools),
        rows=tuple(rows),
    )
    head, reloads = world.latest, 0
    with Market(fuse([("uniswap_v4", adapter.compiled)]), [holding], Head(head.hash, head.number)) as market:
        for _ in range(30):
            i, key = draw.randrange(2), draw.choice(keys)
            limit = HIGHEST_LIMIT if i else LOWEST_LIMIT
            world.desk.swap(key, zero_for_one=i == 0, amount=-(10**18), limit=limit)
            for block in world.blocks_after(head):
                market.apply(block, next_timestamp=block.head.timestamp + 12)
            head = world.latest
            fresh = await adapter.load(world, pools, block=head)
            for k in market.waiting:
                assert market.reload(k, fresh[k], block=head.hash)
                assert keys[k].fee == DYNAMIC_FEE_FLAG
                reloads += 1
            # All but when the fee was read, which is the dynamic pool's own.
            assert [price_of(market.row(k)) for k in range(3)] == [price_of(row) for row in fresh]
            for k in range(3):
                amount = draw.getrandbits(60) + 1
                assert market.quote(k, i, 1 - i, amount) == world.paid(keys[k], i, amount)
                assert market.quote_exact_out(k, i, 1 - i, amount) == world.paid(keys[k], i, -amount)
    assert 8 <= reloads <= 11


def price_of(row: bytes) -> bytes:
    """Return what a row's header says of the price."""
    return row[:PRICE_BYTES]
