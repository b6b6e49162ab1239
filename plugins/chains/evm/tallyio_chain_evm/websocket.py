"""One WebSocket, client side: text messages in and out, each stamped as its first bytes arrive.

wsproto, RFC 6455 without I/O, makes the handshake; frames are our own (`frames`). That is for three
reasons: the task that reads the socket is the task that dispatches the message (no hop between), a
message knows the read that brought its first byte, and the byte cap acts before a message has grown.
No extension is offered, so nothing is compressed and no small message can unfold into a large one.
Redirects are refused.

Guarantees
- One task calls `receive`; any task calls `send`; frames never interleave.
- A send that is cancelled halfway closes the connection: the peer must not see half a frame.
- Every failure is `ConnectionLost` or `MessageTooLarge`, and the connection is dead after it.
"""

from __future__ import annotations

import time
from collections import deque
from contextlib import suppress
from typing import Final, NamedTuple

import trio
import wsproto
from wsproto.events import AcceptConnection, RejectConnection, Request
from wsproto.utilities import ProtocolError

from tallyio_chain_evm.dial import Dial
from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import ConnectionLost, MessageTooLarge
from tallyio_chain_evm.frames import FrameError, FrameReader, Opcode, Received, TooLargeError, pack

READ_BYTES = 65_536
"""Below malloc's mmap threshold, so that a read costs no page fault."""
TOO_BIG = 1009
"""RFC 6455 section 7.4.1: the close code for a message that is too large."""
NORMAL = 1000
"""The same section: nothing is wrong."""
NO_CODE = 1005
"""The same section: a close without a code."""
CLOSE_S = 0.5
"""How long a polite close may take."""
_END_OF_HEAD: Final = b"\r\n\r\n"


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
        self._send_lock = trio.Lock()
        self._ready: deque[Message] = deque()
        self._frames = FrameReader(max_bytes=max_bytes)

    async def handshake(self) -> None:
        """Upgrade the connection. Raises: ConnectionLost: the server does something else."""
        endpoint, protocol = self._endpoint, wsproto.WSConnection(wsproto.ConnectionType.CLIENT)
        headers = [(b"Authorization", endpoint.authorization.encode())] if endpoint.authorization else []
        await self._write(
            protocol.send(Request(host=endpoint.host_header, target=endpoint.target, extra_headers=headers))
        )
        head = bytearray()
        try:
            while True:
                data, arrived_ns = await self._read()
                head += data
                # What follows the head of the answer are frames already.
                rest = (
                    len(head) - (head.find(_END_OF_HEAD) + len(_END_OF_HEAD)) if _END_OF_HEAD in head else 0
                )
                protocol.receive_data(bytes(data[: len(data) - rest]))
                for event in protocol.events():
                    if isinstance(event, RejectConnection):
                        raise self._lost(
                            f"refused the WebSocket handshake with HTTP status {event.status_code}"
                        )
                    if isinstance(event, AcceptConnection):
                        self._frames.feed(data[len(data) - rest :], arrived_ns)
                        await self._take()
                        return
        except ProtocolError as fault:
            raise self._broke(str(fault)) from fault

    async def receive(self) -> Message:
        """Return the next message."""
        while not self._ready:
            self._frames.feed(*await self._read())
            await self._take()
        return self._ready.popleft()

    async def send(self, text: str) -> None:
        """Send one text message."""
        await self._write(pack(Opcode.TEXT, text.encode()))

    async def aclose(self) -> None:
        """Close; politely if the peer takes the close frame at once. Idempotent."""
        with trio.move_on_after(CLOSE_S, shield=True):
            with suppress(ConnectionLost):
                await self._write(pack(Opcode.CLOSE, NORMAL.to_bytes(2)))
        await trio.aclose_forcefully(self._stream)

    async def _write(self, data: bytes) -> None:
        try:
            self._send_lock.acquire_nowait()  # no turn of the loop before what somebody waits for is out
        except trio.WouldBlock:
            await self._send_lock.acquire()
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as fault:
            raise self._lost("is gone") from fault
        except trio.Cancelled:
            await trio.aclose_forcefully(self._stream)
            raise
        finally:
            self._send_lock.release()

    async def _read(self) -> tuple[bytes | bytearray, int]:
        """Return what the socket has, at least a byte, and when it was read."""
        try:
            data = await self._stream.receive_some(READ_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as fault:
            raise self._lost("is gone") from fault
        arrived_ns = time.perf_counter_ns()
        if not data:
            raise self._lost("closed the connection")
        return data, arrived_ns

    async def _take(self) -> None:
        """Take all that is whole out of what was read."""
        try:
            while (received := self._frames.take()) is not None:
                await self._handle(received)
        except (FrameError, UnicodeDecodeError) as fault:
            raise self._broke(str(fault)) from fault
        except TooLargeError:
            await self._refuse()

    async def _handle(self, received: Received) -> None:
        opcode, payload, arrived_ns = received
        match opcode:
            case Opcode.TEXT:
                self._ready.append(Message(payload.decode(), arrived_ns))
            case Opcode.BINARY:
                self._ready.append(Message(payload, arrived_ns))
            case Opcode.PING:
                await self._write(pack(Opcode.PONG, payload))
            case Opcode.CLOSE:
                raise self._closed(payload)

    async def _refuse(self) -> None:
        with trio.move_on_after(CLOSE_S):
            await self._write(pack(Opcode.CLOSE, TOO_BIG.to_bytes(2)))
        await trio.aclose_forcefully(self._stream)
        raise MessageTooLarge(
            f"{self._endpoint} sent a message of more than {self._max_bytes} bytes",
            way_out="raise `max_bytes` if the node is right to send so much",
        )

    def _closed(self, payload: bytes) -> ConnectionLost:
        code = int.from_bytes(payload[:2]) if payload else NO_CODE
        reason = self._endpoint.clean(payload[2:].decode(errors="replace") or "no reason given")
        return self._lost(f"closed the connection with code {code} ({reason})")

    def _broke(self, how: str) -> ConnectionLost:
        return self._lost(f"broke the WebSocket protocol ({self._endpoint.clean(how)})")

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
