"""One WebSocket, client side: text messages in and out, each stamped as its first bytes arrive.

This stands directly on wsproto, RFC 6455 without I/O, for three reasons: the task that reads the
socket is the task that dispatches the message (no hop between), a message knows the read that
brought its first byte, and the byte cap acts while a message grows. No extension is offered, so
nothing is compressed and no small message can unfold into a large one. Redirects are refused.

Guarantees
- One task calls `receive`; any task calls `send`; frames never interleave.
- A send that is cancelled halfway closes the connection: the peer must not see half a frame.
- Every failure is `ConnectionLost` or `MessageTooLarge`, and the connection is dead after it.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import NamedTuple

import trio
import wsproto
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import ProtocolError

from tallyio_chain_evm.dial import Dial
from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import ConnectionLost, MessageTooLarge

READ_BYTES = 65_536
"""Below malloc's mmap threshold, so that a read costs no page fault."""
TOO_BIG = 1009
"""RFC 6455 section 7.4.1: the close code for a message that is too large."""
CLOSE_S = 0.5
"""How long a polite close may take."""


class Message(NamedTuple):
    """One message and when the first of its bytes was read (`perf_counter_ns`)."""

    data: str | bytes
    arrived_ns: int


class WebSocket:
    """An open connection. Build it with `open_websocket`."""

    def __init__(self, stream: trio.abc.Stream, endpoint: Endpoint, *, max_bytes: int) -> None:
        self._stream = stream
        self._endpoint = endpoint
        self._max_bytes = max_bytes
        self._protocol = wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        self._send_lock = trio.Lock()
        self._ready: deque[Message] = deque()
        self._parts: list[str | bytes] = []
        self._size = 0
        self._started_ns = 0
        self._accepted = False

    async def handshake(self) -> None:
        """Upgrade the connection. Raises: ConnectionLost: the server does something else."""
        authorization = self._endpoint.authorization
        headers = [(b"Authorization", authorization.encode())] if authorization else []
        await self._write(
            Request(host=self._endpoint.host_header, target=self._endpoint.target, extra_headers=headers)
        )
        while not self._accepted:
            await self._read()

    async def receive(self) -> Message:
        """Return the next message."""
        while not self._ready:
            await self._read()
        return self._ready.popleft()

    async def send(self, text: str) -> None:
        """Send one text message."""
        await self._write(TextMessage(data=text))

    async def aclose(self) -> None:
        """Close; politely if the peer takes the close frame at once. Idempotent."""
        with trio.move_on_after(CLOSE_S, shield=True):
            with suppress(ConnectionLost):
                await self._write(CloseConnection(code=1000))
        await trio.aclose_forcefully(self._stream)

    async def _write(self, event: Event) -> None:
        async with self._send_lock:
            try:
                await self._stream.send_all(self._protocol.send(event))
            except (trio.BrokenResourceError, trio.ClosedResourceError, ProtocolError) as fault:
                raise self._lost("is gone") from fault
            except trio.Cancelled:
                await trio.aclose_forcefully(self._stream)
                raise

    async def _read(self) -> None:
        try:
            data = await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as fault:
            raise self._lost("is gone") from fault
        arrived_ns = time.perf_counter_ns()
        if not data:
            raise self._lost("closed the connection")
        try:
            self._protocol.receive_data(bytes(data))
            for event in self._protocol.events():
                await self._handle(event, arrived_ns)
        except ProtocolError as fault:
            raise self._lost(f"broke the WebSocket protocol ({self._endpoint.clean(str(fault))})") from fault

    async def _handle(self, event: Event, arrived_ns: int) -> None:
        match event:
            case TextMessage() | BytesMessage():
                await self._grow(event, arrived_ns)
            case Ping():
                await self._write(event.response())
            case CloseConnection():
                reason = self._endpoint.clean(event.reason or "no reason given")
                raise self._lost(f"closed the connection with code {event.code} ({reason})")
            case RejectConnection():
                raise self._lost(f"refused the WebSocket handshake with HTTP status {event.status_code}")
            case AcceptConnection():
                self._accepted = True

    async def _grow(self, event: TextMessage | BytesMessage, arrived_ns: int) -> None:
        if not self._parts:
            self._started_ns = arrived_ns
        self._parts.append(event.data if isinstance(event.data, str) else bytes(event.data))
        self._size += len(event.data)
        if self._size > self._max_bytes:
            await self._refuse()
        if event.message_finished:
            self._ready.append(Message(_joined(self._parts), self._started_ns))
            self._parts, self._size = [], 0

    async def _refuse(self) -> None:
        with trio.move_on_after(CLOSE_S):
            await self._write(CloseConnection(code=TOO_BIG))
        await trio.aclose_forcefully(self._stream)
        raise MessageTooLarge(
            f"{self._endpoint} sent a message of more than {self._max_bytes} bytes",
            way_out="raise `max_bytes` if the node is right to send so much",
        )

    def _lost(self, what: str) -> ConnectionLost:
        return ConnectionLost(f"{self._endpoint} {what}")


async def open_websocket(endpoint: Endpoint, *, dial: Dial, max_bytes: int) -> WebSocket:
    """Connect by `dial` and upgrade; the caller holds the deadline. Raises: ConnectionLost."""
    stream = await dial(endpoint)
    try:
        socket = WebSocket(stream, endpoint, max_bytes=max_bytes)
        await socket.handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return socket


def _joined(parts: list[str | bytes]) -> str | bytes:
    if len(parts) == 1:
        return parts[0]
    # A message is all text or all binary (RFC 6455 section 5.4).
    return b"".join(p if isinstance(p, bytes) else p.encode() for p in parts)
