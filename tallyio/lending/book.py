"""`Book`: one lending market in native memory, with all its positions, following the chain.

Layer: lending. Rows and positions come from a protocol's adapter; what a block changed is undone when the
chain takes it back. Questions are asked for a time and a block number: those of the block in which a
transaction would run.

    fused = fuse_lending([("somewhere", adapter.compiled)])
    book = Book(fused, 0, spec, rows, adapter.compiled, head)
    book.fill(positions)
    edit = book.change(head)
    adapter.follow(edit, spec, event, log)    # for each log of the block
    for risk in book.at_risk(time, number): ...
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol

import msgspec
import numpy as np
import numpy.typing as npt

from tallyio.lending import abi, margins
from tallyio.lending.columns import Columns
from tallyio.lending.fusion import FusedLending
from tallyio.lending.layout import SIDES
from tallyio.lending.positions import MAX_BALANCES, Positions
from tallyio.lending.rows import RowMemory, Rows, check_rows
from tallyio.lending.undo import Changes, Edit, UndoLog
from tallyio.model.chain import Head
from tallyio.model.lending import Balance, BookSpec, Health, LiquidationTerms, Position, PositionKey
from tallyio.model.units import Hash
from tallyio.native.memory import Region

DRIFT: Final = 1e-6
"""By how much a side's value may differ from what the margins have before its holders are renewed."""

AS_MUCH_AS_ALLOWED: Final = (1 << 256) - 1
"""An offer to repay whatever is lawful."""

_FLOAT_SLACK: Final = 1e-8  # above 2 * 2**-52 * (MAX_BALANCES + 2**24 moves): see `margins`
_MOST_MOVES: Final = 1 << 24
_GROWN: Final = 2.0
_SHRUNK: Final = 2.0**-10
_FOUND_ROOM: Final = 1 << 12
_NUMBER: Final = 32  # bytes of a 256-bit number


class Slack(Protocol):
    """How near margins are to the contract; `tallyio.hooks.lending.CompiledLending` is one."""

    @property
    def relative_slack(self) -> float:
        """A share of collateral plus debt."""

    @property
    def unit_slack(self) -> float:
        """Accounting units for each balance."""


class Death(msgspec.Struct, frozen=True, kw_only=True):
    """When a price alone makes a position liquidatable: at `factor` times its present value."""

    key: PositionKey
    factor: float


class Book:
    """One book and its positions, until `close`. One thread uses it."""

    # Guarantees
    # - Rows keep their address; positions move only while they are written.
    # - Whoever `at_risk` leaves out is healthy by the contract's own arithmetic (proof: `margins`).

    def __init__(
        self, fused: FusedLending, kind: int, spec: BookSpec, rows: Rows, slack: Slack, block: Hash
    ) -> None:
        check_rows(rows, spec)
        self.spec: Final = spec
        self._program: Final[Any] = fused.program
        self._rows = RowMemory(rows, kind)
        self._positions = Positions()
        self._columns = Columns(
            len(spec.reserves),
            relative=2.0 * (DRIFT + (1.0 + DRIFT) * slack.relative_slack) + _FLOAT_SLACK,
            absolute=MAX_BALANCES * slack.unit_slack,
        )
        count = SIDES * len(spec.reserves)
        self._scratch = Region(8 * count + abi.LIQUIDATION.itemsize + 8 * _FOUND_ROOM)
        self._fresh = self._scratch.view("f8", count)
        self._out = self._scratch.address + 8 * count
        self._found = self._scratch.view("i8", _FOUND_ROOM, 8 * count + abi.LIQUIDATION.itemsize)
        self._base = np.full(count, np.nan)
        self._moves = 0
        self._undo = UndoLog(block)

    @property
    def head(self) -> Hash:
        """The block that the book stands at."""
        return self._undo.head

    @property
    def memory_bytes(self) -> int:
        """Native memory in use."""
        return (
            self._positions.memory_bytes
            + self._columns.memory_bytes
            + self._rows.memory_bytes
            + self._scratch.size
        )

    def __len__(self) -> int:
        """Return how many positions there are."""
        return len(self._positions)

    @property
    def keys(self) -> list[PositionKey]:
        """The keys of all positions."""
        return self._positions.keys

    @property
    def rows_address(self) -> int:
        """Address of the BOOK record, for compiled code."""
        return self._rows.address

    @property
    def columns_address(self) -> int:
        """Address of the COLUMNS record, for compiled code."""
        return self._columns.address

    @property
    def side_values(self) -> npt.NDArray[np.float64]:
        """The value of each side as the margins have it."""
        return self._columns.values.copy()

    # --- state

    def own(self) -> bytes:
        """Return the plugin's own row."""
        return self._rows.own()

    def reserve(self, number: int) -> bytes:
        """Return the row of reserve `number`."""
        return self._rows.reserve(number)

    def position(self, key: PositionKey) -> Position | None:
        """Return a position, or None."""
        number = self._positions.id(key)
        return None if number is None else self._positions.read(number)

    def fill(self, positions: Iterable[Position]) -> None:
        """Add positions that were loaded as of the book's block; nothing is kept to undo."""
        for position in positions:
            self.put(position)

    def adopt(self, rows: Region, count: int, room: int) -> None:
        """Add `count` positions that lie in native memory as of the book's block; the book owns it then.

        Each is a POSITION, at `positions.head_at(room)` in a slot of `positions.slot_bytes(room)`, and its
        BALANCEs behind it; slots follow each other.
        Raises: ValueError: two have the same key, or one has that of a position there is.
        """
        numbers = self._positions.adopt(rows, count, room)
        if not numbers:
            return
        addresses = np.array([self._positions.address(number) for number in numbers], "i8")
        self._columns.place_all(numbers, addresses)
        more = np.zeros(SIDES * len(self.spec.reserves), "i8")
        margins.tally(self._columns.address, numbers.start, count, more.ctypes.data)
        for side, holders in enumerate(more.tolist()):
            self._columns.make_side_room(side, holders)
        self._program.attach_all(self._rows.address, self._columns.address, numbers.start, count)

    def change(self, head: Head) -> Edit:
        """Return the edit of a block on top of the book's. Raises: OutOfOrder: it does not follow it."""
        return Edit(self, self._undo.begin(head.hash, head.parent_hash), head)

    def take_rows(self, rows: Rows) -> None:
        """Take rows that were read again as of the book's block. Raises: ValueError: of other sizes."""
        check_rows(rows, self.spec)
        changes, before = self._undo.newest(), self._rows.own()
        changed = [k for k, row in enumerate(rows.reserves) if row != self._rows.reserve(k)]
        if rows.own != before:
            changes.own = changes.own or before
            self._rows.set_own(rows.own)
        for number in changed:
            changes.reserves.setdefault(number, self._rows.reserve(number))
            self._rows.set_reserve(number, rows.reserves[number])
        if changed or rows.own != before:
            changes.reweighed = True
            self.reweigh()

    def take_positions(self, positions: Iterable[Position]) -> None:
        """Take positions that were read again as of the book's block."""
        changes = self._undo.newest()
        for position in positions:
            changes.positions.setdefault(position.key, self.position(position.key))
            self.put(position)

    def roll_back(self, dropped: Sequence[Hash]) -> None:
        """Undo blocks, newest first. Raises: UndoLost: a block is not the newest, or no longer held."""
        for block in dropped:
            self.restore(self._undo.take(block))

    def restore(self, changes: Changes) -> None:
        """Put back what an edit replaced."""
        if changes.own is not None:
            self._rows.set_own(changes.own)
        for number, row in changes.reserves.items():
            self._rows.set_reserve(number, row)
        for key, position in changes.positions.items():
            self.put(position or Position(key=key, balances=()))
        if changes.reweighed:
            self.reweigh()

    @contextmanager
    def suppose(self, head: Head) -> Iterator[Edit]:
        """Be as a block may leave the book that is not there yet, until the context ends; then as before.

        What the edit changes meanwhile is taken back, and the chain's own blocks are not touched by it.
        """
        changes = Changes(block=head.hash, parent=self.head)
        try:
            yield Edit(self, changes, head)
        finally:
            self.restore(changes)

    # --- what an edit writes

    def put_own(self, row: bytes) -> None:
        """Replace the plugin's own row."""
        self._rows.set_own(row)

    def put_reserve(self, number: int, row: bytes) -> None:
        """Replace the row of a reserve."""
        self._rows.set_reserve(number, row)

    def put(self, position: Position) -> None:
        """Add, replace, or, without balances, forget a position."""
        before = self._positions.id(position.key)
        if before is not None:
            margins.detach(self._columns.address, before)
        if not position.balances:
            if before is not None:
                self._positions.remove(before)
                self._columns.place(before, 0)
            return
        number = self._positions.write(position)
        self._columns.make_room(number)
        self._columns.place(number, self._positions.address(number))
        self._attach(number, position.balances)

    def reweigh(self) -> None:
        """See to what collateral counts for having changed: whose weights are others has them made anew."""
        room = len(self._positions)
        found = np.empty(room, "i8")
        count = self._program.outdated(self._rows.address, self._columns.address, found.ctypes.data, room)
        for number in found[:count].tolist():
            margins.detach(self._columns.address, number)
            self._attach(number, self._positions.read(number).balances)

    # --- questions

    def at_risk(self, time: int, number: int) -> list[PositionKey]:
        """Return who is liquidatable in a block of that time and number, or cannot be judged.

        Exact: `health` of each says so. All prices and indexes are looked at, and the holders renewed
        of those that moved.
        """
        self._follow_values(time, number)
        count = self._program.sift(
            self._rows.address, self._columns.address, time, number, self._found.ctypes.data, len(self._found)
        )
        if count > len(self._found):
            self._found = np.empty(2 * count, "i8")
            return self.at_risk(time, number)
        return [self._positions.key(number) for number in self._found[:count].tolist()]

    def health(self, key: PositionKey, time: int, number: int) -> Health:
        """Return the exact health of a position. Raises: LookupError: there is none."""
        at = self.address_of(key)
        status = self._program.health_of(self._rows.address, at, time, number, self._out)
        collateral, debt, factor = self._numbers(abi.HEALTH.itemsize)
        return Health(status=status, collateral=collateral, debt=debt, factor=factor)

    def liquidate(
        self,
        key: PositionKey,
        *,
        collateral: int,
        debt: int,
        time: int,
        number: int,
        repay: int = AS_MUCH_AS_ALLOWED,
    ) -> LiquidationTerms:
        """Return what repaying the debt in reserve `debt` gives of the collateral in reserve `collateral`.

        Raises: LookupError: there is no such position, or it has nothing in one of the reserves.
        """
        at = self.address_of(key)
        verdict = self._program.liquidate_one(
            self._rows.address, at, collateral, debt, repay, time, number, self._out
        )
        if verdict < 0:
            raise LookupError(f"position {key} has nothing in reserve {collateral} or {debt}")
        numbers = self._numbers(abi.LIQUIDATION.itemsize)
        taken, seize, fee, written_off, most = numbers if verdict == abi.LAWFUL else (0, 0, 0, 0, numbers[4])
        return LiquidationTerms(
            verdict=verdict, repay=taken, seize=seize, fee=fee, written_off=written_off, most=most
        )

    def nets(self, key: PositionKey) -> list[tuple[int, float]]:
        """Return by reserve what each balance adds to a position's margin; debt takes away.

        Raises: LookupError: there is no such position.
        """
        at, position = self.address_of(key), self.position(key)
        return [
            (balance.reserve, margins.net_of(self._columns.address, at + abi.LINE * (1 + k)))
            for k, balance in enumerate(position.balances if position else ())
        ]

    def riskiest(self, count: int, time: int, number: int) -> list[PositionKey]:
        """Return the `count` positions whose margin is the least share of what they hold and owe.

        In float64, for people; whoever owes nothing is left out.
        """
        self._follow_values(time, number)
        shares = self._columns.margin_shares()
        owing = np.flatnonzero(np.isfinite(shares))
        if len(owing) > count:  # a million are not sorted for the first thirty
            owing = np.sort(owing[np.argpartition(shares[owing], count)[:count]])
        order = owing[np.argsort(shares[owing], kind="stable")]
        return [self._positions.key(number) for number in order.tolist()]

    def deaths(self, reserve: int, time: int, number: int) -> list[Death]:
        """Return for each holder of a reserve at which multiple of its price it dies, nearest to 1 first.

        In float64, for people and for ranking. Whom this price alone cannot harm is left out.
        """
        self._follow_values(time, number)
        sides = self._columns.sides
        room = sum(int(sides[SIDES * reserve + which]["count"]) for which in range(SIDES))
        ids, factors = np.empty(max(room, 1), "i8"), np.empty(max(room, 1))
        count = margins.deaths(self._columns.address, reserve, ids.ctypes.data, factors.ctypes.data)
        ids, factors = ids[:count], factors[:count]
        real = np.flatnonzero(np.isfinite(factors) & (factors > 0))
        order = real[np.argsort(np.abs(np.log(factors[real])), kind="stable")]
        return [Death(key=self._positions.key(int(ids[k])), factor=float(factors[k])) for k in order]

    def close(self) -> None:
        """Give the memory back."""
        for part in (self._positions, self._columns, self._rows, self._scratch):
            part.close()

    # --- within

    def _follow_values(self, time: int, number: int) -> None:
        fresh, used = self._fresh, self._columns.values
        self._program.read_values(self._rows.address, time, number, fresh.ctypes.data)
        with np.errstate(invalid="ignore", divide="ignore"):
            grown = fresh / self._base
            moved = np.flatnonzero(~(np.abs(fresh - used) <= DRIFT * used) & ~((fresh == 0) & (used == 0)))
            is_far = not np.all(((grown <= _GROWN) & (grown >= _SHRUNK)) | ((fresh == 0) & (self._base == 0)))
        if is_far or self._moves + len(moved) > _MOST_MOVES:
            margins.refresh(self._columns.address, fresh.ctypes.data)
            self._base, self._moves = fresh.copy(), 0
            return
        for side in moved:
            margins.move(self._columns.address, int(side), float(fresh[side]))
        self._moves += len(moved)

    def _attach(self, number: int, balances: Iterable[Balance]) -> None:
        for balance in balances:
            for side in range(SIDES * balance.reserve, SIDES * balance.reserve + SIDES):
                self._columns.make_side_room(side)
        self._program.attach(self._rows.address, self._columns.address, number)

    def address_of(self, key: PositionKey) -> int:
        """Return where a position's record is until it changes. Raises: LookupError: there is none."""
        number = self._positions.id(key)
        if number is None:
            raise LookupError(f"there is no position {key}")
        return self._positions.address(number)

    def _numbers(self, size: int) -> list[int]:
        raw = ctypes.string_at(self._out, size)
        return [int.from_bytes(raw[start : start + _NUMBER], "little") for start in range(0, size, _NUMBER)]
