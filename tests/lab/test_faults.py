"""The liar changes what it is told to change, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from tallyio.lab import Lab, faults, open_lab

pytestmark = pytest.mark.node


@asynccontextmanager
async def open_client(lab: Lab, lie: faults.Lie) -> AsyncIterator[WebSocketConnection]:
    """Connect to `lab` through a liar."""
    async with trio.open_nursery() as nursery:
        url = urlsplit(await nursery.start(faults.serve_lies, lab.url, lie))
        async with await trio.open_tcp_stream(url.hostname or "", url.port or 0) as stream:
            yield await wrap_client_stream(nursery, stream, url.netloc, "/")
            nursery.cancel_scope.cancel()


async def ask(client: WebSocketConnection, method: str, *params: Any) -> Any:
    await client.send_message(request(1, method, *params).decode())
    return msgspec.json.decode(await client.get_message())["result"]


def request(number: int, method: str, *params: Any) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": params})


async def test_a_liar_claims_to_be_another_chain_and_passes_the_rest_on() -> None:
    async with open_lab(seed=1) as lab, open_client(lab, faults.wrong_chain_id) as client:
        assert await ask(client, "eth_chainId") == "0x1"
        assert await ask(client, "eth_blockNumber") == await lab.rpc("eth_blockNumber")


async def test_a_liar_answers_null() -> None:
    async with open_lab(seed=1) as lab, open_client(lab, faults.null_result("eth_blockNumber")) as client:
        assert await ask(client, "eth_blockNumber") is None


async def test_a_liar_breaks_json() -> None:
    async with open_lab(seed=1) as lab, open_client(lab, faults.malformed("eth_chainId")) as client:
        with pytest.raises(msgspec.DecodeError):
            await ask(client, "eth_chainId")


async def test_a_liar_leaves_a_log_out() -> None:
    async with open_lab(seed=1) as lab, open_client(lab, faults.truncated_logs) as client:
        await lab.step()
        wanted = {"fromBlock": "latest", "toBlock": "latest"}
        logs = await lab.rpc("eth_getLogs", wanted)
        assert await ask(client, "eth_getLogs", wanted) == logs[:-1]


async def test_a_liar_lies_in_batches_and_subscriptions_too() -> None:
    def lie(method: str, answer: faults.Answer) -> faults.Answer:
        return {**answer, "lie": True} if method in {"eth_chainId", faults.NOTIFICATION} else answer

    async with open_lab(seed=1) as lab, open_client(lab, lie) as client:
        batch = b"[%s,%s]" % (request(5, "eth_chainId"), request(6, "eth_blockNumber"))
        await client.send_message(batch.decode())
        answers = {answer["id"]: answer for answer in msgspec.json.decode(await client.get_message())}
        assert "lie" in answers[5]
        assert "lie" not in answers[6]
        await ask(client, "eth_subscribe", "newHeads")
        await lab.mine()
        assert msgspec.json.decode(await client.get_message())["lie"]


async def test_a_late_liar_tells_the_truth_first() -> None:
    lie = faults.after(2, faults.wrong_chain_id, method="eth_chainId")
    async with open_lab(seed=1) as lab, open_client(lab, lie) as client:
        answers = [await ask(client, "eth_chainId") for _ in range(3)]
        assert answers == [hex(lab.chain_id), hex(lab.chain_id), "0x1"]


async def test_a_client_behind_a_liar_sees_the_node_die() -> None:
    async with open_lab(seed=1) as lab, open_client(lab, faults.wrong_chain_id) as client:
        await ask(client, "eth_blockNumber")
        await lab.kill()
        with pytest.raises(ConnectionClosed):
            await ask(client, "eth_blockNumber")


async def test_a_reorganisation_replaces_the_newest_blocks() -> None:
    async with open_lab(seed=1) as lab:
        blocks = [await lab.step() for _ in range(4)]
        await lab.reorg(2)
        canonical = [await lab.rpc("eth_getBlockByNumber", hex(block.number), False) for block in blocks]
        same = [
            header["hash"] == "0x" + block.hash.hex() for header, block in zip(canonical, blocks, strict=True)
        ]
        assert same == [True, True, False, False]
        assert (await lab.step()).number == blocks[-1].number + 1
