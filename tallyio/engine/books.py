"""The books of all lending protocols, following the chain with the market.

Layer: engine. A block's logs are followed without asking anybody. What no event tells is asked for as of each
block, and where the chain can, while the logs are still on their way. What an adapter could not follow is
read again as of that block; until that worked, the book is *stale* and nothing is proposed from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Final

import msgspec
import trio

from tallyio.engine.auctions import mark_auctions
from tallyio.engine.purse import Purse, own_offers
from tallyio.hooks.interfaces import ChainReader, Foresight
from tallyio.hooks.lending import AsksWithBlocks, FlashLender, LendingProtocol
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.lending.undo import HELD, Edit, Wanted
from tallyio.market.exports import Progress
from tallyio.market.market import UndoLost
from tallyio.model.chain import Block, Head, Log, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call, Use
from tallyio.model.lending import BookSpec, LoanOffer, PositionKey
from tallyio.model.units import Address, Hash

NOT_SOLD: Final[Mapping[Address, str]] = MappingProxyType({})
CHUNK = 200
"""Positions asked for at once while a book is loaded."""

Lending = Sequence[tuple[str, LendingProtocol]]
"""Each lending protocol's name, for messages, and its adapter."""


class HeldBook(msgspec.Struct, kw_only=True):
    """One book, and who reads it."""

    name: str
    """As the configuration names the protocol."""
    kind: int
    """Its number in the fused dispatcher."""
    adapter: LendingProtocol
    book: Book
    sources: dict[Address, frozenset[bytes]]
    """Contracts whose logs it follows, with what topic 1 must be; nothing: all of them."""
    events: dict[bytes, int]
    """Event number by topic 0."""
    questions: tuple[Call, ...] = ()
    """What is asked as of every block."""
    is_unanswered: bool = False
    """Whether the newest block's questions are."""
    touched: dict[PositionKey, list[Hash]] = msgspec.field(default_factory=dict)
    """Which transactions of the newest block touched a position."""
    owed: Wanted = msgspec.field(default_factory=Wanted)
    """What is still to be read again."""
    before: dict[Hash, tuple[Wanted, bool]] = msgspec.field(default_factory=dict)
    """What was owed when each of the newest blocks came, and whether the questions were unanswered."""

    @property
    def is_stale(self) -> bool:
        """Whether something that it holds is known to be out of date."""
        return self.is_unanswered or self.owed.rows or self.owed.rebuild or bool(self.owed.positions)

    def owe(self, wanted: Wanted) -> None:
        """Add what an adapter asked to be read again."""
        self.owed = Wanted(
            rows=self.owed.rows or wanted.rows,
            positions=self.owed.positions | wanted.positions,
            rebuild=self.owed.rebuild or wanted.rebuild,
        )

    def begin(self, block: Hash) -> None:
        """Keep in mind what is owed when a block comes, as of which it will be read."""
        self.before[block] = self.owed, self.is_unanswered
        if len(self.before) > HELD:
            del self.before[next(iter(self.before))]

    def drop(self, block: Hash) -> None:
        """Owe again what was owed when a block came: what was read as of that block is undone with it."""
        owed, is_unanswered = self.before.pop(block, (Wanted(), False))
        self.owe(owed)
        self.is_unanswered |= is_unanswered

    def event_of(self, log: Log) -> int | None:
        """Return the event number of a log that concerns the book, or None."""
        wanted = self.sources.get(log.address)
        if wanted is None or not log.topics or (wanted and not wanted.intersection(log.topics[1:2])):
            return None
        return self.events.get(log.topics[0])


class Books:
    """The books at one block; `held` by book number. The engine's task alone uses them."""

    def __init__(
        self,
        chain: ChainReader,
        fused: FusedLending,
        held: Sequence[HeldBook],
        auctioned: Mapping[Address, str] = NOT_SOLD,
    ) -> None:
        """`auctioned` is by feed how its updates are sold, as the configuration says."""
        self._chain = chain
        self._auctioned = auctioned
        self.fused = fused
        self.held = list(held)
        self._foresee()

    def __iter__(self) -> Iterator[HeldBook]:
        """Yield the books by number."""
        return iter(self.held)

    @property
    def debts(self) -> set[Address]:
        """The tokens that liquidators pay."""
        return {reserve.debt for held in self.held for reserve in held.book.spec.reserves if reserve.debt}

    def rival(self, uses: Iterable[Use], ours: Hash) -> Hash | None:
        """Return another transaction of the newest block that touched one of the positions in `uses`."""
        for use in uses:
            if isinstance(use, tuple):
                book, key = use
                for other in self.held[book].touched.get(key, ()):
                    if other != ours:
                        return other
        return None

    async def apply(self, block: Block) -> None:
        """Follow `block`, and read again as of it what could not be followed.

        A node that does not answer leaves the book stale, and the next block tries again.
        """
        edits = [_follow(held, block) for held in self.held]
        async with trio.open_nursery() as nursery:
            for held, edit in zip(self.held, edits, strict=True):
                if held.is_stale or held.questions:
                    nursery.start_soon(self._catch_up, held, edit, block.head)

    async def roll_back(self, event: Rollback) -> None:
        """Undo the dropped blocks; a book that cannot is discovered afresh with the next block."""
        for held in self.held:
            for block in event.dropped:
                held.drop(block)
            # What was owed as of a dropped block may not have been read: once more, all of it.
            held.owe(Wanted(rows=held.is_stale))
            try:
                held.book.roll_back(event.dropped)
            except UndoLost:
                held.owe(Wanted(rebuild=True))

    def close(self) -> None:
        """Give all memory back."""
        for held in self.held:
            held.book.close()

    def _foresee(self) -> None:
        """Let new blocks bring along what all books ask."""
        if isinstance(self._chain, Foresight):
            self._chain.foresee([call for held in self.held for call in held.questions])

    async def _catch_up(self, held: HeldBook, edit: Edit | None, head: Head) -> None:
        """Ask what no event told, then read again what is owed."""
        adapter = held.adapter
        if edit is not None and held.questions and isinstance(adapter, AsksWithBlocks):
            held.is_unanswered = True
            try:
                answers = await self._chain.call(held.questions, block=head.hash)
            except ChainError:
                return  # the next block's answers make up for it
            adapter.answered(edit, held.book.spec, answers)
            held.is_unanswered = False
            held.owe(edit.wanted)
        if held.is_stale:
            await self._read_again(held, head)

    async def _read_again(self, held: HeldBook, head: Head) -> None:
        owed = held.owed
        try:
            if owed.rebuild:
                if await self._rebuild(held, head):
                    held.owed, held.is_unanswered = Wanted(), False
                    self._foresee()
                return
            if owed.rows:
                held.book.take_rows(await held.adapter.load(self._chain, held.book.spec, block=head))
            if owed.positions:
                keys = sorted(owed.positions)
                held.book.take_positions(
                    await held.adapter.positions(self._chain, held.book.spec, keys, block=head)
                )
        except ChainError:
            return  # still owed
        held.owed = Wanted()

    async def _rebuild(self, held: HeldBook, head: Head) -> bool:
        """Make the book anew as of `head`; return whether it is still there."""
        for spec in await held.adapter.discover(self._chain, block=head):
            if spec.address == held.book.spec.address:
                marked = await mark_auctions(self._chain, spec, self._auctioned, block=head)
                fresh = await _load_book(
                    self._chain, self.fused, held.name, held.adapter, held.kind, marked, head
                )
                held.book.close()
                held.book, held.sources, held.questions = fresh.book, fresh.sources, fresh.questions
                return True
        return False


def _follow(held: HeldBook, block: Block) -> Edit | None:
    """Change a book as the block's logs say; return the edit, or None: it is made anew instead."""
    held.touched = {}
    if held.owed.rebuild:
        return None  # what it stands at is another chain's, or another shape; it is made anew as of the block
    held.begin(block.head.hash)
    edit = held.book.change(block.head)
    for log in block.logs:
        event = held.event_of(log)
        if event is not None:
            held.adapter.follow(edit, held.book.spec, event, log)
            for key in edit.touched:
                held.touched.setdefault(key, []).append(log.transaction_hash)
            edit.touched.clear()
    if held.adapter.polls(held.book.spec):
        edit.reload_rows()
    held.owe(edit.wanted)
    return edit


async def load_books(
    chain: ChainReader,
    protocols: Lending,
    *,
    head: Head,
    auctioned: Mapping[Address, str] = NOT_SOLD,
    progress: Progress | None = None,
) -> Books:
    """Return the books of `protocols` with all their positions as of `head`. The caller closes them.

    `auctioned` is by feed how its updates are sold, as the configuration says. Raises: ChainError,
    ConfigError, PluginError.
    """
    compiled = [(name, adapter.compiled) for name, adapter in protocols]
    fused = await trio.to_thread.run_sync(partial(fuse_lending, compiled, progress=progress))
    held = [
        await _load_book(
            chain,
            fused,
            name,
            adapter,
            kind,
            await mark_auctions(chain, spec, auctioned, block=head),
            head,
        )
        for kind, (name, adapter) in enumerate(protocols)
        for spec in await adapter.discover(chain, block=head)
    ]
    return Books(chain, fused, held, auctioned)


async def _load_book(  # noqa: PLR0913, PLR0917 - what a book is loaded from
    chain: ChainReader,
    fused: FusedLending,
    name: str,
    adapter: LendingProtocol,
    kind: int,
    spec: BookSpec,
    head: Head,
) -> HeldBook:
    rows = await adapter.load(chain, spec, block=head)
    book = Book(fused, kind, spec, rows, adapter.compiled, head.hash)
    keys = sorted(await adapter.accounts(chain, spec, block=head))
    for start in range(0, len(keys), CHUNK):
        book.fill(await adapter.positions(chain, spec, keys[start : start + CHUNK], block=head))
    return HeldBook(
        name=name,
        kind=kind,
        adapter=adapter,
        book=book,
        sources=_sources(spec),
        events={topic: number for number, topic in enumerate(adapter.topics)},
        questions=adapter.questions(spec) if isinstance(adapter, AsksWithBlocks) else (),
    )


def _sources(spec: BookSpec) -> dict[Address, frozenset[bytes]]:
    """Return what topic 1 must be by contract; a source without one wants all of a contract's logs."""
    sources: dict[Address, frozenset[bytes]] = {}
    for address in {source.address for source in spec.log_sources}:
        topics = {source.topic1 for source in spec.log_sources if source.address == address}
        sources[address] = frozenset() if b"" in topics else frozenset(topics)
    return sources


class Loans:
    """What can be borrowed for the length of a call, from every plugin that lends so, and from the owner."""

    def __init__(
        self,
        chain: ChainReader,
        lenders: Sequence[FlashLender],
        tokens: Sequence[Address],
        purse: Purse | None = None,
    ) -> None:
        self._chain = chain
        self._lenders = lenders
        self._tokens = tokens
        self._purse = purse
        self.offers: tuple[LoanOffer, ...] = ()
        """The offers, as of the last time that the lenders were asked; another tuple when one changed."""
        self.lenders: Mapping[Address, FlashLender] = {}
        """Who lends, by the contract."""

    async def ask(self, head: Head) -> None:
        """Ask every lender, as of `head`. Raises: ChainError: nothing is changed then."""
        fresh: list[tuple[LoanOffer, FlashLender]] = []
        for lender in self._lenders:
            lent = await lender.loans(self._chain, self._tokens, block=head)
            fresh += [(offer, lender) for offer in lent]
        own = await own_offers(self._chain, self._purse, self._tokens, head) if self._purse else []
        offers = (*own, *(offer for offer, _ in fresh))
        if offers != self.offers:
            self.offers = offers
            self.lenders = {offer.lender: lender for offer, lender in fresh}
