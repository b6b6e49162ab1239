"""Between lanes and Trio: ring ends that Trio tasks wait on.

Layer: kernel. Uses native by way of the ring.

    reader = RingReader(results, wait=PARK)          writer = RingWriter(commands)
    async for word in reader: ...                    writer.send_nowait(word)
                                                     await writer.send(word)

How a side waits is its own choice, and one of three; lanes take the same as `wait.spin_cycles`.
Figures are wake-ups p50 of a Trio task on one virtual machine, for orientation.

    PARK           sleep until the doorbell rings        24 us, costs nothing while waiting
    hybrid(ns)     look for that long, then sleep        2 us when the gap was shorter
    POLL           look for ever                         1.5 us, and a core of its own

Looking, a Trio task yields to the other tasks each time, so they all go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, Self, final

import trio

from tallyio.kernel.doorbell import Doorbell
from tallyio.kernel.many_ring import ManyRing
from tallyio.kernel.ring import LatencyRing
from tallyio.kernel.ring_base import RingBase
from tallyio.kernel.ring_layout import Lag
from tallyio.kernel.ring_wait import POLL_CYCLES
from tallyio.native.clock import cycles_per_ns


@dataclass(frozen=True, slots=True)
class SpinBudget:
    """How long to look before sleeping, in nanoseconds; None is for ever."""

    spin_ns: int | None

    def __post_init__(self) -> None:
        if self.spin_ns is not None and self.spin_ns < 0:
            raise ValueError(f"a time to spin must be >= 0 ns, was {self.spin_ns}")

    @property
    def spin_cycles(self) -> int:
        """The same for compiled code, in cycles of `tallyio.native.clock`."""
        if self.spin_ns is None:
            return POLL_CYCLES
        return min(POLL_CYCLES, round(self.spin_ns * cycles_per_ns())) if self.spin_ns else 0


PARK: Final = SpinBudget(0)
POLL: Final = SpinBudget(None)


def hybrid(budget_ns: int) -> SpinBudget:
    """Return the wait that looks for `budget_ns`, which should exceed the usual gap, then sleeps."""
    return SpinBudget(budget_ns)


def spin_budget(wait: Literal["park", "hybrid", "poll"], budget_us: int) -> SpinBudget:
    """Return the wait that a placement names; `budget_us` counts for "hybrid" only."""
    if wait == "hybrid":
        return hybrid(1_000 * budget_us)
    return POLL if wait == "poll" else PARK


type WordRing = LatencyRing | ManyRing
"""Rings of single messages; for batches see `tallyio.kernel.stream_bridge`."""


class RingEnd:
    """What both ends share: one task at a time, and how to wait on a bell."""

    def __init__(self, ring: RingBase, bell: Doorbell, wait: SpinBudget) -> None:
        self._base = ring
        self._bell = bell
        self._spin_ns = wait.spin_ns
        self._busy = self._unanswered = False

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._busy:
            raise trio.BusyResourceError("another task uses this end of the ring")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    async def _wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready`, which has just said no; may return early. A checkpoint."""
        start_ns = time.perf_counter_ns()
        while self._spin_ns is None or time.perf_counter_ns() - start_ns < self._spin_ns:
            await trio.lowlevel.checkpoint()
            if ready():
                return
        await self._sleep_until(ready)

    async def _sleep_until(self, ready: Callable[[], bool]) -> None:
        # The sleeper's side of the doorbell; see there why no wake-up is lost.
        if self._unanswered:
            self._unanswered = False
            self._bell.answer()
        self._bell.arm()
        answered = False
        try:
            while not (answered or ready()):
                await trio.lowlevel.wait_readable(self._bell.descriptor)
                # Who sleeps alone has time to read the descriptor later, when there is no message.
                self._unanswered = not self._bell.shared
                answered = self._unanswered or self._bell.answer()
        finally:
            if not answered:  # cancelled, or nothing to wait for: at worst, one later sleep ends at once
                self._bell.disarm()

    async def _receive[T](self, pop: Callable[[], T]) -> T:
        with self._alone():
            await trio.lowlevel.checkpoint()
            while True:
                # No checkpoint between the pop and the return: what is popped cannot be lost.
                try:
                    return pop()
                except trio.WouldBlock:
                    await self._wait_until(self._has_news)

    async def _send[T](self, push: Callable[[], T]) -> T:
        with self._alone():
            await trio.lowlevel.checkpoint()
            if self._base.lag is Lag.BLOCK and not self._has_room():
                self._base.count_wait()
            while True:
                while self._base.lag is Lag.BLOCK and not self._has_room():
                    await self._wait_until(self._has_room)
                try:
                    return push()
                except trio.WouldBlock:  # of several producers, another was faster
                    if self._base.lag is not Lag.BLOCK:
                        raise

    def _has_news(self) -> bool:
        return self._base.closed or not self._base.is_empty

    def _has_room(self) -> bool:
        return self._base.closed or not self._base.is_full


@final
class RingReader(RingEnd):
    """The consumer's end of a ring, in a Trio task: iterate, or `receive`.

    Iteration ends when the ring is closed and empty. Cancellation loses no word.
    """

    def __init__(self, ring: WordRing, *, wait: SpinBudget = PARK) -> None:
        super().__init__(ring, ring.filled, wait)
        self.ring: Final = ring

    async def receive(self) -> int:
        """Return the next word, waiting for it. A checkpoint, always.

        Raises: trio.EndOfChannel: the ring is closed and empty. trio.BusyResourceError: another
        task receives.
        """
        return await self._receive(self.ring.pop_nowait)

    async def receive_cell(self) -> tuple[int, ...]:
        """Return the next message as all of its seven words. As `receive` otherwise."""
        return await self._receive(self.ring.pop_cell_nowait)

    async def receive_record(self) -> Any:
        """Return the next message as a record of the ring's dtype. As `receive` otherwise."""
        return await self._receive(self.ring.pop_record_nowait)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> int:
        try:
            return await self.receive()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


@final
class RingWriter(RingEnd):
    """The producer's end of a ring, in a Trio task."""

    def __init__(self, ring: WordRing, *, wait: SpinBudget = PARK) -> None:
        super().__init__(ring, ring.free, wait)
        self.ring: Final = ring

    def send_nowait(self, word: int, *more: int) -> None:
        """Send a message of up to seven words, or raise. Raises: as `LatencyRing.push_nowait`."""
        with self._alone():
            self.ring.push_nowait(word, *more)

    async def send(self, word: int, *more: int) -> None:
        """Send a message by the ring's lag policy. A checkpoint, always; when cancelled, nothing was sent.

        Raises: trio.ClosedResourceError: the ring is closed. trio.WouldBlock: it is full, and its
        policy is to fail. trio.BusyResourceError: another task sends.
        """
        await self._send(partial(self.ring.push_nowait, word, *more))

    async def send_record(self, record: Any) -> None:
        """Send a record of the ring's dtype. As `send` otherwise."""
        await self._send(partial(self.ring.push_record_nowait, record))
