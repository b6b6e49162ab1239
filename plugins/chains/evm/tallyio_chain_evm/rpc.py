"""JSON-RPC 2.0 over one WebSocket: many questions in flight, each answer to its own.

A message is decoded once, as an envelope whose `result` stays raw; who asked decodes that part
into its own type, in its own task, so the reader goes back to the socket at once.

What a bad message does: one that is no JSON-RPC at all ends the connection (nobody can tell whose
answer it was), an answer to an id that waits for none is counted and dropped (late answers are
normal), and an answer that is wrong by itself fails the one request that it belongs to. A list
answers all calls of a message, so those that a list with an error leaves out have failed.
Duplicate keys are legal JSON of which the last wins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import trio

from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import (
    BatchRefused,
    ConnectionLost,
    MalformedReply,
    MessageTooLarge,
    RpcError,
)
from tallyio_chain_evm.websocket import WebSocket

QUEUED_NOTICES = 256
"""Per subscription; the oldest goes first when it is full, and the feed reads what it missed."""
_ABSENT = msgspec.Raw(b"")
_NULL = msgspec.Raw(b"null")

type Fault = ConnectionLost | MalformedReply | MessageTooLarge
"""What ends a connection."""


@dataclass(frozen=True, slots=True)
class Request[T]:
    """One question; `read` turns the raw JSON of its result into what was asked for."""

    method: str
    params: Sequence[object]
    read: Callable[[msgspec.Raw], T]


class Result(NamedTuple):
    """The raw JSON of a result, and when its first bytes were read."""

    raw: msgspec.Raw
    arrived_ns: int


type Outcome = Result | RpcError | MalformedReply


class _Envelope(msgspec.Struct):
    """Any message of a node: an answer (has `id`) or a notification (has `method`)."""

    id: int | str | None = None
    result: msgspec.Raw = _ABSENT
    error: msgspec.Raw = _ABSENT
    method: str | None = None
    params: msgspec.Raw = _ABSENT

    @property
    def failed(self) -> bool:
        """Whether it is an error."""
        return self.error not in (_ABSENT, _NULL)


class _Notice(msgspec.Struct):
    subscription: str
    result: msgspec.Raw


class _Error(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: msgspec.Raw = _ABSENT


_envelopes: msgspec.json.Decoder[_Envelope | list[_Envelope]] = msgspec.json.Decoder(
    _Envelope | list[_Envelope]
)
_notices = msgspec.json.Decoder(_Notice)
_errors = msgspec.json.Decoder(_Error)
_text = msgspec.json.Decoder(str)
_encoder = msgspec.json.Encoder()


class Subscription:
    """Notifications of one subscription, oldest first, of which it keeps the newest."""

    def __init__(self) -> None:
        self._send, self._receive = trio.open_memory_channel[Result](QUEUED_NOTICES)
        self.dropped = 0
        """How many were lost because nobody read them in time."""

    def put(self, notice: Result) -> None:
        """Append `notice`; a full queue loses its oldest."""
        try:
            self._send.send_nowait(notice)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self._send.send_nowait(notice)
            self.dropped += 1

    async def receive(self) -> Result:
        """Return the next notification. Raises: trio.EndOfChannel: the connection is gone."""
        return await self._receive.receive()

    def waiting(self) -> list[Result]:
        """Return what came besides and was not read yet, oldest first."""
        found = []
        with suppress(trio.WouldBlock, trio.EndOfChannel):
            while True:
                found.append(self._receive.receive_nowait())
        return found

    def close(self) -> None:
        """Let the reader finish what is queued, then end."""
        self._send.close()


class _Exchange:
    """Requests sent together and the answers that came so far."""

    def __init__(
        self, requests: Sequence[Request[object]], subscription: Subscription | None, *, batch_size: int
    ) -> None:
        self.requests = requests
        self._batch_size = batch_size
        self.outcomes: list[Outcome | None] = [None] * len(requests)
        self.missing = len(requests)
        self.subscription = subscription
        self.finished = trio.Event()

    def together(self, index: int) -> range:
        """Return the indexes of the requests that were sent in one message with that at `index`."""
        start = index - index % self._batch_size
        return range(start, min(start + self._batch_size, len(self.requests)))

    def settle(self, index: int, outcome: Outcome) -> None:
        """Note one answer."""
        self.outcomes[index] = outcome
        self.missing -= 1
        if not self.missing:
            self.finished.set()


class RpcConnection:
    """One connection; `run` serves it in a task of its own until it breaks."""

    def __init__(self, socket: WebSocket, endpoint: Endpoint, *, batch_size: int) -> None:
        self._socket = socket
        self._endpoint = endpoint
        self._batch_size = batch_size
        self._next_id = 1
        self._waiting: dict[int | str, tuple[_Exchange, int]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self.lost: Fault | None = None
        """Why the connection ended; None while it lives."""
        self.closed = trio.Event()
        self.strays = 0
        """Answers that nobody waited for, and notifications of no subscription."""

    async def run(self) -> None:
        """Read and dispatch until the connection ends; never raises for what the node does."""
        try:
            while True:
                message = await self._socket.receive()
                self._dispatch(message.data, message.arrived_ns)
        except (ConnectionLost, MalformedReply, MessageTooLarge) as fault:
            self._end(fault)
        finally:
            self._end(ConnectionLost(f"{self._endpoint}: the connection was closed by us"))
            await self._socket.aclose()

    async def exchange(
        self, requests: Sequence[Request[object]], *, subscription: Subscription | None = None
    ) -> list[Outcome]:
        """Send `requests`, at most `batch_size` a message, and return their outcomes, in order.

        The caller holds the deadline. Raises: ConnectionLost, MalformedReply, MessageTooLarge: the
        connection ended first.
        """
        if self.lost is not None:
            raise self.lost
        first = self._next_id
        self._next_id += len(requests)
        exchange = _Exchange(requests, subscription, batch_size=self._batch_size)
        self._waiting.update({first + index: (exchange, index) for index in range(len(requests))})
        try:
            for start in range(0, len(requests), self._batch_size):
                await self._socket.send(_encode(first + start, requests[start : start + self._batch_size]))
            await exchange.finished.wait()
        finally:
            for index in range(len(requests)):
                self._waiting.pop(first + index, None)
        return self._settled(exchange)

    async def subscribe(self, topic: str, *options: object) -> Subscription:
        """Open a subscription. Raises: RpcError: the node has none of that kind."""
        subscription = Subscription()
        request: Request[object] = Request("eth_subscribe", [topic, *options], _text.decode)
        (outcome,) = await self.exchange([request], subscription=subscription)
        if not isinstance(outcome, Result):
            raise outcome
        return subscription

    async def aclose(self) -> None:
        """Close; everything in flight fails with `ConnectionLost`. Idempotent."""
        self._end(ConnectionLost(f"{self._endpoint}: the connection was closed by us"))
        await self._socket.aclose()

    def _settled(self, exchange: _Exchange) -> list[Outcome]:
        outcomes = [outcome for outcome in exchange.outcomes if outcome is not None]
        if len(outcomes) == len(exchange.outcomes):
            return outcomes
        raise self.lost or ConnectionLost(f"{self._endpoint}: the connection ended")

    def _end(self, fault: Fault) -> None:
        if self.lost is not None:
            return
        self.lost = fault
        self.closed.set()
        for subscription in self._subscriptions.values():
            subscription.close()
        for exchange, _ in self._waiting.values():
            exchange.finished.set()

    def _dispatch(self, data: str | bytes, arrived_ns: int) -> None:
        try:
            decoded = _envelopes.decode(data)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
            text = self._endpoint.clean(str(fault))
            raise MalformedReply(f"{self._endpoint} sent what is not JSON-RPC ({text})") from None
        if isinstance(decoded, list):
            self._route_all(decoded, arrived_ns)
        else:
            self._route(decoded, arrived_ns)

    def _route_all(self, envelopes: Sequence[_Envelope], arrived_ns: int) -> None:
        fault = next((each for each in envelopes if each.failed), None)
        # Before their answers take the calls off the list of those that wait.
        messages = {self._sent_with(each.id) for each in envelopes} if fault else set()
        for envelope in envelopes:
            self._route(envelope, arrived_ns)
        if fault is not None:
            left_out = [call for message in messages for call in message if call in self._waiting]
            self._refuse(left_out, fault)

    def _sent_with(self, call: int | str | None) -> range:
        # Ids within an exchange follow each other, as its requests do.
        if not isinstance(call, int) or call not in self._waiting:
            return range(0)
        exchange, index = self._waiting[call]
        message = exchange.together(index)
        return range(call - index + message.start, call - index + message.stop)

    def _refuse(self, calls: Iterable[int | str], envelope: _Envelope) -> None:
        error = self._error("a message", envelope.error)
        for exchange, index in [self._waiting.pop(call) for call in calls]:
            count = len(exchange.together(index))
            refused = BatchRefused(
                f"{self._endpoint} answered a message of {count} calls with error {error.rpc_code}:"
                f" {error.reason}",
                way_out="lower `batch_size`, if the node takes fewer calls at once",
            )
            exchange.settle(index, error if count == 1 else refused)

    def _route(self, envelope: _Envelope, arrived_ns: int) -> None:
        if envelope.method is not None:
            self._notify(envelope, arrived_ns)
        elif envelope.id is None and envelope.failed:
            # An error without an id is about a message that the node could not even read; which, only
            # it knows, so everything in flight hears of it.
            self._refuse(list(self._waiting), envelope)
        elif envelope.id is None or (waiting := self._waiting.pop(envelope.id, None)) is None:
            self.strays += 1
        else:
            self._answer(*waiting, envelope, arrived_ns)

    def _answer(self, exchange: _Exchange, index: int, envelope: _Envelope, arrived_ns: int) -> None:
        outcome = self._outcome(exchange.requests[index].method, envelope, arrived_ns)
        if exchange.subscription is not None and isinstance(outcome, Result):
            outcome = self._register(exchange.subscription, outcome)
        exchange.settle(index, outcome)

    def _register(self, subscription: Subscription, result: Result) -> Outcome:
        # Here and not in the task that asked: the first notification may be in the same read.
        try:
            self._subscriptions[_text.decode(result.raw)] = subscription
        except msgspec.DecodeError:
            return MalformedReply(f"{self._endpoint} answered eth_subscribe without a subscription id")
        return result

    def _notify(self, envelope: _Envelope, arrived_ns: int) -> None:
        try:
            notice = _notices.decode(envelope.params)
            subscription = self._subscriptions.get(notice.subscription)
        except msgspec.DecodeError:
            subscription = None
        if subscription is None:
            self.strays += 1
        else:
            subscription.put(Result(notice.result, arrived_ns))

    def _outcome(self, method: str, envelope: _Envelope, arrived_ns: int) -> Outcome:
        if not envelope.failed and envelope.result != _ABSENT:
            return Result(envelope.result, arrived_ns)
        if not envelope.failed:
            return MalformedReply(f"{self._endpoint} answered {method} with neither result nor error")
        if envelope.result not in (_ABSENT, _NULL):
            return MalformedReply(f"{self._endpoint} answered {method} with a result and an error at once")
        return self._error(method, envelope.error)

    def _error(self, method: str, raw: msgspec.Raw) -> RpcError:
        try:
            error = _errors.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            error = _Error(message=bytes(raw).decode(errors="replace"))
        reason = self._endpoint.clean(error.message) or "no reason given"
        return RpcError(
            f"{self._endpoint} answered {method} with error {error.code}: {reason}",
            rpc_code=error.code,
            reason=reason,
            data=bytes(error.data),
        )


def _encode(first: int, requests: Sequence[Request[object]]) -> str:
    calls = [
        {"jsonrpc": "2.0", "id": first + index, "method": request.method, "params": request.params}
        for index, request in enumerate(requests)
    ]
    return _encoder.encode(calls if len(calls) > 1 else calls[0]).decode()
