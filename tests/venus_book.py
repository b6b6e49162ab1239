"""A book of Venus in native memory, for the compiled functions to look at."""

from __future__ import annotations

from typing import Final

from tallyio_protocol_venus import hot
from tallyio_protocol_venus.layout import pack_account, pack_market, pack_own
from tallyio_protocol_venus.reference import Book
from tallyio_protocol_venus.state import Account

from tallyio.hooks.lending import BookRows
from tallyio.lending import abi
from tallyio.lending.positions import Positions
from tallyio.lending.rows import RowMemory
from tallyio.model.lending import PositionKey
from tallyio.model.units import ZERO_ADDRESS
from tallyio.native.columns import from_column
from tallyio.native.memory import Region

KEY: Final = PositionKey(ZERO_ADDRESS)


class Held:
    """One account in a book, asked through the compiled functions."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._out = Region(abi.LIQUIDATION.itemsize)
        self._positions = Positions()
        self._rows: RowMemory | None = None
        self._book: Book | None = None
        self.at = 0

    @property
    def book(self) -> int:
        """The address of the BOOK record."""
        assert self._rows is not None
        return self._rows.address

    def hold(self, book: Book, account: Account) -> None:
        """Put the book, and the account as its only position, into memory."""
        if book is not self._book:
            self._hold_book(book)
        number = self._positions.id(KEY)
        if number is not None:
            self._positions.remove(number)
        position = pack_account(KEY, account, vai=book.own.vai)
        self.at = self._positions.address(self._positions.write(position)) if position.balances else 0

    def _hold_book(self, book: Book) -> None:
        self.close_rows()
        rows = BookRows(
            own=pack_own(book.own), reserves=tuple(pack_market(market) for market in book.markets)
        )
        self._rows, self._book = RowMemory(rows, 0), book

    def close_rows(self) -> None:
        """Give the rows' memory back."""
        if self._rows is not None:
            self._rows.close()
            self._rows = None

    def health(self, time: int, number: int) -> tuple[int, int, int, int]:
        """Return status, collateral, debt and factor."""
        status = hot.health(self.book, self.at, time, number, self._out.address)
        collateral, debt, factor = self._numbers(3)
        return status, collateral, debt, factor

    def liquidate(self, collateral: int, debt: int, repay: int, time: int, number: int) -> tuple[int, ...]:
        """Return verdict, repay, seize, fee, written_off and most."""
        verdict = hot.liquidate(self.book, self.at, collateral, debt, repay, time, number, self._out.address)
        return (verdict, *self._numbers(5))

    def values(self, reserve: int, time: int, number: int) -> tuple[int, float, float]:
        """Return status, and what a unit of collateral and of debt is worth."""
        status = hot.values(self.book, reserve, time, number, self._out.address)
        worth = self._out.view("f8", 2)
        return status, float(worth[0]), float(worth[1])

    def weight(self, k: int) -> float:
        """Return the weight of balance k."""
        return hot.weight(self.book, self.at, k)

    def _numbers(self, count: int) -> list[int]:
        return from_column(self._out.view("u8", 4 * count).reshape(-1, 4))

    def close(self) -> None:
        """Give all memory back."""
        self.close_rows()
        self._positions.close()
        self._out.close()
