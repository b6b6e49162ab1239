"""The market's lane, end to end: blocks in, opportunities out, on a toy protocol."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import pytest
import trio

from tallyio.engine.market_lane import MarketLane
from tallyio.hooks.interfaces import CompiledStrategy, MarketShape
from tallyio.kernel.lane import LaneFailed
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market, OutOfOrder, UndoLost
from tallyio.model.chain import Rollback
from tallyio.model.errors import PluginError
from tallyio.model.execution import Leg
from tests.market import toys

# Reports, for every dirty pool, what selling 1000 of token 0 gives: a detector that can be checked by hand.
STRATEGY = """
from tallyio.market.abi import DETECT_SIGNATURE, FOUND, MARKET, POOL, word
from tallyio.market.fused import gas, quote
from tallyio.native.atomics import load, load_i32, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, store256, to_f64

THOUSAND = const(1000)
POOLS, DIRTY, DIRTY_COUNT = (word(MARKET, name) for name in ("pools", "dirty", "dirty_count"))
POOL_BYTES, FOUND_BYTES, TOKENS = POOL.itemsize, FOUND.itemsize, 8 * word(POOL, "tokens")
LEG_COUNT, TOKEN, GAS, NET, POOL_ID, IN, OUT = (
    word(FOUND, name) for name in ("leg_count", "token", "gas", "net", "pool", "token_in", "token_out")
)
AMOUNTS = 8 * word(FOUND, "amounts")

@hot(DETECT_SIGNATURE)
def detect(market, index, found, capacity):
    count = min(load(market, DIRTY_COUNT), capacity)
    for k in range(count):
        number = load(load(market, DIRTY), k)
        pool = load(market, POOLS) + number * POOL_BYTES
        out = quote(pool, 0, 1, THOUSAND)
        record = found + k * FOUND_BYTES
        store(record, LEG_COUNT, 1)
        store(record, TOKEN, load_i32(pool + TOKENS, 0))
        store(record, GAS, gas(pool, 0, 1, THOUSAND) + load(index, 0))
        store_f64(record, NET, to_f64(out))
        store(record, POOL_ID, number)
        store(record, IN, 0)
        store(record, OUT, 1)
        store256(record + AMOUNTS, THOUSAND)
        store256(record + AMOUNTS + 32, out)
    return count
"""

POOLS: Final = (toys.pool(0, 1, 2), toys.pool(1, 2, 3))
ROWS: Final = (toys.row(10**9, 2 * 10**9), toys.row(10**9, 5 * 10**9))


class Index:
    """One word: what the toy strategy adds to the gas."""

    def __init__(self) -> None:
        import numpy as np  # noqa: PLC0415 - only here

        self._words = np.array([7], dtype=np.int64)

    @property
    def address(self) -> int:
        """Where the word is."""
        return int(self._words.ctypes.data)


class Toy(msgspec.Struct, frozen=True):
    """A strategy without settings."""

    compiled: CompiledStrategy

    def index(self, shape: MarketShape) -> Index:
        """Return an index that knows no pool."""
        return Index()


Setup = tuple[Fused, toys.Compiled, Toy]


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    folder = tmp_path_factory.mktemp("lane")
    compiled = toys.toy(folder)
    strategy = Toy(CompiledStrategy(module=toys.write_module(folder, STRATEGY)))
    return fuse([("toy", compiled)], [("toy", strategy.compiled)]), compiled, strategy


@pytest.fixture
def market(setup: Setup) -> Iterator[Market]:
    with toys.market(setup[0], setup[1], POOLS, ROWS) as made:
        yield made


def lane_over(market: Market, setup: Setup) -> MarketLane:
    return MarketLane(market, [("toy", setup[2])])


async def test_a_block_goes_in_and_what_was_found_comes_out(setup: Setup, market: Market) -> None:
    block = toys.block(toys.GENESIS, [toys.event_log(POOLS[0], 0, 10**9, 4 * 10**9)])
    async with lane_over(market, setup) as lane:
        result = await lane.apply(block, gas_price_wei=1)
    assert result.dirty == 1
    assert result.reload == ()
    assert result.apply_ns > 0
    assert result.detect_ns > 0
    [found] = result.found
    assert (found.strategy, found.token, found.gas) == ("toy", toys.address(1), 107)
    [leg] = found.legs
    assert isinstance(leg, Leg)
    assert (leg.pool, leg.token_in, leg.token_out) == (0, 0, 1)
    assert found.amount_in == 1000
    assert found.amount_out == 1000 * 997 * 4 * 10**9 // (10**9 * 1000 + 1000 * 997)
    opportunity = found.opportunity(3, block.head)
    assert (opportunity.id, opportunity.block_hash, opportunity.amount_out) == (
        3,
        block.head.hash,
        found.amount_out,
    )


async def test_what_was_found_is_ranked(setup: Setup, market: Market) -> None:
    logs = [
        toys.event_log(pool, 0, 10**9, reserve) for pool, reserve in zip(POOLS, (10**9, 10**10), strict=True)
    ]
    async with lane_over(market, setup) as lane:
        result = await lane.apply(toys.block(toys.GENESIS, logs), gas_price_wei=1)
    assert [found.legs[0].uses for found in result.found] == [1, 0]


async def test_a_pool_is_dirty_in_one_block_only(setup: Setup, market: Market) -> None:
    first = toys.block(toys.GENESIS, [toys.event_log(POOLS[0], 0, 1, 1)])
    async with lane_over(market, setup) as lane:
        await lane.apply(first, gas_price_wei=1)
        result = await lane.apply(toys.block(Head(first.head.hash, 1), []), gas_price_wei=1)
    assert (result.dirty, result.found) == (0, ())


async def test_a_rollback_restores_the_rows_and_is_looked_at_with_the_next_block(
    setup: Setup, market: Market
) -> None:
    first = toys.block(toys.GENESIS, [toys.event_log(POOLS[0], 0, 1, 1)], "wrong")
    async with lane_over(market, setup) as lane:
        await lane.apply(first, gas_price_wei=1)
        dropped = Rollback(dropped=(first.head.hash,), ancestor=toys.GENESIS.hash)
        assert await lane.rollback(dropped) == ()
        assert market.row(0) == ROWS[0]
        result = await lane.apply(toys.block(toys.GENESIS, [], "right"), gas_price_wei=1)
    assert [found.legs[0].uses for found in result.found] == [0]


async def test_a_void_row_is_reported_and_reloaded(setup: Setup, market: Market) -> None:
    block = toys.block(toys.GENESIS, [toys.event_log(POOLS[1], 2)])
    async with lane_over(market, setup) as lane:
        result = await lane.apply(block, gas_price_wei=1)
        assert result.reload == (1,)
        assert not market.is_enabled(1)
        assert not await lane.reload(1, toys.row(5, 6), block=toys.GENESIS.hash)
        assert await lane.reload(1, toys.row(5, 6), block=block.head.hash)
        assert market.is_enabled(1)
        following = await lane.apply(toys.block(market.head, []), gas_price_wei=1)
    assert following.dirty == 1
    assert market.row(1) == toys.row(5, 6)


async def test_a_block_out_of_order_is_refused(setup: Setup, market: Market) -> None:
    stranger = toys.block(Head(toys.block_hash("other"), 0), [])
    async with lane_over(market, setup) as lane:
        with pytest.raises(OutOfOrder, match="does not follow the market's head 0"):
            await lane.apply(stranger, gas_price_wei=1)
        with pytest.raises(UndoLost, match="build the market afresh"):
            await lane.rollback(Rollback(dropped=(stranger.head.hash,), ancestor=toys.GENESIS.hash))
        assert market.head == toys.GENESIS


async def test_quotes_and_blocks_of_many_tasks_take_turns(setup: Setup, market: Market) -> None:
    seen: list[int] = []

    async def ask() -> None:
        seen.append(await lane.quote(0, 0, 1, 1000))

    async with lane_over(market, setup) as lane:
        await ask()
        # Who comes first is Trio's choice: nobody sees anything but the state before or after the block.
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(ask)
            nursery.start_soon(lane.apply, toys.block(toys.GENESIS, [toys.event_log(POOLS[0], 0, 1, 1)]), 1)
            for _ in range(20):
                nursery.start_soon(ask)
        await ask()
    before, after = 1000 * 997 * 2 * 10**9 // (10**9 * 1000 + 1000 * 997), 0
    assert (seen[0], seen[-1]) == (before, after)
    assert set(seen) == {before, after}
    assert len(seen) == 42


async def test_a_cancelled_caller_does_not_mix_up_answers(setup: Setup, market: Market) -> None:
    first = toys.block(toys.GENESIS, [])
    async with lane_over(market, setup) as lane:
        with trio.CancelScope() as scope:
            scope.cancel()
            await lane.apply(first, gas_price_wei=1)
        assert market.head == toys.GENESIS
        await lane.apply(first, gas_price_wei=1)
        assert market.head.hash == first.head.hash


async def test_a_lane_that_has_ended_says_so(setup: Setup, market: Market) -> None:
    lane = lane_over(market, setup)
    async with lane:
        pass
    with pytest.raises(LaneFailed, match="has ended"):
        await lane.apply(toys.block(toys.GENESIS, []), gas_price_wei=1)


def test_strategies_must_be_the_fused_ones(setup: Setup, market: Market) -> None:
    with pytest.raises(PluginError, match="fuse the same strategies"):
        MarketLane(market, [("other", setup[2])])
