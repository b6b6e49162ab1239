"""Sending, log queries and receipts: what nodes say, and what is meant."""

from __future__ import annotations

from typing import Any

import pytest
from tallyio_chain_evm.errors import CallTimeout, MalformedReply, RpcError
from trio.testing import MockClock

from tallyio.model.chain import LogFilter
from tallyio.model.errors import ChainError
from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.units import ZERO_ADDRESS, Hash, Wei, hex_text
from tallyio.testing.node import FakeNode, Step, error, result, silence
from tests.evm_clients import open_fake

HASH = Hash(b"\x77" * 32)
SENT = SignedTransaction(
    unsigned=UnsignedTransaction(
        chain_id=1,
        nonce=0,
        max_priority_fee_wei=Wei(0),
        max_fee_wei=Wei(0),
        gas_limit=21_000,
        to=ZERO_ADDRESS,
        value_wei=Wei(0),
        data=b"",
    ),
    sender=ZERO_ADDRESS,
    raw=b"\x02raw",
    hash=HASH,
)


async def test_the_raw_bytes_are_sent_and_the_hash_comes_back(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):

        def answer(request: dict[str, Any]) -> str | None:
            assert request["params"] == ["0x02726177"]
            return result(hex_text(HASH))(request)

        node.script("eth_sendRawTransaction", answer)
        assert await client.submit(SENT) == HASH


@pytest.mark.parametrize("said", ["already known", "known transaction: 77", "transaction already imported"])
async def test_already_known_is_success(said: str, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_sendRawTransaction", error(-32_000, said))
        assert await client.submit(SENT) == HASH


async def test_nonce_too_low_is_success_if_the_node_has_our_hash(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always("eth_sendRawTransaction", error(-32_003, "nonce too low"))
        node.script("eth_getTransactionByHash", result({"hash": hex_text(HASH)}), result(None))
        assert await client.submit(SENT) == HASH
        with pytest.raises(RpcError, match="nonce too low"):
            await client.submit(SENT)


async def test_a_lost_answer_is_settled_by_the_hash(autojump_clock: MockClock) -> None:
    async with open_fake(deadline_s=5) as (node, client):
        node.always("eth_sendRawTransaction", silence)
        node.script("eth_getTransactionByHash", result({"hash": hex_text(HASH)}), result(None), silence)
        assert await client.submit(SENT) == HASH
        for _ in range(2):
            with pytest.raises(CallTimeout, match="eth_sendRawTransaction"):
                await client.submit(SENT)


async def test_after_a_lost_connection_the_same_bytes_go_again(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_sendRawTransaction", hang_up(node), error(-32_000, "already known"))
        assert await client.submit(SENT) == HASH
        assert client.statistics().reconnects == 1


def hang_up(node: FakeNode) -> Step:
    def step(request: dict[str, Any]) -> str | None:
        node.hang_up_soon()
        return None

    return step


async def test_a_node_that_names_another_hash_is_not_trusted(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.script("eth_sendRawTransaction", result(hex_text(b"\x78" * 32)))
        with pytest.raises(ChainError, match=r"took transaction 0x7777.* as 0x7878.*do not trust"):
            await client.submit(SENT)


async def test_a_receipt_is_none_until_there_is_one(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        whole = {
            "transactionHash": hex_text(HASH),
            "blockHash": hex_text(HASH),
            "blockNumber": "0x5",
            "transactionIndex": "0x1",
            "status": "0x0",
            "gasUsed": "0x5208",
            "effectiveGasPrice": "0x3",
            "logs": [],
        }
        node.script("eth_getTransactionReceipt", result(None), result(whole))
        assert await client.receipt(HASH) is None
        receipt = await client.receipt(HASH)
        assert receipt is not None
        assert (receipt.status, receipt.gas_used, receipt.effective_gas_price_wei) == (False, 21_000, 3)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-32_005, "query returned more than 10000 results"),
        (
            -32_602,
            "Log response size exceeded. You can make eth_getLogs requests with up to a 2K range",
        ),
        (-32_614, "eth_getLogs is limited to a 10,000 range"),
        (-32_000, "exceed maximum block range: 5000"),
        (-32_000, "query timeout exceeded"),
    ],
)
async def test_a_range_that_is_too_wide_is_halved(code: int, said: str, autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        for _ in range(9):
            node.chain.mine(logs=2)

        def narrow(request: dict[str, Any]) -> str | None:
            query = request["params"][0]
            if int(query["toBlock"], 16) - int(query["fromBlock"], 16) > 2:
                return error(code, said)(request)
            return node.honest(request)

        node.always("eth_getLogs", narrow)
        found = await client.logs(LogFilter(from_block=0, to_block=9))
        assert found == [log for block in node.chain.canonical for log in block.logs]


@pytest.mark.parametrize("said", ["rate limit exceeded", "too many requests", "no such filter"])
async def test_other_refusals_are_not_answered_with_more_queries(
    said: str, autojump_clock: MockClock
) -> None:
    async with open_fake() as (node, client):
        node.always("eth_getLogs", error(-32_005, said))
        with pytest.raises(RpcError, match=said):
            await client.logs(LogFilter(from_block=0, to_block=9))
        assert node.asked.count("eth_getLogs") == 1


async def test_one_block_that_is_too_large_is_an_error(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.always("eth_getLogs", error(-32_005, "query returned more than 10000 results"))
        with pytest.raises(RpcError, match="more than 10000"):
            await client.logs(LogFilter(from_block=0, to_block=1))


async def test_a_log_outside_the_range_is_refused(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):
        node.chain.mine(logs=2)
        honest = node.honest
        node.always(
            "eth_getLogs",
            lambda request: honest({**request, "params": [{"fromBlock": "0x1", "toBlock": "0x1"}]}),
        )
        with pytest.raises(MalformedReply, match="blocks 5 to 6 with a log of block 1"):
            await client.logs(LogFilter(from_block=5, to_block=6))


async def test_topics_and_addresses_go_into_the_query(autojump_clock: MockClock) -> None:
    async with open_fake() as (node, client):

        def answer(request: dict[str, Any]) -> str | None:
            assert request["params"] == [
                {
                    "fromBlock": "0x0",
                    "toBlock": "0x1",
                    "address": [hex_text(ZERO_ADDRESS)],
                    "topics": [None, [hex_text(HASH)]],
                }
            ]
            return result([])(request)

        node.always("eth_getLogs", answer)
        query = LogFilter(from_block=0, to_block=1, addresses=(ZERO_ADDRESS,), topics=((), (HASH,)))
        assert await client.logs(query) == []
