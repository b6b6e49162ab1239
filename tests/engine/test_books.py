"""Books follow the chain; what they could not follow is read again, and nobody is at risk until it was."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tallyio.engine.books import Books, HeldBook, load_books
from tallyio.hooks.lending import BookEdit, BookRows
from tallyio.lending.undo import Wanted
from tallyio.model.chain import Block, Head, Log, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.market import LogSource
from tallyio.model.units import Address, Hash
from tests.lending import toys
from tests.lending.toys import head, key, position, row

BOOK = Address(b"\2" * 20)
SHARED = Address(b"\3" * 20)
OURS = bytes(31) + b"\7"
PRICE, PUT, LOST, GROWN = (bytes(31) + bytes([number]) for number in range(4))
RATIO = 10**6
HALF = RATIO // 2


class Lender:
    """A toy protocol. `chain` is what a read of it would give."""

    compiled = toys.COMPILED
    topics = (PRICE, PUT, LOST, GROWN)

    def __init__(self) -> None:
        self.price = RATIO
        self.people = {
            each.key: each for each in (position(1, (0, 100, 0), (1, 0, 70)), position(2, (0, 9, 1)))
        }
        self.reserves = 2
        self.is_polled = False
        self.is_silent = False
        self.reads: list[str] = []

    def _read(self, what: str) -> None:
        if self.is_silent:
            raise ChainError("the node says nothing", way_out="wait")
        self.reads.append(what)

    async def discover(self, _: object, *, block: Head) -> list[BookSpec]:
        """Return the one book."""
        del block
        self._read("discover")
        token = Address(bytes(20))
        reserves = tuple(
            ReserveSpec(symbol=str(each), collateral=token, debt=token) for each in range(self.reserves)
        )
        sources = (LogSource(BOOK), LogSource(SHARED, OURS))
        return [BookSpec(address=BOOK, venue="toy", reserves=reserves, log_sources=sources)]

    async def load(self, _: object, book: BookSpec, *, block: Head) -> BookRows:
        """Return rows with the present price."""
        del block
        self._read("load")
        others = (row(price=RATIO),) * (len(book.reserves) - 1)
        return BookRows(own=bytes(64), reserves=(row(price=self.price), *others))

    async def accounts(self, _: object, book: BookSpec, *, block: Head) -> Collection[PositionKey]:
        """Return everybody."""
        del book, block
        self._read("accounts")
        return self.people

    async def positions(
        self, _: object, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return people as they are now."""
        del book, block
        self._read(f"positions {len(keys)}")
        return [self.people.get(each, Position(key=each, balances=())) for each in keys]

    def polls(self, book: BookSpec) -> bool:
        """Return whether a test wants it."""
        del book
        return self.is_polled

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Do what the event says."""
        del book
        number = int.from_bytes(log.data, "big")
        if event == 0:
            edit.set_reserve(0, row(price=number))
        elif event == 1:
            edit.set_position(position(number, (1, 0, 5)))
        elif event == 2:
            edit.reload_position(key(number))
        else:
            edit.rebuild()

    def can_call_back(self, book: BookSpec) -> bool:
        """Return that it cannot."""
        del book
        return False

    def liquidate(self, *_: object, **__: object) -> tuple[Call, ...]:
        """Nobody asks."""
        raise NotImplementedError


class Asker(Lender):
    """A toy protocol whose price is asked for with every block."""

    questions_asked = (Call(to=BOOK, data=b"price?"),)

    def questions(self, book: BookSpec) -> tuple[Call, ...]:
        """Return the question for the price, and after growth one more."""
        return self.questions_asked * (len(book.reserves) - 1)

    def answered(self, edit: BookEdit, book: BookSpec, answers: Sequence[bytes | None]) -> None:
        """Take the price; without one everything is read again."""
        assert len(answers) == len(book.reserves) - 1
        if answers[0] is None:
            edit.reload_rows()
        else:
            edit.set_reserve(0, row(price=int.from_bytes(answers[0], "big")))


class Node:
    """A chain that answers what a toy protocol asks, and is told beforehand."""

    def __init__(self, lender: Lender) -> None:
        self.lender = lender
        self.answer: int | None = RATIO
        self.foreseen: Sequence[Call] = ()
        self.asked: list[Hash] = []

    def foresee(self, calls: Sequence[Call]) -> None:
        """Note what will be asked."""
        self.foreseen = calls

    async def call(self, calls: Sequence[Call], *, block: Hash) -> list[bytes | None]:
        """Answer, unless it is to be silent."""
        assert [*calls] == [*self.foreseen]
        if self.lender.is_silent:
            raise ChainError("the node says nothing", way_out="wait")
        self.asked.append(block)
        return [None if self.answer is None else self.answer.to_bytes(32, "big") for _ in calls]


def log(topic: bytes, number: int, *, address: Address = BOOK, more: bytes = b"", sent: int = 0) -> Log:
    """Return an event."""
    return Log(
        address=address,
        topics=(topic, more) if more else (topic,),
        data=number.to_bytes(32, "big"),
        block_hash=Hash(bytes(32)),
        block_number=0,
        log_index=0,
        transaction_hash=Hash(sent.to_bytes(32, "big")),
    )


def block(number: int, *logs: Log) -> Block:
    """Return a block of events."""
    return Block(head=head(number), logs=logs, bytes_in_ns=0, decoded_ns=0)


def at_risk(books: Books) -> list[PositionKey]:
    """Return who can be liquidated."""
    (held,) = books
    return held.book.at_risk(toys.TIME, 1)


@contextmanager
def opened(books: Books) -> Iterator[HeldBook]:
    """Close the books afterwards."""
    try:
        yield books.held[0]
    finally:
        books.close()


async def load(lender: Lender, chain: Any = None) -> Books:
    return await load_books(chain, [("toy", lender)], head=head(10))


async def test_everybody_is_loaded_and_a_price_of_the_books_own_events_moves_them() -> None:
    books = await load(Lender())
    with opened(books) as held:
        assert (len(held.book), at_risk(books)) == (2, [])
        await books.apply(block(11, log(PRICE, HALF)))
        assert at_risk(books) == [key(1)]
        await books.roll_back(Rollback(dropped=(toys.block(11),), ancestor=toys.block(10)))
        assert at_risk(books) == []


async def test_events_of_others_and_of_others_at_a_shared_contract_are_left_out() -> None:
    books = await load(Lender())
    with opened(books):
        stranger = Address(b"\4" * 20)
        await books.apply(block(11, log(PRICE, HALF, address=stranger), log(PRICE, HALF, address=SHARED)))
        assert at_risk(books) == []
        await books.apply(block(12, log(PRICE, HALF, address=SHARED, more=OURS)))
        assert at_risk(books) == [key(1)]


async def test_what_is_asked_for_is_read_as_of_the_block_and_nothing_else() -> None:
    lender = Lender()
    books = await load(lender)
    with opened(books) as held:
        lender.reads.clear()
        await books.apply(block(11))
        assert lender.reads == []
        lender.people[key(2)] = position(2, (0, 9, 8))
        lender.people[key(3)] = position(3, (0, 9, 9))
        await books.apply(block(12, log(LOST, 2), log(LOST, 3), log(LOST, 2)))
        assert lender.reads == ["positions 2"]
        assert set(at_risk(books)) == {key(2), key(3)}
        assert not held.is_stale


async def test_a_silent_node_leaves_a_book_stale_until_the_next_block() -> None:
    lender = Lender()
    books = await load(lender)
    with opened(books) as held:
        lender.people[key(2)] = position(2, (0, 9, 8))
        lender.is_silent = True
        await books.apply(block(11, log(LOST, 2)))
        assert held.is_stale
        lender.is_silent = False
        await books.apply(block(12))
        assert held.owed == Wanted()
        assert at_risk(books) == [key(2)]


async def test_prices_without_events_are_read_with_every_block() -> None:
    lender = Lender()
    lender.is_polled = True
    books = await load(lender)
    with opened(books):
        lender.price = HALF
        await books.apply(block(11))
        assert at_risk(books) == [key(1)]


async def test_what_no_event_tells_is_asked_as_of_every_block_and_can_be_undone() -> None:
    lender = Asker()
    node = Node(lender)
    books = await load(lender, node)
    with opened(books) as held:
        lender.reads.clear()
        node.answer = HALF
        await books.apply(block(11))
        assert (node.asked, lender.reads) == ([toys.block(11)], [])
        assert at_risk(books) == [key(1)]
        await books.roll_back(Rollback(dropped=(toys.block(11),), ancestor=toys.block(10)))
        assert at_risk(books) == []
        # A block's own events come first.
        await books.apply(block(11, log(PRICE, RATIO)))
        assert at_risk(books) == [key(1)]
        assert not held.is_stale


async def test_questions_without_an_answer_leave_a_book_stale_until_the_next_block() -> None:
    lender = Asker()
    node = Node(lender)
    books = await load(lender, node)
    with opened(books) as held:
        lender.is_silent = True
        await books.apply(block(11, log(LOST, 2)))
        was_stale, lender.is_silent = held.is_stale, False
        assert was_stale
        lender.reads.clear()
        node.answer = HALF
        lender.people[key(2)] = position(2, (0, 9, 8))
        await books.apply(block(12))
        assert not held.is_stale
        assert lender.reads == ["positions 1"]
        assert set(at_risk(books)) == {key(1), key(2)}
        # An answer that explains nothing has the rows read again.
        node.answer, lender.price = None, RATIO
        await books.apply(block(13))
        assert lender.reads == ["positions 1", "load"]
        assert (at_risk(books), held.is_stale) == ([key(2)], False)


@pytest.mark.parametrize("lender", [Lender(), Asker()], ids=["by events", "by questions"])
async def test_what_was_read_late_is_read_again_when_the_block_of_the_reading_is_dropped(
    lender: Lender,
) -> None:
    books = await load(lender, node := Node(lender))
    with opened(books) as held:
        lender.people[key(2)] = position(2, (0, 9, 8))
        lender.is_silent = True
        await books.apply(block(11, log(LOST, 2)))
        lender.is_silent = False
        if isinstance(lender, Asker):
            lender.price = node.answer = HALF
        await books.apply(block(12))
        late = at_risk(books)
        assert key(2) in late
        await books.roll_back(Rollback(dropped=(toys.block(12),), ancestor=toys.block(11)))
        # Block 11 stands, and what it left to be read is owed once more.
        assert held.is_stale
        await books.apply(block(12))
        assert (at_risk(books), held.is_stale) == (late, False)


async def test_a_book_that_was_discovered_afresh_asks_what_it_is_now() -> None:
    lender = Asker()
    node = Node(lender)
    books = await load(lender, node)
    with opened(books):
        lender.reserves = 3
        await books.apply(block(11, log(GROWN, 0)))
        assert len(node.foreseen) == 2
        await books.apply(block(12))


async def test_a_book_that_grew_is_discovered_afresh() -> None:
    lender = Lender()
    books = await load(lender)
    with opened(books) as held:
        lender.reserves = 3
        lender.people[key(4)] = position(4, (2, 9, 9))
        await books.apply(block(11, log(GROWN, 0)))
        assert len(held.book.spec.reserves) == 3
        assert at_risk(books) == [key(4)]
        assert held.book.head == toys.block(11)
        await books.apply(block(12))


async def test_blocks_that_cannot_be_undone_have_the_book_discovered_afresh() -> None:
    lender = Lender()
    books = await load(lender)
    with opened(books) as held:
        await books.roll_back(Rollback(dropped=(toys.block(10),), ancestor=toys.block(9)))
        assert held.is_stale
        fresh = Block(head=head(10, toys.block(9)), logs=(), bytes_in_ns=0, decoded_ns=0)
        lender.reads.clear()
        await books.apply(fresh)
        assert "discover" in lender.reads
        assert not held.is_stale


@pytest.mark.parametrize("change", [PUT, LOST])
async def test_who_else_touched_a_position_in_the_block_is_named(change: bytes) -> None:
    books = await load(Lender())
    ours, theirs = (Hash(sent.to_bytes(32, "big")) for sent in (1, 2))
    with opened(books):
        await books.apply(block(11, log(change, 2, sent=1), log(change, 2, sent=2), log(change, 1, sent=1)))
        assert books.rival([7, (0, key(2))], ours) == theirs
        assert books.rival([(0, key(1))], ours) is None
        await books.apply(block(12))
        assert books.rival([(0, key(2))], ours) is None
