"""A world that tests take turns on, in a thread of its own."""

from __future__ import annotations

import queue
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager

import trio


class Stage[T]:
    """A Trio run in a thread of its own, which holds a context open for tests that take turns."""

    def __init__(self, ground: T, token: trio.lowlevel.TrioToken) -> None:
        self.ground = ground
        self._token = token

    def play(self, act: Callable[[T], Awaitable[None]]) -> None:
        """Run an act in that thread to its end."""
        trio.from_thread.run(act, self.ground, trio_token=self._token)


@contextmanager
def staged[T](ground: AbstractAsyncContextManager[T]) -> Iterator[Stage[T]]:
    """Hold `ground` open in a thread. What its end raises is raised here."""
    ready: queue.Queue[Stage[T] | BaseException] = queue.Queue()
    leave = threading.Event()
    failed: list[BaseException] = []

    async def hold() -> None:
        async with ground as entered:
            ready.put(Stage(entered, trio.lowlevel.current_trio_token()))
            await trio.to_thread.run_sync(leave.wait)

    def stand() -> None:
        try:
            trio.run(hold)
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            failed.append(error)
            ready.put(error)

    thread = threading.Thread(target=stand)
    thread.start()
    try:
        stage = ready.get()
        if isinstance(stage, BaseException):
            raise stage
        yield stage
    finally:
        leave.set()
        thread.join()
    if failed:
        raise failed[0]
