"""Faults to practise with: a liar that stands between a client and a real node.

Layer: lab. It passes WebSocket messages on as they are, except for the answers that a lie is
about. Combine it with `Lab.kill` for a node that dies and `Lab.reorg` for one that changes its mind.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    WebSocketConnection,
    WebSocketRequest,
    serve_websocket,
    wrap_client_stream,
)

Answer = dict[str, Any]
Lie = Callable[[str, Answer], Answer | None]
"""Given the method of a request and the node's answer, what the client gets; None is broken JSON."""

HOST = "127.0.0.1"
MAX_MESSAGE_BYTES = 64 * 2**20
NOTIFICATION = "eth_subscription"
"""The method name under which a lie sees what the node sends unasked."""


def wrong_chain_id(method: str, answer: Answer) -> Answer:
    """Claim to be another chain."""
    return {**answer, "result": "0x1"} if method == "eth_chainId" else answer


def null_result(method: str) -> Lie:
    """Answer null to `method`."""
    return lambda asked, answer: {**answer, "result": None} if asked == method else answer


def malformed(method: str) -> Lie:
    """Answer JSON that ends too early to `method`."""
    return lambda asked, answer: None if asked == method else answer


def truncated_logs(method: str, answer: Answer) -> Answer:
    """Leave the last log out of every list of logs."""
    return {**answer, "result": answer["result"][:-1]} if method == "eth_getLogs" else answer


def after(count: int, lie: Lie, *, method: str) -> Lie:
    """Tell the truth for the first `count` answers to `method`, and `lie` from then on."""
    seen = 0

    def late(asked: str, answer: Answer) -> Answer | None:
        nonlocal seen
        seen += asked == method
        return lie(asked, answer) if seen > count else answer

    return late


async def serve_lies(
    url: str, lie: Lie, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED
) -> None:
    """Stand before the node at WebSocket address `url`; report our own address when started."""
    async with trio.open_nursery() as nursery:
        serve = partial(serve_websocket, max_message_size=MAX_MESSAGE_BYTES)
        server = await nursery.start(serve, partial(_pass_on, url, lie), HOST, 0, None)
        task_status.started(f"ws://{HOST}:{server.port}")


async def _pass_on(url: str, lie: Lie, request: WebSocketRequest) -> None:
    client = await request.accept()
    place = urlsplit(url)
    try:
        # The stream is opened here because a connection that breaks would leave it open.
        async with (
            await trio.open_tcp_stream(HOST, place.port or 80) as stream,
            trio.open_nursery() as nursery,
        ):
            node = await wrap_client_stream(nursery, stream, HOST, "/", max_message_size=MAX_MESSAGE_BYTES)
            asked: dict[int, str] = {}
            nursery.start_soon(_requests, client, node, asked)
            await _answers(node, client, asked, lie)
            nursery.cancel_scope.cancel()
    except* (OSError, ConnectionClosed):
        await client.aclose()


async def _requests(client: WebSocketConnection, node: WebSocketConnection, asked: dict[int, str]) -> None:
    while True:
        text = await client.get_message()
        message = msgspec.json.decode(text)
        for request in message if isinstance(message, list) else [message]:
            asked[request["id"]] = request["method"]
        await node.send_message(text)


async def _answers(
    node: WebSocketConnection, client: WebSocketConnection, asked: dict[int, str], lie: Lie
) -> None:
    while True:
        await client.send_message(_falsify(await node.get_message(), asked, lie))


def _falsify(text: str | bytes, asked: dict[int, str], lie: Lie) -> str:
    message = msgspec.json.decode(text)
    answers = message if isinstance(message, list) else [message]
    told = [lie(asked.get(answer.get("id"), NOTIFICATION), answer) for answer in answers]
    whole = msgspec.json.encode(told if isinstance(message, list) else told[0]).decode()
    return whole[: len(whole) // 2] if None in told else whole
