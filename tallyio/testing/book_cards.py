"""What an author tells the cards of a protocol that lends, and what they are written with.

Layer: testing.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final

import msgspec

from tallyio.hooks.contract import Kind
from tallyio.lab.steps import Transaction
from tallyio.lab.world import OPERATOR
from tallyio.lending import abi
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LiquidationTerms, PositionKey
from tallyio.model.units import Address
from tallyio.testing.cards import Cards
from tallyio.testing.funds import give
from tallyio.testing.lending_desk import LendingDesk, Moved, Trial
from tallyio.testing.loan_book import ALL, LoanBook, Moment
from tallyio.testing.revm_chain import RevmChain

_EACH_VERDICT: Final = 4
"""How many refusals of one verdict are tried, in a state."""
_LEAST_SEIZED: Final = 1
"""What is asked of a liquidation that should be refused."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What the contract says of a position; what it does not say is None, and is not compared."""

    status: int
    """`HEALTHY` or `LIQUIDATABLE` of `tallyio.lending.abi`, or `UNKNOWN`: it reverts."""
    debt: int | None = None
    """In the unit of the compiled `health`."""
    surplus: int | None = None
    """What counts against the debt, less the debt, in that unit; negative: a shortfall."""
    factor: int | None = None
    """In 1e-18."""


class BookCards(Cards):
    """What the author overrides, and the states and liquidations that `LendingCards` are made of."""

    kind: ClassVar[Kind] = "protocol"

    trials: ClassVar[int] = 12
    """How many positions are judged, and liquidations tried, in each state."""
    seed: ClassVar[int] = 1
    """Of the choice among them: two runs try the same."""

    def chain(self) -> RevmChain:
        """Return a fresh chain; by default the lab's world. Called once for all cards."""
        return RevmChain()

    def settings(self, chain: RevmChain) -> Mapping[str, object]:
        """Deploy a book with positions, unless it is there; return the plugin's settings table."""
        raise NotImplementedError

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> Sequence[Sequence[Call]]:
        """Return blocks of calls, made by `tallyio.lab.world.OPERATOR`, that change the books.

        Prices that fall, until somebody can be liquidated; then whatever else there is to follow, such as
        deposits, pauses and new terms. After each block everything is compared with the contract.
        """
        raise NotImplementedError

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Return what the contract says of a position's health as of the head.

        By a view, or by whether it lets somebody liquidate; whatever is done to the chain is undone.
        """
        raise NotImplementedError

    def fund(self, chain: RevmChain, token: Address, account: Address, amount: int) -> None:
        """Give `account` so much of `token` more.

        By default as the lab's token has it, `mint(address,uint256)`, or by a deposit into the chain's
        wrapped native token. What cannot be given is not paid with.
        """
        give(chain, token, account, amount)

    def known_exception(self, book: BookSpec, key: PositionKey) -> str:
        """Return the name of the documented exception that this position is; "": none."""
        return ""

    # --- what the cards stand on ---------------------------------------------------------------

    @property
    def desk(self) -> LendingDesk:
        """The author's books, and an executor that liquidates; made once for all cards."""
        return self.once("desk", self._make_desk)

    def _make_desk(self) -> LendingDesk:
        chain = self.chain()
        settings = self.settings(chain)
        return LendingDesk(chain, self.host.lending(self.plugin, settings), self.fund)

    # --- states --------------------------------------------------------------------------------

    def _states(self) -> Iterator[tuple[list[LoanBook], Moment]]:
        """Yield the books as they are first and after each change, and the next block, which is the head.

        What is read is as of the block before, so that interest is projected to the head.
        """
        desk = self.desk
        with desk.chain.backend.undone():
            for calls in ((), *self.changes(desk.chain, desk.specs)):
                self._make(calls)
                books = desk.load()
                with desk.next_block() as at:
                    yield books, at

    def _make(self, calls: Sequence[Call]) -> None:
        if calls:
            made = tuple(Transaction(sender=OPERATOR, call=call) for call in calls)
            self.desk.chain.backend.block(made)

    def _positions_of(self, books: Sequence[LoanBook]) -> list[tuple[LoanBook, PositionKey]]:
        """Return all positions but documented exceptions."""
        return [
            (book, key) for book in books for key in book.keys if not self.known_exception(book.spec, key)
        ]

    def _some[T](self, things: Sequence[T], count: int) -> list[T]:
        """Return so many of things, the same ones with every run."""
        return random.Random(self.seed).sample(things, min(count, len(things)))

    # --- liquidations --------------------------------------------------------------------------

    def _lawful(self, books: Sequence[LoanBook], at: Moment) -> list[tuple[Trial, LiquidationTerms]]:
        """Return some liquidations that the plugin calls lawful and the executor can pay, at their most."""
        found = [
            (Trial(book, key, pair), terms)
            for book, key in self._positions_of(books)
            for pair in book.pairs(key)
            if (terms := book.liquidate(key, pair, ALL, at)).verdict == abi.LAWFUL
        ]
        return [each for each in self._some(found, self.trials) if self.desk.can_pay(each[0], each[1].most)]

    def _refused(self, books: Sequence[LoanBook], at: Moment) -> Iterator[tuple[Trial, int, int]]:
        """Yield liquidations, offers and why the plugin refuses them: some of each verdict."""
        positions = self._positions_of(books)
        seen: dict[int, int] = {}
        for book, key in self._some(positions, len(positions)):
            for pair in book.pairs(key):
                owed = book.owed(key, pair.debt)
                for offer in (1, owed // 2, owed):
                    verdict = book.liquidate(key, pair, offer, at).verdict
                    if verdict in {abi.LAWFUL, abi.OUT_OF_DOMAIN} or seen.get(verdict, 0) >= _EACH_VERDICT:
                        continue
                    seen[verdict] = seen.get(verdict, 0) + 1
                    yield Trial(book, key, pair), offer, verdict

    def _check_moves(self, trial: Trial, terms: LiquidationTerms, offer: int, *, fix: str) -> None:
        """Compare what `liquidate` said of an offer with what its calls move."""
        moved = self.desk.attempt(trial, terms.repay, terms.seize, offer=min(offer, terms.most))
        said = Moved.by(trial, terms.repay, terms.seize)
        self.require(
            moved == said,
            f"for {trial}, {offer} offered, the contract moves {moved}, the plugin says {said}",
            fix=fix,
        )

    def _check_refused(self, trial: Trial, offer: int, verdict: int, *, fix: str) -> None:
        """See that the contract gives nothing where the plugin refuses."""
        moved = self.desk.attempt(trial, offer, _LEAST_SEIZED) if self.desk.can_pay(trial, offer) else None
        self.require(
            moved is None or moved.got <= 0,
            f"for {trial}, {offer} offered, the plugin says {abi.VERDICTS[verdict]!r}, "
            f"the contract moves {moved}",
            fix=fix,
        )
