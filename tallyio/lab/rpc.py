"""JSON-RPC to the lab's node, for its operator: HTTP/1.1 on one kept-alive loopback connection.

Layer: lab. TallyIO itself reaches any node through a chain plugin; this is only for whoever runs
the node: it deploys, trades and mines. Source: https://www.jsonrpc.org/specification.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import msgspec
import trio

from tallyio.model.errors import EnvironmentFault

DEADLINE_SECONDS = 60
RECEIVE_BYTES = 65_536
HEADER_END = b"\r\n\r\n"
CONTENT_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class NodeGone(EnvironmentFault):
    """The lab's node ended, or does not answer."""

    code = "node_gone"


class Rpc:
    """A connection that is opened on first use, and again after a call was cut off.

    Calls wait for each other, so the node sees them in their order.
    """

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._ids = count(1)
        self._turn = trio.Lock()
        self._stream: trio.SocketStream | None = None

    async def call(self, method: str, *params: Any) -> Any:
        """Return the result of `method`. Raises: NodeGone; EnvironmentFault: the node answers an error."""
        request = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": params}
        async with self._turn:
            answer = msgspec.json.decode(await self._exchange(msgspec.json.encode(request)))
        if "error" in answer:
            raise EnvironmentFault(f"{method}: the lab's node answered: {answer['error']['message']}")
        return answer["result"]

    async def aclose(self) -> None:
        """Close the connection."""
        if self._stream is not None:
            stream, self._stream = self._stream, None
            await trio.aclose_forcefully(stream)

    async def _exchange(self, body: bytes) -> bytes:
        head = f"POST / HTTP/1.1\r\nHost: {self._host}\r\nContent-Type: application/json\r\n"
        try:
            with trio.fail_after(DEADLINE_SECONDS):
                self._stream = self._stream or await trio.open_tcp_stream(self._host, self._port)
                await self._stream.send_all(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                return await _receive(self._stream)
        except BaseException as error:
            # Whatever cut the call off, its answer must not be taken for that of the next one.
            await self.aclose()
            if isinstance(error, (OSError, trio.BrokenResourceError, trio.TooSlowError)):
                raise NodeGone(
                    f"the lab's node at port {self._port} ended or does not answer",
                    way_out="start the lab again",
                ) from None
            raise


@asynccontextmanager
async def open_rpc(host: str, port: int) -> AsyncIterator[Rpc]:
    """Give an `Rpc` to the node at `host` and `port`, and close it at the exit."""
    rpc = Rpc(host, port)
    try:
        yield rpc
    finally:
        await rpc.aclose()


async def _receive(stream: trio.SocketStream) -> bytes:
    """Read one response; return its body."""
    received = b""
    while HEADER_END not in received:
        received += await _some(stream)
    head, _, body = received.partition(HEADER_END)
    length = CONTENT_LENGTH.search(head)
    if length is None:
        raise trio.BrokenResourceError("a response without a content length")
    parts, missing = [body], int(length[1]) - len(body)
    while missing > 0:
        parts.append(await _some(stream))
        missing -= len(parts[-1])
    return b"".join(parts)


async def _some(stream: trio.SocketStream) -> bytes:
    data: bytes = await stream.receive_some(RECEIVE_BYTES)
    if not data:
        raise trio.BrokenResourceError("the peer closed the connection")
    return data
