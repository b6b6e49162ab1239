"""The slow lane: books that follow the chain, and the strategies in Python that look at them.

Layer: engine. It runs on the event loop, after the market's lane has applied a block and while that waits.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from tallyio.engine.books import Books, Loans
from tallyio.engine.parties import Parties
from tallyio.engine.scout import MOST, Scout, Warms
from tallyio.engine.trades import Lending
from tallyio.hooks.search import BookView, CompiledSearch, Native, Sale, Search, SlowStrategy
from tallyio.market.exports import Progress
from tallyio.market.market import Market
from tallyio.market.router import Router
from tallyio.model.chain import Block, Head, Rollback
from tallyio.model.execution import Leg
from tallyio.model.lending import LoanOffer, PositionKey
from tallyio.model.market import PoolSpec
from tallyio.model.proposal import Proposal, Refusal
from tallyio.model.units import Address
from tallyio.native.jit import own_functions, warm_all

BLOCK_SECONDS: Final = 12
"""How far ahead of a block the next one is expected, as the simulator expects it."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal, and which strategy's it is."""

    strategy: str
    refusal: Refusal


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What the slow strategies made of one block."""

    proposals: tuple[Proposal, ...] = ()
    refused: tuple[Refused, ...] = ()
    """Those that were not told before."""


class SlowLane:
    """The books, the loans, and the `strategies` by name. The engine's task alone uses it."""

    def __init__(
        self,
        market: Market,
        books: Books,
        loans: Loans,
        strategies: Sequence[tuple[str, SlowStrategy]],
        *,
        max_gas: Mapping[str, int],
    ) -> None:
        """`max_gas` is by strategy the most gas that one transaction of it may use."""
        self._market = market
        self._router = Router(market)
        self._load = functools.cache(functools.partial(books.fused.load, through=market.fused.load))
        self._max_gas = max_gas
        self._strategies = tuple(strategies)
        self._told: dict[tuple[str, int, object], str] = {}
        self.books: Final = books
        self.loans: Final = loans
        self._scout: Scout | None = None

    @property
    def lending(self) -> Lending:
        """What liquidations and loans are planned with, as it is now."""
        return Lending(
            books=[held.book.spec for held in self.books],
            protocols=[held.adapter for held in self.books],
            lenders=self.loans.lenders,
        )

    def warm(self, progress: Progress | None = None) -> None:
        """Compile what the strategies have compiled, or load it from the cache."""
        modules = [
            self._load(name)
            for _, strategy in self._strategies
            if isinstance(strategy, CompiledSearch)
            for name in strategy.compiled
        ]
        warm_all(list(own_functions(modules)), progress)

    async def send_ahead(self, simulator: Warms, parties: Parties, head: Head) -> None:
        """Let `simulator` know what plans read of who is near liquidation, now and off the way later on."""
        executor, account = parties.executor, parties.account
        self._scout = Scout(self.books, self.loans, simulator, executor=executor, account=account)
        await self._scout.look(head, block_seconds=BLOCK_SECONDS, most=MOST)

    async def apply(self, block: Block) -> None:
        """Bring the books to `block`."""
        await self.books.apply(block)

    async def roll_back(self, event: Rollback) -> None:
        """Undo the dropped blocks in the books."""
        await self.books.roll_back(event)

    async def renew(self, head: Head) -> None:
        """Ask what can be borrowed, and look ahead; off the way of opportunities. Raises: ChainError."""
        await self.loans.ask(head)
        if self._scout is not None:
            await self._scout.look(head, block_seconds=BLOCK_SECONDS)

    def search(self, head: Head, gas_price_wei: int) -> Seen:
        """Let every strategy look at the state of `head`; stale books look empty to them."""
        proposals: list[Proposal] = []
        refused: list[Refused] = []
        standing: dict[tuple[str, int, object], str] = {}
        for name, search in self._searches(head, gas_price_wei, [held.is_stale for held in self.books]):
            proposals += [msgspec.structs.replace(each, strategy=name) for each in search.proposals]
            for refusal in search.refusals:
                mark = name, refusal.book, refusal.key
                standing[mark] = refusal.reason
                if self._told.get(mark) != refusal.reason:
                    refused.append(Refused(strategy=name, refusal=refusal))
        self._told = standing
        return Seen(proposals=tuple(proposals), refused=tuple(refused))

    def search_supposing(
        self, head: Head, gas_price_wei: int, supposed: Collection[int]
    ) -> tuple[Proposal, ...]:
        """Let every strategy look at the books `supposed`, by number, as they stand now; others look empty.

        Nothing is told of what is left alone: it may never come so.
        """
        hidden = [held.is_stale or number not in supposed for number, held in enumerate(self.books)]
        return tuple(
            msgspec.structs.replace(each, strategy=name)
            for name, search in self._searches(head, gas_price_wei, hidden)
            for each in search.proposals
        )

    def _searches(
        self, head: Head, gas_price_wei: int, hidden: Sequence[bool]
    ) -> Iterator[tuple[str, Search]]:
        """Yield what each strategy makes of the state; the books `hidden` look empty."""
        self._router.refresh()
        native = Native(
            load=self._load,
            market=self._market.address,
            router=self._router.address,
            tokens=self._market.shape.token_ids,
        )
        for name, strategy in self._strategies:
            scene = _Scene(
                self._market,
                self._router,
                self.books,
                self.loans,
                native,
                head,
                hidden=hidden,
                gas_price_wei=gas_price_wei,
                max_gas=self._max_gas[name],
            )
            yield name, strategy.search(scene)


class _Scene:
    """See `tallyio.hooks.search.Scene`."""

    def __init__(  # noqa: PLR0913 - what there is to see, each once
        self,
        market: Market,
        router: Router,
        books: Books,
        loans: Loans,
        native: Native,
        head: Head,
        *,
        hidden: Sequence[bool],
        gas_price_wei: int,
        max_gas: int,
    ) -> None:
        self._market = market
        self._router = router
        self.native: Final = native
        self.head: Final = head
        self.time: Final = head.timestamp + BLOCK_SECONDS
        self.number: Final = head.number + 1
        self.gas_price_wei: Final = gas_price_wei
        self.max_gas: Final = max_gas
        # A number stays that of its book, so a hidden one keeps its place, with nothing in it.
        self.books: Final[Sequence[BookView]] = [
            _NothingAtRisk(held.book) if is_hidden else held.book
            for held, is_hidden in zip(books, hidden, strict=True)
        ]
        self.calls_back: Final = [held.adapter.can_call_back(held.book.spec) for held in books]
        self.is_independent: Final = [held.adapter.compiled.is_independent for held in books]
        self.loans: Final[Sequence[LoanOffer]] = loans.offers

    @property
    def pools(self) -> Sequence[PoolSpec]:
        """The pools, by id."""
        return self._market.shape.pools

    def best_sale(
        self, sold: Address, bought: Address, amount: int, *, without: Sequence[int] = ()
    ) -> Sale | None:
        """Return the swaps that bring most of `bought` for `amount`, or None."""
        known = self._market.shape.token_ids
        if sold not in known or bought not in known:
            return None
        path = self._router.best_path(sold, bought, amount, without=without)
        if path is None:
            return None
        legs = tuple(
            Leg(
                pool=hop.pool,
                token_in=hop.i,
                token_out=hop.j,
                amount_in=hop.amount_in,
                amount_out=hop.amount_out,
            )
            for hop in path.hops
        )
        return Sale(legs=legs, amount_out=path.amount_out, gas=path.gas)

    def native_per_unit(self, token: Address) -> float:
        """Return what one smallest unit of `token` is worth in wei of the native currency; 0: unknown."""
        known = self._market.shape.token_ids.get(token)
        return 0.0 if known is None else float(self._market.prices.native_per_unit[known])


class _NothingAtRisk:
    """A book that is not to be looked at, such as one that is out of date: nobody is at risk in it."""

    def __init__(self, book: BookView) -> None:
        self.spec: Final = book.spec
        self.position: Final = book.position
        self.health: Final = book.health
        self.liquidate: Final = book.liquidate
        self.address_of: Final = book.address_of
        self.rows_address: Final = book.rows_address

    def at_risk(self, time: int, number: int) -> list[PositionKey]:  # noqa: ARG002 - whatever the time
        """Return nobody."""
        return []
