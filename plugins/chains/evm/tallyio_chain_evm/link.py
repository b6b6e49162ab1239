"""One endpoint, kept connected: what the rest of the plugin asks its questions through.

A connection counts only after the node has named the configured chain. When it breaks, the link
connects again with growing, jittered pauses for `patience_s`, then gives up for good. Questions
wait for the next connection within their own deadline and are then asked again: every request of
this plugin may be repeated, since reads change nothing and a signed transaction has one hash
however often it is sent.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

import msgspec
import trio

from tallyio.model.errors import ChainError
from tallyio_chain_evm import requests
from tallyio_chain_evm.dial import Dial
from tallyio_chain_evm.endpoint import Endpoint
from tallyio_chain_evm.errors import CallTimeout, ConnectionLost, GaveUp, MalformedReply, RpcError, WrongChain
from tallyio_chain_evm.rpc import Outcome, Request, Result, RpcConnection, Subscription
from tallyio_chain_evm.settings import EvmSettings
from tallyio_chain_evm.websocket import open_websocket

_log = logging.getLogger("tallyio.chain.evm")

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 2.0
STEADY_S = 2.0
"""A connection that lived shorter does not end an outage: a flapping node exhausts patience too."""


def pauses() -> Iterator[float]:
    """Yield seconds to wait before one more attempt: longer and longer, jittered, without end."""
    pause = FIRST_PAUSE_S
    while True:
        yield pause * random.uniform(0.5, 1)
        pause = min(2 * pause, LONGEST_PAUSE_S)


class Answer[T](NamedTuple):
    """A decoded result and when its first bytes were read (`perf_counter_ns`)."""

    value: T
    arrived_ns: int


class Link:
    """The connection of one client. Build it with `open_link`."""

    def __init__(
        self, endpoint: Endpoint, settings: EvmSettings, *, dial: Dial, nursery: trio.Nursery
    ) -> None:
        self.endpoint = endpoint
        self._dial = dial
        self._settings = settings
        self._nursery = nursery
        self._connection: RpcConnection | None = None
        self._failure: ChainError | None = None
        self._changed = trio.Event()
        self.reconnects = 0
        """Connections after the first."""

    async def ask[T](self, request: Request[T]) -> Answer[T]:
        """Return the answer to one request. Raises: ChainError, in all its kinds."""
        (answer,) = await self.ask_all([request])
        if isinstance(answer, RpcError):
            raise answer
        return answer

    async def ask_all[T](self, asked: Sequence[Request[T]]) -> list[Answer[T] | RpcError]:
        """Return the answers to `asked`, in order, in as few messages as `batch_size` allows.

        The deadline covers everything. Only the node's own errors come back as values.
        """
        if not asked:
            return []
        try:
            with trio.fail_after(self._settings.deadline_s):
                outcomes = await self._exchange(asked)
        except trio.TooSlowError:
            raise self._timeout(asked[0].method) from None
        return [self.read(request, outcome) for request, outcome in zip(asked, outcomes, strict=True)]

    async def subscribe(self, topic: str, *options: object) -> Subscription:
        """Open a subscription, waiting for a connection as long as the link has patience."""
        give_up_at = trio.current_time() + self._settings.patience_s
        while True:
            connection = await self._current()
            try:
                with trio.fail_after(self._settings.deadline_s):
                    return await connection.subscribe(topic, *options)
            except trio.TooSlowError:
                raise self._timeout("eth_subscribe") from None
            except ConnectionLost:
                await connection.aclose()
                if trio.current_time() >= give_up_at:
                    raise

    def read[T](self, request: Request[T], outcome: Outcome) -> Answer[T] | RpcError:
        """Decode `outcome`. Raises: MalformedReply: naming endpoint, method and fault."""
        if isinstance(outcome, RpcError):
            return outcome
        if isinstance(outcome, MalformedReply):
            raise outcome
        return self.decode(request, outcome)

    def decode[T](self, request: Request[T], result: Result) -> Answer[T]:
        """Decode `result`. Raises: MalformedReply."""
        try:
            return Answer(request.read(result.raw), result.arrived_ns)
        except (msgspec.DecodeError, ValueError, RecursionError) as fault:
            raise MalformedReply(
                f"{self.endpoint} answered {request.method} wrongly: {self.endpoint.clean(str(fault))}",
                way_out="the node or something in between is broken; try another endpoint",
            ) from None

    def start_soon(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run `work`, which raises nothing, in a task that ends with the link."""
        self._nursery.start_soon(work)

    async def drop(self) -> None:
        """Close the current connection, which looks dead; `keep` opens the next."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.aclose()

    async def open(self) -> None:
        """Make the first connection, in one attempt. Raises: ChainError: what is wrong with it."""
        connection = await self._connect()
        self._use(connection)
        self._nursery.start_soon(self._keep, connection)

    def close(self, reason: ChainError) -> None:
        """Let every question, waiting and future, fail with `reason`."""
        self._failure = reason
        self._connection = None
        self._changed.set()

    async def _keep(self, connection: RpcConnection) -> None:
        give_up_at = math.inf
        while True:
            since = trio.current_time()
            await connection.closed.wait()
            self._connection = None
            now = trio.current_time()
            if now - since > STEADY_S or math.isinf(give_up_at):
                give_up_at = now + self._settings.patience_s
            _log.warning(
                "%s was lost; trying again for %g s",
                self.endpoint,
                max(0.0, give_up_at - trio.current_time()),
            )
            try:
                connection = await self._reconnect(connection.lost, give_up_at)
            except (WrongChain, GaveUp) as fault:
                self.close(fault)
                return
            self._use(connection)
            self.reconnects += 1
            _log.warning("%s is back after %.1f s", self.endpoint, trio.current_time() - now)

    async def _reconnect(self, fault: ChainError | None, give_up_at: float) -> RpcConnection:
        waits_s = pauses()
        while trio.current_time() < give_up_at:
            await trio.sleep(next(waits_s))
            try:
                return await self._connect()
            except WrongChain:
                raise
            except ChainError as again:
                fault = again
        raise GaveUp(
            f"{self.endpoint} was lost for {self._settings.patience_s:g} s"
            + (f": {fault.message}" if fault else ""),
            way_out="start or check the node, or raise `patience_s`",
        )

    async def _connect(self) -> RpcConnection:
        try:
            with trio.fail_after(self._settings.deadline_s):
                return await self._checked()
        except trio.TooSlowError:
            raise self._timeout("the connection attempt") from None

    async def _checked(self) -> RpcConnection:
        socket = await open_websocket(self.endpoint, dial=self._dial, max_bytes=self._settings.max_bytes)
        connection = RpcConnection(socket, self.endpoint, batch_size=self._settings.batch_size)
        self._nursery.start_soon(connection.run)
        try:
            await self._verify(connection)
        except BaseException:
            await connection.aclose()
            raise
        return connection

    async def _verify(self, connection: RpcConnection) -> None:
        request = requests.chain_id()
        (outcome,) = await connection.exchange([request])
        answer = self.read(request, outcome)
        if isinstance(answer, RpcError):
            raise answer
        if answer.value != self._settings.chain_id:
            raise WrongChain(
                f"{self.endpoint} answers with chain id {answer.value},"
                f" configured is {self._settings.chain_id}",
                way_out="correct `url` or `chain_id`",
            )

    def _use(self, connection: RpcConnection) -> None:
        self._connection = connection
        self._changed.set()
        self._changed = trio.Event()

    async def _current(self) -> RpcConnection:
        while True:
            if self._failure is not None:
                raise self._failure
            if self._connection is not None and self._connection.lost is None:
                return self._connection
            await self._changed.wait()

    async def _exchange(self, asked: Sequence[Request[object]]) -> list[Outcome]:
        while True:
            connection = await self._current()
            try:
                return await connection.exchange(asked)
            except ConnectionLost:
                # If only the sending side has noticed, the reading side learns it here.
                await connection.aclose()

    def _timeout(self, what: str) -> CallTimeout:
        return CallTimeout(
            f"{self.endpoint} did not finish {what} within {self._settings.deadline_s:g} s",
            way_out="check the node, or raise `deadline_s`",
        )


@asynccontextmanager
async def open_link(endpoint: Endpoint, settings: EvmSettings, *, dial: Dial) -> AsyncIterator[Link]:
    """Connect, check the chain id, and keep connected until the block ends.

    Raises: ChainError: the first attempt failed. What the body raises leaves as it is, not as a group.
    """
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        link = Link(endpoint, settings, dial=dial, nursery=nursery)
        try:
            await link.open()
            yield link
        except Exception as fault:  # noqa: BLE001 - raised again below, outside the nursery
            failure = fault
        finally:
            link.close(ConnectionLost(f"{endpoint}: this client is closed"))
            nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
