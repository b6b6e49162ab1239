"""Concentrated liquidity: a pool with a position on every tick spacing, quoted from one price."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from tallyio_protocol_uniswap_v3.hot import gas, quote

from perf.market.row import Case, beside_degenbot, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed
from tallyio.market.abi import POOL
from tallyio.market.concentrated import reference
from tallyio.market.concentrated.changes import rebuild
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import entry, hot
from tallyio.native.memory import Region
from tallyio.native.u256 import load256, store256

SPACING: Final = 60
TICKS: Final = 300
FEE_PIPS: Final = 3_000
ONE_GAS_PER_TICK: Final = (0, 1, 0)
"""So the gas of a quote says how many ticks it crosses."""
COUNT: Final = 1_000
CHECKED: Final = 100
"""Quotes that the reference makes: across many ticks it takes long."""
_WORD: Final = 32
_DUST, _MANY = 10**6, 10**30
"""Amounts that cross nothing, and that the pool cannot take."""


@hot("void(int64, int64, int64, int64)")
def quote_all(place: int, amounts: int, answers: int, count: int) -> None:
    """Quote every amount, the directions in turns."""
    for k in range(count):
        i = k & 1
        store256(answers + k * _WORD, quote(place, i, 1 - i, load256(amounts + k * _WORD)))


@dataclass(frozen=True, kw_only=True)
class Quotes:
    """One pool in native memory, and amounts that cross so many ticks."""

    pool: reference.Pool
    amounts: list[int]
    memory: Region
    row_bytes: int

    @property
    def addresses(self) -> tuple[int, int, int, int]:
        """Where the row, the amounts and the answers are, and how many."""
        place = self.memory.address
        amounts = place + self.row_bytes
        return place, amounts, amounts + COUNT * _WORD, COUNT

    def answers(self) -> list[int]:
        """Return what the last compiled loop wrote."""
        column = self.memory.view("<u8", 4 * COUNT, self.row_bytes + COUNT * _WORD)
        return from_column(column.reshape(COUNT, 4))

    def for_degenbot(self, name: str) -> tuple[object, ...]:
        """Return what its driver prepares."""
        ticks = [(at, tick.liquidity_gross, tick.liquidity_net) for at, tick in self.pool.ticks.items()]
        facts: dict[str, Any] = {
            fact: getattr(self.pool, fact) for fact in ("tick_spacing", "sqrt_price_x96", "liquidity", "tick")
        }
        return (
            "v3",
            name,
            {**facts, "fee_pips": FEE_PIPS, "ticks": ticks},
            [k & 1 for k in range(COUNT)],
            self.amounts,
        )

    def expected(self, count: int) -> list[int]:
        """Return the first answers in plain Python."""
        return [
            reference.quote(self.pool, amount, zero_for_one=not k & 1)
            for k, amount in enumerate(self.amounts[:count])
        ]


@functools.cache
def make_quotes(crossed: int) -> Quotes:
    """Return amounts that cross exactly `crossed` ticks, from a seed."""
    pool, draw = reference.Pool((FEE_PIPS, FEE_PIPS), SPACING, tick=17), random.Random(1)
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(17) + 12_345
    for k in range(-TICKS // 2, TICKS // 2):
        liquidity = draw.randrange(10**19, 10**22)
        pool.modify_liquidity(k * SPACING, (k + 1) * SPACING, liquidity)
    raw = pool.row(gas=ONE_GAS_PER_TICK)
    memory = Region(len(raw) + 2 * COUNT * _WORD)
    memory.view("u1", len(raw))[:] = bytearray(raw)
    rebuild(memory.address)
    spans = [(_least(memory.address, i, crossed), _least(memory.address, i, crossed + 1)) for i in (0, 1)]
    amounts = [draw.randrange(*spans[k & 1]) for k in range(COUNT)]
    memory.view("<u8", 4 * COUNT, len(raw))[:] = to_column(amounts).reshape(-1)
    return Quotes(pool=pool, amounts=amounts, memory=memory, row_bytes=len(raw))


def _least(place: int, i: int, crossed: int) -> int:
    """Return the least amount of token `i` that crosses so many ticks."""
    low, high = 1, _MANY
    while low < high:
        middle = (low + high) // 2
        is_too_much = middle > _DUST and quote(place, i, 1 - i, middle) == 0
        is_enough = is_too_much or gas(place, i, 1 - i, middle) >= crossed
        low, high = (low, middle) if is_enough else (middle + 1, high)
    return low


def _case(peers: Peers, crossed: int) -> Case:
    quotes = make_quotes(crossed)
    compiled = entry(quote_all)
    compiled(*quotes.addresses)
    answers = quotes.answers()
    require_equal(answers[:CHECKED], quotes.expected(CHECKED), "the reference")
    found, absent = beside_degenbot(peers, answers, quotes.for_degenbot(f"v3.{crossed}"))
    return Case(
        ours=timed(compiled, *quotes.addresses, operations=COUNT),
        reference=timed(quotes.expected, 10, operations=10),
        peers=found,
        absent=absent,
        bytes_each=quotes.row_bytes + POOL.itemsize,
        counted=partial(compiled, *quotes.addresses[:-1]),
        keeps=quotes,
    )


@row("v3.quote.in_range", goal_ns=60.0, degenbot=1 / 30)
def in_range(peers: Peers) -> Case:
    """An exact quote that crosses nothing."""
    return _case(peers, 0)


@row("v3.quote.10_ticks", degenbot=1 / 30)
def ten_ticks(peers: Peers) -> Case:
    """An exact quote across ten ticks."""
    return _case(peers, 10)


@row("v3.quote.100_ticks", goal_ns=100.0, degenbot=1 / 200)
def hundred_ticks(peers: Peers) -> Case:
    """An exact quote across a hundred ticks."""
    return _case(peers, 100)


@row("v3.quote.from_python", goal_ns=260.0, degenbot=0.5)
def calls(peers: Peers) -> Case:
    """One call from Python per quote in range, Python integers in and out."""
    quotes = make_quotes(0)
    place, compiled = quotes.memory.address, entry(quote)
    cases = [(place, k & 1, 1 - (k & 1), amount) for k, amount in enumerate(quotes.amounts)]

    def ours() -> None:
        for row_, i, j, amount in cases:
            compiled(row_, i, j, amount)

    answers = [compiled(*case) for case in cases]
    require_equal(answers[:CHECKED], quotes.expected(CHECKED), "the reference")
    found, absent = beside_degenbot(peers, answers, quotes.for_degenbot("v3.from_python"))
    return Case(
        ours=timed(ours, operations=COUNT),
        reference=timed(quotes.expected, 10, operations=10),
        peers=found,
        absent=absent,
        keeps=quotes,
    )
