"""The feed publishes complete blocks in order, whatever the node does."""

from __future__ import annotations

import json

import msgspec
import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_chain_evm.encode import head_json, log_json
from trio.testing import MockClock

from tallyio.model.chain import Block, BlockEvent, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.units import Hash, Wei
from tallyio.testing.node import PROVIDER_KEY, FakeNode, Json, error, notice, result
from tests.evm_clients import open_fake, seen, take


async def test_the_first_event_is_the_current_head(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.chain.mine()
        (event,) = await take(client.blocks(), 1)
        assert seen(event) == node.chain.tip


async def test_blocks_come_in_order_with_all_their_logs(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        for logs in (0, 1, 40):
            block = await node.mine(logs=logs)
            (event,) = await take(feed, 1)
            assert seen(event) == block


async def test_the_stamps_enclose_the_work(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        (first,) = await take(feed, 1)
        await node.mine()
        (second,) = await take(feed, 1)
        assert isinstance(first, Block)
        assert isinstance(second, Block)
        assert first.bytes_in_ns < first.decoded_ns < second.bytes_in_ns < second.decoded_ns


async def test_a_duplicate_head_is_dropped(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        first = await node.mine()
        await node.announce(first)
        second = await node.mine()
        await node.announce(first)
        third = await node.mine()
        assert [seen(event) for event in await take(feed, 3)] == [first, second, third]


async def test_a_gap_is_filled_before_anything_is_published(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine() for _ in range(5)]
        last = await node.mine()
        assert [seen(event) for event in await take(feed, 6)] == [*missed, last]
        assert max(node.batches) == 6


@pytest.mark.parametrize("depth", [1, 2, 5])
async def test_a_reorg_rolls_back_and_then_follows_the_new_branch(
    depth: int, autojump_clock: MockClock
) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        old = [await node.mine() for _ in range(6)]
        await take(feed, 6)
        new = node.chain.reorg(depth, blocks=depth + 1)
        await node.announce()
        rollback, *blocks = await take(feed, depth + 2)
        dropped = tuple(block.head.hash for block in reversed(old[-depth:]))
        ancestor = (old[-depth - 1]).head.hash
        assert rollback == Rollback(dropped=dropped, ancestor=ancestor)
        assert [seen(block) for block in blocks] == new


async def test_two_heads_at_one_height_are_a_reorg_each(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        first = await node.mine()
        (second,) = node.chain.reorg(1, blocks=1)
        await node.announce()
        events = await take(feed, 3)
        assert seen(events[0]) == first
        assert isinstance(events[1], Rollback)
        assert seen(events[2]) == second


async def test_a_rollback_waits_until_the_new_branch_is_read(autojump_clock: MockClock) -> None:
    """A node that pruned the new branch answers []: nothing is undone for that."""
    async with open_fake(attempts=2) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        await node.mine()
        await take(feed, 1)
        node.chain.reorg(1, blocks=2)
        node.always("eth_getLogs", result([]))
        await node.announce()
        with pytest.raises(ChainError, match="do not add up"):
            await anext(feed)


async def test_a_reorg_below_the_window_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake(window=3) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        for _ in range(10):
            await node.mine()
            await take(feed, 1)
        node.chain.reorg(5, blocks=6)
        await node.announce()
        with pytest.raises(ChainError, match=r"deeper than is undone.*restart"):
            await anext(feed)


async def test_the_deepest_reorg_of_the_window_is_followed(autojump_clock: MockClock) -> None:
    async with open_fake(window=3) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        for _ in range(10):
            await node.mine()
            await take(feed, 1)
        new = node.chain.reorg(3, blocks=4)
        await node.announce()
        rollback, *blocks = await take(feed, 5)
        assert isinstance(rollback, Rollback)
        assert len(rollback.dropped) == 3
        assert [seen(block) for block in blocks] == new


async def test_old_heads_after_a_start_are_let_go(autojump_clock: MockClock) -> None:
    """The subscription may be served by a backend behind the one that named the newest block."""
    async with open_fake() as (node, client):
        blocks = [node.chain.mine() for _ in range(5)]
        feed = client.blocks()
        await take(feed, 1)
        for old in blocks[1:]:
            await node.announce(old)
        block = await node.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block


async def test_a_newest_head_below_the_window_is_asked_for_again(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        old = node.chain.mine()
        for _ in range(3):
            node.chain.mine()
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getBlockByNumber", *[result(head_json(old.head))] * 2)
        await node.announce(old)
        block = node.chain.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block


async def test_a_head_whose_reading_failed_is_asked_for_until_it_is_there(autojump_clock: MockClock) -> None:
    """A load balancer: the backend that is asked for the newest head lags behind the one that told of it."""
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        lagging = result(head_json(node.chain.tip.head))
        node.script("eth_getLogs", error(-32_000, "unknown block"))
        node.script("eth_getBlockByNumber", lagging, lagging)
        block = await node.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert "eth_blockNumber" not in node.asked  # it did not have to fall silent first


async def test_a_head_that_is_gone_is_not_asked_for_for_ever(autojump_clock: MockClock) -> None:
    async with open_fake(attempts=4) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getLogs", error(-32_000, "unknown block"))
        await node.announce(node.chain.mine())
        del node.chain.canonical[-1]
        with trio.move_on_after(10):
            await anext(feed)
        assert node.asked.count("eth_getBlockByNumber") == 1 + 4
        block = await node.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block


async def test_a_base_fee_of_null_is_none(autojump_clock: MockClock) -> None:
    """So do nodes announce the heads of a chain without EIP-1559."""
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        (name,) = node._subscribed.values()
        block = node.chain.mine()
        await node.say(notice(name, head_json(block.head) | {"baseFeePerGas": None}))
        (event,) = await take(feed, 1)
        assert isinstance(event, Block)
        assert event.head == msgspec.structs.replace(block.head, base_fee_wei=Wei(0))


@pytest.mark.parametrize("keep", [0, 1, 5])
async def test_a_log_list_cut_short_is_asked_for_again(keep: int, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getLogs", node.cut(keep), node.cut(keep))
        block = await node.mine(logs=6)
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert client.statistics().faults == 2


async def test_a_node_that_always_cuts_log_lists_is_given_up(autojump_clock: MockClock) -> None:
    async with open_fake(attempts=4) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.always("eth_getLogs", node.cut(2))
        await node.mine(logs=6)
        with pytest.raises(
            ChainError, match=r"no complete block in 4 attempts.*Bloom filter.*another"
        ) as fault:
            await anext(feed)
        assert PROVIDER_KEY not in str(fault.value)


async def test_logs_out_of_order_or_of_another_block_are_refused(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        other = [log_json(log) for log in node.chain.mine(logs=3).logs]
        feed = client.blocks()
        await take(feed, 1)

        def turned(request: dict[str, Json]) -> str:
            logs = json.loads(node.honest(request))["result"]
            return json.dumps({"id": request["id"], "result": logs[::-1]})

        node.script("eth_getLogs", turned, result(other))
        block = await node.mine(logs=3)
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert client.statistics().faults == 2


async def test_a_block_that_a_reorg_takes_away_meanwhile_is_let_go(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getLogs", error(-32_000, "unknown block"))
        lost = node.chain.mine()
        await node.announce(lost)
        (kept,) = node.chain.reorg(1, blocks=1)
        (event,) = await take(feed, 1)
        assert seen(event) == kept


async def test_two_feeds_of_one_client_are_independent(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        first, second = client.blocks(), client.blocks()
        await take(first, 1)
        block = node.chain.mine()
        (late,) = await take(second, 1)
        assert seen(late) == block
        await node.announce()
        (event,) = await take(first, 1)
        assert seen(event) == block


moves = st.lists(
    st.one_of(
        st.tuples(st.just("mine"), st.booleans()),
        st.tuples(st.just("reorg"), st.integers(1, 4)),
        st.tuples(st.just("hang up"), st.none()),
        st.tuples(st.just("cut"), st.none()),
        st.tuples(st.just("again"), st.none()),
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(moves=moves)
def test_whatever_happens_the_events_replay_to_the_canonical_chain(moves: list[tuple[str, int]]) -> None:
    """Each block stands on the one before it, each rollback undoes the newest, and the end is the tip."""
    trio.run(_replay, moves, clock=MockClock(autojump_threshold=0))


async def _replay(moves: list[tuple[str, int]]) -> None:
    # More attempts than moves: each may cost one, and a node that fails six times in a row is given up.
    async with open_fake(window=20, attempts=20) as (node, client):
        feed = client.blocks()
        (first,) = await take(feed, 1)
        assert isinstance(first, Block)
        stack = [first.head.hash]
        for what, amount in [*moves, ("mine", True)]:
            await _move(node, what, amount)
        with trio.fail_after(1_000):
            while stack[-1] != node.chain.tip.head.hash:
                _apply(stack, node, await anext(feed))
        assert stack == [block.head.hash for block in node.chain.canonical]


async def _move(node: FakeNode, what: str, amount: int) -> None:
    match what:
        case "mine" if amount:
            await node.mine()
        case "mine":
            node.chain.mine()
        case "reorg":
            depth = min(amount, len(node.chain.canonical) - 1)
            node.chain.reorg(depth, blocks=depth + 1)
            await node.announce()
        case "hang up":
            await node.hang_up()
        case "cut":
            node.script("eth_getLogs", node.cut(1))
        case "again":
            await node.announce()


def _apply(stack: list[Hash], node: FakeNode, event: BlockEvent) -> None:
    if isinstance(event, Rollback):
        for block in event.dropped:
            assert stack.pop() == block
        assert stack[-1] == event.ancestor
        return
    assert event.head.parent_hash == stack[-1]
    assert event.logs == node.chain.by_hash[event.head.hash].logs
    stack.append(event.head.hash)
