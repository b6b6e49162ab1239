"""The sums of a direction: what the swap takes and pays between its stops.

Layer: market. All are below 2**213, so nothing wraps. The input of token0 between two prices is at most
liquidity * 2**96 * (1 / low - 1 / high); with liquidity < 2**128 everywhere these add up, over all stops,
to less than 2**128 * 2**96 / 2**32 = 2**192; that of token1 likewise to 2**128 * 2**160 / 2**96 = 2**192.
Rounding up adds 1 for each of at most 2**21 stops, and the fee multiplies by at most 10**6 < 2**20.
"""

from __future__ import annotations

from tallyio.market.concentrated.amounts import ZERO
from tallyio.market.concentrated.layout import (
    FEE_PIPS,
    RANK_BYTES,
    RANKS,
    STOP_BYTES,
    STOP_CAPACITY,
    STOP_COUNT,
    STOP_LIQUIDITY,
    STOP_POSITION,
    STOP_SQRT,
    SUM_IN,
    SUM_OUT,
)
from tallyio.market.concentrated.reference_math import PIPS
from tallyio.market.concentrated.stops import direction_at, rank, span, stop_at
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import load128, load256, store256, u256


@hot("void(int64, int64)")
def sum_up(row: int, i: int) -> None:
    """Compute all sums of a direction between the stops that it has."""
    count = load(direction_at(row, i) + STOP_COUNT, 0)
    if count > 0:
        sum_between(row, i, 0, count - 1, ZERO, ZERO)


@hot("UniTuple(u256, 2)(int64, int64, int64, int64, u256, u256)")
def sum_between(row: int, i: int, first: int, last: int, sum_in: int, sum_out: int) -> tuple[int, int]:
    """Compute the sums of the stops `first` to `last`, which has `sum_in` and `sum_out` at those.

    Returns the sum_in of the last and the sum_out of the first.
    """
    direction = direction_at(row, i)
    fee_pips = load(direction + FEE_PIPS, 0)
    for k in range(first, last):
        at = stop_at(row, direction, k)
        store256(at + SUM_IN, sum_in)
        taken, paid = _between(row, at, at + STOP_BYTES, fee_pips, i) if fee_pips < PIPS else (ZERO, ZERO)
        sum_in = sum_in + taken
        store256(at + SUM_OUT, paid)  # alone, until the way back
    for k in range(last, first - 1, -1):
        at = stop_at(row, direction, k)
        if k == last:
            store256(at + SUM_IN, sum_in)
        else:
            sum_out = sum_out + load256(at + SUM_OUT)
        store256(at + SUM_OUT, sum_out)
        _store_rank_in(row, direction, k)
        _store_rank_out(row, direction, k)
    return sum_in, sum_out


@hot("UniTuple(u256, 2)(int64, int64, int64, int64, int64)", inline=True)
def _between(row: int, at: int, after: int, fee_pips: int, i: int) -> tuple[int, int]:
    price, target = load256(at + STOP_SQRT), load256(after + STOP_SQRT)
    here, end = load(at + STOP_POSITION, 0), load(after + STOP_POSITION, 0)
    return span(row, price, here, end, target, u256(load128(at + STOP_LIQUIDITY)), fee_pips, i)


@hot("void(int64, int64, int64, u256)")
def add_in_from(row: int, i: int, first: int, delta: int) -> None:
    """Add to the sum_in of stop `first` and of all behind it."""
    direction = direction_at(row, i)
    for k in range(first, load(direction + STOP_COUNT, 0)):
        at = stop_at(row, direction, k) + SUM_IN
        store256(at, load256(at) + delta)
        _store_rank_in(row, direction, k)


@hot("void(int64, int64, int64, u256)")
def add_out_before(row: int, i: int, end: int, delta: int) -> None:
    """Add to the sum_out of all stops before `end`."""
    direction = direction_at(row, i)
    for k in range(end):
        at = stop_at(row, direction, k) + SUM_OUT
        store256(at, load256(at) + delta)
        _store_rank_out(row, direction, k)


@hot("void(int64, int64, int64)", inline=True)
def _store_rank_in(row: int, direction: int, k: int) -> None:
    store(row + load(direction + RANKS, 0), k, rank(load256(stop_at(row, direction, k) + SUM_IN)))


@hot("void(int64, int64, int64)", inline=True)
def _store_rank_out(row: int, direction: int, k: int) -> None:
    ranks = row + load(direction + RANKS, 0) + load(row + STOP_CAPACITY, 0) * RANK_BYTES
    store(ranks, k, rank(load256(stop_at(row, direction, k) + SUM_OUT)))
