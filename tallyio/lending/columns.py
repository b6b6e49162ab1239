"""`Columns`: margins of a book's positions, and who holds which side, in memory that grows.

Layer: lending. Owns the COLUMNS and SIDE records that `tallyio.lending.margins` works on.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tallyio.lending.abi import HEALTH
from tallyio.lending.layout import COLUMNS, SIDE, SIDES
from tallyio.native.memory import Region

_BY_ID: Final = ("positions", "margins", "bands", "watched", "watch")
_FIRST_ROOM: Final = 1 << 9
_WORD: Final = 8
_ID_BYTES: Final = 4


class Columns:
    """The columns of a book with `reserves` reserves, until `close`; `address` is that of the record."""

    # Guarantees
    # - Every address in the records points into a region that is held here.
    # - Arrays by id have `_room` elements, so that an id below it always has its place; the watch list
    #   holds an id at most once, so it has room as well.

    def __init__(self, reserves: int, *, relative: float, absolute: float) -> None:
        self._held: dict[str, Region] = {}
        head = self._hold("head", COLUMNS.itemsize + HEALTH.itemsize)
        sides = self._hold("sides", SIDE.itemsize * SIDES * reserves)
        values = self._hold("values", _WORD * SIDES * reserves)
        self.values: Final[npt.NDArray[np.float64]] = values.view("f8", SIDES * reserves)
        """The value of each side as the margins have it."""
        self.record: Final[Any] = head.view(COLUMNS, 1)[0]
        self.sides: Final[Any] = sides.view(SIDE, SIDES * reserves)
        self.address: Final = head.address
        self.record["sides"], self.record["side_count"] = sides.address, SIDES * reserves
        self.record["relative"], self.record["absolute"] = relative, absolute
        self.record["values"] = values.address
        self.record["scratch"] = head.address + COLUMNS.itemsize
        self._room = 0
        self._side_room = [0] * (SIDES * reserves)
        self.make_room(0)

    @property
    def memory_bytes(self) -> int:
        """Native memory in use."""
        return sum(region.size for region in self._held.values())

    @property
    def margins(self) -> npt.NDArray[np.float64]:
        """Margins by id, as they are until the next change."""
        return self._held["margins"].view("f8", int(self.record["position_count"]))

    def margin_shares(self) -> npt.NDArray[np.float64]:
        """Return margin over collateral plus debt by id; infinite for whoever owes nothing."""
        bands = self._held["bands"].view("f8", int(self.record["position_count"]))
        gross = (bands - self.record["absolute"]) / self.record["relative"]
        shares = np.full(len(bands), np.inf)
        np.divide(self.margins, gross, out=shares, where=gross > 0)
        return shares

    def make_room(self, number: int) -> None:
        """Have a place for id `number` in the arrays by id."""
        if number >= self._room:
            room = max(_FIRST_ROOM, 2 * self._room, number + 1)
            for name in _BY_ID:
                self.record[name] = self._grow(name, _WORD * self._room, _WORD * room)
            self._room = room
        self.record["position_count"] = max(int(self.record["position_count"]), number + 1)

    def make_side_room(self, side: int, more: int = 1) -> None:
        """Have a place for `more` further holders of a side."""
        need = int(self.sides[side]["count"]) + more
        before = self._side_room[side]
        if need > before:
            room = max(_FIRST_ROOM, 2 * before, need)
            ids = self._grow(f"ids {side}", _ID_BYTES * before, _ID_BYTES * room)
            weights = self._grow(f"weights {side}", _WORD * before, _WORD * room)
            self.sides[side]["ids"], self.sides[side]["weights"] = ids, weights
            self._side_room[side] = room

    def place(self, number: int, address: int) -> None:
        """Say where the row of id `number` is; 0: nowhere."""
        self._held["positions"].view("i8", self._room)[number] = address

    def place_all(self, numbers: range, addresses: npt.NDArray[np.int64]) -> None:
        """Have places for these ids, and say where their rows are."""
        self.make_room(numbers[-1])
        self._held["positions"].view("i8", self._room)[numbers.start : numbers.stop] = addresses

    def close(self) -> None:
        """Give the memory back."""
        for region in self._held.values():
            region.close()

    def _hold(self, name: str, size: int) -> Region:
        self._held[name] = Region(max(size, 1))
        return self._held[name]

    def _grow(self, name: str, used: int, size: int) -> int:
        old = self._held.get(name)
        new = self._hold(name, size)
        if old is not None:
            new.view("u1", used)[:] = old.view("u1", used)
            old.close()
        return new.address
