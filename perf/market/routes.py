"""Best paths and the best of sixteen pools."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from typing import Any, Final

from tallyio_protocol_uniswap_v2.layout import pack_row

from perf.market.row import Case, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.router import Path
from tallyio.market.shape import Holding
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.native.jit import entry
from tallyio.native.memory import Region

TOKENS: Final = 1_000
HUBS: Final = 16
POOLS: Final = 3_000
"""Each an edge in two directions."""
QUESTIONS: Final = 200
AMOUNT: Final = 10**18
VENUES: Final = 16
_WORD: Final = 32
_COMPILED: Final = CompiledProtocol(module="tallyio_protocol_uniswap_v2.hot")


@dataclass(frozen=True, kw_only=True)
class Made:
    """A market, and pairs of its tokens to ask about."""

    market: Market
    ends: list[tuple[int, int]]
    hubs: list[tuple[int, int]]


def _address(number: int) -> Address:
    return Address(number.to_bytes(20))


def _pairs(draw: random.Random) -> list[tuple[int, int]]:
    pairs = [(token, draw.randrange(HUBS)) for token in range(HUBS, TOKENS)]
    while len(pairs) < POOLS:
        first = draw.randrange(HUBS) if draw.random() < 0.95 else draw.randrange(TOKENS)  # noqa: PLR2004 - most pools touch a hub
        second = draw.randrange(TOKENS)
        if first != second:
            pairs.append((first, second))
    return pairs


def _market(pairs: list[tuple[int, int]], draw: random.Random) -> Market:
    worth = [2.0 ** draw.uniform(-10, 10) for _ in range(TOKENS)]
    specs, rows = [], []
    for number, (one, other) in enumerate(pairs):
        depth = 10.0 ** draw.uniform(20, 24)
        reserves = int(depth / worth[one]), int(depth / worth[other] * draw.uniform(0.99, 1.01))
        rows.append(pack_row(reserves, fee_numerators=(997, 997), fee_denominator=1000, gas=80_000))
        specs.append(
            PoolSpec(
                address=_address(10**6 + number),
                tokens=(_address(1 + one), _address(1 + other)),
                venue="made up",
                fee_pips=3_000,
                can_flash=True,
            )
        )
    held = Holding(protocol="uniswap_v2", compiled=_COMPILED, topics=(), pools=tuple(specs), rows=tuple(rows))
    return Market(fuse([("uniswap_v2", _COMPILED)]), [held], Head(Hash(bytes(32)), 0))


@functools.cache
def make_market() -> Made:
    """Return a thousand tokens around sixteen hubs, from a seed."""
    draw = random.Random(1)
    market = _market(_pairs(draw), draw)
    ids = market.shape.token_ids
    hubs = [ids[_address(1 + hub)] for hub in range(HUBS)]
    every = range(len(market.shape.tokens))
    market.router.refresh()
    return Made(
        market=market,
        ends=[(one, other) for one, other in (draw.sample(every, 2) for _ in range(QUESTIONS))],
        hubs=[(one, other) for one, other in (draw.sample(hubs, 2) for _ in range(QUESTIONS))],
    )


def _ask_all(search: Any, router: int, ends: list[tuple[int, int]], max_hops: int) -> None:
    for sold, bought in ends:
        search(router, sold, bought, float(AMOUNT), max_hops)


@row("path.best_4_hops", goal_ns=2_000.0)
def best_path(_: Peers) -> Case:
    """The finalists between two tokens of a thousand, one call from Python each."""
    made = make_market()
    search: Any = entry(made.market.fused.load("tallyio.market.routing").search)
    arguments = search, made.market.router.address, made.ends, 4
    return Case(ours=timed(_ask_all, *arguments, operations=QUESTIONS), keeps=made)


@row("path.hub_to_hub", goal_ns=5_000.0)
def hub_to_hub(_: Peers) -> Case:
    """The same between two hubs, the worst case."""
    made = make_market()
    search: Any = entry(made.market.fused.load("tallyio.market.routing").search)
    arguments = search, made.market.router.address, made.hubs, 4
    return Case(ours=timed(_ask_all, *arguments, operations=QUESTIONS), keeps=made)


@row("venues.best_of_16", goal_ns=500.0)
def best_of_sixteen(_: Peers) -> Case:
    """The best of sixteen pools of one pair, and its exact quote."""
    draw = random.Random(2)
    market = _market([(0, 1)] * VENUES, draw)
    market.router.refresh()
    venue: Any = entry(market.fused.load("tallyio.market.venues").best_venue)
    answer = Region(_WORD)
    arguments = market.router.address, 0, 1, AMOUNT, answer.address
    require_equal(_best_quote(market), _asked(market), "quoting each")

    def ask() -> None:
        for _ in range(QUESTIONS):
            venue(*arguments)

    return Case(ours=timed(ask, operations=QUESTIONS), keeps=(market, answer))


def _asked(market: Market) -> Path | None:
    sold, bought = market.shape.tokens
    return market.router.best_venue(sold, bought, AMOUNT)


def _best_quote(market: Market) -> Path | None:
    best = max(range(VENUES), key=lambda pool: market.quote(pool, 0, 1, AMOUNT))
    path = _asked(market)
    return path if path is not None and path.pools == (best,) else None
