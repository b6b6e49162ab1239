"""Notices reach the notifiers, and never hold the engine up."""

from __future__ import annotations

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from tallyio.engine.notices import WAITING, Notices
from tallyio.hooks.interfaces import Notice


def notice(number: int) -> Notice:
    """Return a notice of its own."""
    return Notice(level="info", title="title", body=str(number), key=str(number))


class Kept:
    """Keeps what it is told, after `pause_s` each."""

    def __init__(self, pause_s: float = 0) -> None:
        self.bodies: list[str] = []
        self._pause_s = pause_s

    async def notify(self, notice: Notice) -> None:
        """Keep it."""
        await trio.sleep(self._pause_s)
        self.bodies.append(notice.body)


class Broken:
    """Raises."""

    async def notify(self, notice: Notice) -> None:
        """Raise."""
        raise RuntimeError(f"cannot say {notice.body}")


async def test_every_notifier_is_told_in_order(autojump_clock: MockClock) -> None:
    first, second = Kept(), Kept(1)
    notices = Notices([first, second])
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.run)
        for number in range(3):
            notices.post(notice(number))
        await trio.sleep(10)
        nursery.cancel_scope.cancel()
    assert first.bodies == second.bodies == ["0", "1", "2"]


async def test_what_finds_no_room_is_dropped_and_counted() -> None:
    notices = Notices([])
    for number in range(WAITING + 3):
        notices.post(notice(number))
    assert notices.dropped == 3


async def test_a_notifier_that_raises_stops_neither_the_others_nor_the_service(
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Kept()
    notices = Notices([Broken(), kept])
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.run)
        notices.post(notice(1))
        notices.post(notice(2))
        with caplog.at_level(logging.ERROR):
            await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    assert kept.bodies == ["1", "2"]
    assert "notifier Broken failed" in caplog.text


async def test_what_waits_at_the_end_is_still_told_within_its_grace(autojump_clock: MockClock) -> None:
    """At 0.6 s each, three fit into the two seconds of grace, and then it is over."""
    kept = Kept(0.6)
    start = trio.current_time()
    notices = Notices([kept])
    async with trio.open_nursery() as nursery:
        await nursery.start(notices.run)
        nursery.cancel_scope.cancel()
        for number in range(10):
            notices.post(notice(number))
    assert kept.bodies == ["0", "1", "2"]
    assert trio.current_time() - start == 2
