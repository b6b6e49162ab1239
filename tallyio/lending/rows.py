"""A book's rows in native memory: the plugin's own, and one for each reserve.

Layer: lending.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from tallyio.lending import abi
from tallyio.model.lending import BookSpec
from tallyio.native.memory import Region


class Rows(Protocol):
    """A book's rows; `tallyio.hooks.lending.BookRows` is one."""

    @property
    def own(self) -> bytes:
        """The plugin's own row."""

    @property
    def reserves(self) -> tuple[bytes, ...]:
        """The row of each reserve."""


class RowMemory:
    """The BOOK record, the rows and the memos that it points to, until `close`; `address` is the record's."""

    # Guarantees
    # - A reserve's memo is zeroed with every write of the reserve's row or of the plugin's own row.

    def __init__(self, rows: Rows, kind: int) -> None:
        self._own_bytes, count = len(rows.own), len(rows.reserves)
        self._reserve_bytes = len(rows.reserves[0]) if rows.reserves else 0
        own_at = abi.BOOK.itemsize
        reserves_at = own_at + self._own_bytes
        memos_at = reserves_at + count * self._reserve_bytes
        self._region = Region(memos_at + count * abi.MEMO_BYTES)
        self.address: Final = self._region.address
        self._own_at, self._reserves_at, self._count = own_at, reserves_at, count
        self._memos_at = memos_at
        record = self._region.view(abi.BOOK, 1)[0]
        record["own"], record["own_bytes"] = self.address + own_at, self._own_bytes
        record["reserves"], record["reserve_bytes"] = self.address + reserves_at, self._reserve_bytes
        record["reserve_count"], record["kind"] = count, kind
        record["memos"] = self.address + memos_at
        self.set_own(rows.own)
        for number, row in enumerate(rows.reserves):
            self.set_reserve(number, row)

    @property
    def memory_bytes(self) -> int:
        """Native memory in use."""
        return self._region.size

    def own(self) -> bytes:
        """Return the plugin's own row."""
        return self._region.view("u1", self._own_bytes, self._own_at).tobytes()

    def reserve(self, number: int) -> bytes:
        """Return the row of a reserve. Raises: LookupError: there is none."""
        return self._region.view("u1", self._reserve_bytes, self._start(number)).tobytes()

    def memos(self) -> npt.NDArray[np.uint8]:
        """Return what the compiled functions keep, a line for each reserve."""
        size = self._count * abi.MEMO_BYTES
        return self._region.view("u1", size, self._memos_at).reshape(self._count, abi.MEMO_BYTES)

    def set_own(self, row: bytes) -> None:
        """Replace the plugin's own row. Raises: ValueError: its size is another."""
        self._set(self._own_at, row, self._own_bytes)
        self.memos()[:] = 0

    def set_reserve(self, number: int, row: bytes) -> None:
        """Replace the row of a reserve. Raises: ValueError, LookupError."""
        self._set(self._start(number), row, self._reserve_bytes)
        self.memos()[number] = 0

    def close(self) -> None:
        """Give the memory back."""
        self._region.close()

    def _start(self, number: int) -> int:
        if not 0 <= number < self._count:
            raise LookupError(f"there is no reserve {number}")
        return self._reserves_at + number * self._reserve_bytes

    def _set(self, start: int, row: bytes, size: int) -> None:
        if len(row) != size:
            raise ValueError(f"a row of {len(row)} bytes takes the place of one of {size}")
        self._region.view("u1", size, start)[:] = np.frombuffer(row, "u1")


def check_rows(rows: Rows, spec: BookSpec) -> None:
    """Raise ValueError where rows are too few, of several sizes, or of sizes that are no whole lines."""
    sizes = {len(row) for row in rows.reserves}
    if len(rows.reserves) != len(spec.reserves) or len(sizes) > 1:
        raise ValueError(
            f"book {spec.venue} needs one row of one size for each of {len(spec.reserves)} reserves"
        )
    if any(size % abi.LINE for size in (len(rows.own), *sizes)):
        raise ValueError(f"the rows of book {spec.venue} are not multiples of {abi.LINE} bytes")
