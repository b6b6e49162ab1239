"""Answers of a new block, asked for as soon as it is announced.

Whoever asks the same with every block need not wait for the block's logs first: the question is under way
while they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from tallyio.model.chain import Head
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.units import Hash
from tallyio_chain_evm import reads
from tallyio_chain_evm.errors import ConnectionLost
from tallyio_chain_evm.link import Link


class Foreseen:
    """The answers to some calls as of one block, under way in a task of its own."""

    def __init__(self, link: Link, head: Head, calls: Sequence[Call]) -> None:
        self.block: Final[Hash] = head.hash
        self._link = link
        self._calls = tuple(dict.fromkeys(calls))
        self._answers: dict[Call, bytes | None] = {}
        self._fault: ChainError | None = ConnectionLost(f"{link.endpoint}: this client is closed")
        self._over = trio.Event()

    async def run(self) -> None:
        """Ask; never raises for what the node does. `answers` has the outcome."""
        try:
            told = await reads.call(self._link, self._calls, block=self.block, sender=None)
            self._answers = dict(zip(self._calls, told, strict=True))
            self._fault = None
        except ChainError as fault:
            self._fault = fault
        finally:
            self._over.set()

    def has(self, calls: Sequence[Call]) -> bool:
        """Return whether all of `calls` were asked."""
        return set(self._calls).issuperset(calls)

    async def answers(self, calls: Sequence[Call]) -> list[bytes | None]:
        """Return what each of `calls` returns, once it is here. Raises: ChainError."""
        await self._over.wait()
        if self._fault is not None:
            raise self._fault
        return [self._answers[each] for each in calls]
