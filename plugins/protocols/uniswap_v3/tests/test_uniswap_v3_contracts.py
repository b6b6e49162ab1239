"""Discovery, loading, events, quotes and calls against the real contracts, on an EVM in this process."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import structs
from tallyio_protocol_uniswap_v3 import hot
from tallyio_protocol_uniswap_v3.adapter import UniswapV3

from tallyio.engine.executor import deployment
from tallyio.engine.planner import plan
from tallyio.lab.artifact import Contract
from tallyio.lab.fetch import artifact
from tallyio.lab.steps import Reverted
from tallyio.lab.world import DEPLOYER, OPERATOR
from tallyio.market.abi import LOG_APPLIED
from tallyio.market.concentrated.layout import contents
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT, get_sqrt_ratio_at_tick
from tallyio.model.chain import Block, Log, LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Leg, Opportunity
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, checksum
from tallyio.native.memory import Region
from tallyio.testing import RevmChain

FOREVER = 2**64
UNLIMITED = 2**256 - 1
RICH = 2**250
DATA_BYTES = 1024
GHOST = bytes(31) + b"\7"
"""A token of no pool."""


class V3World(RevmChain):
    """The lab's world with pools of its own, in all spacings, whose tokens anybody may mint."""

    def __init__(self) -> None:
        super().__init__()
        venue = self.world.v3
        self.factory = Contract(artifact("UniswapV3Factory"), venue.factory)
        self.positions = Contract(artifact("NonfungiblePositionManager"), venue.positions)
        self.router = Contract(artifact("SwapRouter"), venue.router)
        self.quoter = Contract(artifact("QuoterV2"), venue.quoter)
        self.block_of(self.factory.call("enableFeeAmount", 100, 1), sender=DEPLOYER)
        self.open_positions: list[tuple[int, int]] = []

    def new_pair(self) -> tuple[Address, Address]:
        """Deploy two tokens and return them in a pool's order, with the operator rich and approving."""
        token = artifact("Token")
        made = [self.backend.deploy(token.encode_constructor("T", "T", 18)) for _ in range(2)]
        for address in made:
            contract = Contract(token, address)
            self.block_of(contract.call("mint", OPERATOR, RICH))
            for spender in (self.positions.address, self.router.address):
                self.block_of(contract.call("approve", spender, UNLIMITED))
        return (min(made), max(made))

    def new_pool(self, fee: int, tick: int, tokens: tuple[Address, Address] | None = None) -> Address:
        """Create a pool at a tick."""
        tokens = tokens or self.new_pair()
        price = get_sqrt_ratio_at_tick(tick)
        create = self.positions.call("createAndInitializePoolIfNecessary", *tokens, fee, price)
        return Address(self.backend.transact(create)[-20:])

    def mint(self, pool: PoolSpec, lower: int, upper: int, amount: int) -> None:
        """Provide at most `amount` of each token between two ticks, if that makes a position."""
        terms = (*pool.tokens, pool.fee_pips, lower, upper, amount, amount, 0, 0, OPERATOR, FOREVER)
        try:
            output = self.backend.transact(self.positions.call("mint", terms))
        except Reverted:
            return
        number, liquidity = self.positions.artifact.decode("mint", output)[:2]
        self.open_positions.append((number, liquidity))

    def burn(self, draw: random.Random) -> None:
        """Take all or half of some position out."""
        number, liquidity = self.open_positions.pop(draw.randrange(len(self.open_positions)))
        part = draw.choice((liquidity, liquidity // 2 + 1))
        self.block_of(self.positions.call("decreaseLiquidity", (number, part, 0, 0, FOREVER)))
        if part < liquidity:
            self.open_positions.append((number, liquidity - part))

    def swap(self, pool: PoolSpec, i: int, amount: int) -> bytes:
        """Sell `amount` through the router, down to the furthest price; return what it says."""
        return self.backend.transact(self.router.call("exactInputSingle", _order(pool, i, amount)))

    def paid(self, pool: PoolSpec, i: int, amount: int) -> int:
        """Return what a real swap pays, and 0 where the pool leaves some of the input; undone afterwards."""
        wallet = Contract(artifact("Token"), pool.tokens[i]).call("balanceOf", OPERATOR)
        with self.backend.undone():
            before = int.from_bytes(self.backend.call(wallet))
            try:
                output = self.swap(pool, i, amount)
            except Reverted:
                return 0
            spent = before - int.from_bytes(self.backend.call(wallet))
        return int.from_bytes(output) if spent == amount else 0

    def quoted(self, pool: PoolSpec, i: int, amount: int) -> int:
        """Return what QuoterV2 says, and 0 where the swap would end at the furthest price or fail."""
        order = (pool.tokens[i], pool.tokens[1 - i], amount, pool.fee_pips, 0)
        try:
            output = self.backend.call(self.quoter.call("quoteExactInputSingle", order))
        except Reverted:
            return 0
        paid, price_after, _, _ = self.quoter.artifact.decode("quoteExactInputSingle", output)
        return 0 if price_after in {LOWEST_LIMIT, HIGHEST_LIMIT} else int(paid)


def _order(pool: PoolSpec, i: int, amount: int) -> tuple[object, ...]:
    return (pool.tokens[i], pool.tokens[1 - i], pool.fee_pips, OPERATOR, FOREVER, amount, 0, 0)


class Rows:
    """Rows in native memory that follow the logs as the market would: one that asks is loaded afresh."""

    def __init__(self, adapter: UniswapV3, pools: Sequence[PoolSpec], rows: Sequence[bytes]) -> None:
        self.adapter, self.pools = adapter, pools
        self.data = Region(DATA_BYTES)
        self.reloads = 0
        self.set(rows)

    def set(self, rows: Sequence[bytes]) -> None:
        """Replace all rows."""
        self.sizes = [len(row) for row in rows]
        self.memory = [Region(size) for size in self.sizes]
        for memory, row in zip(self.memory, rows, strict=True):
            memory.view("u1", len(row))[:] = bytearray(row)

    def raw(self, k: int) -> bytes:
        """The bytes of row `k`."""
        return self.memory[k].view("u1", self.sizes[k]).tobytes()

    def quote(self, k: int, i: int, amount: int) -> int:
        """Quote on pool `k`, selling token `i`."""
        out: int = hot.quote(self.memory[k].address, i, 1 - i, amount)
        return out

    def quote_exact_out(self, k: int, i: int, amount: int) -> int:
        """Quote on pool `k` what buying exactly `amount` takes of token `i`."""
        out: int = hot.quote_exact_out(self.memory[k].address, i, 1 - i, amount)
        return out

    async def follow(self, world: V3World, blocks: Sequence[Block]) -> None:
        """Apply the logs of these pools that the adapter names, in order."""
        places = {pool.address: k for k, pool in enumerate(self.pools)}
        for log in (log for block in blocks for log in block.logs):
            is_ours = log.address in places and log.topics[0] in self.adapter.topics
            if is_ours and self._apply(places[log.address], log) != LOG_APPLIED:
                self.reloads += 1
                self.set(await self.adapter.load(world, self.pools, block=world.latest))
                return

    def _apply(self, k: int, log: Log) -> int:
        raw = log.data + b"".join(log.topics[1:])
        self.data.view("u1", len(raw))[:] = bytearray(raw)
        event, row, data = self.adapter.topics.index(log.topics[0]), self.raw(k), self.data.address
        status: int = hot.apply_log(self.memory[k].address, event, data + len(log.data), data, len(log.data))
        changes = self.adapter.compiled.event_bytes[event] or len(row)
        assert self.raw(k)[changes:] == row[changes:]
        return status


@pytest.fixture
def world() -> V3World:
    """Return a fresh world; building it takes some tens of milliseconds."""
    return V3World()


def adapter_of(world: V3World, **more: object) -> UniswapV3:
    venue = {"name": "lab", "factory": checksum(world.world.v3.factory)}
    return UniswapV3({"venues": [venue], **more})


def sizes(draw: random.Random, count: int, bits: int = 130) -> list[int]:
    """Return amounts from one unit to what drains most pools."""
    return [1, 2, 3, *(draw.getrandbits(draw.randrange(2, bits)) | 1 for _ in range(count))]


async def test_pools_are_found_by_events_and_by_tokens_alike(world: V3World) -> None:
    by_events = await adapter_of(world).discover(world, block=world.latest)
    expected = {
        (pool.address, tuple(world.world.tokens[symbol].address for symbol in pool.tokens), pool.fee_pips)
        for pool in world.world.pools
        if pool.kind == "v3"
    }
    assert {(pool.address, pool.tokens, pool.fee_pips) for pool in by_events} == expected
    tokens = [checksum(token.address) for token in world.world.tokens.values()]
    by_tokens = await adapter_of(world, tokens=tokens).discover(world, block=world.latest)
    assert sorted(by_tokens, key=lambda pool: pool.address) == sorted(
        by_events, key=lambda pool: pool.address
    )
    spacings = {pool.fee_pips: dict(pool.parameters)["tick_spacing"] for pool in by_events}
    assert spacings == {500: 10, 3000: 60, 10_000: 200}


async def test_a_pool_created_in_an_abandoned_block_is_not_found(world: V3World) -> None:
    """An event whose pool the factory does not know at the block is left out."""

    class Haunted(V3World):
        async def logs(self, query: LogFilter) -> list[Log]:
            (created, *others) = await super().logs(query)
            ghost = structs.replace(created, topics=(created.topics[0], GHOST, *created.topics[2:]))
            return [created, *others, ghost]

    pools = await adapter_of(world).discover(world, block=world.latest)
    assert await adapter_of(world).discover(Haunted(), block=world.latest) == pools


async def test_everything_is_read_at_the_block_that_was_given(world: V3World) -> None:
    adapter = adapter_of(world)
    pools = await adapter.discover(world, block=world.latest)
    await adapter.load(world, pools, block=world.latest)
    assert set(world.asked_at) == {world.latest.hash}


async def test_quotes_on_the_labs_pools_equal_the_quoter(world: V3World) -> None:
    adapter = adapter_of(world)
    pools = await adapter.discover(world, block=world.latest)
    rows = Rows(adapter, pools, await adapter.load(world, pools, block=world.latest))
    draw, paid = random.Random(1), 0
    for k, pool in enumerate(pools):
        for i in (0, 1):
            held = int.from_bytes(
                world.backend.call(
                    Contract(artifact("Token"), pool.tokens[i]).call("balanceOf", pool.address)
                )
            )
            for amount in sizes(draw, 20, bits=held.bit_length() + 2):
                exact = world.quoted(pool, i, amount)
                assert rows.quote(k, i, amount) == exact
                paid += exact > 0
    assert paid > 100


@pytest.mark.parametrize("fee", [100, 500, 3000, 10_000])
async def test_quotes_equal_real_swaps_through_random_histories(world: V3World, fee: int) -> None:
    """Mints, burns and swaps; before each, both directions at sizes up to draining the pool.

    The row follows the real logs alone, and at the end is the row of a fresh load.
    """
    draw = random.Random(fee)
    world.new_pool(fee, draw.randrange(-3000, 3000))
    adapter = adapter_of(world)
    pool = next(
        found
        for found in await adapter.discover(world, block=world.latest)
        if found.fee_pips == fee and found.address not in {lab.address for lab in world.world.pools}
    )
    rows = Rows(adapter, [pool], await adapter.load(world, [pool], block=world.latest))
    spacing, seen, paid = dict(pool.parameters)["tick_spacing"], world.latest, 0
    for _ in range(30):
        change(world, pool, draw, spacing)
        await rows.follow(world, world.blocks_after(seen))
        seen = world.latest
        for amount in sizes(draw, 4):
            i = draw.randrange(2)
            exact = world.paid(pool, i, amount)
            assert rows.quote(0, i, amount) == exact
            paid += exact > 0
    assert paid > 60
    (fresh,) = await adapter.load(world, [pool], block=world.latest)
    assert contents(rows.raw(0)) == contents(fresh)


def change(world: V3World, pool: PoolSpec, draw: random.Random, spacing: int) -> None:
    """Make one random change of the pool."""
    kind = draw.random()
    if kind < 0.5 or len(world.open_positions) < 3:
        lower = draw.randrange(-9000 // spacing, 9000 // spacing) * spacing
        width = draw.choice((1, 2, 300, 600)) * spacing
        world.mint(pool, lower, lower + width, draw.getrandbits(draw.choice((30, 60, 90))) + 1000)
    elif kind < 0.65:
        world.burn(draw)
    else:
        i, amount = draw.randrange(2), draw.getrandbits(draw.randrange(10, 80)) + 1
        if world.paid(pool, i, amount):
            world.swap(pool, i, amount)


async def test_draining_a_full_range_pool_crosses_every_word_and_equals_the_pool(world: V3World) -> None:
    """From one end to the other, with the last input that fits found on the real contract."""
    world.new_pool(3000, 40_000)
    adapter = adapter_of(world)
    pool = next(
        found
        for found in await adapter.discover(world, block=world.latest)
        if found.address not in {lab.address for lab in world.world.pools}
    )
    world.mint(pool, -887_220, 887_220, 10**15)
    rows = Rows(adapter, [pool], await adapter.load(world, [pool], block=world.latest))
    for i in (0, 1):
        low, high = 1, 2**200
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if rows.quote(0, i, middle) else (low, middle)
        assert low > 10**30
        for amount in (low // 1000, low - 1, low, low + 1):
            assert rows.quote(0, i, amount) == world.paid(pool, i, amount)


async def test_a_cycle_through_the_executor_gains_what_the_quotes_say(world: V3World) -> None:
    """Two pools of one pair at different prices: the payment travels inside the first one's callback."""
    tokens = world.new_pair()
    world.new_pool(500, 0, tokens)
    world.new_pool(3000, 700, tokens)
    adapter = adapter_of(world, tokens=[checksum(token) for token in tokens])
    pools = await adapter.discover(world, block=world.latest)
    for pool in pools:
        world.mint(pool, -6000, 6000, 10**20)
    rows = Rows(adapter, pools, await adapter.load(world, pools, block=world.latest))
    # A higher tick is more token1 for token0: sell token0 where it is dear, buy it back where it is cheap.
    dear = next(k for k, pool in enumerate(pools) if pool.fee_pips == 3000)
    middle = rows.quote(dear, 0, 10**17)
    legs = (
        Leg(pool=dear, token_in=0, token_out=1, amount_in=10**17, amount_out=middle),
        Leg(
            pool=1 - dear,
            token_in=1,
            token_out=0,
            amount_in=middle,
            amount_out=rows.quote(1 - dear, 1, middle),
        ),
    )
    opportunity = Opportunity(
        id=1,
        strategy="test",
        block_hash=Hash(bytes(32)),
        block_number=0,
        token=tokens[0],
        legs=legs,
        amount_in=10**17,
        amount_out=legs[1].amount_out,
        gas=0,
        net_wei=0.0,
    )
    executor = world.backend.deploy(deployment(OPERATOR))
    made = plan(opportunity, pools, [adapter] * 2, executor=executor, sender=OPERATOR, deadline_block=10**6)
    wallet = Contract(artifact("Token"), tokens[0]).call("balanceOf", OPERATOR)
    before = int.from_bytes(world.backend.call(wallet))
    world.block_of(made.call)
    assert int.from_bytes(world.backend.call(wallet)) - before == opportunity.profit > 0


async def test_the_adapters_calls_are_those_of_the_abi(world: V3World) -> None:
    adapter = adapter_of(world)
    pool = (await adapter.discover(world, block=world.latest))[0]
    inner = (Call(to=OPERATOR, data=b"inner"),)

    def encode(calls: tuple[Call, ...]) -> bytes:
        return b"|".join(call.to + call.data for call in calls)

    for i, limit in ((0, LOWEST_LIMIT), (1, HIGHEST_LIMIT)):
        (call,) = adapter.swap(
            pool,
            token_in=i,
            token_out=1 - i,
            amount_in=77,
            amount_out=55,
            recipient=OPERATOR,
            inner=inner,
            encode=encode,
        )
        pay = Contract(artifact("Token"), pool.tokens[i]).call("transfer", pool.address, 77)
        contract = Contract(artifact("UniswapV3Pool"), pool.address)
        assert call == contract.call("swap", OPERATOR, i == 0, 77, limit, encode((*inner, pay)))


async def test_a_factory_that_is_none_is_named(world: V3World) -> None:
    venue = {"name": "x", "factory": checksum(OPERATOR)}
    tokens = [checksum(token.address) for token in world.world.tokens.values()]
    with pytest.raises(ChainError, match="does not answer as a Uniswap V3 contract"):
        await UniswapV3({"venues": [venue], "tokens": tokens}).discover(world, block=world.latest)


async def test_a_node_that_leaves_out_liquidity_is_caught(world: V3World) -> None:
    liquidity = artifact("UniswapV3Pool").encode("liquidity")

    class Liar(V3World):
        async def call(self, calls: Sequence[Call], **how: Any) -> list[bytes | None]:
            answers = await super().call(calls, **how)
            lie = (12345).to_bytes(32)
            return [
                lie if call.data == liquidity else said for call, said in zip(calls, answers, strict=True)
            ]

    adapter, liar = adapter_of(world), Liar()
    pools = await adapter.discover(world, block=world.latest)
    with pytest.raises(ChainError, match="contradicts itself"):
        await adapter.load(liar, pools, block=liar.latest)


async def test_a_pool_that_is_not_initialised_loads_and_follows_its_start(world: V3World) -> None:
    tokens = world.new_pair()
    world.block_of(world.factory.call("createPool", *tokens, 500))
    adapter = adapter_of(world, tokens=[checksum(token) for token in tokens])
    pools = await adapter.discover(world, block=world.latest)
    rows = Rows(adapter, pools, await adapter.load(world, pools, block=world.latest))
    assert rows.quote(0, 0, 10**9) == 0
    seen = world.latest
    world.new_pool(500, 123, tokens)
    world.mint(pools[0], -1000, 1000, 10**18)
    await rows.follow(world, world.blocks_after(seen))
    assert rows.quote(0, 0, 10**9) == world.paid(pools[0], 0, 10**9) > 0
