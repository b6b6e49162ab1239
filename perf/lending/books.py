"""Positions of a pool of twelve reserves with Aave's rules: exact health, margins, and an oracle's tick."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from tallyio_protocol_aave_v3.bench import (
    CASES,
    NOW,
    Scene,
    health_all,
    health_all_reference,
)
from tallyio_protocol_aave_v3.layout import ACTIVE, AS_COLLATERAL, Own, Reserve, pack_own, pack_reserve
from tallyio_protocol_aave_v3.reference import RAY
from tallyio_protocol_aave_v3.revisions import RULES_3_6

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.hooks.lending import BookRows, CompiledLending
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.model.lending import Balance, BookSpec, Position, PositionKey, ReserveSpec
from tallyio.model.units import Address, Hash
from tallyio.native.atomics import load
from tallyio.native.jit import entry, hot

RESERVES: Final = 12
SECURED: Final = 8
"""Reserves that are collateral; the others are owed."""
HOLDERS: Final = 2_000
MANY: Final = 100_000
TICK_PERCENT: Final = 3
_COMPILED: Final = CompiledLending(module="tallyio_protocol_aave_v3.hot", relative_slack=1e-9, unit_slack=4.0)
_TOKEN: Final = Address(bytes(20))


@functools.cache
def fused() -> FusedLending:
    """Return the pool's functions, fused."""
    return fuse_lending([("aave_v3", _COMPILED)])


def reserves(draw: random.Random) -> list[Reserve]:
    """Return reserves of a dollar to ten thousand a token."""
    return [
        Reserve(
            liquidity_index=int(RAY * draw.uniform(1, 1.2)),
            liquidity_rate=draw.randrange(RAY // 20),
            debt_index=int(RAY * draw.uniform(1, 1.4)),
            debt_rate=draw.randrange(RAY // 10),
            price=int(10 ** draw.uniform(8, 12)),
            decimals=18,
            cash=10**34,
            updated_at=NOW,
            flags=ACTIVE,
            threshold=8_000,
            bonus=10_500,
            fee=1_000,
        )
        for _ in range(RESERVES)
    ]


def positions(draw: random.Random, pool: Sequence[Reserve], count: int) -> Iterator[Position]:
    """Yield positions in every reserve, eight as collateral; one in a thousand is near its end."""
    for number in range(count):
        worth = [draw.uniform(0.5, 1.5) for _ in pool]
        secured = sum(worth[:SECURED])
        share = draw.uniform(0.3, 0.7) if number % 1_000 else 0.79
        balances = []
        for k, reserve in enumerate(pool):
            if k < SECURED:
                amount = int(worth[k] * 10**12) * 10**18 // reserve.price * RAY // reserve.liquidity_index
                balances.append(Balance(reserve=k, collateral=amount, flags=AS_COLLATERAL))
            else:
                amount = (
                    int(share * secured / 4 * 10**12) * 10**18 // reserve.price * RAY // reserve.debt_index
                )
                balances.append(Balance(reserve=k, debt=amount))
        key = PositionKey(Address(number.to_bytes(20, "big")))
        yield Position(key=key, balances=tuple(balances))


def make_book(count: int) -> tuple[Book, list[Reserve]]:
    """Return a book of `count` positions, looked at once."""
    draw = random.Random(11)
    pool = reserves(draw)
    spec = BookSpec(
        address=_TOKEN,
        venue="bench",
        reserves=tuple(ReserveSpec(symbol=str(k), collateral=_TOKEN, debt=_TOKEN) for k in range(RESERVES)),
        log_sources=(),
    )
    rows = BookRows(own=pack_own(Own(rules=RULES_3_6)), reserves=tuple(map(pack_reserve, pool)))
    book = Book(fused(), 0, spec, rows, _COMPILED, Hash(bytes(32)))
    book.fill(positions(draw, pool, count))
    book.at_risk(NOW, 1)
    return book, pool


@row("health.exact_8", goal_ns=110.0)
def exact(_: Peers) -> Case:
    """Health of eight collaterals and two debts as the contract computes it, interest included."""
    scene = Scene()
    both = scene.pool, scene.positions
    require_equal(health_all(*scene.arguments), health_all_reference(*both), "plain Python")
    return Case(
        ours=timed(entry(health_all), *scene.arguments, operations=CASES),
        reference=timed(health_all_reference, *both, operations=CASES),
        keeps=scene,
    )


@dataclass(frozen=True, kw_only=True)
class Margins:
    """What the loops below walk over."""

    book: Book
    columns: int
    program: Any


@functools.cache
def margins() -> Margins:
    """Return a book whose every reserve has 2,000 holders."""
    book, _ = make_book(HOLDERS)
    return Margins(book=book, columns=book.columns_address, program=fused().program)


@row("health.float_8", goal_ns=7.0)
def rough(_: Peers) -> Case:
    """The margin of eight collaterals and four debts, made anew from weights and values."""
    made = margins()
    margin_of = made.program.margin_of

    @hot("float64(int64, int64, int64)")
    def all_margins(columns: int, places: int, count: int) -> float:
        total = 0.0
        for k in range(count):
            total += margin_of(columns, load(places, k))
        return total

    places = np.array([made.book.address_of(key) for key in made.book.keys], "i8")
    return Case(
        ours=timed(entry(all_margins), made.columns, places.ctypes.data, HOLDERS, operations=HOLDERS),
        keeps=(made, places),
    )


@row("side.move_2000", goal_ns=2_500.0)
def move(_: Peers) -> Case:
    """One price moves: the margins of its 2,000 holders, and who is near."""
    made = margins()
    values = made.book.side_values
    move_side: Any = entry(made.program.move)
    first, other = float(values[0]), float(values[0]) * 1.001

    def there_and_back() -> None:
        move_side(made.columns, 0, other)
        move_side(made.columns, 0, first)

    return Case(ours=timed(there_and_back, operations=2), keeps=made)


@row("tick.100000x12", goal_ns=200_000.0)
def tick(_: Peers) -> Case:
    """One oracle moves by three percent: the exact list of who can be liquidated, of 100,000 positions."""
    book, pool = make_book(MANY)
    before = pack_reserve(pool[0])
    lower = int(pool[0].price * (100 - TICK_PERCENT) / 100)
    after = pack_reserve(msgspec.structs.replace(pool[0], price=lower))
    book.put_reserve(0, after)
    found = set(book.at_risk(NOW, 1))
    expected = {key for key in book.keys[:5_000] if book.health(key, NOW, 1).status == 1}
    require_equal({key for key in book.keys[:5_000] if key in found}, expected, "a look at everybody")

    def down_and_up() -> None:
        book.put_reserve(0, before)
        book.at_risk(NOW, 1)
        book.put_reserve(0, after)
        book.at_risk(NOW, 1)

    return Case(
        ours=timed(down_and_up, operations=2), bytes_each=book.memory_bytes // MANY, keeps=(book, pool)
    )
