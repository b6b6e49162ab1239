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
from tallyio.model.execution import Borrowing, Leg, Liquidation
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
        self._sold, self._token = _tokens(book, pair.collateral, pair.debt)
        self.fault = NO_PROFIT
        """Why the last amount gave nothing."""

    def deal(self, repay: int) -> Deal | None:
        """Return what repaying `repay` gives, or None; then `fault` says why."""
        terms = self._terms(repay)
        worth = self._scene.native_per_unit(self._token)
        if terms.verdict != LAWFUL:
            self.fault = VERDICTS[terms.verdict]
        elif not worth > 0:
            self.fault = NO_VALUE
        elif self._sold == self._token:
            return self._paid(terms, None, worth)
        elif (sale := self._scene.best_sale(self._sold, self._token, terms.seize)) is None:
            self.fault = NO_SALE
        else:
            return self._paid(terms, sale, worth)
        return None

    def _terms(self, repay: int) -> LiquidationTerms:
        pair = self._pair
        if repay == pair.terms.repay:
            return pair.terms
        return self._book.liquidate(
            pair.key,
            collateral=pair.collateral,
            debt=pair.debt,
            time=self._scene.time,
            number=self._scene.number,
            repay=repay,
        )

    def _paid(self, terms: LiquidationTerms, sale: Sale | None, worth: float) -> Deal | None:
        """Return the deal with what pays for it, or None: nobody does."""
        gas = self._gas + (sale.gas if sale else 0)
        loan = None
        if not self._scene.calls_back[self._pair.book]:
            loan = self._loan(terms.repay, worth, sale)
            if loan is None:
                self.fault = NO_LOAN
                return None
            gas += loan.offer.gas
        brought = sale.amount_out if sale else terms.seize
        profit = brought - terms.repay - (loan.fee if loan else 0)
        return Deal(terms, sale, loan, profit, gas, profit * worth - gas * self._scene.gas_price_wei)

    def _loan(self, amount: int, worth: float, sale: Sale | None) -> Borrowing | None:
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


def _tokens(book: BookView, collateral: int, debt: int) -> tuple[Address, Address]:
    """Return the token that is seized, and the one that is paid."""
    seized, paid = book.spec.reserves[collateral].collateral, book.spec.reserves[debt].debt
    if seized is None or paid is None:
        raise LookupError(
            f"reserves {collateral} and {debt} of {book.spec.venue} are no collateral and no debt"
        )
    return seized, paid


def _worth(scene: Scene, book: BookView, pair: Pair) -> float:
    token = book.spec.reserves[pair.collateral].collateral
    return pair.terms.seize * scene.native_per_unit(token) if token else 0.0


def _proposal(book: BookView, pair: Pair, deal: Deal) -> Proposal:
    _, token = _tokens(book, pair.collateral, pair.debt)
    first = Liquidation(
        book=pair.book,
        key=pair.key,
        collateral=pair.collateral,
        debt=pair.debt,
        amount_in=deal.terms.repay,
        amount_out=deal.terms.seize,
        offer=deal.terms.most if deal.terms is pair.terms else 0,
    )
    legs: tuple[Leg | Liquidation, ...] = (first, *(deal.sale.legs if deal.sale else ()))
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
