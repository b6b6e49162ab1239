"""The cards of a protocol whose positions can be liquidated.

Layer: testing.
"""

from __future__ import annotations

from importlib import import_module
from itertools import zip_longest
from typing import Final

from tallyio.hooks.contract import LENDING
from tallyio.lab.world import account
from tallyio.lending import abi
from tallyio.lending.fusion import EXPORTS
from tallyio.market.exports import Steps, check_exports
from tallyio.model.erc20 import transfer
from tallyio.model.errors import PluginError
from tallyio.model.execution import Call
from tallyio.model.lending import Health, LiquidationTerms, PositionKey
from tallyio.model.units import checksum
from tallyio.native.inspection import allocations
from tallyio.testing.book_cards import BookCards, Judged
from tallyio.testing.cards import card
from tallyio.testing.lending_desk import Moved, Trial
from tallyio.testing.loan_book import ALL, LoanBook

_ROW_UNIT: Final = 64
_FRIEND: Final = account("whom a card pays")
_HEALTH_AS_THERE: Final = "sum up as the contract does, in its order and with its rounding"
_TERMS_AS_THERE: Final = "compute as the contract does, with its rounding, and cut offers where it does"
_VERDICT_AS_THERE: Final = "refuse only what the contract refuses: mend the verdict, or the calls"


class LendingCards(BookCards):
    """The cards of a plugin that builds a `LendingProtocol`: its contract names the capability "lending".

    The author deploys a book with some positions on an EVM in this process, and says how its prices fall;
    the cards then judge and liquidate the positions, and believe the contract in all it does.

    ```python
    class TestConformance(LendingCards):
        plugin = "pawnshop"

        def settings(self, chain):
            return {"books": [deploy(chain)]}

        def changes(self, chain, books):
            return [[post_price(90)], [post_price(60)]]

        def judged(self, chain, book, key):
            return Judged(status=LIQUIDATABLE if is_weak(chain, book, key) else HEALTHY)
    ```
    """

    @card()
    def test_l01_the_contract_names_lending(self) -> None:
        """The contract names the capability "lending", so the engine asks for `tallyio_lending`."""
        self.require(
            LENDING in self.contract.capabilities,
            f"it names {list(self.contract.capabilities)}",
            fix=f"add {LENDING!r} to the capabilities in contract.toml",
        )

    @card()
    def test_l02_discovery_finds_the_books(self) -> None:
        """`discover` finds the author's books, each once, and the same ones when it is asked again."""
        books = self.desk.specs
        self.require(books, "it found none", fix="check `settings` of the cards, and `discover`")
        self.require(
            len({book.address for book in books}) == len(books) and self.desk.discover() == books,
            "it found a book twice, or other books at the same block",
            fix="let `discover` depend on settings and chain only",
        )
        for book in books:
            usable = [each for each in book.reserves if each.collateral or each.debt]
            self.require(
                usable and any(each.debt for each in usable),
                f"{book.venue!r} has the reserves {book.reserves}",
                fix="name the token of each reserve that secures or is lent",
            )

    @card()
    def test_l03_everything_is_read_at_the_given_block(self) -> None:
        """What is loaded is asked for at the block that was given, so that all of it agrees."""
        desk = self.desk
        asked, latest = desk.chain.asked_at, desk.chain.latest
        del asked[:]
        desk.discover()
        desk.load()
        stray = {None if block is None else block.hex() for block in asked if block != latest.hash}
        self.require(not stray, f"it asked at {stray}", fix="pass `block=block.hash` to every `chain.call`")

    @card()
    def test_l04_rows_are_sound(self) -> None:
        """`load` gives a book one row of its own and one a reserve, of sizes that are multiples of 64."""
        for book in self.desk.specs:
            rows = self.desk.rows(book)
            sizes = [len(row) for row in (rows.own, *rows.reserves)]
            self.require(
                len(rows.reserves) == len(book.reserves) and not any(size % _ROW_UNIT for size in sizes),
                f"{book.venue!r} has {len(book.reserves)} reserves and rows of {sizes} bytes",
                fix=f"return a row for each reserve, padded to a multiple of {_ROW_UNIT}",
            )
            self.require(
                self.desk.rows(book) == rows,
                "two loads at the same block differ",
                fix="write every byte of a row from what the chain says",
            )

    @card()
    def test_l05_compiled_functions_have_their_signatures(self) -> None:
        """The compiled module defines the functions of the ABI with `hot` and exactly its signatures."""
        plugin = (self.plugin, self.desk.protocol.compiled)
        try:
            check_exports(*plugin, EXPORTS, Steps(0, None), look_at=abi.__name__)
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)

    @card()
    def test_l06_hot_functions_allocate_nothing(self) -> None:
        """The compiled functions take no memory and hold no Python object: they run without the GIL."""
        module = import_module(self.desk.protocol.compiled.module)
        for export in EXPORTS:
            for taken_by in allocations(getattr(module, export.name)):
                self.fail(
                    f"{module.__name__}.{export.name} takes memory by {taken_by}",
                    fix="work on rows by addresses, and on the stack: no array, list, set or text",
                )

    @card()
    def test_l07_positions_are_found_and_told_in_order(self) -> None:
        """`accounts` finds who owes, and `positions` answers each in order, in reserves of the book."""
        for book in self.desk.specs:
            keys = sorted(self.desk.accounts(book))
            self.require(keys, f"{book.venue!r} has no account", fix="let somebody borrow in `settings`")
            found = self.desk.positions(book, keys)
            self.require(
                [position.key for position in found] == keys and found == self.desk.positions(book, keys),
                f"{len(keys)} keys of {book.venue!r} gave other positions, or others the second time",
                fix="answer one position a key, in the order of the keys",
            )
            wrong = [
                position
                for position in found
                for balance in position.balances
                if not 0 <= balance.reserve < len(book.reserves) or balance.collateral < 0 or balance.debt < 0
            ]
            self.require(not wrong, f"it told {wrong[:1]}", fix="number reserves as the book lists them")
            self.require(
                any(balance.debt for position in found for balance in position.balances),
                f"nobody owes in {book.venue!r}",
                fix="let somebody borrow in `settings`, or read debts",
            )

    @card()
    def test_l08_health_is_what_the_contract_says(self) -> None:
        """`health` judges every position as the contract does, and to the unit where it tells amounts."""
        desk, known = self.desk, 0
        for books, at in self._states():
            for book, key in self._some(self._positions_of(books), self.trials):
                health = book.health(key, at)
                with desk.chain.backend.undone():
                    judged = self.judged(desk.chain, book.spec, key)
                known += judged.status != abi.UNKNOWN
                self.require(
                    not (differs := _differences(health, judged)),
                    f"for {checksum(key.account)} in {book.spec.venue!r}, {differs}",
                    fix=_HEALTH_AS_THERE,
                )
        self.require(known, "the contract judged nobody", fix="let somebody borrow in `settings`")

    @card()
    def test_l09_the_search_overlooks_nobody(self) -> None:
        """The margin of `values` and `weight` has the sign of `health`, but for the slack promised."""
        for books, at in self._states():
            for book, key in self._positions_of(books):
                margin, status = book.margin(key, at), book.health(key, at).status
                if margin is None or status == abi.UNKNOWN:
                    continue
                wrong = margin.value if status == abi.LIQUIDATABLE else -margin.value
                self.require(
                    wrong <= margin.slack,
                    f"for {checksum(key.account)} in {book.spec.venue!r}, whose status is {status}, it is "
                    f"{margin.value} with a slack of {margin.slack}",
                    fix="let values and weights multiply to what `health` sums up, or promise more slack",
                )

    @card()
    def test_l10_liquidations_take_and_give_what_was_said(self) -> None:
        """What `liquidate` calls lawful the contract does, by the adapter's calls and to the last unit."""
        tried = 0
        for books, at in self._states():
            for trial, most in self._lawful(books, at):
                for offer in (ALL, most.most, most.most // 2, most.most // 7 + 1):
                    terms = trial.book.liquidate(trial.key, trial.pair, offer, at)
                    if terms.verdict == abi.LAWFUL:
                        tried += 1
                        self._check_moves(trial, terms, offer, fix=_TERMS_AS_THERE)
        self.require(tried, "nobody can be liquidated in any state", fix="let prices fall in `changes`")

    @card()
    def test_l11_what_is_refused_the_contract_refuses(self) -> None:
        """Where `liquidate` refuses an offer the contract reverts, or gives nothing for it."""
        for books, at in self._states():
            for trial, offer, verdict in self._refused(books, at):
                self._check_refused(trial, offer, verdict, fix=_VERDICT_AS_THERE)

    @card()
    def test_l12_beyond_the_most_nothing_is_had(self) -> None:
        """One unit beyond `most` is refused or cut to it, and so is one unit more of the collateral."""
        for books, at in self._states():
            for trial, most in self._lawful(books, at):
                more = trial.book.liquidate(trial.key, trial.pair, most.most + 1, at)
                if more.verdict == abi.LAWFUL:
                    self.require(
                        (more.repay, more.seize) == (most.repay, most.seize),
                        f"for {trial}, {most.most} is said to be the most, but a unit more gives {more}",
                        fix="let `most` be what an offer of 2**256 - 1 takes",
                    )
                self._check_no_more(trial, most)

    @card()
    def test_l13_books_that_follow_logs_equal_a_fresh_load(self) -> None:
        """After each change, and a liquidation, whoever owes is judged as in a book that is read afresh."""
        desk = self.desk
        with desk.chain.backend.undone():
            books = desk.load()
            for calls in self.changes(desk.chain, desk.specs):
                self._make(calls)
                books = self._followed(books)
                lawful = self._lawful(books, desk.soon)
                if lawful:
                    (trial, most), *_ = lawful
                    desk.chain.backend.block(())
                    desk.liquidate(trial, most.repay, most.seize, offer=most.most)
                    books = self._followed(books)

    @card()
    def test_l14_a_callback_runs_before_the_debt_is_paid(self) -> None:
        """With `can_call_back` calls run when the collateral has come; without, they are refused."""
        desk, tried = self.desk, 0
        for books, at in self._states():
            for trial, most in self._lawful(books, at):
                tried += 1
                sold, bought = trial.tokens
                if not desk.protocol.can_call_back(trial.book.spec):
                    self._check_refuses_inner(trial, most, transfer(bought, _FRIEND, most.seize))
                elif sold != bought:
                    passed = desk.passes_on(trial, most, _FRIEND)
                    self.require(
                        passed == most.seize,
                        f"for {trial}, {most.seize} seized, {passed} could be passed on",
                        fix="let the protocol call back with `encode((*inner, approval))`",
                    )
        self.require(tried, "nobody can be liquidated in any state", fix="let prices fall in `changes`")

    # --- how it is compared --------------------------------------------------------------------

    def _check_no_more(self, trial: Trial, most: LiquidationTerms) -> None:
        if not self.desk.can_pay(trial, most.most + 1):
            return
        moved = self.desk.attempt(trial, most.most + 1, most.seize + 1)
        said = Moved.by(trial, most.repay, most.seize)
        self.require(
            moved is None or moved.got <= said.got,
            f"for {trial}, a unit beyond {most.most} moves {moved}, more than {said}",
            fix="let `most` be the largest offer that the contract takes",
        )

    def _followed(self, books: list[LoanBook]) -> list[LoanBook]:
        """Return the books as they follow the head, which must equal a fresh load."""
        desk = self.desk
        block = desk.chain.block(desk.chain.backend.number)
        followed = [desk.follow(book, block) for book in books]
        for book, fresh in zip(followed, desk.load(), strict=True):
            for key in fresh.keys:
                if any(fresh.owed(key, number) for number in range(len(fresh.spec.reserves))):
                    self._check_same(book, fresh, key, block.head.number)
        return followed

    def _check_same(self, book: LoanBook, fresh: LoanBook, key: PositionKey, number: int) -> None:
        if book.position(key) is None:
            said = "is not in the book"
        else:
            answers = (list(each.answers(key, self.desk.soon)) for each in (book, fresh))
            pairs = zip_longest(*answers)
            said = next((f"has {one}, read afresh {other}" for one, other in pairs if one != other), "")
        self.require(
            not said,
            f"after block {number}, {checksum(key.account)} in {book.spec.venue!r} {said}",
            fix="follow every event that changes a row or a position, or ask for it to be read again",
        )

    def _check_refuses_inner(self, trial: Trial, most: LiquidationTerms, inner: Call) -> None:
        try:
            self.desk.attempt(trial, most.repay, most.seize, inner=(inner,))
        except PluginError:
            return
        self.fail(
            f"for {trial}, it took calls to run, though `can_call_back` is False",
            fix="refuse `inner` with PluginError, or answer True",
        )


def _differences(health: Health, judged: Judged) -> str:
    """Return in words where health and judgement differ; empty: nowhere."""
    facts = (
        ("status", health.status, judged.status),
        ("debt", health.debt, judged.debt),
        ("surplus", health.collateral - health.debt, judged.surplus),
        ("factor", health.factor, judged.factor),
    )
    wrong = [
        f"the contract's {name} is {there}, the plugin's {here}"
        for name, here, there in facts
        if there is not None and here != there
    ]
    return "; ".join(wrong)
