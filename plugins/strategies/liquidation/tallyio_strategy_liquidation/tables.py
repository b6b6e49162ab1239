"""A scene as the compiled search reads it: what changes with every block, and what is kept until it does.

Tokens and books change when a book is discovered afresh, loans when the lenders were asked again; the rest
of a block is a handful of numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from tallyio.hooks.search import Scene
from tallyio.model.lending import BookSpec, LoanOffer, PositionKey
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tallyio.native.pointers import address_of
from tallyio_strategy_liquidation.layout import (
    BOOK,
    LOAN,
    NO_SIDE,
    NOT_TRADED,
    OFFER,
    PAIR,
    PRICE,
    PRICES,
    SCENE,
    SIZING,
)
from tallyio_strategy_liquidation.settings import Settings

PRICING: Final = "tallyio_strategy_liquidation.pricing"
"""What is built on pools and protocols."""

_ADDENDS: Final[Mapping[str, Callable[[int], int]]] = {
    "down": lambda _: 0,
    "half_up": lambda d: d // 2,
    "up": lambda d: d - 1,
}
_MOST_WORD: Final = (1 << 63) - 1
_MOST: Final = (1 << 256) - 1
_FIRST_ROOM: Final = 64


class AtRisk(NamedTuple):
    """A position to decide."""

    book: int
    key: PositionKey
    address: int


class Tables:
    """The records of `layout` for one scene after the other; `address` is that of the SCENE."""

    # Guarantees
    # - Every address in the records points into a region that is held here, or into the scene's own.

    def __init__(self, settings: Settings) -> None:
        self._held: dict[str, Region] = {}
        self._scene: Any = self._fill("scene", np.zeros(1, SCENE))[0]
        self.address: Final = self._held["scene"].address
        for field in ("liquidation_gas", "plan_gas", "max_pairs", "max_batch"):
            self._scene[field] = getattr(settings, field)
        self._keep("pairs", np.zeros(settings.max_pairs, PAIR))
        self._keep("trial", np.zeros(1, OFFER))
        self._keep("sizing", np.zeros(1, SIZING))
        self._keep("prices", np.zeros(PRICES, PRICE))
        self._room = 0
        self._offers: npt.NDArray[Any] = np.zeros(0, OFFER)
        self._books: tuple[object, ...] = ()
        self._loans: Sequence[LoanOffer] | None = None
        self._order: list[int] = []
        self._lenders: dict[Address, int] = {}
        self._pricing: Any = None
        self._market, self._locked = 0, 0

    def fill(self, scene: Scene, positions: Sequence[AtRisk]) -> npt.NDArray[Any]:
        """Write `scene`, and return an OFFER for each of `positions`, for the search to decide."""
        record, native = self._scene, scene.native
        record["router"], record["market"] = native.router, native.market
        record["time"], record["number"] = scene.time, scene.number
        record["gas_price"], record["max_gas"] = scene.gas_price_wei, scene.max_gas
        pricing = native.load(PRICING)
        if pricing is not self._pricing:
            record["ask"], record["price"] = address_of(pricing.ask), address_of(pricing.price_offer)
            record["read_price"] = address_of(pricing.read_price)
            self._pricing = pricing
        is_other = native.market != self._market
        books = tuple((book.rows_address, id(book.spec)) for book in scene.books)
        if is_other or books != self._books:
            self._take_books(scene)
            self._books = books
        if is_other or self._loans is None or not _are_alike(scene.loans, self._loans):
            self._take_loans(scene)
        elif scene.loans is not self._loans:
            self._take_amounts(scene.loans)
        self._loans = scene.loans
        self._market = native.market
        return self._take_positions(positions)

    def _take_positions(self, positions: Sequence[AtRisk]) -> npt.NDArray[Any]:
        count = len(positions)
        if count > self._room:
            self._room = max(_FIRST_ROOM, 2 * count)
            self._offers = self._fill("offers", np.zeros(self._room, OFFER))
            self._keep("order", np.zeros(self._room, "i8"))
            self._keep("heads", np.zeros(self._room, "i8"))
        offers = self._offers[:count]
        offers["position"] = [each.address for each in positions]
        offers["book"] = [each.book for each in positions]
        return offers

    def _take_books(self, scene: Scene) -> None:
        records = np.zeros(len(scene.books), BOOK)
        for number, book in enumerate(scene.books):
            tokens = self._fill(f"tokens {number}", _tokens(book.spec, scene))
            records[number] = (
                book.rows_address,
                tokens.ctypes.data,
                scene.calls_back[number],
                scene.is_independent[number],
            )
        self._keep("books", records)

    def _take_loans(self, scene: Scene) -> None:
        """Keep the loans by token, those of one by address: of equal costs the lower one lends."""
        tokens, offers = scene.native.tokens, scene.loans
        known = [n for n, each in enumerate(offers) if each.token in tokens and _fits(each)]
        known.sort(key=lambda n: (tokens[offers[n].token], offers[n].lender))
        lenders = {each.lender: number for number, each in enumerate(offers)}
        records = np.zeros(len(known), LOAN)
        for record, n in zip(records, known, strict=True):
            offer = offers[n]
            record["numerator"], record["denominator"] = offer.fee_numerator, offer.fee_denominator
            record["addend"] = _ADDENDS[offer.fee_rounds](offer.fee_denominator)
            record["gas"], record["lender"], record["index"] = offer.gas, lenders[offer.lender], n
        of = np.array([tokens[offers[n].token] for n in known], "i8")
        self._keep("loans", records)
        self._order = known
        self._take_amounts(offers)
        self._keep("loans_at", np.searchsorted(of, np.arange(len(tokens) + 1)).astype("i8"))
        if lenders != self._lenders or scene.native.market != self._locked:
            self._take_locks(scene, lenders)

    def _take_amounts(self, offers: Sequence[LoanOffer]) -> None:
        """Write how much each offer has: of most blocks that is all that is new."""
        amounts = b"".join(min(offers[n].available, _MOST).to_bytes(32, "little") for n in self._order)
        records = self._held["loans"].view(LOAN, len(self._order))
        records["available"] = np.frombuffer(amounts, "u8").reshape(-1, 4)

    def _take_locks(self, scene: Scene, lenders: dict[Address, int]) -> None:
        """Keep for each pool which lenders cannot lend while it is traded: itself, or its vault."""
        self._lenders, self._locked = lenders, scene.native.market
        locks = [
            sorted({lenders[each] for each in (pool.address, *_vaults(pool)) if each in lenders})
            for pool in scene.pools
        ]
        self._keep("locks_at", np.cumsum([0, *map(len, locks)]).astype("i8"))
        self._keep("locks", np.array([lender for each in locks for lender in each], "i8"))

    def _keep(self, name: str, values: npt.NDArray[Any]) -> None:
        """Hold `values`, and write where in the scene."""
        self._fill(name, values)
        self._scene[name] = self._held[name].address

    def _fill(self, name: str, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        region = self._held[name] = Region(max(1, values.nbytes))
        view = region.view(values.dtype, len(values))
        view[:] = values
        return view


def _tokens(spec: BookSpec, scene: Scene) -> npt.NDArray[np.int64]:
    """Return for each reserve the token ids of its collateral and its debt."""
    known = scene.native.tokens
    sides = [side for reserve in spec.reserves for side in (reserve.collateral, reserve.debt)]
    return np.array([NO_SIDE if side is None else known.get(side, NOT_TRADED) for side in sides], "i8")


def _vaults(pool: PoolSpec) -> list[Address]:
    return [source.address for source in pool.sources]


def _are_alike(offers: Sequence[LoanOffer], others: Sequence[LoanOffer]) -> bool:
    """Return whether two sequences of offers differ in amounts at most."""
    return len(offers) == len(others) and all(
        one is other or msgspec.structs.replace(one, available=other.available) == other
        for one, other in zip(offers, others, strict=True)
    )


def _fits(offer: LoanOffer) -> bool:
    """Return whether the numbers of a fee fit the record; any that was seen does."""
    return max(offer.fee_numerator, offer.fee_denominator, offer.gas) <= _MOST_WORD
