"""The feed outlives outages, silence and nonsense, and says when it cannot."""

from __future__ import annotations

import json
import re

import pytest
import trio
from tallyio_chain_evm.errors import GaveUp, WrongChain
from trio.testing import MockClock, wait_all_tasks_blocked

from tallyio.model.errors import ChainError
from tallyio.testing.node import PROVIDER_KEY, Json, Step, error, notice, result, silence
from tests.evm_clients import open_fake, seen, take


async def test_a_lost_connection_is_replaced_and_the_blocks_go_on(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        await node.hang_up()
        missed = [node.chain.mine() for _ in range(3)]
        assert [seen(event) for event in await take(feed, 3)] == missed
        assert client.statistics().reconnects == 1
        assert node.asked.count("eth_chainId") == 2


async def test_a_dead_node_is_waited_for_within_patience(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_fake(patience_s=30) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.dead = True
        await node.hang_up()
        await trio.sleep(20)
        node.dead = False
        block = node.chain.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block
    lost, back = [record.getMessage() for record in caplog.records]
    assert lost == "ws://127.0.0.1:8545/… was lost; trying again for 30 s"
    assert re.fullmatch(r"ws://127\.0\.0\.1:8545/… is back after 2\d\.\d s", back)


async def test_beyond_patience_the_feed_names_the_endpoint_and_not_its_key(autojump_clock: MockClock) -> None:
    async with open_fake(patience_s=30) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.dead = True
        await node.hang_up()
        began = trio.current_time()
        with pytest.raises(GaveUp, match=r"ws://127\.0\.0\.1:8545/… was lost for 30 s.*refused") as fault:
            await anext(feed)
        assert PROVIDER_KEY not in str(fault.value)
        assert 30 <= trio.current_time() - began < 33
        with pytest.raises(GaveUp):
            await client.head()


async def test_a_flapping_node_exhausts_patience_too(autojump_clock: MockClock) -> None:
    """It accepts, names its chain, and hangs up, again and again."""
    async with open_fake(patience_s=30) as (node, client):
        feed = client.blocks()
        await take(feed, 1)

        async def flap() -> None:
            while True:
                await trio.sleep(0.5)
                await node.hang_up()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flap)
            node.always("eth_getBlockByNumber", silence)
            with pytest.raises(ChainError):
                await anext(feed)
            nursery.cancel_scope.cancel()


async def test_another_chain_behind_the_url_after_a_reconnect_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.chain_id = 1
        await node.hang_up()
        with pytest.raises(WrongChain, match="answers with chain id 1, configured is 31337"):
            await anext(feed)
        assert node.connections == 2


async def test_a_restarted_node_with_another_history_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        for _ in range(3):
            node.chain.mine()
        await take(feed, 1)
        node.chain.reorg(4, blocks=2)
        await node.hang_up()
        with pytest.raises(ChainError, match="shares no ancestor"):
            await anext(feed)


async def test_a_node_that_is_ahead_of_its_heads_is_connected_anew(autojump_clock: MockClock) -> None:
    """The socket is open and answers; only the heads stopped."""
    async with open_fake(max_silence_s=15) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine() for _ in range(2)]
        assert [seen(event) for event in await take(feed, 2)] == missed
        assert node.connections == 2


async def test_a_chain_without_new_blocks_is_left_in_peace(autojump_clock: MockClock) -> None:
    async with open_fake(max_silence_s=15) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        with trio.move_on_after(100):
            await anext(feed)
        assert node.connections == 1
        assert node.asked.count("eth_blockNumber") == 6


async def test_a_node_that_answers_nothing_any_more_is_connected_anew(autojump_clock: MockClock) -> None:
    async with open_fake(max_silence_s=15) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_blockNumber", silence)
        block = node.chain.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert node.connections == 2


async def test_malformed_json_in_between_costs_no_block(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        await node.say('{"jsonrpc": "2.0", "method": "eth_subscr')
        block = node.chain.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block


async def test_a_head_that_is_no_head_costs_no_block(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        (name,) = node._subscribed.values()
        await node.say(notice(name, None))
        block = node.chain.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert "eth_blockNumber" not in node.asked  # it did not have to fall silent first


async def test_an_answer_that_never_comes_is_asked_for_on_a_new_connection(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getLogs", silence)
        block = await node.mine()
        (event,) = await take(feed, 1)
        assert seen(event) == block
        assert node.connections == 2


async def test_an_outage_of_too_many_blocks_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake(max_backfill=10) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        for _ in range(12):
            node.chain.mine()
        await node.announce()
        with pytest.raises(ChainError, match=r"11 blocks ahead of block 0.*max_backfill"):
            await anext(feed)


@pytest.mark.parametrize("too_much", [error(-32_003, "response too large"), silence])
async def test_an_outage_that_is_too_much_for_one_message_is_read_in_several(
    too_much: Step, autojump_clock: MockClock
) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine() for _ in range(10)]

        def limited(request: dict[str, Json]) -> str | None:
            return too_much(request) if node.batches[-1] > 3 else node.honest(request)

        node.always("eth_getLogs", limited)
        await node.announce()
        assert [seen(event) for event in await take(feed, 10)] == missed


async def test_a_node_that_takes_fewer_calls_at_once_is_asked_fewer(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine() for _ in range(10)]
        refused: set[int] = set()

        def limited(request: dict[str, Json]) -> str | None:
            """One error for all, with the id of the first call."""
            message = len(node.batches)
            if node.batches[-1] <= 3:
                return node.honest(request)
            if message in refused:
                return None
            refused.add(message)
            return error(-32_600, "batch too large")(request)

        node.always("eth_getLogs", limited)
        await node.announce()
        assert [seen(event) for event in await take(feed, 10)] == missed
        assert client.statistics().faults == 0


async def test_an_outage_larger_than_max_bytes_is_read_in_several_messages(autojump_clock: MockClock) -> None:
    async with open_fake(max_bytes=65_536) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine(logs=30) for _ in range(10)]
        await node.announce()
        assert [seen(event) for event in await take(feed, 10)] == missed


async def test_each_message_about_an_outage_has_a_deadline_of_its_own(autojump_clock: MockClock) -> None:
    async with open_fake(batch_size=1, deadline_s=5) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        missed = [node.chain.mine(logs=1) for _ in range(5)]
        node.drip_s = 0.002
        await node.announce()
        assert [seen(event) for event in await take(feed, 5)] == missed
        assert client.statistics().faults == 0


async def test_a_head_that_lies_about_its_height_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake(attempts=2) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.chain.mine()
        honest = json.loads(node.honest({"id": 0, "method": "eth_getBlockByNumber", "params": ["latest"]}))
        node.always("eth_getBlockByNumber", result({**honest["result"], "number": "0x2"}))
        await node.hang_up()
        with pytest.raises(ChainError, match="gives the heights"):
            await anext(feed)


async def test_a_cancelled_step_loses_no_block(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        node.script("eth_getLogs", silence)
        block = await node.mine()
        with trio.move_on_after(1):
            await anext(feed)
        (event,) = await take(feed, 1)
        assert seen(event) == block


async def test_a_slow_reader_gets_every_block(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        feed = client.blocks()
        await take(feed, 1)
        mined = [await node.mine(logs=1) for _ in range(400)]
        await wait_all_tasks_blocked()
        assert [seen(event) for event in await take(feed, 400)] == mined
