"""Follow the events of the Vault and of the pool: those of `abi.EVENTS`, by their position there.

Sources: `IVault` for Swap, PoolBalanceChanged and PoolBalanceManaged; `BasePool`, `StablePoolAmplification`
and the pools' rate caches for the rest. The Vault's topic 1 is the pool's id, and chose the row.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import APPLY_LOG_SIGNATURE, LOG_APPLIED, LOG_RELOAD
from tallyio.market.fixed.arithmetic import ZERO
from tallyio.native.atomics import load, load_be256, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, i64, lo64, load256, negate, store128, u128, u256
from tallyio_protocol_balancer.hot_state import change_balance, ramp_amp, set_scaling, settle
from tallyio_protocol_balancer.layout import (
    ADDRESS,
    AMP_END,
    AMP_START,
    CLOCK,
    COUNT,
    DURATION,
    EXPIRES,
    FEE,
    HEAD_BYTES,
    MAX_AMP,
    MAX_FEE,
    NEVER,
    NO_OWN_TOKEN,
    OWN_TOKEN,
    RATE,
    TOKEN_BYTES,
    UINT128_MAX,
)

_SWAP: Final = 0
_BALANCE_CHANGED: Final = 1
_BALANCE_MANAGED: Final = 2
_FEE_CHANGED: Final = 3
_AMP_STARTED: Final = 4
_AMP_STOPPED: Final = 5
_RATE_BY_INDEX: Final = 6
_RATE_BY_TOKEN: Final = 7
_PRICE_RATE_BY_TOKEN: Final = 8

_WORD: Final = 32
_NOWHERE: Final = 0
_MAX_FEE: Final = const(MAX_FEE)
_MAX_AMP: Final = const(MAX_AMP)
_MAX_SECONDS: Final = const((1 << 32) - 1)
_UINT128_MAX: Final = const(UINT128_MAX)
_MOST_WORDS: Final = const(64)


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:
    """Change the row as the event says; `LOG_RELOAD` where it cannot follow."""
    words = data_bytes // _WORD
    status = LOG_RELOAD
    if event == _SWAP and words == 2:  # noqa: PLR2004 - the words of the event's data, here and below
        status = _swap(row, topics, data)
    elif event == _BALANCE_CHANGED:
        status = _balance_changed(row, data, words)
    elif event == _BALANCE_MANAGED and words == 2:  # noqa: PLR2004
        status = _balance_managed(row, topics, data)
    elif event == _FEE_CHANGED and words == 1:
        return _fee_changed(row, load_be256(data))
    elif event == _AMP_STARTED and words == 4:  # noqa: PLR2004
        status = _amp_started(row, data)
    elif event == _AMP_STOPPED and words == 1:
        status = _amp_stopped(row, load_be256(data))
    elif event == _RATE_BY_INDEX and words == 1:
        status = _rate_updated(row, _registered(row, load_be256(topics)), load_be256(data))
    elif event in (_RATE_BY_TOKEN, _PRICE_RATE_BY_TOKEN) and words == 1:
        status = _rate_updated(row, _token_of(row, load_be256(topics)), load_be256(data))
    if status == LOG_APPLIED:
        settle(row)
    return status


@hot("int64(int64, u256)")
def _token_of(row: int, address: int) -> int:
    # The record of the token at this address, or `_NOWHERE`.
    for k in range(load(row + COUNT, 0)):
        token = row + HEAD_BYTES + k * TOKEN_BYTES
        if load256(token + ADDRESS) == address:
            return token
    return _NOWHERE


@hot("int64(int64, u256)")
def _registered(row: int, index: int) -> int:
    # The record of the token at this position among the Vault's, or `_NOWHERE`.
    if index > _MOST_WORDS:
        return _NOWHERE
    k, own = i64(lo64(index)), load(row + OWN_TOKEN, 0)
    if k == own:
        return _NOWHERE
    k = k - 1 if k > own else k
    return row + HEAD_BYTES + k * TOKEN_BYTES if k < load(row + COUNT, 0) else _NOWHERE


@hot("int64(int64, int64, int64)")
def _swap(row: int, topics: int, data: int) -> int:
    # Topics: poolId, tokenIn, tokenOut. Data: amountIn, amountOut. A pool's own token may be one side: what
    # the Vault holds of it does not matter to the other tokens.
    sold, bought = _token_of(row, load_be256(topics + _WORD)), _token_of(row, load_be256(topics + 2 * _WORD))
    has_own = load(row + OWN_TOKEN, 0) != NO_OWN_TOKEN
    if sold == bought or (_NOWHERE in (sold, bought) and not has_own):
        return LOG_RELOAD
    status = LOG_APPLIED
    if sold != _NOWHERE:
        status = change_balance(sold, load_be256(data), ZERO)
    if bought != _NOWHERE and status == LOG_APPLIED:
        status = change_balance(bought, negate(load_be256(data + _WORD)), ZERO)
    return status


@hot("int64(int64, int64, int64)")
def _balance_managed(row: int, topics: int, data: int) -> int:
    # Topics: poolId, assetManager, token. Data: cashDelta, managedDelta.
    token = _token_of(row, load_be256(topics + 2 * _WORD))
    if token == _NOWHERE:
        return LOG_RELOAD
    return change_balance(token, load_be256(data), load_be256(data + _WORD))


@hot("int64(int64, int64, int64)")
def _balance_changed(row: int, data: int, words: int) -> int:
    # Data: places of tokens, deltas and protocolFeeAmounts; then each as its length and its items. The
    # tokens are all that the Vault knows of the pool, in its order: a delta is what comes in, before the fee.
    own = load(row + OWN_TOKEN, 0)
    count = load(row + COUNT, 0) + (0 if own == NO_OWN_TOKEN else 1)
    deltas, fees = _array(data, words, 1, count), _array(data, words, 2, count)
    if _NOWHERE in (deltas, fees):
        return LOG_RELOAD
    for k in range(count):
        token = _registered(row, u256(k))
        if token == _NOWHERE:
            continue
        fee = load_be256(fees + k * _WORD)
        if fee > _UINT128_MAX:
            return LOG_RELOAD
        if change_balance(token, load_be256(deltas + k * _WORD) - fee, ZERO) != LOG_APPLIED:
            return LOG_RELOAD
    return LOG_APPLIED


@hot("int64(int64, int64, int64, int64)")
def _array(data: int, words: int, index: int, count: int) -> int:
    # The first item of array `index` of the data, which must have `count` items; or `_NOWHERE`.
    if words <= index:
        return _NOWHERE
    place = load_be256(data + index * _WORD)
    if place > _MOST_WORDS * u256(_WORD) or (place & u256(_WORD - 1)) != ZERO:
        return _NOWHERE
    start = i64(lo64(place))
    if start // _WORD + 1 + count > words or load_be256(data + start) != u256(count):
        return _NOWHERE
    return data + start + _WORD


@hot("int64(int64, u256)")
def _fee_changed(row: int, fee: int) -> int:
    if fee > _MAX_FEE:
        return LOG_RELOAD
    store(row + FEE, 0, i64(lo64(fee)))
    return LOG_APPLIED


@hot("int64(int64, int64)")
def _amp_started(row: int, data: int) -> int:
    first, last = load_be256(data), load_be256(data + _WORD)
    start, end = load_be256(data + 2 * _WORD), load_be256(data + 3 * _WORD)
    if (
        max(first, last) > _MAX_AMP
        or min(first, last) == ZERO
        or max(start, end) > _MAX_SECONDS
        or start > end
    ):
        return LOG_RELOAD
    store(row + AMP_START, 0, i64(lo64(first)))
    store(row + AMP_END, 0, i64(lo64(last)))
    ramp_amp(row, i64(lo64(start)), i64(lo64(end)))
    return LOG_APPLIED


@hot("int64(int64, u256)")
def _amp_stopped(row: int, value: int) -> int:
    if value > _MAX_AMP or value == ZERO:
        return LOG_RELOAD
    store(row + AMP_START, 0, i64(lo64(value)))
    store(row + AMP_END, 0, i64(lo64(value)))
    ramp_amp(row, 0, 0)
    return LOG_APPLIED


@hot("int64(int64, int64, u256)")
def _rate_updated(row: int, token: int, rate: int) -> int:
    # The event is of a block with the row's time: from then on the rate is good for its duration.
    if token == _NOWHERE or rate > _UINT128_MAX or rate == ZERO:
        return LOG_RELOAD
    store128(token + RATE, u128(rate))
    store(token + EXPIRES, 0, min(NEVER, load(row + CLOCK, 0) + load(token + DURATION, 0)))
    set_scaling(token, rate)
    return LOG_APPLIED
