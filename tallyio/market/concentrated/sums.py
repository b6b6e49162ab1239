"""The stops of a direction and the sums between them.

Layer: market.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.concentrated.amounts import ZERO, sqrt_ratio_at_tick
from tallyio.market.concentrated.layout import (
    AT_NET,
    AT_TICK,
    FEE_PIPS,
    HEADER_BYTES,
    MARKED_WORDS,
    RANK_BYTES,
    RANKS,
    STOP_BYTES,
    STOP_CAPACITY,
    STOP_COUNT,
    STOP_CROSSED,
    STOP_LIQUIDITY,
    STOP_POSITION,
    STOP_SQRT,
    SUM_IN,
    SUM_OUT,
    TICK_BYTES,
    TICK_COUNT,
    TICK_SPACING,
    WORD_TICKS,
)
from tallyio.market.concentrated.reference_math import PIPS
from tallyio.market.concentrated.stops import direction_at, position_of, rank, span, stop_at, word_end
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, load256, store128, store256, u256

NO_LIQUIDITY: Final = const(0, 128)


@hot("int64(int64, int64)", inline=True)
def tick_at(row: int, k: int) -> int:
    """Return where initialised tick `k` is, from the lowest."""
    stops = 2 * load(row + STOP_CAPACITY, 0) * (STOP_BYTES + 2 * RANK_BYTES)
    return row + HEADER_BYTES + stops + k * TICK_BYTES


@hot("boolean(int64, int64)")
def rebuild_direction(row: int, i: int) -> bool:
    """Compute a direction's stops and sums from the ticks; return whether the stops have room."""
    direction, ticks = direction_at(row, i), load(row + TICK_COUNT, 0)
    spacing, words = load(row + TICK_SPACING, 0), load(row + MARKED_WORDS, 0)
    k, here, liquidity = 0, 0, NO_LIQUIDITY
    for crossed in range(ticks):
        at = tick_at(row, crossed if i == 1 else ticks - 1 - crossed)
        end = position_of(load(at + AT_TICK, 0), i)
        if liquidity != NO_LIQUIDITY:
            mark = word_end(here, spacing, words, i)
            while mark < end:
                if not _place(row, direction, k, mark, liquidity, crossed, i):
                    return False
                k, mark = k + 1, mark + WORD_TICKS * spacing * words
        net = load128(at + AT_NET)
        liquidity = liquidity + net if i == 1 else liquidity - net
        if not _place(row, direction, k, end, liquidity, crossed + 1, i):
            return False
        k, here = k + 1, end
    _clear(row, direction, k)
    store(direction + STOP_COUNT, 0, k)
    sum_up(row, i)
    return True


@hot("boolean(int64, int64, int64, int64, u128, int64, int64)")
def _place(  # noqa: PLR0913, PLR0917 - the facts of a stop
    row: int, direction: int, k: int, position: int, liquidity: int, crossed: int, i: int
) -> bool:
    if k >= load(row + STOP_CAPACITY, 0):
        return False
    at = stop_at(row, direction, k)
    store256(at + STOP_SQRT, sqrt_ratio_at_tick(position_of(position, i)))
    store128(at + STOP_LIQUIDITY, liquidity)
    store(at + STOP_POSITION, 0, position)
    store(at + STOP_CROSSED, 0, crossed)
    return True


@hot("void(int64, int64, int64)")
def _clear(row: int, direction: int, first: int) -> None:
    # What is behind the last stop is zero, whatever was there.
    for k in range(first, load(direction + STOP_COUNT, 0)):
        at = stop_at(row, direction, k)
        for word in range(STOP_BYTES // 8):
            store(at, word, 0)
        _store_ranks(row, direction, k)


@hot("void(int64, int64)")
def sum_up(row: int, i: int) -> None:
    """Compute the sums of a direction between the stops that it has."""
    direction = direction_at(row, i)
    count, fee_pips = load(direction + STOP_COUNT, 0), load(direction + FEE_PIPS, 0)
    total = ZERO
    for k in range(count):
        at = stop_at(row, direction, k)
        store256(at + SUM_IN, total)
        paid = ZERO
        if k < count - 1 and fee_pips < PIPS:
            after = at + STOP_BYTES
            taken, paid = span(
                row,
                load256(at + STOP_SQRT),
                load(at + STOP_POSITION, 0),
                load(after + STOP_POSITION, 0),
                load256(after + STOP_SQRT),
                u256(load128(at + STOP_LIQUIDITY)),
                fee_pips,
                i,
            )
            total = total + taken
        store256(at + SUM_OUT, paid)
    total = ZERO
    for k in range(count - 1, -1, -1):
        at = stop_at(row, direction, k)
        total = total + load256(at + SUM_OUT)
        store256(at + SUM_OUT, total)
        _store_ranks(row, direction, k)


@hot("void(int64, int64, int64)", inline=True)
def _store_ranks(row: int, direction: int, k: int) -> None:
    at, ranks = stop_at(row, direction, k), row + load(direction + RANKS, 0)
    store(ranks, k, rank(load256(at + SUM_IN)))
    store(ranks + load(row + STOP_CAPACITY, 0) * RANK_BYTES, k, rank(load256(at + SUM_OUT)))
