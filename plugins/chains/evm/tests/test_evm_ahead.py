"""The state of a block is asked for when it is announced, and nothing waits for it that need not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_chain_evm.bloom import logs_bloom, possible
from tallyio_chain_evm.client import EvmClient
from tallyio_chain_evm.errors import CallTimeout, MalformedReply
from tallyio_chain_evm.feed import BlockFeed
from trio.testing import MockClock, wait_all_tasks_blocked

from tallyio.hooks.interfaces import Foresight
from tallyio.model.chain import AccountState, Block, Log
from tallyio.model.execution import Call
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, Hash, hex_text
from tallyio.testing.node import FakeNode, Json, error, result, silence
from tests.evm_clients import open_fake, take

VALUES = "eth_getStorageValues"
POOL = Address(keccak256(b"pool 0")[:20])
"""The scripted node's first log is of it."""
QUIET = Address(b"\x77" * 20)
"""It never logs."""


def thrice(request: dict[str, Json]) -> str | None:
    """Answer that each slot holds three times its key."""
    texts, _ = request["params"]
    told = {account: [hex(int(slot, 16) * 3) for slot in slots] for account, slots in texts.items()}
    return result(told)(request)


def told(request: dict[str, Json]) -> str | None:
    """Answer a call with its own data."""
    return result(request["params"][0]["data"])(request)


async def mined(node: FakeNode, feed: BlockFeed) -> Block:
    await node.mine()
    (block,) = await take(feed, 1)
    assert isinstance(block, Block)
    return block


async def started(client: EvmClient, known: dict[Address, list[int]]) -> BlockFeed:
    client.watch(known)
    feed = client.blocks()
    await take(feed, 1)
    return feed


async def test_slots_come_with_the_block_and_are_asked_for_once(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always(VALUES, thrice)
        known = {POOL: [1, 2], QUIET: [3]}
        feed = await started(client, known)
        for _ in range(2):
            node.asked.clear()
            block = await mined(node, feed)
            await wait_all_tasks_blocked()
            assert sorted(node.asked) == ["eth_getLogs", VALUES]
            assert await client.state_after(block, known) == {POOL: AccountState(storage={1: 3, 2: 6})}
            assert len(node.asked) == 2


async def test_what_became_known_since_is_asked_for_anew(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always(VALUES, thrice)
        known = {POOL: [1]}
        block = await mined(node, await started(client, known))
        await wait_all_tasks_blocked()
        known[POOL].append(5)
        assert await client.state_after(block, known) == {POOL: AccountState(storage={1: 3, 5: 15})}


async def test_the_state_of_one_block_is_never_taken_for_anothers(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        known = {POOL: [1]}
        asked: list[str] = []

        def answer(request: dict[str, Json]) -> str | None:
            asked.append(request["params"][1]["blockHash"])
            return thrice(request)

        node.always(VALUES, answer)
        feed = await started(client, known)
        first, second = await mined(node, feed), await mined(node, feed)
        for block in (first, second):
            await client.state_after(block, known)
        heads = [hex_text(block.head.hash) for block in (first, second)]
        assert asked == [*heads, heads[0]]


async def test_answers_come_with_the_block_and_others_are_asked_for_as_ever(
    autojump_clock: MockClock,
) -> None:
    async with open_fake() as (node, client):
        node.always("eth_call", told)
        foreseen = [Call(to=POOL, data=b"\1"), Call(to=QUIET, data=b"\2"), Call(to=POOL, data=b"\1")]
        assert isinstance(client, Foresight)
        client.foresee(foreseen)
        feed = await started(client, {})
        for _ in range(2):
            node.asked.clear()
            block = await mined(node, feed)
            await wait_all_tasks_blocked()
            assert sorted(node.asked) == ["eth_call", "eth_call", "eth_getLogs"]
            assert await client.call(foreseen, block=block.head.hash) == [b"\1", b"\2", b"\1"]
            assert len(node.asked) == 3
        # Another call, and another sender's.
        other = [Call(to=POOL, data=b"\3")]
        assert await client.call(other, block=block.head.hash) == [b"\3"]
        assert await client.call(foreseen[:1], block=block.head.hash, sender=QUIET) == [b"\1"]
        assert await client.call(foreseen[:1], block=block.head.parent_hash) == [b"\1"]
        assert len(node.asked) == 6


async def test_answers_that_never_come_are_the_fault_of_whoever_wants_them(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=2) as (node, client):
        node.always("eth_call", silence)
        client.foresee([Call(to=POOL, data=b"\1")])
        feed = await started(client, {})
        block = await mined(node, feed)
        with pytest.raises(CallTimeout, match="eth_call"):
            await client.call([Call(to=POOL, data=b"\1")], block=block.head.hash)
        assert feed.faults == 0


async def test_a_block_does_not_wait_for_its_state(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=2) as (node, client):
        node.always(VALUES, silence)
        known = {POOL: [1]}
        block = await mined(node, await started(client, known))
        with pytest.raises(CallTimeout, match=VALUES):
            await client.state_after(block, known)


async def test_a_broken_answer_is_the_fault_of_whoever_wants_it(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always(VALUES, result({hex_text(POOL): []}))
        known = {POOL: [1]}
        feed = await started(client, known)
        block = await mined(node, feed)
        with pytest.raises(MalformedReply, match="fewer or more slots"):
            await client.state_after(block, known)
        assert feed.faults == 0


async def test_a_node_without_the_method_is_not_asked_for_it_again(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        lacking = error(-32_601, "the method does not exist")
        for method in (VALUES, "debug_traceBlockByHash"):
            node.always(method, lacking)
        node.always("eth_getStorageAt", result("0x9"))
        known = {POOL: [1]}
        feed = await started(client, known)
        for _ in range(3):
            block = await mined(node, feed)
            assert await client.state_after(block, known) == {POOL: AccountState(storage={1: 9})}
        assert node.asked.count(VALUES) == 1


@given(st.lists(st.binary(min_size=20, max_size=20), max_size=30), st.binary(min_size=20, max_size=20))
def test_the_filter_never_leaves_out_who_has_an_event(addresses: list[bytes], other: bytes) -> None:
    logs = [log_of(Address(address)) for address in addresses]
    assert possible(logs_bloom(logs), addresses) == addresses
    assert possible(logs_bloom(()), [other]) == []
    assert possible(b"", [other]) == []


def log_of(account: Address) -> Log:
    return Log(
        address=account,
        topics=(),
        data=b"",
        block_hash=Hash(bytes(32)),
        block_number=0,
        log_index=0,
        transaction_hash=Hash(bytes(32)),
    )
