"""A made-up block for benchmarks and tests: positions at risk, loans, and pools, in real native memory.

The protocols are those of `bench_hot`; a market, a book, and what the engine makes of them are the real ones.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.hooks.lending import BookRows, CompiledLending
from tallyio.hooks.search import BookView, Native, Sale
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head as MarketHead
from tallyio.market.market import Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Head
from tallyio.model.execution import Leg
from tallyio.model.lending import Balance, BookSpec, LoanOffer, Position, PositionKey, ReserveSpec
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash, Wei

UNIT: Final = 10**18
BLOCK: Final = Hash(bytes(32))
GAS_PRICE_WEI: Final = 10**9
_MODULE: Final = "tallyio_strategy_liquidation.bench_hot"
_POOLS: Final = CompiledProtocol(module=_MODULE)
_BOOKS: Final = CompiledLending(module=_MODULE)
_TOPICS: Final = (bytes(32),)


def token(number: int) -> Address:
    """Return the address of token `number`; all cost the same, and 0 is the native one."""
    return Address((number + 1).to_bytes(20, "big"))


@functools.cache
def _fused() -> tuple[Fused, FusedLending]:
    return fuse([("made up", _POOLS)]), fuse_lending([("made up", _BOOKS)])


def fusions() -> tuple[Fused, FusedLending]:
    """Return the two fusions of the made-up protocols; made anew when others took their place."""
    if not all(each.is_current() for each in _fused()):
        _fused.cache_clear()
    return _fused()


class MadeUpScene:
    """See `tallyio.hooks.search.Scene`."""

    def __init__(  # noqa: PLR0913 - what differs between scenes
        self,
        market: Market,
        books: Sequence[Book],
        fused: FusedLending,
        loans: Sequence[LoanOffer],
        *,
        calls_back: bool,
        is_independent: bool,
        gas_price_wei: int,
        max_gas: int,
    ) -> None:
        self.head: Final = Head(
            number=1,
            hash=BLOCK,
            parent_hash=BLOCK,
            timestamp=1,
            base_fee_wei=Wei(1),
            gas_used=0,
            gas_limit=1,
            logs_bloom=b"",
        )
        self.time, self.number, self.gas_price_wei, self.max_gas = 13, 2, gas_price_wei, max_gas
        self.books: Final[Sequence[BookView]] = books
        self.calls_back: Final = [calls_back] * len(books)
        self.is_independent: Final = [is_independent] * len(books)
        self.loans: Final = tuple(loans)
        self.pools: Final = market.shape.pools
        self.market: Final = market
        market.router.refresh()
        self.native: Final = Native(
            load=functools.cache(functools.partial(fused.load, through=market.fused.load)),
            market=market.address,
            router=market.router.address,
            tokens=market.shape.token_ids,
        )

    def best_sale(
        self, sold: Address, bought: Address, amount: int, *, without: Sequence[int] = ()
    ) -> Sale | None:
        """Return what the best path pays."""
        path = self.market.router.best_path(sold, bought, amount, without=without) if amount else None
        if path is None:
            return None
        legs = tuple(
            Leg(pool=pool, token_in=i, token_out=j, amount_in=given, amount_out=brought)
            for pool, i, j, given, brought in path.hops
        )
        return Sale(legs=legs, amount_out=path.amount_out, gas=path.gas)

    def native_per_unit(self, token: Address) -> float:
        """Return the market's price."""
        number = self.market.shape.token_ids.get(token)
        return 0.0 if number is None else float(self.market.prices.native_per_unit[number])


@contextmanager
def open_scene(  # noqa: PLR0913 - what differs between scenes
    books: Sequence[Sequence[Position]],
    depths: Sequence[tuple[int, int, int]],
    *,
    reserves: int = 4,
    lends: bool = True,
    calls_back: bool = False,
    is_independent: bool = True,
    gas_price_wei: int = GAS_PRICE_WEI,
    max_gas: int = 10_000_000,
) -> Iterator[MadeUpScene]:
    """Yield a scene with a book of each list of positions, and a pool of each (token, token, depth)."""
    fused, lending = fusions()
    pools = [_pool(number, one, other) for number, (one, other, _) in enumerate(depths)]
    rows = [depth.to_bytes(16, "little") * 2 + bytes(32) for *_, depth in depths]
    holding = Holding(
        protocol="made up", compiled=_POOLS, topics=_TOPICS, pools=tuple(pools), rows=tuple(rows)
    )
    loans = [_offer(token(number)) for number in range(reserves)] if lends else []
    with Market(fused, [holding], MarketHead(BLOCK, 0), native=token(0)) as market:
        market.refresh_prices()
        held = [_book(lending, number, each, reserves) for number, each in enumerate(books)]
        try:
            yield MadeUpScene(
                market,
                held,
                lending,
                loans,
                calls_back=calls_back,
                is_independent=is_independent,
                gas_price_wei=gas_price_wei,
                max_gas=max_gas,
            )
        finally:
            for book in held:
                book.close()


def every_pair(depth: int, reserves: int = 4) -> list[tuple[int, int, int]]:
    """Return a pool of `depth` between any two tokens."""
    return [(one, other, depth) for other in range(reserves) for one in range(other)]


def position(number: int, *balances: tuple[int, int, int]) -> Position:
    """Return a position of (reserve, collateral, debt)."""
    return Position(
        key=PositionKey(token(10_000 + number)),
        balances=tuple(Balance(reserve=r, collateral=c, debt=d) for r, c, d in balances if c or d),
    )


def positions(count: int) -> list[Position]:
    """Return positions of two collaterals and two debts each, of sizes from 1 to `count` units."""
    return [
        position(
            number,
            (0, 3 * number * UNIT, 0),
            (1, number * UNIT, 0),
            (2, 0, 2 * number * UNIT),
            (3, 0, 2 * number * UNIT),
        )
        for number in range(1, count + 1)
    ]


def _pool(number: int, one: int, other: int) -> PoolSpec:
    address = Address((1_000 + number).to_bytes(20, "big"))
    tokens = (token(one), token(other))
    return PoolSpec(address=address, tokens=tokens, venue="made up", fee_pips=3_000, can_flash=False)


def _book(fused: FusedLending, number: int, held: Sequence[Position], reserves: int) -> Book:
    spec = BookSpec(
        address=token(90 + number),
        venue="made up",
        reserves=tuple(
            ReserveSpec(symbol=f"T{each}", collateral=token(each), debt=token(each))
            for each in range(reserves)
        ),
        log_sources=(),
    )
    rows = BookRows(own=bytes(64), reserves=(bytes(64),) * reserves)
    book = Book(fused, 0, spec, rows, _BOOKS, BLOCK)
    book.fill(held)
    return book


def _offer(of: Address) -> LoanOffer:
    return LoanOffer(
        lender=token(500),
        venue="lender",
        token=of,
        available=10**9 * UNIT,
        fee_numerator=5,
        fee_denominator=10_000,
        fee_rounds="up",
        gas=90_000,
    )
