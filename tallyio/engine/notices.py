"""From the engine to the notifiers, without ever making the engine wait.

Layer: engine. Lag policy: at most `WAITING` notices wait; a newer one that finds no room is dropped
and counted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

import trio

from tallyio.hooks.interfaces import Notice, Notifier

WAITING: Final = 256
_log = logging.getLogger("tallyio.engine.notices")


class Notices:
    """A service: `post` from anywhere on the Trio thread, `run` delivers."""

    def __init__(self, notifiers: Sequence[Notifier]) -> None:
        self._notifiers = notifiers
        self._send, self._receive = trio.open_memory_channel[Notice](WAITING)
        self.dropped = 0

    def post(self, notice: Notice) -> None:
        """Queue `notice`; never waits."""
        try:
            self._send.send_nowait(notice)
        except trio.WouldBlock:
            self.dropped += 1

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Deliver until cancelled; what waits then is still delivered, within the service's grace."""
        task_status.started()
        try:
            while True:
                await self._deliver(await self._receive.receive())
        finally:
            with trio.CancelScope(shield=True), trio.move_on_after(2):
                await self._drain()

    async def _drain(self) -> None:
        while self._receive.statistics().current_buffer_used:
            await self._deliver(self._receive.receive_nowait())

    async def _deliver(self, notice: Notice) -> None:
        for notifier in self._notifiers:
            try:
                await notifier.notify(notice)
            except Exception:  # noqa: BLE001 - a plugin may raise anything; it must not reach the engine
                _log.exception("notifier %s failed", type(notifier).__name__)
