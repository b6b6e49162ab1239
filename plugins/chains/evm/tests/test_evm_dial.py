"""Real streams on loopback: TCP, TLS, and peers that are neither."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from tallyio_chain_evm.dial import QuickAckStream, open_stream
from tallyio_chain_evm.endpoint import parse_endpoint
from tallyio_chain_evm.errors import ConnectionLost

LOCALHOST = Path(__file__).parent / "data" / "localhost.pem"
"""A self-signed certificate and its key, made for this test and trusted by nobody else."""


async def echo(stream: trio.abc.Stream) -> None:
    async for data in stream:
        await stream.send_all(data)


async def talk_ssh(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"SSH-2.0-OpenSSH_9.2\r\n")


@asynccontextmanager
async def serving(handler: Callable[[trio.abc.Stream], Awaitable[None]]) -> AsyncIterator[int]:
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, handler, [listener])
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def secured_echo(stream: trio.abc.Stream) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(LOCALHOST)
    secured = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
    try:
        await echo(secured)
    except trio.BrokenResourceError:
        await trio.aclose_forcefully(secured)


async def test_a_plain_stream_carries_bytes() -> None:
    async with serving(echo) as port, await open_stream(parse_endpoint(f"ws://127.0.0.1:{port}")) as stream:
        await stream.wait_send_all_might_not_block()
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"


async def test_bytes_that_were_read_outlive_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trio takes a turn of its loop after a read, in which another task may close the socket."""
    async with serving(echo) as port:
        tcp = await trio.open_tcp_stream("127.0.0.1", port)
        read = tcp.receive_some

        async def read_and_lose(max_bytes: int | None = None) -> bytes | bytearray:
            data = await read(max_bytes)
            await tcp.aclose()
            return data

        monkeypatch.setattr(tcp, "receive_some", read_and_lose)
        stream = QuickAckStream(tcp)
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"


async def test_a_tls_stream_carries_bytes_to_a_certified_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(LOCALHOST))
    async with (
        serving(secured_echo) as port,
        await open_stream(parse_endpoint(f"wss://localhost:{port}")) as stream,
    ):
        await stream.send_all(b"hello")
        assert await stream.receive_some() == b"hello"


async def test_a_certificate_that_nobody_vouches_for_is_refused() -> None:
    async with serving(secured_echo) as port:
        with pytest.raises(ConnectionLost, match=r"failed the TLS handshake.*CERTIFICATE_VERIFY_FAILED"):
            await open_stream(parse_endpoint(f"wss://localhost:{port}/a-provider-key"))


async def test_a_peer_without_tls_is_refused() -> None:
    async with serving(talk_ssh) as port:
        with pytest.raises(ConnectionLost, match="failed the TLS handshake"):
            await open_stream(parse_endpoint(f"wss://127.0.0.1:{port}"))


async def test_a_port_where_nobody_listens_is_named() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    await listener.aclose()
    with pytest.raises(
        ConnectionLost, match=rf"^ws://127\.0\.0\.1:{port}/… does not accept connections .*Connection refused"
    ):
        await open_stream(parse_endpoint(f"ws://127.0.0.1:{port}/a-provider-key"))
