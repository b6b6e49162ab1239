"""Pending transactions: whole or by hash, from a node on a script, and from anvil."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import trio
from tallyio_chain_evm.chain import EvmChain
from tallyio_chain_evm.errors import NoPendingTransactions, RpcError
from trio.testing import MockClock

from tallyio.hooks.mempool import PendingSource
from tallyio.lab.anvil import HOST, open_anvil
from tallyio.lab.fetch import anvil_path, fetch
from tallyio.lab.rpc import open_rpc
from tallyio.lab.world import CHAIN_ID as LAB_CHAIN_ID
from tallyio.lab.world import OPERATOR
from tallyio.model.chain import PendingTransaction
from tallyio.model.units import Address, Hash, Wei, hex_text
from tallyio.testing.node import FakeNode, Json, Step, error, notice, result, silence, text
from tests.evm_clients import STANDSTILL_S, open_fake

SETTLED_S: Final = 30.0
"""After so much virtual time whoever wants to has subscribed, on a new connection too."""
SUBSCRIPTION: Final = "0x77"
REFUSED: Final = error(-32_602, "too many arguments, want at most 1")
UNKNOWN: Final = error(-32_601, 'no "newPendingTransactions" subscription in eth namespace')


def wire(number: int, **fields: Any) -> dict[str, Any]:
    """Return a transaction as nodes tell it."""
    made = {
        "hash": hex_text(hash_of(number)),
        "from": "0x" + "aa" * 20,
        "to": "0x" + "bb" * 20,
        "nonce": hex(number),
        "input": "0xc0ffee",
        "value": "0x0",
        "gas": "0x5208",
        "type": "0x2",
        "gasPrice": "0x9",
        "maxFeePerGas": "0x9",
        "maxPriorityFeePerGas": "0x2",
        "blockHash": None,
    }
    return {key: value for key, value in (made | fields).items() if value is not ...}


def hash_of(number: int) -> Hash:
    """Return the hash of that transaction."""
    return Hash(bytes([number]) * 32)


async def following(feed: AsyncIterator[PendingTransaction], count: int) -> list[PendingTransaction]:
    """Return the next `count` of them."""
    with trio.fail_after(STANDSTILL_S):
        return [await anext(feed) for _ in range(count)]


async def say(fake: FakeNode, value: object) -> None:
    """Tell subscribers of a transaction."""
    await fake.say(notice(SUBSCRIPTION, value))


async def test_whole_transactions_are_taken_as_they_are(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        assert isinstance(client, PendingSource)
        fake.script("eth_subscribe", result(SUBSCRIPTION))
        nursery.start_soon(
            tell_later, fake, wire(1), wire(2, maxFeePerGas=..., maxPriorityFeePerGas=..., to=None)
        )
        first, second = await following(client.pending(), 2)
        assert first == PendingTransaction(
            hash=hash_of(1),
            sender=Address(b"\xaa" * 20),
            nonce=1,
            to=Address(b"\xbb" * 20),
            data=b"\xc0\xff\xee",
            value_wei=Wei(0),
            gas_limit=21_000,
            max_fee_wei=Wei(9),
            max_priority_fee_wei=Wei(2),
            arrived_ns=first.arrived_ns,
        )
        assert (second.max_fee_wei, second.max_priority_fee_wei, second.to) == (9, 9, None)
        assert "eth_getTransactionByHash" not in fake.asked


async def tell_later(fake: FakeNode, *values: object) -> None:
    """Tell of `values` once somebody has subscribed."""
    await trio.sleep(SETTLED_S)
    for value in values:
        await say(fake, value)


async def test_hashes_are_fetched_together_and_what_is_gone_is_left_out(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        fake.script("eth_subscribe", REFUSED, result(SUBSCRIPTION))
        mined = wire(2, blockHash="0x" + "11" * 32)
        fake.script("eth_getTransactionByHash", result(wire(1)), result(mined), result(None), result(wire(4)))
        nursery.start_soon(tell_later, fake, *(hex_text(hash_of(n)) for n in (1, 2, 3, 4)))
        found = await following(client.pending(), 2)
        assert [each.nonce for each in found] == [1, 4]
        assert fake.asked.count("eth_subscribe") == 2


async def test_a_node_without_a_mempool_says_so(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client):
        fake.always("eth_subscribe", UNKNOWN)
        with pytest.raises(NoPendingTransactions, match="does not tell of pending transactions: no "):
            await following(client.pending(), 1)


async def test_what_cannot_be_read_is_counted_and_skipped(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        fake.script("eth_subscribe", result(SUBSCRIPTION))
        feed = client.pending()
        nursery.start_soon(tell_later, fake, wire(1, nonce="1"), "0x12", {"hash": "0x"}, wire(5))
        assert [each.nonce for each in await following(feed, 1)] == [5]
        assert feed.faults == 3


async def test_a_slow_reader_loses_the_oldest(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        fake.script("eth_subscribe", result(SUBSCRIPTION))
        feed = client.pending()
        nursery.start_soon(tell_later, fake, wire(1))
        assert (await following(feed, 1))[0].nonce == 1
        for number in range(300):
            await say(fake, wire(number % 256, nonce=hex(number)))
        await trio.sleep(1)
        assert [each.nonce for each in await following(feed, 256)] == list(range(44, 300))
        assert feed.dropped == 44


async def test_a_lost_connection_is_followed_by_another_subscription(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        fake.always("eth_subscribe", result(SUBSCRIPTION))
        feed = client.pending()
        nursery.start_soon(tell_later, fake, wire(1))
        assert (await following(feed, 1))[0].nonce == 1
        await fake.hang_up()
        fake.asked.clear()
        nursery.start_soon(tell_later, fake, wire(2))
        assert (await following(feed, 1))[0].nonce == 2


BUSY: Final = error(-32_005, "rate limit, try again")


def hang_up(fake: FakeNode) -> Step:
    """Return a step that breaks the connection instead of answering."""
    return lambda _: fake.hang_up_soon()


async def test_a_hiccup_while_subscribing_again_is_outlived(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        fake.script(
            "eth_subscribe", result(SUBSCRIPTION), hang_up(fake), silence, BUSY, BUSY, text('{"id": ID}')
        )
        fake.always("eth_subscribe", result(SUBSCRIPTION))
        feed = client.pending()
        nursery.start_soon(tell_later, fake, wire(1))
        assert (await following(feed, 1))[0].nonce == 1
        await fake.hang_up()
        nursery.start_soon(tell_later, fake, wire(2))
        assert (await following(feed, 1))[0].nonce == 2


async def test_a_busy_node_is_asked_for_whole_transactions_again(autojump_clock: MockClock) -> None:
    async with open_fake() as (fake, client), trio.open_nursery() as nursery:
        asked: list[Json] = []

        def subscribe(request: dict[str, Json]) -> str | None:
            asked.append(request["params"])
            return (BUSY if len(asked) == 1 else result(SUBSCRIPTION))(request)

        fake.always("eth_subscribe", subscribe)
        nursery.start_soon(tell_later, fake, wire(1))
        await following(client.pending(), 1)
        assert asked == [["newPendingTransactions", True]] * 2


async def test_a_node_that_is_always_busy_is_given_up(autojump_clock: MockClock) -> None:
    async with open_fake(patience_s=30) as (fake, client):
        fake.always("eth_subscribe", BUSY)
        began = trio.current_time()
        with pytest.raises(RpcError, match="rate limit"):
            await following(client.pending(), 1)
        assert 30 <= trio.current_time() - began < 35


@pytest.mark.node
async def test_anvil_tells_whole_transactions_as_they_come() -> None:
    async with (
        open_anvil(anvil_path(await fetch())) as anvil,
        open_rpc(HOST, anvil.port) as rpc,
        EvmChain.from_settings(
            {"url": f"ws://{HOST}:{anvil.port}", "chain_id": LAB_CHAIN_ID}
        ).open() as client,
    ):
        await rpc.call("anvil_setBalance", hex_text(OPERATOR), hex(10**18))
        feed = client.pending()
        found: list[PendingTransaction] = []
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                with trio.fail_after(STANDSTILL_S):
                    found.append(await anext(feed))
                nursery.cancel_scope.cancel()

            nursery.start_soon(read)
            sent = {"from": hex_text(OPERATOR), "to": "0x" + "bb" * 20, "data": "0xc0ffee", "gas": "0x15f90"}
            for nonce in itertools.count():  # the first may be here before the subscription is
                fees = {"maxFeePerGas": hex(3 * 10**9), "maxPriorityFeePerGas": "0x7", "nonce": hex(nonce)}
                await rpc.call("eth_sendTransaction", sent | fees)
                await trio.sleep(0.05)
        (seen,) = found
        assert (seen.sender, seen.to, seen.data) == (OPERATOR, b"\xbb" * 20, b"\xc0\xff\xee")
        assert (seen.gas_limit, seen.max_fee_wei, seen.max_priority_fee_wei) == (90_000, 3 * 10**9, 7)
