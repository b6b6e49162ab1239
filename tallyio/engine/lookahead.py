"""Who can be liquidated once a price update that waits in the mempool has landed.

Layer: engine. An update is recognised by whom it reports to: an aggregator that a book's price comes from.
Where it is a report of Chainlink's, its calldata tells the answer, and books follow the event that the
aggregator will emit; nothing is asked of the node for that. Any other call of an aggregator is run first, in
the EVM of this process, and books follow the events that it emitted. What a book cannot follow is read from
the node, which is told to take the slots that the update changes for the state's own. Then the strategies
look, and all is put back: the state of the chain is never mixed with what may come.

Feeds whose updates are sold are left out. What the mempool shows of them is not what the protocol reads.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from itertools import zip_longest
from typing import Final

import msgspec

from tallyio.engine.books import HeldBook
from tallyio.engine.simulator import Effect
from tallyio.engine.slow_lane import BLOCK_SECONDS, SlowLane
from tallyio.hooks.feeds import ANSWER_UPDATED
from tallyio.hooks.interfaces import NOTHING, ChainClient, ChainReader, Pretended
from tallyio.hooks.lending import BookRows
from tallyio.hooks.mempool import PendingSource
from tallyio.lending.transmissions import final_calls, transmitted_answer
from tallyio.lending.undo import Edit
from tallyio.model.chain import Head, Log, LogFilter, PendingTransaction
from tallyio.model.execution import Call, Trigger
from tallyio.model.hashing import keccak256
from tallyio.model.lending import BookSpec
from tallyio.model.proposal import Proposal
from tallyio.model.units import Address, Hash, checksum, hex_text
from tallyio.model.words import word

NO_ROUND: Final = word(0)
"""Which round it will be depends on what else waits; nobody looks at it."""


class Update(msgspec.Struct, frozen=True, kw_only=True):
    """A price update that waits for a block."""

    transaction: PendingTransaction
    answers: Mapping[Address, int | None]
    """By aggregator what it will say; None: only running it tells."""

    @property
    def trigger(self) -> Trigger:
        """What an opportunity says of it."""
        return Trigger(transaction=self.transaction, feeds=tuple(self.answers))


class Lookahead:
    """Recognises updates, and looks at the books as they would leave them. One task searches."""

    def __init__(
        self,
        chain: ChainReader,
        source: PendingSource,
        slow: SlowLane,
        effect: Callable[[PendingTransaction, Head], Awaitable[Effect]],
    ) -> None:
        """`effect` says what a transaction does as the first of the next block."""
        self._chain = chain
        self._source = source
        self._slow = slow
        self._effect = effect
        self._specs: list[BookSpec] = []
        self._feeds: frozenset[Address] = frozenset()

    @property
    def feeds(self) -> frozenset[Address]:
        """The contracts that prices of the books come from, but for those whose updates are sold."""
        specs = [held.book.spec for held in self._slow.books]
        if any(one is not other for one, other in zip_longest(specs, self._specs)):
            self._specs = specs
            self._feeds = frozenset(feed for spec in specs for feed in _open_feeds(spec))
        return self._feeds

    def pending(self) -> AsyncIterator[PendingTransaction]:
        """Return what comes to wait from now on. Raises: ChainError: see `PendingSource`."""
        return self._source.pending()

    def recognise(self, transaction: PendingTransaction) -> Update | None:
        """Return what `transaction` will tell our feeds, or None: nothing."""
        if transaction.to is None:
            return None
        feeds = self.feeds
        reached = final_calls(transaction.to, transaction.data)
        answers = {to: transmitted_answer(data) for to, data in reached if to in feeds}
        return Update(transaction=transaction, answers=answers) if answers else None

    async def search(self, update: Update, head: Head, gas_price_wei: int) -> tuple[Proposal, ...]:
        """Return what can be taken right behind `update` in the block after `head`. Raises: ChainError."""
        logs = await self._logs(update, head)
        if not logs:
            return ()
        following = _block_of(update, head)
        with ExitStack() as stack:
            supposed: list[int] = []
            for number, held in enumerate(self._slow.books):
                if not held.is_stale and _open_feeds(held.book.spec) & update.answers.keys():
                    edit = stack.enter_context(held.book.suppose(following))
                    if await self._follow(held, edit, logs, update, head):
                        supposed.append(number)
            return self._slow.search_supposing(head, gas_price_wei, supposed) if supposed else ()

    async def _logs(self, update: Update, head: Head) -> Sequence[Log]:
        """Return the events by which feeds will tell their answers; none if the update fails."""
        predicted = _predicted(update, head)
        return (await self._effect(update.transaction, head)).logs if predicted is None else predicted

    async def _follow(
        self, held: HeldBook, edit: Edit, logs: Sequence[Log], update: Update, head: Head
    ) -> bool:
        """Change a book as the update will; return whether all of that is known."""
        told = [(event, log) for log in logs if (event := held.event_of(log)) is not None]
        for event, log in told:
            held.adapter.follow(edit, held.book.spec, event, log)
        wanted = edit.wanted
        if wanted.positions or wanted.rebuild:
            return False
        if wanted.rows or not told:
            effect = await self._effect(update.transaction, head)
            if effect.reason:
                return False
            after = _After(self._chain, effect.changes)
            _take(edit, await held.adapter.load(after, held.book.spec, block=head))
        return True


class _After:
    """A chain's state after something that it does not hold yet; see `ChainReader`."""

    def __init__(self, chain: ChainReader, changes: Pretended) -> None:
        self._chain = chain
        self._changes = changes

    @property
    def chain_id(self) -> int:
        """The chain's."""
        return self._chain.chain_id

    async def head(self) -> Head:
        """Return the latest head."""
        return await self._chain.head()

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """Return what each call returns after the changes."""
        return await self._chain.call(calls, block=block, sender=sender, pretend={**self._changes, **pretend})

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the logs that the chain has."""
        return await self._chain.logs(query)


def open_lookahead(
    chain: ChainClient,
    slow: SlowLane | None,
    effect: Callable[[PendingTransaction, Head], Awaitable[Effect]],
    say: Callable[[str], None],
) -> Lookahead | None:
    """Return who looks at what waits, or None: no books do, or the chain's plugin follows no mempool."""
    if slow is None:
        return None
    if not isinstance(chain, PendingSource):
        say("price updates in the mempool are not followed: the chain's plugin has no way to")
        return None
    ahead = Lookahead(chain, chain, slow, effect)
    say(f"price updates of {len(ahead.feeds)} feeds are looked for in the mempool")
    return ahead


def told(trigger: Trigger) -> str:
    """Return in words what an opportunity waits for."""
    feeds = ", ".join(map(checksum, trigger.feeds))
    return f"pending oracle update {hex_text(trigger.transaction.hash)} of feed {feeds}"


def _open_feeds(book: BookSpec) -> set[Address]:
    """Return the contracts that a book's prices come from, where nobody buys their updates."""
    return {feed for reserve in book.reserves if not reserve.auction for feed in reserve.feeds}


def _predicted(update: Update, head: Head) -> list[Log] | None:
    """Return the events by which the aggregators will tell their answers, or None: it is not known."""
    logs: list[Log] = []
    for feed, answer in update.answers.items():
        if answer is None:
            return None
        logs.append(
            Log(
                address=feed,
                topics=(ANSWER_UPDATED, word(answer), NO_ROUND),
                data=word(head.timestamp + BLOCK_SECONDS),
                block_hash=head.hash,
                block_number=head.number + 1,
                log_index=len(logs),
                transaction_hash=update.transaction.hash,
            )
        )
    return logs


def _block_of(update: Update, head: Head) -> Head:
    """Return the block that may follow `head`, with nothing but the update in it."""
    return msgspec.structs.replace(
        head,
        number=head.number + 1,
        hash=Hash(keccak256(head.hash + update.transaction.hash)),
        parent_hash=head.hash,
        timestamp=head.timestamp + BLOCK_SECONDS,
    )


def _take(edit: Edit, rows: BookRows) -> None:
    if rows.own != edit.own():
        edit.set_own(rows.own)
    for number, row in enumerate(rows.reserves):
        if row != edit.reserve(number):
            edit.set_reserve(number, row)
    edit.reweigh()
