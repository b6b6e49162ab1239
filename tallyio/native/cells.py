"""`Cells`: memory of one size, that compiled code takes and gives back cell by cell (an object pool).

Layer: native. A free cell's first word points to the next free one, so taking and giving are a few loads
and stores, last in, first out: the cell that comes next is the one that the cache knows. One thread at a
time may use the cells. A cell's content is what its last user left, zero before the first.

For hot functions, by the `address` of the `Cells`:

    cells_take(cells)           address of a free cell, or 0 where there is none
    cells_give(cells, cell)     whether `cell` was a taken cell, which is free now
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from types import TracebackType
from typing import Final, Self

import msgspec

from tallyio.native.atomics import load, load_u8, store, store_u8
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import i64, u64, u128

_WORD: Final = 8
_SMALLEST: Final = 2 * _WORD
_LINE: Final = 64
_MAX_WORDS: Final = 1 << 32

_FREE: Final = 0  # address of the cell that comes next, 0 if all that were ever taken are
_FRESH: Final = 1  # how many cells were ever taken
_COUNT: Final = 2
_CELL_BYTES: Final = 3
_RECIPROCAL: Final = 4
_FIRST: Final = 5  # address of cell 0
_STATES: Final = 6  # address of a byte per cell: 1 while it is taken
_TAKEN: Final = 7
_HIGHEST: Final = 8
_REFUSED: Final = 9
_HEADER_WORDS: Final = 16


class CellStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """How many cells are and were in use."""

    count: int
    taken: int
    highest: int
    """The most that were ever taken at the same time."""
    refused: int
    """Requests that found none free."""


class Cells:
    """`count` cells of `cell_bytes` (rounded up to words, at least two), as a context or until `close`.

    Raises: ValueError: for a count or a size below 1, for 32 GiB and more, and when used after `close`.
    """

    def __init__(self, count: int, cell_bytes: int) -> None:
        size = max(_SMALLEST, -(-cell_bytes // _WORD) * _WORD)
        if count < 1 or cell_bytes < 1 or count * size >= _MAX_WORDS * _WORD:
            raise ValueError(
                "cells need a count and a size of at least 1, and less than 32 GiB in all,"
                f" not {count} of {cell_bytes} bytes"
            )
        states = _HEADER_WORDS * _WORD
        first = -(-(states + count) // _LINE) * _LINE
        self.cell_bytes: Final = size
        self._region: Final = Region(first + count * size)
        header = self._region.view("u8", _HEADER_WORDS)
        header[_COUNT], header[_CELL_BYTES] = count, size
        header[_RECIPROCAL] = -(-(1 << 64) // (size // _WORD))
        header[_FIRST], header[_STATES] = self.address + first, self.address + states

    @property
    def address(self) -> int:
        """What the `cells_` functions take."""
        return self._region.address

    def statistics(self) -> CellStatistics:
        """Return how many cells are in use; a thread that takes meanwhile makes it out of date."""
        header = self._region.view("i8", _HEADER_WORDS)
        count, taken, highest, refused = (int(header[k]) for k in (_COUNT, _TAKEN, _HIGHEST, _REFUSED))
        return CellStatistics(count=count, taken=taken, highest=highest, refused=refused)

    def close(self) -> None:
        """Give the memory back. Closing twice is fine."""
        self._region.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@hot("int64(int64)", inline=True)
def cells_take(cells: int) -> int:
    """Return the address of a cell that is free until now, or 0 if none is."""
    cell, fresh = load(cells, _FREE), load(cells, _FRESH)
    if cell != 0:
        store(cells, _FREE, load(cell, 0))
    elif fresh < load(cells, _COUNT):
        cell = load(cells, _FIRST) + fresh * load(cells, _CELL_BYTES)
        store(cells, _FRESH, fresh + 1)
    else:
        store(cells, _REFUSED, load(cells, _REFUSED) + 1)
        return 0
    taken = load(cells, _TAKEN) + 1
    store(cells, _TAKEN, taken)
    store(cells, _HIGHEST, max(taken, load(cells, _HIGHEST)))
    store_u8(load(cells, _STATES) + _index(cells, cell), 1)
    return cell


@hot("boolean(int64, int64)", inline=True)
def cells_give(cells: int, cell: int) -> bool:
    """Give a cell back; False, and nothing happens, for an address that is no cell or is free already."""
    offset, index = cell - load(cells, _FIRST), _index(cells, cell)
    # The comparison without sign is false for what lies before the first cell, too.
    is_cell = u64(index) < u64(load(cells, _FRESH)) and index * load(cells, _CELL_BYTES) == offset
    if not is_cell or load_u8(load(cells, _STATES) + index) == 0:
        return False
    store_u8(load(cells, _STATES) + index, 0)
    store(cell, 0, load(cells, _FREE))
    store(cells, _FREE, cell)
    store(cells, _TAKEN, load(cells, _TAKEN) - 1)
    return True


@hot("int64(int64, int64)", inline=True)
def _index(cells: int, cell: int) -> int:
    # The number of the cell, where `cell` is the address of one; something else for other addresses.
    # With s the words of a cell, 2 <= s < 2**32, and reciprocal * s = 2**64 + e, 0 <= e < s: for w < 2**32,
    # w * reciprocal / 2**64 = w/s + w*e / (s * 2**64), and the last term is below 2**-32 < 1/s. A fraction
    # with divisor s is at most 1 - 1/s, so the sum has the same floor.
    words = u64(cell - load(cells, _FIRST)) >> u64(3)
    return i64((u128(words) * u128(u64(load(cells, _RECIPROCAL)))) >> 64)
