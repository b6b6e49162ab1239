"""Keep a row complete: A and a kept rate over time, scaled balances, D.

Every change ends in `settle`, which scales the balances and computes D as the contract would.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import divmod256, i64, load256, store256, u256
from tallyio_protocol_curve_stable.hot_math import WAD, get_d
from tallyio_protocol_curve_stable.layout import (
    AMP,
    BALANCE,
    BASE_RATE_KEPT,
    BASE_RATE_NOW,
    CACHE_TIME,
    COIN_BYTES,
    COINS,
    COUNT,
    FLAGS,
    FUTURE_A,
    FUTURE_TIME,
    INITIAL_A,
    INITIAL_TIME,
    RATE,
    TIME,
    XP,
    D,
)
from tallyio_protocol_curve_stable.templates import CACHE_SECONDS, Flag

_CACHES_BASE_RATE: Final = int(Flag.CACHES_BASE_RATE)


@hot("int64(int64, int64)", inline=True)
def coin(row: int, k: int) -> int:
    """Return the address of coin `k`."""
    return row + COINS + k * COIN_BYTES


@hot("boolean(int64, int64, int64)", inline=True)
def is_direction(row: int, i: int, j: int) -> bool:
    """Return whether `i` and `j` are two coins of the pool."""
    count = load(row + COUNT, 0)
    return 0 <= i < count and 0 <= j < count and i != j


@hot("boolean(int64, int64)")
def set_time(row: int, now: int) -> bool:
    """Bring A and the rate that the pool keeps to time `now`; return whether one of them changed."""
    store(row + TIME, 0, now)
    amp = _amplification(row, now)
    changed = amp != load(row + AMP, 0)
    store(row + AMP, 0, amp)
    if load(row + FLAGS, 0) & _CACHES_BASE_RATE:
        last = coin(row, load(row + COUNT, 0) - 1) + RATE
        rate = load256(row + (BASE_RATE_NOW if _cache_expired(row) else BASE_RATE_KEPT))
        changed = changed or rate != load256(last)
        store256(last, rate)
    return changed


@hot("int64(int64, int64)")
def _amplification(row: int, now: int) -> int:
    initial, future = load(row + INITIAL_A, 0), load(row + FUTURE_A, 0)
    started, ends = load(row + INITIAL_TIME, 0), load(row + FUTURE_TIME, 0)
    if now >= ends or now < started:
        return future if now >= ends else initial
    # A's are below 2**34 and times at most 2**40 (`layout`): products below 2**74.
    distance = u256(future - initial if future > initial else initial - future)
    moved = i64(divmod256(distance * u256(now - started), u256(ends - started))[0])
    return initial + moved if future > initial else initial - moved


@hot("boolean(int64)")
def _cache_expired(row: int) -> bool:
    return load(row + TIME, 0) > load(row + CACHE_TIME, 0) + CACHE_SECONDS


@hot("void(int64)")
def settle(row: int) -> None:
    """Scale the balances and compute D."""
    for k in range(load(row + COUNT, 0)):
        at = coin(row, k)
        # Both are below 2**128.
        store256(at + XP, divmod256(load256(at + RATE) * load256(at + BALANCE), WAD)[0])
    store256(row + D, get_d(row))


@hot("void(int64)")
def rebuild(row: int) -> None:
    """Compute everything that is derived in a row that was just packed."""
    set_time(row, load(row + TIME, 0))
    settle(row)
