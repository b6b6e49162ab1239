"""What events do to a row, exactly; each function returns whether the row could follow.

A row that could not is half changed and must be loaded anew.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load, load_be256, store
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, i64, load256, store256, u256
from tallyio_protocol_curve_stable.hot_math import FEE_BASE, WAD, ZERO, fits
from tallyio_protocol_curve_stable.hot_state import coin, is_direction, set_time, settle
from tallyio_protocol_curve_stable.hot_swap import solve
from tallyio_protocol_curve_stable.layout import (
    ADMIN_FEE,
    BALANCE,
    COUNT,
    FEE,
    FLAGS,
    FUTURE_A,
    FUTURE_TIME,
    INITIAL_A,
    INITIAL_TIME,
    MAX_AMP,
    MAX_FEE,
    MAX_TIME,
    MULTIPLIER,
    RATE,
    SUPPLY,
    TIME,
    UINT128_MAX,
    D,
)
from tallyio_protocol_curve_stable.reference import FEE_DENOMINATOR
from tallyio_protocol_curve_stable.templates import Flag

WORD: Final = 32

_ONE: Final = const(1)
_UINT128_MAX: Final = const(UINT128_MAX)
_MAX_AMP: Final = const(MAX_AMP)
_MAX_FEE: Final = const(MAX_FEE)
_MAX_DYNAMIC: Final = const(MAX_FEE * FEE_DENOMINATOR)
_MAX_TIME: Final = const(MAX_TIME)
_BALANCES_FROM_XP: Final = int(Flag.BALANCES_FROM_XP)
_DYNAMIC_ARRAYS: Final = int(Flag.DYNAMIC_ARRAYS)


@hot("u256(int64, int64)", inline=True)
def word_at(data: int, index: int) -> int:
    """Return word `index` of a log's data."""
    return load_be256(data + WORD * index)


@hot("boolean(int64, int64, int64)")
def follow_exchange(row: int, data: int, data_bytes: int) -> bool:
    """TokenExchange(sold_id, tokens_sold, bought_id, tokens_bought): recompute what was bought."""
    if data_bytes != 4 * WORD:
        return False
    sold_id, sold, bought_id, bought = word_at(data, 0), word_at(data, 1), word_at(data, 2), word_at(data, 3)
    if sold_id > _UINT128_MAX or bought_id > _UINT128_MAX or sold > _UINT128_MAX:
        return False
    i, j = i64(sold_id), i64(bought_id)
    if not is_direction(row, i, j):
        return False
    paid, fee, x, y = solve(row, i, j, sold)
    # To `solve`, paying nothing looks like a revert: the row does not know how the balances moved.
    if paid != bought or paid == ZERO:
        return False
    # fee < 2**197 and the admin's part < 2**34; what `solve` proves holds for the other products.
    admin = divmod256(fee * u256(load(row + ADMIN_FEE, 0)), FEE_BASE)[0]
    at_i, at_j = coin(row, i), coin(row, j)
    if load(row + FLAGS, 0) & _BALANCES_FROM_XP:
        after_i = divmod256(x * WAD, load256(at_i + RATE))[0]
        after_j = divmod256((y + (fee - admin)) * WAD, load256(at_j + RATE))[0]
    else:
        after_i = load256(at_i + BALANCE) + sold
        after_j = load256(at_j + BALANCE) - paid - divmod256(admin * WAD, load256(at_j + RATE))[0]
    if after_i > _UINT128_MAX:
        return False
    store256(at_i + BALANCE, after_i)
    store256(at_j + BALANCE, after_j)
    settle(row)
    return True


@hot("boolean(int64, int64, int64, int64)")
def follow_amounts(row: int, data: int, data_bytes: int, sign: int) -> bool:
    """AddLiquidity or RemoveLiquidityImbalance(token_amounts, fees, invariant, token_supply).

    `sign` is 1 or -1. The invariant that was logged must be the row's own: after the amounts, and in
    NG also after the fees.
    """
    n, has_lengths = load(row + COUNT, 0), load(row + FLAGS, 0) & _DYNAMIC_ARRAYS
    amounts, fees, tail = data, data + WORD * n, data + 2 * WORD * n
    size = 2 * n + 2
    if has_lengths:
        amounts, fees, tail = data + 5 * WORD, data + (6 + n) * WORD, data + 2 * WORD
        size = 2 * n + 6
    if data_bytes != size * WORD or (has_lengths and not _are_arrays(data, n, 4, n)):
        return False
    for k in range(n):
        fee = word_at(fees, k)
        if fee > _UINT128_MAX or not _change(row, k, word_at(amounts, k), sign):
            return False
        if has_lengths and not _change(row, k, fee, -1):
            return False
    settle(row)
    if load256(row + D) != word_at(tail, 0):
        return False
    _share_fees(row, fees, has_lengths)
    store256(row + SUPPLY, word_at(tail, 1))
    settle(row)
    return True


@hot("void(int64, int64, int64)")
def _share_fees(row: int, fees: int, are_taken: int) -> None:
    # The admin gets a part of each fee; the rest, where it was already taken off, goes back to the pool.
    for k in range(load(row + COUNT, 0)):
        fee, at = word_at(fees, k), coin(row, k) + BALANCE
        # fee < 2**128 and the admin's part at most 10**10 of 10**10.
        admin = divmod256(fee * u256(load(row + ADMIN_FEE, 0)), FEE_BASE)[0]
        store256(at, load256(at) + (fee if are_taken else ZERO) - admin)


@hot("boolean(int64, int64, int64, int64)")
def _are_arrays(data: int, n: int, head: int, second: int) -> bool:
    # Two arrays behind a head of `head` words, of `n` and `second` words, as Vyper lays them out.
    at = head + 1 + n
    return (
        word_at(data, 0) == u256(head * WORD)
        and word_at(data, 1) == u256(at * WORD)
        and word_at(data, head) == u256(n)
        and word_at(data, at) == u256(second)
    )


@hot("boolean(int64, int64, u256, int64)")
def _change(row: int, k: int, amount: int, sign: int) -> bool:
    at = coin(row, k) + BALANCE
    before = load256(at)
    after = before + amount if sign > 0 else before - amount
    store256(at, after)
    # Both before and amount are below 2**128, so a difference that wraps is far above it.
    return amount <= _UINT128_MAX and after <= _UINT128_MAX


@hot("boolean(int64, int64, int64)")
def follow_removal(row: int, data: int, data_bytes: int) -> bool:
    """RemoveLiquidity(token_amounts, fees, token_supply): each coin's share of the tokens burned."""
    n, has_lengths = load(row + COUNT, 0), load(row + FLAGS, 0) & _DYNAMIC_ARRAYS
    amounts, tail, size = data, data + 2 * WORD * n, 2 * n + 1
    if has_lengths:
        amounts, tail, size = data + 4 * WORD, data + 2 * WORD, n + 5
    if data_bytes != size * WORD or (has_lengths and not _are_arrays(data, n, 3, 0)):
        return False
    after, supply = word_at(tail, 0), load256(row + SUPPLY)
    if after > supply or supply == ZERO:
        return False
    for k in range(n):
        at, burned = coin(row, k) + BALANCE, supply - after
        balance = load256(at)
        if not fits(balance, burned):
            return False
        amount = divmod256(balance * burned, supply)[0]
        if amount != word_at(amounts, k):
            return False
        store256(at, balance - amount)
    store256(row + SUPPLY, after)
    settle(row)
    return True


@hot("boolean(int64, u256, u256, u256, u256)")
def set_ramp(row: int, initial: int, future: int, started: int, ends: int) -> bool:
    """Set how A moves, in units of 1 / A_PRECISION."""
    low, high = min(initial, future), max(initial, future)
    if low < _ONE or high > _MAX_AMP or max(started, ends) > _MAX_TIME:
        return False
    store(row + INITIAL_A, 0, i64(initial))
    store(row + FUTURE_A, 0, i64(future))
    store(row + INITIAL_TIME, 0, i64(started))
    store(row + FUTURE_TIME, 0, i64(ends))
    if set_time(row, load(row + TIME, 0)):
        settle(row)
    return True


@hot("boolean(int64, u256, u256, u256)")
def set_fees(row: int, fee: int, admin_fee: int, multiplier: int) -> bool:
    """Set what an exchange takes."""
    if fee > _MAX_FEE or admin_fee > FEE_BASE or not fits(fee, multiplier) or fee * multiplier > _MAX_DYNAMIC:
        return False
    store(row + FEE, 0, i64(fee))
    store(row + ADMIN_FEE, 0, i64(admin_fee))
    store256(row + MULTIPLIER, multiplier)
    return True
