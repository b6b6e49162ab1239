"""Keep a row complete: A and gamma over time, scaled balances, D, and where the float curve starts.

`advance` does all of it.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import ADVANCE_SIGNATURE, LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.native.atomics import load, store, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, i64, load256, muldiv, store256, to_f64, u256
from tallyio_protocol_curve_crypto.hot_cubic import get_y
from tallyio_protocol_curve_crypto.hot_invariant import newton_d
from tallyio_protocol_curve_crypto.hot_newton import newton_y, xp_of
from tallyio_protocol_curve_crypto.hot_swap import scaled
from tallyio_protocol_curve_crypto.hot_words import REVERTED
from tallyio_protocol_curve_crypto.layout import (
    ANN,
    BALANCE,
    COIN_BYTES,
    COINS,
    COUNT,
    FUTURE_A,
    FUTURE_GAMMA,
    FUTURE_TIME,
    GAMMA,
    INITIAL_A,
    INITIAL_GAMMA,
    INITIAL_TIME,
    KEPT_D,
    LEFT,
    MAX_TIME,
    NG,
    SOLVED,
    TIME,
    XP,
    D,
)

_FINE: Final = const(10**36)


@hot("boolean(int64, int64)", inline=True)
def is_moving(row: int, now: int) -> bool:
    """Return whether an exchange at time `now` computes D anew, as `reference.is_moving`."""
    return load(row + FUTURE_TIME, 0) > (now if load(row + NG, 0) else 0)


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Bring A and gamma, and with them all that is derived, to a block with this time.

    A row that was just packed has an A that none is, so all of it is computed.
    """
    if not 0 <= timestamp <= MAX_TIME:
        return LOG_RELOAD
    moved = is_moving(row, timestamp) != is_moving(row, load(row + TIME, 0))
    store(row + TIME, 0, timestamp)
    ann = _interpolated(row, load(row + INITIAL_A, 0), load(row + FUTURE_A, 0))
    gamma = _interpolated(row, load(row + INITIAL_GAMMA, 0), load(row + FUTURE_GAMMA, 0))
    if not moved and ann == load(row + ANN, 0) and gamma == load(row + GAMMA, 0):
        return LOG_IGNORED
    store(row + ANN, 0, ann)
    store(row + GAMMA, 0, gamma)
    count = load(row + COUNT, 0)
    for k in range(count):
        at = row + COINS + k * COIN_BYTES
        store256(at + XP, scaled(row, k, load256(at + BALANCE)))
    store256(row + D, newton_d(row) if is_moving(row, timestamp) else load256(row + KEPT_D))
    for k in range(count):
        _prepare(row, k)
    return LOG_APPLIED


@hot("void(int64, int64)", inline=True)
def _prepare(row: int, k: int) -> None:
    # Where the float curve starts: with nothing sold of any other coin, what the others leave coin k.
    at, other = row + COINS + k * COIN_BYTES, (k + 1) % load(row + COUNT, 0)
    x = xp_of(row, other)
    y = get_y(row, other, k, x) if load(row + NG, 0) else newton_y(row, other, k, x)
    store256(at + SOLVED, y)
    store_f64(at + LEFT, 0, 0.0 if y == REVERTED else _left(row, load256(row + D), k, y))


@hot("int64(int64, int64, int64)")
def _interpolated(row: int, initial: int, future: int) -> int:
    started, ends, now = load(row + INITIAL_TIME, 0), load(row + FUTURE_TIME, 0), load(row + TIME, 0)
    if now >= ends:
        return future
    # The source reverts before the ramp's own start, where no block is.
    now = max(now, started)
    # Settings are below 2**60 and times at most 2**40: sums below 2**101; the quotient is between both.
    weighted = u256(initial) * u256(ends - now) + u256(future) * u256(now - started)
    return i64(divmod256(weighted, u256(ends - started))[0])


@hot("float64(int64, u256, int64, u256)")
def _left(row: int, d: int, k: int, y: int) -> float:
    # 1 - K0, exact to 10**-36, for K0 = N**N * product / D**N. It is negative by rounding at most.
    count = load(row + COUNT, 0)
    part = _FINE
    for m in range(count):
        x = y if m == k else xp_of(row, m)
        # x * N / D <= 300 by the checks of `solve`: part stays below 10**44.
        part = muldiv(part, x * u256(count), d)
    return to_f64(_FINE - part) / 1e36 if part <= _FINE else -to_f64(part - _FINE) / 1e36
