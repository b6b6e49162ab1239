"""A lending market in native memory, asked by the plugin's own compiled functions.

Layer: testing. As `tallyio.lending.book.Book`, but for the search over all positions: nothing is fused, so
nothing is compiled but the plugin's module.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from tallyio.hooks.lending import BookRows, CompiledLending
from tallyio.lending import abi
from tallyio.lending.positions import Positions
from tallyio.lending.rows import RowMemory
from tallyio.model.lending import BookSpec, Health, LiquidationTerms, Position, PositionKey
from tallyio.native.memory import Region

_NUMBER: Final = 32
ALL: Final = (1 << 256) - 1
"""An offer that asks for the most that is lawful."""


class Moment(NamedTuple):
    """The block in which a transaction would run."""

    time: int
    number: int


class Pair(NamedTuple):
    """Reserve numbers: what a liquidator takes, and what it pays."""

    collateral: int
    debt: int


class Margin(NamedTuple):
    """What the core's search goes by: negative where a position can be liquidated, but for `slack`."""

    value: float
    slack: float


class LoanBook:
    """One book and its positions as of a block; also what `tallyio.lending.undo.Edit` writes to."""

    def __init__(self, hot: Any, compiled: CompiledLending, spec: BookSpec, rows: BookRows) -> None:
        """Take what an adapter loaded, and the compiled functions. Raises: ValueError: rows do not fit."""
        self.spec: Final = spec
        self._hot = hot
        self._compiled = compiled
        self._rows = RowMemory(rows, 0)
        self._positions = Positions()
        self._out = Region(abi.LIQUIDATION.itemsize)

    # --- state

    @property
    def keys(self) -> list[PositionKey]:
        """Whose positions there are, sorted."""
        return sorted(self._positions.keys)

    def own(self) -> bytes:
        """Return the plugin's own row."""
        return self._rows.own()

    def reserve(self, number: int) -> bytes:
        """Return the row of a reserve."""
        return self._rows.reserve(number)

    def position(self, key: PositionKey) -> Position | None:
        """Return a position, or None."""
        number = self._positions.id(key)
        return None if number is None else self._positions.read(number)

    def put_own(self, row: bytes) -> None:
        """Replace the plugin's own row."""
        self._rows.set_own(row)

    def put_reserve(self, number: int, row: bytes) -> None:
        """Replace the row of a reserve."""
        self._rows.set_reserve(number, row)

    def put_rows(self, rows: BookRows) -> None:
        """Replace all rows."""
        self.put_own(rows.own)
        for number, row in enumerate(rows.reserves):
            self.put_reserve(number, row)

    def put(self, position: Position) -> None:
        """Add, replace, or, without balances, forget a position."""
        number = self._positions.id(position.key)
        if position.balances:
            self._positions.write(position)
        elif number is not None:
            self._positions.remove(number)

    def reweigh(self) -> None:
        """Do nothing: weights are asked for afresh each time."""

    # --- questions

    def pairs(self, key: PositionKey) -> list[Pair]:
        """Return what might be taken and paid of a position, tokens considered."""
        found = self.position(key)
        balances, reserves = found.balances if found else (), self.spec.reserves
        taken = [each.reserve for each in balances if each.collateral and reserves[each.reserve].collateral]
        paid = [each.reserve for each in balances if each.debt and reserves[each.reserve].debt]
        return [Pair(collateral, debt) for collateral in taken for debt in paid]

    def owed(self, key: PositionKey, reserve: int) -> int:
        """Return a position's scaled debt in a reserve."""
        found = self.position(key)
        return sum(each.debt for each in (found.balances if found else ()) if each.reserve == reserve)

    def health(self, key: PositionKey, at: Moment) -> Health:
        """Return the compiled health. Raises: LookupError: there is no such position."""
        status = self._hot.health(self._rows.address, self._address(key), *at, self._out.address)
        collateral, debt, factor = self._numbers(abi.HEALTH.itemsize)
        return Health(status=status, collateral=collateral, debt=debt, factor=factor)

    def liquidate(self, key: PositionKey, pair: Pair, repay: int, at: Moment) -> LiquidationTerms:
        """Return what the compiled function says of an offer. Raises: LookupError: nothing is there."""
        found = self.position(key)
        numbers = [each.reserve for each in (found.balances if found else ())]
        if not {*pair} <= {*numbers}:
            raise LookupError(f"position {key} has nothing in reserve {pair.collateral} or {pair.debt}")
        sides = numbers.index(pair.collateral), numbers.index(pair.debt)
        verdict = self._hot.liquidate(
            self._rows.address, self._address(key), *sides, repay, *at, self._out.address
        )
        taken, seize, fee, written_off, most = self._numbers(abi.LIQUIDATION.itemsize)
        return LiquidationTerms(
            verdict=verdict, repay=taken, seize=seize, fee=fee, written_off=written_off, most=most
        )

    def margin(self, key: PositionKey, at: Moment) -> Margin | None:
        """Return a position's margin from `values` and `weight`; None: a value is not known."""
        total = gross = 0.0
        position = self.position(key)
        balances = position.balances if position else ()
        for k, balance in enumerate(balances):
            out = self._out.view("f8", 2)
            if self._hot.values(self._rows.address, balance.reserve, *at, self._out.address) != abi.KNOWN:
                return None
            worth = [float(each) for each in np.array(out)]
            secured, owed = balance.collateral * worth[0], balance.debt * worth[1]
            weight = float(self._hot.weight(self._rows.address, self._address(key), k))
            total += secured * weight - owed
            gross += secured + owed
        slack = self._compiled.relative_slack * gross + self._compiled.unit_slack * len(balances)
        return Margin(total, slack)

    def answers(self, key: PositionKey, at: Moment) -> Iterator[tuple[str, object]]:
        """Yield everything that the compiled functions say of a position, each with its name."""
        yield "health", self.health(key, at)
        for pair in self.pairs(key):
            yield f"liquidate of {tuple(pair)}", self.liquidate(key, pair, ALL, at)

    def _address(self, key: PositionKey) -> int:
        number = self._positions.id(key)
        if number is None:
            raise LookupError(f"there is no position {key}")
        return self._positions.address(number)

    def _numbers(self, size: int) -> list[int]:
        raw = self._out.view("u1", size).tobytes()
        return [int.from_bytes(raw[at : at + _NUMBER], "little") for at in range(0, size, _NUMBER)]
