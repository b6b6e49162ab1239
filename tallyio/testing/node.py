"""A scripted node: a chain in memory behind a real WebSocket server, on loopback or on streams in memory.

Layer: testing. By default the node is honest; `script` makes its next answers lies, errors, silence or any
bytes at all. On streams in memory nothing touches the network, so tests run on a virtual clock.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import msgspec
import trio
from trio.testing import memory_stream_pair
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from tallyio.model.chain import Head, Log
from tallyio.model.hashing import keccak256
from tallyio.model.units import Address, Hash, Wei
from tallyio.testing.node_records import head_json, log_json, logs_bloom

PROVIDER_KEY = "k3y-of-a-provider"
"""Stands for what must never be shown."""
CHAIN_ID = 31_337

Json = Any
Step = Callable[[dict[str, Json]], str | None]
"""From a request to the text that answers it; None is silence."""


class FakeBlock(msgspec.Struct, frozen=True):
    """A block of the fake chain."""

    head: Head
    logs: tuple[Log, ...]


class FakeChain:
    """Blocks by hash, and which of them are canonical."""

    def __init__(self) -> None:
        self.by_hash: dict[Hash, FakeBlock] = {}
        self.canonical: list[FakeBlock] = []
        self._salt = 0
        self.mine(logs=0)

    @property
    def tip(self) -> FakeBlock:
        """The newest canonical block."""
        return self.canonical[-1]

    def mine(self, *, logs: int = 3) -> FakeBlock:
        """Append a block with as many logs."""
        self._salt += 1
        number = len(self.canonical)
        block = Hash(keccak256(b"block %d" % self._salt))
        parent = self.tip.head.hash if self.canonical else Hash(bytes(32))
        made = tuple(self._log(block, number, index) for index in range(logs))
        head = Head(
            number=number,
            hash=block,
            parent_hash=parent,
            timestamp=1_000 + number,
            base_fee_wei=Wei(10**9),
            gas_used=10**7,
            gas_limit=3 * 10**7,
            logs_bloom=logs_bloom(made),
        )
        self.canonical.append(FakeBlock(head, made))
        self.by_hash[block] = self.tip
        return self.tip

    def reorg(self, depth: int, *, blocks: int, logs: int = 2) -> list[FakeBlock]:
        """Replace the newest `depth` blocks by as many new ones as `blocks`."""
        del self.canonical[len(self.canonical) - depth :]
        return [self.mine(logs=logs) for _ in range(blocks)]

    def _log(self, block: Hash, number: int, index: int) -> Log:
        return Log(
            address=Address(keccak256(b"pool %d" % (index % 4))[:20]),
            topics=(keccak256(b"event %d" % (index % 2)), keccak256(b"%d of %d" % (index, self._salt))),
            data=bytes([index % 256]) * 64,
            block_hash=block,
            block_number=number,
            log_index=index,
            transaction_hash=Hash(keccak256(b"transaction %d" % self._salt)),
        )


class FakeNode:
    """Serves a `FakeChain`: at `listen`, or over `connect`, which needs no network."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.chain = FakeChain()
        self.chain_id = CHAIN_ID
        self.dead = False
        self.reject_with = 0
        """HTTP status with which handshakes are refused; 0 accepts them."""
        self.drip_s = 0.0
        """Pause between the bytes of a message; 0 sends it at once."""
        self.asked: list[str] = []
        """Methods in the order in which they were asked."""
        self.connections = 0
        self.batches: list[int] = []
        self._nursery = nursery
        self._scripts: dict[str, deque[Step]] = defaultdict(deque)
        self._always: dict[str, Step] = {}
        self._open: dict[WebSocketConnection, trio.abc.Stream] = {}
        self._subscribed: dict[WebSocketConnection, str] = {}

    # --- the script ------------------------------------------------------------------------

    def script(self, method: str, *steps: Step) -> None:
        """Let `steps` answer the next requests of `method`."""
        self._scripts[method].extend(steps)

    def always(self, method: str, step: Step) -> None:
        """Let `step` answer every request of `method` that no script answers."""
        self._always[method] = step

    async def announce(self, block: FakeBlock | None = None) -> None:
        """Send a head (by default the tip) to every subscriber."""
        head = (block or self.chain.tip).head
        for socket, name in list(self._subscribed.items()):
            await _send(socket, notice(name, head_json(head)))

    async def mine(self, *, logs: int = 3) -> FakeBlock:
        """Mine a block and announce it."""
        block = self.chain.mine(logs=logs)
        await self.announce()
        return block

    async def say(self, text: str | bytes) -> None:
        """Send any message to every client."""
        for socket in list(self._open):
            await _send(socket, text)

    async def hang_up(self) -> None:
        """Break every connection, without a closing handshake."""
        for stream in list(self._open.values()):
            await trio.aclose_forcefully(stream)

    def hang_up_soon(self) -> None:
        """Break every connection as soon as this task lets go; for steps, which cannot wait."""
        self._nursery.start_soon(self.hang_up)

    @property
    def open_connections(self) -> int:
        """How many clients are connected."""
        return len(self._open)

    @property
    def has_subscribers(self) -> bool:
        """Whether anybody hears of new heads."""
        return bool(self._subscribed)

    def cut(self, keep: int) -> Step:
        """Return a step that answers with the first `keep` entries of the true list only."""

        def step(request: dict[str, Json]) -> str:
            return _result(request, json.loads(self.honest(request))["result"][:keep])

        return step

    # --- the server ------------------------------------------------------------------------

    async def connect(self) -> trio.abc.Stream:
        """Connect a client by a stream in memory. Raises: ConnectionRefusedError: the node is dead."""
        await trio.lowlevel.checkpoint()
        if self.dead:
            raise ConnectionRefusedError("refused")
        ours, theirs = memory_stream_pair()
        self._nursery.start_soon(self._serve, theirs)
        return ours

    async def listen(self) -> str:
        """Listen on a free port of loopback and return its URL, with a provider's key in the path."""
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self._nursery.start_soon(
            partial(trio.serve_listeners, self._serve, [listener], handler_nursery=self._nursery)
        )
        port: int = listener.socket.getsockname()[1]
        return f"ws://127.0.0.1:{port}/v3/{PROVIDER_KEY}"

    async def _serve(self, stream: trio.abc.Stream) -> None:
        if self.dead:
            await trio.aclose_forcefully(stream)
            return
        self.connections += 1
        async with trio.open_nursery() as nursery:
            request = await wrap_server_stream(nursery, stream)
            if self.reject_with:
                await request.reject(self.reject_with, extra_headers=[(b"Location", b"ws://elsewhere/")])
                return
            socket = await request.accept()
            self._open[socket] = stream
            try:
                while True:
                    await self._handle(socket, json.loads(await socket.get_message()))
            except (ConnectionClosed, trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            finally:
                del self._open[socket]
                self._subscribed.pop(socket, None)

    async def _handle(self, socket: WebSocketConnection, message: Json) -> None:
        if isinstance(message, list):
            self.batches.append(len(message))
            texts = [self._answer(socket, request) for request in message]
            # Any order is legal.
            await socket.send_message("[" + ",".join(text for text in reversed(texts) if text) + "]")
            return
        text = self._answer(socket, message)
        if text is not None and self.drip_s:
            await self._drip(self._open[socket], text)
        elif text is not None:
            await socket.send_message(text)

    async def _drip(self, stream: trio.abc.Stream, text: str) -> None:
        # One unmasked text frame with a 64-bit length (RFC 6455 section 5.2).
        for byte in b"\x81\x7f" + len(text).to_bytes(8, "big") + text.encode():
            await stream.send_all(bytes([byte]))
            await trio.sleep(self.drip_s)

    def _answer(self, socket: WebSocketConnection, request: dict[str, Json]) -> str | None:
        method = request["method"]
        self.asked.append(method)
        if self._scripts[method]:
            return self._scripts[method].popleft()(request)
        if method in self._always:
            return self._always[method](request)
        if method == "eth_subscribe":
            self._subscribed[socket] = f"0x{len(self.asked):x}"
            return result(self._subscribed[socket])(request)
        return self.honest(request)

    def honest(self, request: dict[str, Json]) -> str:
        """Return the true answer."""
        parameters = request["params"]
        match request["method"]:
            case "eth_chainId":
                value: Json = hex(self.chain_id)
            case "eth_blockNumber":
                value = hex(self.chain.tip.head.number)
            case "eth_getBlockByNumber":
                value = self._by_number(parameters[0])
            case "eth_getBlockByHash":
                block = self.chain.by_hash.get(Hash(bytes.fromhex(parameters[0][2:])))
                value = None if block is None else head_json(block.head)
            case "eth_getLogs":
                value = self._logs(parameters[0])
            case _:
                return _error(request, -32_601, "the method does not exist/is not available")
        return _result(request, value)

    def _by_number(self, tag: str) -> Json:
        number = len(self.chain.canonical) - 1 if tag == "latest" else int(tag, 16)
        known = number < len(self.chain.canonical)
        return head_json(self.chain.canonical[number].head) if known else None

    def _logs(self, query: dict[str, str]) -> Json:
        if "blockHash" in query:
            blocks = [self.chain.by_hash[Hash(bytes.fromhex(query["blockHash"][2:]))]]
        else:
            blocks = self.chain.canonical[int(query["fromBlock"], 16) : int(query["toBlock"], 16) + 1]
        return [log_json(log) for block in blocks for log in block.logs]


async def _send(socket: WebSocketConnection, text: str | bytes) -> None:
    with suppress(ConnectionClosed):
        await socket.send_message(text)


# --- answers to script ---------------------------------------------------------------------


def result(value: Json) -> Step:
    """Answer with `value`."""
    return lambda request: _result(request, value)


def error(code: int, message: str, data: Json = None) -> Step:
    """Answer with an error."""
    return lambda request: _error(request, code, message, data)


def text(template: str) -> Step:
    """Answer with `template` as it is, but for ID, which becomes the request's id."""
    return lambda request: template.replace("ID", str(request["id"]))


def silence(request: dict[str, Json]) -> None:
    """Do not answer."""


def notice(subscription: str, value: Json) -> str:
    """Return a notification."""
    parameters = {"subscription": subscription, "result": value}
    return json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": parameters})


def _result(request: dict[str, Json], value: Json) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value})


def _error(request: dict[str, Json], code: int, message: str, data: Json = None) -> str:
    fault = {"code": code, "message": message, **({} if data is None else {"data": data})}
    return json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": fault})


@asynccontextmanager
async def open_node() -> AsyncIterator[FakeNode]:
    """Run a node."""
    async with trio.open_nursery() as nursery:
        yield FakeNode(nursery)
        nursery.cancel_scope.cancel()
