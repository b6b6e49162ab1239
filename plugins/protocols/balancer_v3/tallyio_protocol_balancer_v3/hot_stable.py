"""Swaps of stable pools in compiled code; `reference_stable` is the specification.

Balances and amounts are below 2**129. Larger intermediate products are common in odd states, and there the
contract reverts: each one is asked whether it fits. 0 stands for a revert, because no invariant and no
balance that the contract goes on with is 0. The invariant is in the row: it changes when that is read anew.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.fixed.arithmetic import UNIT, ZERO, div_up, fits
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, load256, to_f64, u256
from tallyio_protocol_balancer_v3 import reference_stable
from tallyio_protocol_balancer_v3.layout import AMP, COUNT, HEAD_BYTES, INVARIANT, LIVE, TOKEN_BYTES

_PRECISION: Final = const(reference_stable.AMP_PRECISION)
_PRECISION_F64: Final = float(reference_stable.AMP_PRECISION)
_IMBALANCE: Final = const(reference_stable.MAX_IMBALANCE)
_MAX: Final = const(2**256 - 1)
_MAX_ROUNDS: Final = reference_stable.MAX_ROUNDS


@hot("u256(int64, int64)", inline=True)
def _live(row: int, k: int) -> int:
    return u256(load128(row + HEAD_BYTES + k * TOKEN_BYTES + LIVE))


@hot("u256(int64, int64, u256, int64)")
def _token_balance(row: int, changed: int, balance: int, index: int) -> int:
    # The balance of `index` that gives the invariant, where `changed` has `balance`; 0 where it reverts.
    count, invariant = load(row + COUNT, 0), load256(row + INVARIANT)
    n, total, product = u256(count), ZERO, ZERO
    ann = u256(load(row + AMP, 0)) * n
    for k in range(count):
        each = balance if k == changed else _live(row, k)
        total = total + each
        if k == 0:
            product = each * n
        elif fits(product, each * n):
            product = divmod256(product * (each * n), invariant)[0]
        else:
            return ZERO
    return _solve(invariant, ann, product, total - _live(row, index), _live(row, index))


@hot("u256(u256, u256, u256, u256, u256)")
def _solve(invariant: int, ann: int, product: int, others: int, own: int) -> int:
    if product == ZERO or not fits(invariant, invariant) or not fits(ann, product):
        return ZERO  # also for an invariant of 0: the product was divided by it
    square = invariant * invariant
    if not fits(square, _PRECISION):
        return ZERO
    c = div_up(square * _PRECISION, ann * product)
    if not fits(c, own):
        return ZERO
    c = c * own
    b = others + divmod256(invariant * _PRECISION, ann)[0]  # invariant below 2**128, for its square fits
    if c > _MAX - square:
        return ZERO
    return _iterate(div_up(square + c, invariant + b), b, c, invariant)


@hot("u256(u256, u256, u256, u256)")
def _iterate(y: int, b: int, c: int, invariant: int) -> int:
    for _ in range(_MAX_ROUNDS):
        before = y
        if not fits(y, y) or c > _MAX - y * y or y + y + b <= invariant:
            return ZERO
        y = div_up(y * y + c, y + y + b - invariant)
        # One of the differences wraps, and is then large.
        if y - before <= UNIT or before - y <= UNIT:
            return y
    return ZERO


@hot("boolean(int64, u256, u256)")
def _is_balanced(row: int, new_in: int, new_out: int) -> bool:
    # Whether the largest balance, before and after, is less than 10,000 times the smallest.
    smallest, largest = new_out, new_in
    for k in range(load(row + COUNT, 0)):
        smallest, largest = min(smallest, _live(row, k)), max(largest, _live(row, k))
    return smallest != ZERO and divmod256(largest, smallest)[0] < _IMBALANCE


@hot("u256(int64, int64, int64, u256)")
def stable_out(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the scaled output of a scaled input; 0 where the pool reverts."""
    new_in, before = _live(row, i) + amount_in, _live(row, j)
    after = _token_balance(row, i, new_in, j)
    if after == ZERO or after >= before:
        return ZERO
    amount_out = before - after - UNIT
    return amount_out if _is_balanced(row, new_in, before - amount_out) else ZERO


@hot("u256(int64, int64, int64, u256)")
def stable_in(row: int, i: int, j: int, amount_out: int) -> int:
    """Return the scaled input for a scaled output; 0 where the pool reverts."""
    held, before = _live(row, j), _live(row, i)
    if amount_out > held:
        return ZERO
    after = _token_balance(row, j, held - amount_out, i)
    if after == ZERO or after < before:
        return ZERO
    amount_in = after - before + UNIT
    return amount_in if _is_balanced(row, before + amount_in, held - amount_out) else ZERO


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def stable_curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return scaled output and slope at a scaled input after the fee, in float64.

    The pool solves y**2 + (b - D) y = c for the balance y of the token bought. An input a makes that
    (b + a - D) and c x / (x + a), with x the balance of the token sold. With y = y0 - d, and y0 solving
    the first, d is the smaller root of d**2 - (2 y0 + b + a - D) d + a (y0 + c / (x + a)) = 0, in which
    nothing large cancels.
    """
    invariant = to_f64(load256(row + INVARIANT))
    if invariant == 0.0:
        return 0.0, 0.0
    count = load(row + COUNT, 0)
    n = float(count)
    per_ann = _PRECISION_F64 / (float(load(row + AMP, 0)) * n)
    c, b = invariant * per_ann * (invariant / n), invariant * per_ann - invariant
    for k in range(count):
        if k != j:
            balance = to_f64(_live(row, k))
            b += balance
            c *= invariant / (n * balance)
    x, y = to_f64(_live(row, i)) + amount_in, to_f64(_live(row, j))
    linear, constant = 2.0 * y + b + amount_in, amount_in * (y + c / x)
    root = math.sqrt(max(0.0, linear * linear - 4.0 * constant))
    out = 2.0 * constant / (linear + root)
    slope = (y - out + c * (x - amount_in) / (x * x)) / root
    return max(0.0, out - 1.0), slope
