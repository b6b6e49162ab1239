"""Between lanes and Trio in batches: the ends of a stream ring that Trio tasks wait on.

Layer: kernel. As `tallyio.kernel.bridge`, with arrays of the ring's dtype instead of words.

    async for batch in StreamReader(results): ...        await StreamWriter(commands).send_all(batch)
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Self, final

import numpy.typing as npt
import trio

from tallyio.kernel.bridge import PARK, RingEnd, SpinBudget
from tallyio.kernel.stream_ring import StreamRing


@final
class StreamReader(RingEnd):
    """The consumer's end, in a Trio task: iterate over batches, or `receive_many`.

    Iteration ends when the ring is closed and empty. Cancellation loses no message.
    """

    def __init__(self, ring: StreamRing, *, wait: SpinBudget = PARK) -> None:
        super().__init__(ring, ring.filled, wait)
        self.ring: Final = ring

    async def receive_many(self, most: int | None = None) -> npt.NDArray[Any]:
        """Return all that waits, at most `most`, waiting for the first. A checkpoint, always.

        Raises: trio.EndOfChannel: the ring is closed and empty. trio.BusyResourceError: another
        task receives.
        """
        return await self._receive(partial(self.ring.pop_many_nowait, most))

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> npt.NDArray[Any]:
        try:
            return await self.receive_many()
        except trio.EndOfChannel:
            raise StopAsyncIteration from None


@final
class StreamWriter(RingEnd):
    """The producer's end, in a Trio task."""

    def __init__(self, ring: StreamRing, *, wait: SpinBudget = PARK) -> None:
        super().__init__(ring, ring.free, wait)
        self.ring: Final = ring

    def send_many_nowait(self, messages: npt.NDArray[Any]) -> int:
        """Send as many as there is room for; return how many. Raises: as `StreamRing.push_many_nowait`."""
        with self._alone():
            return self.ring.push_many_nowait(messages)

    async def send_all(self, messages: npt.NDArray[Any]) -> None:
        """Send all of `messages`, waiting for room; when cancelled or failed, the first ones were sent.

        Raises: trio.ClosedResourceError: the ring is closed. trio.WouldBlock: it is full, and its
        policy is to fail. trio.BusyResourceError: another task sends.
        """
        while len(messages):
            messages = messages[await self._send(partial(self.ring.push_many_nowait, messages)) :]
