"""The byte stream to an endpoint: TCP, and TLS where the URL says wss."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio

from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import ConnectionLost

type Dial = Callable[[Endpoint], Awaitable[trio.abc.Stream]]
"""Opens a stream, or raises ConnectionLost. Tests bring one that needs no network."""


class QuickAckStream(trio.abc.Stream):
    """A TCP stream that acknowledges what it reads at once.

    The kernel holds an acknowledgement back for 40 ms in the hope of sending data with it, and a
    node that does not set TCP_NODELAY holds its next small message back until the last one is
    acknowledged. Together they delay a head or an answer by 40 ms, now and then. The option does
    not last (tcp(7)), so it is set after every read; it costs well under a microsecond.
    """

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """Read, and acknowledge."""
        data = await self._stream.receive_some(max_bytes)
        with suppress(OSError):  # whoever dropped the connection may have closed it while we were reading
            self._stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send."""
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending might not block."""
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close."""
        await self._stream.aclose()


async def open_stream(endpoint: Endpoint) -> trio.abc.Stream:
    """Connect; the certificate of a TLS peer is checked. The caller holds the deadline."""
    try:
        tcp = await trio.open_tcp_stream(endpoint.host, endpoint.port)
    except OSError as fault:
        raise ConnectionLost(f"{endpoint} does not accept connections ({_cause(fault)})") from fault
    stream = QuickAckStream(tcp)
    return await _secured(stream, endpoint) if endpoint.tls else stream


async def _secured(stream: trio.abc.Stream, endpoint: Endpoint) -> trio.abc.Stream:
    context = ssl.create_default_context()
    secured = trio.SSLStream(stream, context, server_hostname=endpoint.host, https_compatible=True)
    try:
        await secured.do_handshake()
    except (trio.BrokenResourceError, ssl.SSLError) as fault:
        await trio.aclose_forcefully(stream)
        raise ConnectionLost(f"{endpoint} failed the TLS handshake ({_cause(fault)})") from fault
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secured


def _cause(fault: BaseException) -> str:
    cause = fault.__cause__ or fault
    while isinstance(cause, BaseExceptionGroup):  # one for each address of the host
        cause = cause.exceptions[0]
    return str(cause)
