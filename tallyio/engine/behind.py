"""Take what price updates in the mempool allow, right behind them.

Layer: engine. Updates and blocks take turns at the books. A block goes first: it ends a search that is under
way, and what it did not take is looked at again on the state that it leaves.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter_ns
from typing import Final

import trio

from tallyio.engine.lookahead import Lookahead, Update
from tallyio.engine.report import Report
from tallyio.engine.waiting import Waiting
from tallyio.hooks.interfaces import ChainClient, Notice
from tallyio.model.chain import Block, Head
from tallyio.model.errors import ChainError
from tallyio.model.proposal import Proposal

NOT_FOLLOWED: Final = "price updates in the mempool are not followed"

type Take = Callable[[Update, Head, tuple[Proposal, ...], int], Awaitable[None]]
"""Takes what was found behind an update, in the state of a block, since a time."""


class Behind:
    """The updates that wait, and what is found behind them."""

    def __init__(
        self,
        ahead: Lookahead,
        chain: ChainClient,
        report: Report,
        *,
        notify: Callable[[Notice], None],
        newest: Callable[[], Head | None],
        take: Take,
    ) -> None:
        """`newest` says what the books stand at; None: it is not the newest block."""
        self._ahead = ahead
        self._chain = chain
        self._report = report
        self._notify = notify
        self._newest = newest
        self._take = take
        self._waiting = Waiting()
        self._search = trio.CancelScope()

    async def watch(self, turn: trio.Lock) -> None:
        """Look at updates as they come to wait. A node that shows none is no reason to stop."""
        try:
            async for transaction in self._ahead.pending():
                update = self._ahead.recognise(transaction)
                if update is not None:
                    self._waiting.add(update)
                    async with turn:
                        await self._look(update)
        except ChainError as error:
            self._report.say(f"{NOT_FOLLOWED}: {error}")
            self._notify(Notice(level="warning", title=NOT_FOLLOWED, body=str(error), key="mempool"))

    async def again(self, block: Block) -> None:
        """Look once more at what `block` did not take: it will meet another state."""
        for update in self._waiting.after(block):
            await self._look(update)

    def interrupt(self) -> None:
        """End a search that is under way: what it looks at is no longer the newest."""
        self._search.cancel()

    async def _look(self, update: Update) -> None:
        head, since_ns = self._newest(), perf_counter_ns()
        if head is None:
            return  # after the block that is here already it is looked at again
        fees = self._chain.fees(head)
        if update.transaction.max_fee_wei < fees.base_fee_wei:
            return  # the next block cannot take it
        found: tuple[Proposal, ...] = ()
        try:
            with trio.CancelScope() as self._search:
                found = await self._ahead.search(update, head, fees.base_fee_wei + fees.priority_fee_wei)
        except ChainError as error:
            self._report.say(f"the node did not answer: {error}")
        if found:
            await self._take(update, head, found, since_ns)
