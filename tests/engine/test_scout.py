"""Who is near liquidation is looked at before anybody liquidates: once, and again where that says more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest

from tallyio.engine.books import Books, Loans, load_books
from tallyio.engine.scout import NEAREST, Scout
from tallyio.hooks.lending import BookEdit, BookRows
from tallyio.lending.loans import own_offer
from tallyio.model.chain import Head, Log
from tallyio.model.errors import ChainError, PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LoanOffer, Position, PositionKey, ReserveSpec
from tallyio.model.units import Address
from tests.lending import toys
from tests.lending.toys import head, key, position, row

BOOK = Address(b"\2" * 20)
EXECUTOR, ACCOUNT = Address(b"\5" * 20), Address(b"\6" * 20)
TOKENS = [Address(bytes([16 + number]) * 20) for number in range(3)]
SECONDS = 12
PUT = bytes(31) + b"\1"


class Lender:
    """A toy protocol whose first reserve is what people owe, and whose last nobody can repay."""

    compiled = toys.COMPILED
    topics = (PUT,)

    def __init__(self, people: Sequence[Position]) -> None:
        self.people = {each.key: each for each in people}
        self.liquidated: list[tuple[PositionKey, int, int, int]] = []
        self.is_able = True

    async def discover(self, _: object, *, block: Head) -> list[BookSpec]:
        """Return the one book."""
        del block
        reserves = tuple(
            ReserveSpec(symbol=str(number), collateral=token, debt=token if number < 2 else None)
            for number, token in enumerate(TOKENS)
        )
        return [BookSpec(address=BOOK, venue="toy", reserves=reserves, log_sources=())]

    async def load(self, _: object, book: BookSpec, *, block: Head) -> BookRows:
        """Return rows of equal prices."""
        del block
        return BookRows(own=bytes(64), reserves=(row(price=10**6),) * len(book.reserves))

    async def accounts(self, _: object, book: BookSpec, *, block: Head) -> Sequence[PositionKey]:
        """Return everybody."""
        del book, block
        return [*self.people]

    async def positions(
        self, _: object, book: BookSpec, keys: Sequence[PositionKey], *, block: Head
    ) -> list[Position]:
        """Return people as they are."""
        del book, block
        return [self.people[each] for each in keys]

    def polls(self, book: BookSpec) -> bool:
        """Return False."""
        del book
        return False

    def follow(self, edit: BookEdit, book: BookSpec, event: int, log: Log) -> None:
        """Nothing happens."""

    def can_call_back(self, book: BookSpec) -> bool:
        """Return that it cannot."""
        del book
        return False

    def liquidate(
        self,
        book: BookSpec,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        repay: int,
        **_: object,
    ) -> tuple[Call, ...]:
        """Return one call, and note what was asked."""
        if not self.is_able:
            raise PluginError("toy", "liquidates nothing today", way_out="wait")
        self.liquidated.append((key, collateral, debt, repay))
        return (Call(to=book.address, data=key.account),)


class Deeper(Lender):
    """It reads more than it does for the healthy."""

    def reads(
        self, book: BookSpec, key: PositionKey, *, collateral: int, debt: int, recipient: Address
    ) -> tuple[Call, ...]:
        """Return a question."""
        assert recipient == EXECUTOR
        return (Call(to=book.address, data=bytes([collateral, debt]) + key.account),)


class Simulator:
    """Notes what it is to read."""

    def __init__(self) -> None:
        self.starts = 1
        self.newest = head(10)
        self.read: list[Sequence[Call]] = []
        self.is_silent = False

    async def warm(self, calls: Sequence[Call], *, sender: Address, head: Head) -> bool:
        """Note `calls`."""
        assert sender == ACCOUNT
        assert all(call.to in {EXECUTOR, BOOK} for call in calls)
        if self.is_silent:
            raise ChainError("the node says nothing", way_out="wait")
        if head.hash != self.newest.hash:
            return False
        self.read.append(calls)
        return True


class Bank:
    """Lends something of a token."""

    def borrow(
        self,
        offer: LoanOffer,
        *,
        amount: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return the loan."""
        del encode
        assert (amount, recipient, inner) == (1, EXECUTOR, ())
        return (Call(to=offer.lender, data=b"lend"),)


def near(number: int, *more: tuple[int, int, int]) -> Position:
    """Return a healthy position; the lower its number the nearer it is to liquidation."""
    return position(number, (0, 0, 1_000), (1, 2_000 + number, 0), *more)


class Desk:
    """A scout over a book, and what it asked."""

    def __init__(self, books: Books, lender: Lender, loans: Loans) -> None:
        self.books, self.lender, self.simulator = books, lender, Simulator()
        self.scout = Scout(books, loans, self.simulator, executor=EXECUTOR, account=ACCOUNT)

    async def look(self, **most: int) -> list[int]:
        """Let it look; return whose liquidation it tried, by number, nearest first."""
        self.lender.liquidated.clear()
        await self.scout.look(self.simulator.newest, block_seconds=SECONDS, **most)
        return [int.from_bytes(tried.account) for tried, *_ in self.lender.liquidated]

    def put(self, *people: Position) -> None:
        """Change positions."""
        self.books.held[0].book.fill(people)


@contextmanager
def desk_of(books: Books, lender: Lender, offers: Mapping[LoanOffer, Bank | None]) -> Iterator[Desk]:
    """Close the books afterwards."""
    loans: Any = type("Lent", (), {})()
    loans.offers = tuple(offers)
    loans.lenders = {offer.lender: bank for offer, bank in offers.items() if bank}
    try:
        yield Desk(books, lender, loans)
    finally:
        books.close()


async def opened(lender: Lender) -> Books:
    chain: Any = None
    return await load_books(chain, [("toy", lender)], head=head(10))


async def test_the_nearest_are_looked_at_first_a_few_at_a_time_and_each_once() -> None:
    lender = Lender([near(number) for number in range(1, NEAREST + 4)])
    with desk_of(await opened(lender), lender, {}) as desk:
        assert await desk.look(most=3) == [1, 2, 3]
        assert await desk.look(most=3) == [4, 5, 6]
        assert await desk.look(most=100) == [*range(7, NEAREST + 1)]
        assert await desk.look(most=100) == []
        # Who comes nearer than they are is looked at, and nobody is asked to pay.
        desk.put(position(77, (0, 0, 1_000), (1, 1_300, 0)))
        assert await desk.look() == [77]
        assert lender.liquidated == [(key(77), 1, 0, 0)]


async def test_who_has_something_else_is_looked_at_again_and_who_has_less_is_not() -> None:
    lender = Lender([near(1), near(2)])
    with desk_of(await opened(lender), lender, {}) as desk:
        assert await desk.look() == [1, 2]
        desk.put(near(1, (2, 5, 0)))
        assert await desk.look() == [1]
        desk.put(near(1))
        assert await desk.look() == []


async def test_the_largest_collateral_pays_for_the_largest_debt_that_can_be_repaid() -> None:
    lender = Lender([position(1, (0, 9, 300), (1, 10, 200), (2, 2_000, 500))])
    with desk_of(await opened(lender), lender, {}) as desk:
        await desk.look()
        # The debt of 500 nobody can repay.
        assert lender.liquidated == [(key(1), 2, 0, 0)]


async def test_what_cannot_be_liquidated_is_asked_for_once_and_no_node_is() -> None:
    lender = Lender([near(1), position(2, (1, 900, 0), (2, 0, 500))])
    lender.is_able = False
    with desk_of(await opened(lender), lender, {}) as desk:
        assert await desk.look() == []
        assert [*map(len, desk.simulator.read)] == [0, 0]
        lender.is_able = True
        assert await desk.look() == []


async def test_what_is_read_after_health_is_asked_for_by_itself() -> None:
    lender = Deeper([near(1)])
    with desk_of(await opened(lender), lender, {}) as desk:
        await desk.look()
        ((first, second),) = desk.simulator.read
        assert first.to == EXECUTOR
        assert bytes(key(1).account) in first.data
        assert second == Call(to=BOOK, data=bytes([1, 0]) + key(1).account)


async def test_after_a_fresh_start_everybody_is_looked_at_again() -> None:
    lender = Lender([near(1), near(2)])
    with desk_of(await opened(lender), lender, {}) as desk:
        assert await desk.look() == [1, 2]
        desk.simulator.starts += 1
        assert await desk.look() == [1, 2]


async def test_a_newer_block_ends_the_look_and_the_rest_waits_for_it() -> None:
    lender = Lender([near(1), near(2)])
    with desk_of(await opened(lender), lender, {}) as desk:
        old, desk.simulator.newest = desk.simulator.newest, head(11)
        await desk.scout.look(old, block_seconds=SECONDS)
        assert desk.simulator.read == []
        assert await desk.look() == [1, 2]


async def test_a_call_that_no_node_runs_keeps_nobody_else_from_being_looked_at() -> None:
    lender = Lender([near(1), near(2)])
    with desk_of(await opened(lender), lender, {}) as desk:
        desk.simulator.is_silent = True
        with pytest.raises(ChainError):
            await desk.look()
        desk.simulator.is_silent = False
        assert await desk.look() == [2]


async def test_each_lender_is_asked_for_a_unit_of_each_token_once() -> None:
    lender = Lender([])
    bank = LoanOffer(
        lender=BOOK,
        venue="bank",
        token=TOKENS[0],
        available=5,
        fee_numerator=0,
        fee_denominator=1,
        fee_rounds="down",
        gas=0,
    )
    own = own_offer(ACCOUNT, TOKENS[1], 7)
    with desk_of(await opened(lender), lender, {bank: Bank(), own: None}) as desk:
        await desk.look()
        assert len(desk.simulator.read) == 2
        (lent,), (taken,) = desk.simulator.read
        assert b"lend" in lent.data
        assert bytes(ACCOUNT) in taken.data
        await desk.look()
        assert len(desk.simulator.read) == 2
