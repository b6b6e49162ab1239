"""Read what the compiled search found: proposals, and refusals with their reasons."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy.typing as npt

from tallyio.hooks.search import Scene
from tallyio.lending.abi import LIQUIDATION, VERDICTS
from tallyio.market.route_layout import MAX_HOPS, PATH
from tallyio.model.execution import Borrowing, Leg, Liquidation
from tallyio.model.proposal import Proposal, Refusal
from tallyio_strategy_liquidation import layout
from tallyio_strategy_liquidation.layout import NOBODY, OFFER
from tallyio_strategy_liquidation.tables import AtRisk

NO_SALE: Final = "no path in the market sells the collateral"
NO_LOAN: Final = "nobody lends what has to be paid"
NO_VALUE: Final = "what the debt's token is worth is not known"
NO_PROFIT: Final = "it would cost more than it brings"

_FAULTS: Final = dict(enumerate(VERDICTS)) | {
    layout.DEAL: NO_PROFIT,
    layout.NO_SALE: NO_SALE,
    layout.NO_LOAN: NO_LOAN,
    layout.NO_VALUE: NO_VALUE,
    layout.NO_PROFIT: NO_PROFIT,
}
"""Why a position is left alone; a deal is where it gains too little."""

_WIDE: Final = 32
_SALES: Final = 2


def _offset(record: npt.DTypeLike, field: str) -> int:
    fields = getattr(record, "fields", None) or {}
    return int(fields[field][1])


_AT: Final = {name: _offset(OFFER, name) for name in OFFER.names or ()}
_TERM_AT: Final = {name: _AT["terms"] + _offset(LIQUIDATION, name) for name in ("repay", "seize", "most")}
_AMOUNTS_AT: Final = _offset(PATH, "amounts")
_WORD: Final = struct.Struct("<q")
_PATH: Final = struct.Struct(f"<{1 + 3 * MAX_HOPS}q")
"""Hops, pools, and the two tokens of each: the start of a PATH."""


class Found:
    """The decided OFFERs of one scene, and the positions that they are of."""

    def __init__(
        self, scene: Scene, positions: Sequence[AtRisk], offers: npt.NDArray[Any], *, least_wei: float
    ) -> None:
        """What gains less than `least_wei` after gas is left alone."""
        self._scene = scene
        self._positions = positions
        self._offers = offers
        # One field of all records costs hardly more than that of one.
        self._faults, self._heads, self._nets, self._collaterals, self._debts, self._nexts = (
            offers[name].tolist() for name in ("fault", "head", "net", "collateral", "debt", "next")
        )
        self._gaining = [
            number
            for number, fault in enumerate(self._faults)
            if fault == layout.DEAL
            and self._heads[number] == number
            and self._nets[number] >= least_wei
            and self._gains(number)
        ]
        self._gaining.sort(key=lambda number: -self._nets[number])

    def proposals(self, *, most: int | None = None) -> list[Proposal]:
        """Return the `most` best transactions, or all that gain, best first."""
        return [self._proposal(number) for number in self._gaining[:most]]

    def refusals(self) -> Iterator[Refusal]:
        """Yield why each position is left alone that no transaction takes which gains."""
        taken = {member for number in self._gaining for member in self._members(number)}
        for number, (book, key, _) in enumerate(self._positions):
            if number not in taken and self._faults[number] != layout.NOTHING:
                yield Refusal(
                    book=book,
                    key=key,
                    collateral=self._collaterals[number],
                    debt=self._debts[number],
                    reason=_FAULTS[self._faults[number]],
                )

    def _gains(self, number: int) -> bool:
        record = _Record(self._offers[number].tobytes())
        return record.amount("brought") > record.amount("paid") + record.amount("fee")

    def _members(self, number: int) -> Iterator[int]:
        """Yield the deals that go together under a head, itself first."""
        while number != NOBODY:
            yield number
            number = self._nexts[number]

    def _proposal(self, number: int) -> Proposal:
        record = _Record(self._offers[number].tobytes())
        sale = [leg for path in range(_SALES) for leg in record.path(path)]
        reserve = self._scene.books[self._positions[number].book].spec.reserves[self._debts[number]]
        if reserve.debt is None:
            raise LookupError(f"reserve {reserve.symbol} has no debt")
        return Proposal(
            token=reserve.debt,
            legs=(*map(self._liquidation, self._members(number)), *sale),
            amount_in=record.amount("paid"),
            amount_out=record.amount("brought"),
            gas=record.word("gas"),
            net_wei=self._nets[number],
            loan=self._loan(record),
        )

    def _liquidation(self, number: int) -> Liquidation:
        record, position = _Record(self._offers[number].tobytes()), self._positions[number]
        return Liquidation(
            book=position.book,
            key=position.key,
            collateral=self._collaterals[number],
            debt=self._debts[number],
            amount_in=record.term("repay"),
            amount_out=record.term("seize"),
            offer=record.term("most") if record.word("is_most") else 0,
        )

    def _loan(self, record: _Record) -> Borrowing | None:
        index = record.word("loan")
        if index == NOBODY:
            return None
        return Borrowing(
            offer=self._scene.loans[index], amount=record.amount("paid"), fee=record.amount("fee")
        )


class _Record:
    """One OFFER, as Python reads it."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw

    def word(self, field: str) -> int:
        """Return an integer."""
        return int(_WORD.unpack_from(self._raw, _AT[field])[0])

    def amount(self, field: str) -> int:
        """Return an amount."""
        return self._amount(_AT[field])

    def term(self, field: str) -> int:
        """Return an amount of the position's own terms."""
        return self._amount(_TERM_AT[field])

    def path(self, number: int) -> Iterator[Leg]:
        """Yield the legs of one path of the sale."""
        start = _AT["sale"] + number * PATH.itemsize
        hops, *places = _PATH.unpack_from(self._raw, start)
        at = start + _AMOUNTS_AT
        amounts = [self._amount(at + k * _WIDE) for k in range(hops + 1)] if hops else []
        for k in range(hops):
            yield Leg(
                pool=places[k],
                token_in=places[MAX_HOPS + k],
                token_out=places[2 * MAX_HOPS + k],
                amount_in=amounts[k],
                amount_out=amounts[k + 1],
            )

    def _amount(self, start: int) -> int:
        return int.from_bytes(self._raw[start : start + _WIDE], "little")
