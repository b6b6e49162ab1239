"""What a block changed in a book, and how it is taken back.

Layer: lending. Each block of the chain has one record of what it replaced; the newest are held.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

import msgspec

from tallyio.market.market import OutOfOrder, UndoLost
from tallyio.model.chain import Head
from tallyio.model.lending import Position, PositionKey
from tallyio.model.units import Hash, hex_text

HELD: Final = 256
"""Blocks that can be taken back."""


class Changes(msgspec.Struct, kw_only=True):
    """What one block replaced: as it was before. None and absent: not touched."""

    block: Hash
    parent: Hash
    own: bytes | None = None
    reweighed: bool = False
    """Whether weights may have changed for more positions than those below."""
    reserves: dict[int, bytes] = msgspec.field(default_factory=dict)
    positions: dict[PositionKey, Position | None] = msgspec.field(default_factory=dict)


class Wanted(msgspec.Struct, kw_only=True):
    """What an adapter could not follow, to be read as of the block."""

    rows: bool = False
    positions: set[PositionKey] = msgspec.field(default_factory=set)
    rebuild: bool = False


class UndoLog:
    """The changes of the newest blocks on top of the block that the book started with."""

    def __init__(self, start: Hash) -> None:
        self._start = start
        self._held: deque[Changes] = deque()

    @property
    def head(self) -> Hash:
        """The newest block."""
        return self._held[-1].block if self._held else self._start

    def begin(self, block: Hash, parent: Hash) -> Changes:
        """Return the empty changes of a new block. Raises: OutOfOrder: its parent is not the head."""
        if parent != self.head:
            raise OutOfOrder(
                f"block {hex_text(block)} does not follow the book's head {hex_text(self.head)}",
                way_out="roll back to its parent first",
            )
        self._held.append(Changes(block=block, parent=parent))
        if len(self._held) > HELD:
            self._start = self._held.popleft().block
        return self._held[-1]

    def newest(self) -> Changes:
        """Return the changes of the head; what the book started with cannot be undone."""
        return self._held[-1] if self._held else Changes(block=self._start, parent=self._start)

    def take(self, block: Hash) -> Changes:
        """Return the changes of the head, which is no longer one. Raises: UndoLost: it is another block."""
        if not self._held or self._held[-1].block != block:
            raise UndoLost(
                f"block {hex_text(block)} cannot be undone: it is not the newest that is held",
                way_out="load the book afresh",
            )
        return self._held.pop()


class _Target(Protocol):
    def reweigh(self) -> None: ...
    def own(self) -> bytes: ...
    def reserve(self, number: int) -> bytes: ...
    def position(self, key: PositionKey) -> Position | None: ...
    def put_own(self, row: bytes) -> None: ...
    def put_reserve(self, number: int, row: bytes) -> None: ...
    def put(self, position: Position) -> None: ...


class Edit:
    """A book while a block changes it; see `tallyio.hooks.lending.BookEdit`. What it replaces is kept."""

    def __init__(self, book: _Target, changes: Changes, head: Head) -> None:
        self._book = book
        self._changes = changes
        self.head: Final = head
        """The block whose logs are being followed."""
        self.wanted: Final = Wanted()
        """What the adapter asked for."""
        self.touched: Final[set[PositionKey]] = set()
        """Positions that were set, or asked for."""

    def own(self) -> bytes:
        """Return the plugin's own row."""
        return self._book.own()

    def set_own(self, row: bytes) -> None:
        """Replace the plugin's own row."""
        if self._changes.own is None:
            self._changes.own = self._book.own()
        self._book.put_own(row)

    def reserve(self, number: int) -> bytes:
        """Return the row of a reserve."""
        return self._book.reserve(number)

    def set_reserve(self, number: int, row: bytes) -> None:
        """Replace the row of a reserve."""
        self._changes.reserves.setdefault(number, self._book.reserve(number))
        self._book.put_reserve(number, row)

    def position(self, key: PositionKey) -> Position | None:
        """Return a position, or None."""
        return self._book.position(key)

    def set_position(self, position: Position) -> None:
        """Add, replace, or, without balances, forget a position."""
        self.touched.add(position.key)
        self._changes.positions.setdefault(position.key, self._book.position(position.key))
        self._book.put(position)

    def reweigh(self) -> None:
        """Say that a row which was set changes what collateral counts, for any position."""
        self._changes.reweighed = True
        self._book.reweigh()

    def reload_rows(self) -> None:
        """Ask for all rows to be read again."""
        self.wanted.rows = True

    def reload_position(self, key: PositionKey) -> None:
        """Ask for a position to be read again."""
        self.touched.add(key)
        self.wanted.positions.add(key)

    def rebuild(self) -> None:
        """Ask for the book to be discovered afresh."""
        self.wanted.rebuild = True
