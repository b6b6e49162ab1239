"""One Aave pool and one position in native memory, for the compiled functions to look at."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from tallyio_protocol_aave_v3 import hot
from tallyio_protocol_aave_v3.layout import OWN_BYTES, RESERVE_BYTES, pack_own, pack_reserve
from tallyio_protocol_aave_v3.reference import Outcome, Pool

from tallyio.lending import abi
from tallyio.model.lending import Position
from tallyio.native.columns import from_column, to_column
from tallyio.native.memory import Region

MOST_RESERVES: Final = 16
_MEMOS_AT: Final = OWN_BYTES + MOST_RESERVES * RESERVE_BYTES


class Health(NamedTuple):
    """What `hot.health` wrote, and its status."""

    status: int
    collateral: int
    debt: int
    factor: int


class Memory:
    """A BOOK with its rows, and a POSITION with its balances."""

    def __init__(self) -> None:
        self._rows = Region(_MEMOS_AT + MOST_RESERVES * abi.MEMO_BYTES)
        self._records = Region(4_096)
        self.book = self._records.address
        self.out = self.book + 64
        self.position = self.book + 512
        self._set_book()

    def put_pool(self, pool: Pool) -> None:
        """Write the rows, and zero the memos, as a book does."""
        rows = pack_own(pool.own) + b"".join(map(pack_reserve, pool.reserves))
        self._rows.view("u1", len(rows))[:] = np.frombuffer(rows, "u1")
        self._rows.view("u1", MOST_RESERVES * abi.MEMO_BYTES, _MEMOS_AT)[:] = 0

    def put_position(self, position: Position) -> None:
        """Write the position."""
        head = self._records.view(abi.POSITION, 1, 512)[0]
        head["flags"], head["count"] = position.flags, len(position.balances)
        balances = self._records.view(abi.BALANCE, len(position.balances), 512 + abi.LINE)
        for target, balance in zip(balances, position.balances, strict=True):
            target["collateral"] = to_column([balance.collateral], 128)[0]
            target["debt"] = to_column([balance.debt], 128)[0]
            target["reserve"], target["flags"] = balance.reserve, balance.flags

    def health(self, time: int) -> Health:
        """Ask `hot.health`."""
        status = hot.health(self.book, self.position, time, 0, self.out)
        return Health(status, *self._numbers(3))

    def liquidate(self, collateral: int, debt: int, repay: int, time: int) -> Outcome:
        """Ask `hot.liquidate`."""
        verdict = hot.liquidate(self.book, self.position, collateral, debt, repay, time, 0, self.out)
        taken, seize, fee, written_off, most = self._numbers(5)
        if verdict != abi.LAWFUL:
            return Outcome(verdict=verdict, most=most)
        return Outcome(verdict=verdict, repay=taken, seize=seize, fee=fee, written_off=written_off, most=most)

    def values(self, reserve: int, time: int) -> tuple[float, float] | None:
        """Ask `hot.values`; None: unknown."""
        if hot.values(self.book, reserve, time, 0, self.out) != abi.KNOWN:
            return None
        collateral, debt = self._records.view("f8", 2, 64)
        return float(collateral), float(debt)

    def weight(self, k: int) -> float:
        """Ask `hot.weight`."""
        return hot.weight(self.book, self.position, k)

    def _numbers(self, count: int) -> list[int]:
        return from_column(self._records.view("u8", 4 * count, 64).reshape(count, 4))

    def _set_book(self) -> None:
        book = self._records.view(abi.BOOK, 1)[0]
        book["own"], book["own_bytes"] = self._rows.address, OWN_BYTES
        book["reserves"], book["reserve_bytes"] = self._rows.address + OWN_BYTES, RESERVE_BYTES
        book["reserve_count"], book["memos"] = MOST_RESERVES, self._rows.address + _MEMOS_AT
