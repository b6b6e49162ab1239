"""What changes a row: balances, and time. `layout.pack_row` of the state that results is the specification.

A pool of stable kind keeps its scaled balances and invariant in the row, as the contract would compute
them at the row's clock; `settle` brings them up to date.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import ADVANCE_SIGNATURE, LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.fixed.arithmetic import ZERO, fits, fixed_mul_down
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, is_negative, load128, load256, negate, store128, store256, u128, u256
from tallyio_protocol_balancer.hot_stable import compute_invariant
from tallyio_protocol_balancer.layout import (
    AMP,
    AMP_END,
    AMP_END_TIME,
    AMP_START,
    AMP_START_TIME,
    BASE_SCALING,
    CASH,
    CLOCK,
    COUNT,
    EXPIRES,
    HEAD_BYTES,
    INVARIANT,
    KIND,
    LIVE_RATE,
    MANAGED,
    PAUSED_UNTIL,
    RATE,
    READ_AT,
    SCALED,
    SCALING,
    SERVED,
    STABLE_ROUNDED,
    TOKEN_BYTES,
    UINT112_MAX,
)

_UINT112_MAX: Final = const(UINT112_MAX)


@hot("int64(int64, u256, u256)")
def change_balance(token: int, cash_delta: int, managed_delta: int) -> int:
    """Add two's complement amounts to a token's balances; `LOG_RELOAD`, and no change, if they do not fit."""
    if _is_huge(cash_delta) or _is_huge(managed_delta):
        return LOG_RELOAD
    # Both are below 2**113 in magnitude: a negative sum shows as one of 2**255 and more.
    cash = u256(load128(token + CASH)) + cash_delta
    managed = u256(load128(token + MANAGED)) + managed_delta
    if cash > _UINT112_MAX or managed > _UINT112_MAX or cash + managed > _UINT112_MAX:
        return LOG_RELOAD
    store128(token + CASH, u128(cash))
    store128(token + MANAGED, u128(managed))
    return LOG_APPLIED


@hot("boolean(u256)", inline=True)
def _is_huge(amount: int) -> bool:
    return (negate(amount) if is_negative(amount) else amount) > _UINT112_MAX


@hot("void(int64)")
def settle(row: int) -> None:
    """Compute afresh what the row holds of its balances: the scaled ones, and the invariant."""
    is_whole = True
    for k in range(load(row + COUNT, 0)):
        token = row + HEAD_BYTES + k * TOKEN_BYTES
        held = u256(load128(token + CASH)) + u256(load128(token + MANAGED))
        scaling = load256(token + SCALING)
        is_scaled = fits(held, scaling)
        store256(token + SCALED, fixed_mul_down(held, scaling) if is_scaled else ZERO)
        is_whole = is_whole and is_scaled
    if load(row + KIND, 0) >= STABLE_ROUNDED:
        store256(row + INVARIANT, compute_invariant(row) if is_whole else ZERO)


@hot("void(int64, u256)")
def set_scaling(token: int, rate: int) -> None:
    """Let the token's scaling follow `rate`, a uint128: base 10**36 < 2**120 times it does not overflow."""
    store256(token + SCALING, fixed_mul_down(load256(token + BASE_SCALING), rate))


@hot("void(int64, int64, int64)")
def ramp_amp(row: int, start: int, end: int) -> None:
    """Let amp go from the row's start value to its end value between the two times."""
    store(row + AMP_START_TIME, 0, start)
    store(row + AMP_END_TIME, 0, end)
    store(row + AMP, 0, _amp_at(row, load(row + CLOCK, 0)))


@hot("int64(int64, int64)")
def _amp_at(row: int, time: int) -> int:
    # Values are at most 5,000,000 and times below 2**32 apart, as `hot_events` checks: below 2**55.
    first, last = load(row + AMP_START, 0), load(row + AMP_END, 0)
    start, end = load(row + AMP_START_TIME, 0), load(row + AMP_END_TIME, 0)
    if time >= end or end <= start:
        return last
    if last > first:
        return first + (last - first) * (time - start) // (end - start)
    return first - (first - last) * (time - start) // (end - start)


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Bring amp and rates to a block with this time.

    A swap reads the rate afresh once the cached one has expired. What the provider would say is known
    as of the block that the row was read at, and good for the next block only: a later one asks for
    a reload.
    """
    store(row + CLOCK, 0, timestamp)
    status = _unpause(row, timestamp)
    if load(row + KIND, 0) < STABLE_ROUNDED:
        return status
    amp, read_at, served = load(row + AMP, 0), load(row + READ_AT, 0), load(row + SERVED, 0)
    store(row + AMP, 0, _amp_at(row, timestamp))
    if load(row + AMP, 0) != amp:
        status = LOG_APPLIED
    is_live = served == 0 or timestamp <= served
    if served == 0 and timestamp > read_at:
        store(row + SERVED, 0, timestamp)
    for k in range(load(row + COUNT, 0)):
        token = row + HEAD_BYTES + k * TOKEN_BYTES
        has_expired = timestamp > load(token + EXPIRES, 0)
        if has_expired and not is_live:
            return LOG_RELOAD
        if _follow_rate(token, has_expired):
            status = LOG_APPLIED
    if status == LOG_APPLIED:
        settle(row)
    return status


@hot("int64(int64, int64)", inline=True)
def _unpause(row: int, timestamp: int) -> int:
    until = load(row + PAUSED_UNTIL, 0)
    if until == 0 or timestamp <= until:
        return LOG_IGNORED
    store(row + PAUSED_UNTIL, 0, 0)
    return LOG_APPLIED


@hot("boolean(int64, boolean)")
def _follow_rate(token: int, has_expired: bool) -> bool:  # noqa: FBT001 - a fact of the token
    # Return whether the scaling changed.
    rate = u256(load128(token + (LIVE_RATE if has_expired else RATE)))
    if u256(load128(token + RATE)) == ZERO:
        return False  # no provider
    before = load256(token + SCALING)
    set_scaling(token, rate)
    return load256(token + SCALING) != before
