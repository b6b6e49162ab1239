"""Choose what to repay and what to take for it, of every position that can be liquidated.

For each position every pair of collateral and debt is asked for the most that is lawful. The pair that pays
best is sized; the collateral is sold for the debt's token on the market's best path, and the debt is paid
with the cheapest loan, or with the collateral itself where the book hands it over first. Everything is exact
on the state of the block but gas and the native value of the profit, which rank it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.search import BookView, Sale, Scene, Search
from tallyio.lending.abi import LAWFUL, VERDICTS
from tallyio.lending.loans import choose_loan
from tallyio.model.execution import Borrowing, Liquidation
from tallyio.model.lending import LiquidationTerms, PositionKey
from tallyio.model.proposal import Proposal, Refusal
from tallyio.model.units import Address
from tallyio_strategy_liquidation.settings import read_settings
from tallyio_strategy_liquidation.sizing import Sized, best_amount

NO_SALE = "no path in the market sells the collateral"
NO_LOAN = "nobody lends what has to be paid"
NO_VALUE = "what the debt's token is worth is not known"
NO_PROFIT = "it would cost more than it brings"


class Pair(NamedTuple):
    """One way to liquidate a position."""

    book: int
    key: PositionKey
    collateral: int
    debt: int
    terms: LiquidationTerms
    """Of the most that is lawful."""


class Deal(NamedTuple):
    """What one amount gives."""

    terms: LiquidationTerms
    sale: Sale | None
    """None: collateral and debt are the same token."""
    loan: Borrowing | None
    profit: int
    gas: int
    net_wei: float


class Liquidations:
    """See `tallyio.hooks.search.SlowStrategy`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[strategies.liquidation]` table. Raises: ConfigError."""
        self._settings = read_settings(settings)

    def search(self, scene: Scene) -> Search:
        """Return a proposal or a refusal for every position that can be liquidated."""
        proposals: list[Proposal] = []
        refusals: list[Refusal] = []
        for number, book in enumerate(scene.books):
            for key in book.at_risk(scene.time, scene.number):
                outcome = self._position(scene, number, book, key)
                if isinstance(outcome, Proposal):
                    proposals.append(outcome)
                elif outcome is not None:
                    refusals.append(outcome)
        proposals.sort(key=lambda each: -each.net_wei)
        return Search(proposals=tuple(proposals[: self._settings.top_k]), refusals=tuple(refusals))

    def _position(
        self, scene: Scene, number: int, book: BookView, key: PositionKey
    ) -> Proposal | Refusal | None:
        pairs = list(self._pairs(scene, number, book, key))
        lawful = [pair for pair in pairs if pair.terms.verdict == LAWFUL]
        if not lawful:
            return _refusal(pairs[0], VERDICTS[pairs[0].terms.verdict]) if pairs else None
        best: tuple[Pair, Sized[Deal]] | None = None
        fault = NO_PROFIT
        for pair in lawful:
            bargain = _Bargain(scene, book, pair, self._settings.liquidation_gas + self._settings.plan_gas)
            sized = best_amount(bargain.deal, pair.terms.repay)
            if sized is None:
                fault = bargain.fault
            elif best is None or sized.gain.net_wei > best[1].gain.net_wei:
                best = pair, sized
        if best is None:
            return _refusal(lawful[0], fault)
        pair, (_, deal) = best
        if deal.profit <= 0 or deal.net_wei < self._settings.min_profit_wei:
            return _refusal(pair, NO_PROFIT)
        return _proposal(book, pair, deal)

    def _pairs(self, scene: Scene, number: int, book: BookView, key: PositionKey) -> Iterator[Pair]:
        """Yield the pairs of reserves, those first that give most for the most that is lawful."""
        position = book.position(key)
        if position is None:
            return
        reserves = book.spec.reserves
        debts = [b.reserve for b in position.balances if b.debt and reserves[b.reserve].debt]
        secured = [b.reserve for b in position.balances if b.collateral and reserves[b.reserve].collateral]
        pairs = [
            Pair(
                number,
                key,
                collateral,
                debt,
                book.liquidate(key, collateral=collateral, debt=debt, time=scene.time, number=scene.number),
            )
            for debt in debts
            for collateral in secured
        ]
        pairs.sort(key=lambda pair: (pair.terms.verdict != LAWFUL, -_worth(scene, book, pair)))
        yield from pairs[: self._settings.max_pairs]


class _Bargain:
    """Evaluates amounts for one pair of reserves."""

    def __init__(self, scene: Scene, book: BookView, pair: Pair, gas: int) -> None:
        self._scene = scene
        self._book = book
        self._pair = pair
        self._gas = gas
        self._sold = book.spec.reserves[pair.collateral].collateral
        self._token = book.spec.reserves[pair.debt].debt
        self.fault = NO_PROFIT
        """Why the last amount gave nothing."""

    def deal(self, repay: int) -> Deal | None:
        """Return what repaying `repay` gives, or None."""
        scene, pair = self._scene, self._pair
        assert self._sold is not None  # noqa: S101 - `_pairs` looked
        assert self._token is not None  # noqa: S101
        terms = pair.terms
        if repay != terms.repay:
            terms = self._book.liquidate(
                pair.key,
                collateral=pair.collateral,
                debt=pair.debt,
                time=scene.time,
                number=scene.number,
                repay=repay,
            )
        if terms.verdict != LAWFUL:
            return self._none(VERDICTS[terms.verdict])
        worth = scene.native_per_unit(self._token)
        if not worth > 0:
            return self._none(NO_VALUE)
        sale = None
        brought, gas = terms.seize, self._gas
        if self._sold != self._token:
            sale = scene.best_sale(self._sold, self._token, terms.seize)
            if sale is None:
                return self._none(NO_SALE)
            brought, gas = sale.amount_out, gas + sale.gas
        loan = None
        if not scene.calls_back[pair.book]:
            loan = self._loan(terms.repay, worth, sale)
            if loan is None:
                return self._none(NO_LOAN)
            gas += loan.offer.gas
        profit = brought - terms.repay - (loan.fee if loan else 0)
        return Deal(terms, sale, loan, profit, gas, profit * worth - gas * scene.gas_price_wei)

    def _loan(self, amount: int, worth: float, sale: Sale | None) -> Borrowing | None:
        assert self._token is not None  # noqa: S101 - `_pairs` looked
        locked: set[Address] = set()
        for leg in sale.legs if sale else ():
            pool = self._scene.pools[leg.pool]
            locked |= {pool.address, *(source.address for source in pool.sources)}
        return choose_loan(
            self._scene.loans,
            self._token,
            amount,
            native_per_unit=worth,
            gas_price_wei=self._scene.gas_price_wei,
            locked=locked,
        )

    def _none(self, fault: str) -> None:
        self.fault = fault


def _worth(scene: Scene, book: BookView, pair: Pair) -> float:
    token = book.spec.reserves[pair.collateral].collateral
    return pair.terms.seize * scene.native_per_unit(token) if token else 0.0


def _proposal(book: BookView, pair: Pair, deal: Deal) -> Proposal:
    token = book.spec.reserves[pair.debt].debt
    assert token is not None  # noqa: S101 - `_pairs` looked
    first = Liquidation(
        book=pair.book,
        key=pair.key,
        collateral=pair.collateral,
        debt=pair.debt,
        amount_in=deal.terms.repay,
        amount_out=deal.terms.seize,
    )
    legs = (first, *(deal.sale.legs if deal.sale else ()))
    return Proposal(
        token=token,
        legs=legs,
        amount_in=deal.terms.repay,
        amount_out=legs[-1].amount_out,
        gas=deal.gas,
        net_wei=deal.net_wei,
        loan=deal.loan,
    )


def _refusal(pair: Pair, reason: str) -> Refusal:
    return Refusal(book=pair.book, key=pair.key, collateral=pair.collateral, debt=pair.debt, reason=reason)
