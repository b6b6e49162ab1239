"""A plugin's books on an EVM in this process, in native memory too, and an executor that liquidates.

Layer: testing. What the cards of protocols that lend are written with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final, NamedTuple

import trio

from tallyio.engine.allowances import GuardedPacker
from tallyio.hooks.lending import AsksWithBlocks, BookRows, LendingProtocol
from tallyio.lab.steps import BLOCK_SECONDS, Reverted
from tallyio.lending.undo import Changes, Edit
from tallyio.model.chain import Block, Log
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, LiquidationTerms, Position, PositionKey
from tallyio.model.units import Address, checksum
from tallyio.testing.funds import held
from tallyio.testing.loan_book import LoanBook, Moment, Pair
from tallyio.testing.revm_chain import RevmChain
from tallyio.testing.trader import Fund, Trader


class Moved(NamedTuple):
    """What a liquidation really moved, in smallest units; of one token on both sides, the difference."""

    spent: int
    got: int

    @classmethod
    def by(cls, trial: Trial, repay: int, seize: int) -> Moved:
        """Return what these amounts move."""
        sold, bought = trial.tokens
        return cls(repay - seize, seize - repay) if sold == bought else cls(repay, seize)


class Trial(NamedTuple):
    """A liquidation that may be tried."""

    book: LoanBook
    key: PositionKey
    pair: Pair

    @property
    def tokens(self) -> tuple[Address, Address]:
        """What is paid and what is taken. Raises: LookupError: one side has no token."""
        reserves = self.book.spec.reserves
        sold, bought = reserves[self.pair.debt].debt, reserves[self.pair.collateral].collateral
        if sold is None or bought is None:
            raise LookupError(f"{tuple(self.pair)} has no token on one side")
        return sold, bought

    def __str__(self) -> str:
        """Return it for people."""
        reserves = self.book.spec.reserves
        paid, taken = reserves[self.pair.debt].symbol, reserves[self.pair.collateral].symbol
        return (
            f"{checksum(self.key.account)} (part {self.key.part}) in {self.book.spec.venue!r}, "
            f"{paid} paid for {taken}"
        )


class LendingDesk:
    """The books that a protocol found on a chain, and an executor that holds plenty of what is owed."""

    def __init__(self, chain: RevmChain, protocol: LendingProtocol, fund: Fund) -> None:
        """Discover. `fund` gives an account tokens; what it cannot give is done without."""
        self.chain: Final = chain
        self.protocol = protocol
        self.hot: Any = import_module(protocol.compiled.module)
        self.trader: Final = Trader(chain)
        self.specs = self.discover()
        reserves = [reserve for spec in self.specs for reserve in spec.reserves]
        self.trader.enrich((reserve.debt for reserve in reserves if reserve.debt is not None), fund)

    # --- what the adapter reads, as of the head

    def discover(self) -> list[BookSpec]:
        """Return the books."""
        return trio.run(lambda: self.protocol.discover(self.chain, block=self.chain.latest))

    def rows(self, spec: BookSpec) -> BookRows:
        """Return a book's rows."""
        return trio.run(lambda: self.protocol.load(self.chain, spec, block=self.chain.latest))

    def accounts(self, spec: BookSpec) -> list[PositionKey]:
        """Return who may owe."""
        return list(trio.run(lambda: self.protocol.accounts(self.chain, spec, block=self.chain.latest)))

    def positions(self, spec: BookSpec, keys: Sequence[PositionKey]) -> list[Position]:
        """Return positions."""
        return trio.run(lambda: self.protocol.positions(self.chain, spec, keys, block=self.chain.latest))

    def load(self) -> list[LoanBook]:
        """Return all books with all their positions."""
        return [self._load(spec) for spec in self.specs]

    def _load(self, spec: BookSpec) -> LoanBook:
        book = LoanBook(self.hot, self.protocol.compiled, spec, self.rows(spec))
        for position in self.positions(spec, sorted(self.accounts(spec))):
            book.put(position)
        return book

    # --- blocks

    @property
    def soon(self) -> Moment:
        """The block after the head."""
        head = self.chain.latest
        return Moment(head.timestamp + BLOCK_SECONDS, head.number + 1)

    @contextmanager
    def next_block(self) -> Iterator[Moment]:
        """Go on in a new block, and forget at the end what happened; yields which block it is."""
        at = self.soon
        with self.chain.backend.undone():
            self.chain.backend.block(())
            yield at

    def follow(self, book: LoanBook, block: Block) -> LoanBook:
        """Bring a book to the end of `block`, the head, as the engine does; return it, or its successor."""
        changes = Changes(block=block.head.hash, parent=block.head.parent_hash)
        edit = Edit(book, changes, block.head)
        topics = list(self.protocol.topics)
        for log in block.logs:
            if log.topics and log.topics[0] in topics and _is_of(book.spec, log):
                self.protocol.follow(edit, book.spec, topics.index(log.topics[0]), log)
        if isinstance(self.protocol, AsksWithBlocks):
            questions = self.protocol.questions(book.spec)
            self.protocol.answered(edit, book.spec, trio.run(lambda: self.chain.call(questions)))
        wanted = edit.wanted
        if wanted.rebuild:
            self.specs = self.discover()
            return next(each for each in self.load() if each.spec.address == book.spec.address)
        if wanted.rows or self.protocol.polls(book.spec):
            book.put_rows(self.rows(book.spec))
        for position in self.positions(book.spec, sorted(wanted.positions)):
            book.put(position)
        return book

    # --- liquidations

    def attempt(
        self, trial: Trial, repay: int, seize: int, *, offer: int = 0, inner: tuple[Call, ...] = ()
    ) -> Moved | None:
        """Let the executor make the adapter's calls in the head, and undo it; None: they revert.

        Raises: UnsafeRefused: the calls leave an allowance. PluginError: the adapter refuses.
        """
        with self.chain.backend.undone():
            return self.liquidate(trial, repay, seize, offer=offer, inner=inner)

    def liquidate(
        self, trial: Trial, repay: int, seize: int, *, offer: int = 0, inner: tuple[Call, ...] = ()
    ) -> Moved | None:
        """As `attempt`, and let it stay."""
        packed = self._packed(trial, repay, seize, offer or repay, inner)
        sold, bought = trial.tokens
        before = self.trader.held(sold), self.trader.held(bought)
        try:
            self.trader.make(packed)
        except Reverted:
            return None
        return Moved(before[0] - self.trader.held(sold), self.trader.held(bought) - before[1])

    def passes_on(self, trial: Trial, terms: LiquidationTerms, friend: Address) -> int:
        """Return what `friend` got of the collateral, passed on before the debt was paid; 0: it reverts."""
        _, bought = trial.tokens
        with self.chain.backend.undone():
            self.trader.empty(bought)
            gift = transfer(bought, friend, terms.seize)
            self.liquidate(trial, terms.repay, terms.seize, inner=(gift,))
            return held(self.chain, bought, friend)

    def can_pay(self, trial: Trial, amount: int) -> bool:
        """Return whether the executor has so much of what is owed."""
        return self.trader.holds(trial.tokens[0]) >= amount

    def _packed(self, trial: Trial, repay: int, seize: int, offer: int, inner: tuple[Call, ...]) -> bytes:
        packer = GuardedPacker({(trial.tokens[0], repay)})
        calls = self.protocol.liquidate(
            trial.book.spec,
            trial.key,
            collateral=trial.pair.collateral,
            debt=trial.pair.debt,
            repay=repay,
            offer=offer,
            seize=seize,
            recipient=self.trader.address,
            inner=inner,
            encode=packer.pack,
        )
        return packer.pack_all(calls)


def _is_of(spec: BookSpec, log: Log) -> bool:
    return any(
        log.address == source.address and (not source.topic1 or source.topic1 in log.topics[1:2])
        for source in spec.log_sources
    )
