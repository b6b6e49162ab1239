"""Swaps of stable pools in compiled code; `reference_stable` is the specification.

Scaled balances are below 2**197, for a product that the pool computes is below 2**256 before it is
divided by 10**18. Larger intermediate products are common in odd states, and there the contract
reverts: each one is asked whether it fits. 0 stands for a revert, because no invariant and no balance
that the contract goes on with is 0.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.fixed.arithmetic import UNIT, ZERO, div_up, fits
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, to_f64, u256
from tallyio_protocol_balancer import reference_stable
from tallyio_protocol_balancer.layout import (
    AMP,
    COUNT,
    HEAD_BYTES,
    INVARIANT,
    KIND,
    SCALED,
    STABLE_ROUNDED,
    TOKEN_BYTES,
)

_PRECISION: Final = const(reference_stable.AMP_PRECISION)
_TWO: Final = const(2)
_MAX: Final = const(2**256 - 1)
_MAX_ROUNDS: Final = reference_stable.MAX_ROUNDS


@hot("u256(int64)")
def compute_invariant(row: int) -> int:
    """Return the invariant of the scaled balances as the pool computes it; 0 where it reverts."""
    total, count = ZERO, load(row + COUNT, 0)
    for k in range(count):
        total = total + _scaled(row, k)  # at most five: below 2**200
    if total == ZERO:
        return ZERO
    if load(row + KIND, 0) == STABLE_ROUNDED:
        return _invariant_rounded_up(row, count, total)
    return _invariant_truncated(row, count, total)


@hot("u256(int64, int64, u256)")
def _invariant_rounded_up(row: int, count: int, total: int) -> int:
    n, invariant = u256(count), total
    ann = u256(load(row + AMP, 0)) * n
    weighted = ann * total  # below 2**23 * 5 * 2**200
    for _ in range(_MAX_ROUNDS):
        product = _product_rounded_up(row, count, invariant)
        before = invariant
        if product == _MAX or not fits(weighted, product) or not fits(n * invariant, invariant):
            return ZERO
        grown, squared = div_up(weighted * product, _PRECISION), n * invariant * invariant
        lessened = divmod256((ann - _PRECISION) * product, _PRECISION)[0]  # less than weighted * product
        if grown > _MAX - squared:
            return ZERO
        invariant = div_up(squared + grown, (n + UNIT) * invariant + lessened)
        if _is_near(invariant, before):
            return invariant
    return ZERO


@hot("u256(int64, int64, u256)")
def _product_rounded_up(row: int, count: int, invariant: int) -> int:
    # n**n * (product of balances) / invariant**(n - 1), or the largest number where a step overflows.
    n = u256(count)
    product = _scaled(row, 0) * n
    for k in range(1, count):
        balance = _scaled(row, k) * n
        if not fits(product, balance):
            return _MAX
        product = div_up(product * balance, invariant)
    return product


@hot("u256(int64, int64, u256)")
def _invariant_truncated(row: int, count: int, total: int) -> int:
    n, invariant = u256(count), total
    ann = u256(load(row + AMP, 0)) * n
    weighted = divmod256(ann * total, _PRECISION)[0]  # below 2**23 * 5 * 2**200 before it is divided
    for _ in range(_MAX_ROUNDS):
        product = invariant
        for k in range(count):
            balance = _scaled(row, k) * n
            if balance == ZERO or not fits(product, invariant):
                return ZERO
            product = divmod256(product * invariant, balance)[0]
        before = invariant
        numerator = _sum_within(weighted, product, n)
        if numerator == ZERO or not fits(numerator, invariant) or not fits(ann - _PRECISION, invariant):
            return ZERO
        lessened = divmod256((ann - _PRECISION) * invariant, _PRECISION)[0]
        denominator = _sum_within(lessened, product, n + UNIT)
        if denominator == ZERO:
            return ZERO
        invariant = divmod256(numerator * invariant, denominator)[0]
        if _is_near(invariant, before):
            return invariant
    return ZERO


@hot("u256(u256, u256, u256)")
def _sum_within(a: int, b: int, c: int) -> int:
    # a + b * c, or 0 where it overflows.
    if not fits(b, c) or a > _MAX - b * c:
        return ZERO
    return a + b * c


@hot("boolean(u256, u256)", inline=True)
def _is_near(a: int, b: int) -> bool:
    return a - b <= UNIT or b - a <= UNIT  # one of the two wraps, and is then large


@hot("u256(int64, int64)", inline=True)
def _scaled(row: int, k: int) -> int:
    return load256(row + HEAD_BYTES + k * TOKEN_BYTES + SCALED)


@hot("u256(int64, int64, u256, int64)")
def _token_balance(row: int, changed: int, balance: int, index: int) -> int:
    # The balance of `index` that gives the invariant, where `changed` has `balance`; 0 where it reverts.
    count, invariant = load(row + COUNT, 0), load256(row + INVARIANT)
    n, total, product = u256(count), ZERO, ZERO
    ann = u256(load(row + AMP, 0)) * n
    for k in range(count):
        each = balance if k == changed else _scaled(row, k)
        total = total + each
        if k == 0:
            product = each * n
        elif fits(product, each * n):
            product = divmod256(product * (each * n), invariant)[0]
        else:
            return ZERO
    own = balance if index == changed else _scaled(row, index)
    return _solve(invariant, ann, product, total - own, own)


@hot("u256(u256, u256, u256, u256, u256)")
def _solve(invariant: int, ann: int, product: int, others: int, own: int) -> int:
    if product == ZERO or not fits(invariant, invariant) or not fits(ann, product):
        return ZERO  # also for an invariant of 0: the product was divided by it
    square = invariant * invariant
    c = div_up(square, ann * product)
    if not fits(c, _PRECISION) or not fits(c * _PRECISION, own):
        return ZERO
    c = c * _PRECISION * own
    b = others + divmod256(invariant, ann)[0] * _PRECISION  # invariant below 2**128, for its square fits
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
        if _is_near(y, before):
            return y
    return ZERO


@hot("u256(int64, int64, int64, u256)")
def stable_out(row: int, i: int, j: int, amount_in: int) -> int:
    """Return the scaled output of a scaled input; 0 where the pool reverts."""
    after = _token_balance(row, i, _scaled(row, i) + amount_in, j)
    before = _scaled(row, j)
    return before - after - UNIT if after != ZERO and after < before else ZERO


@hot("u256(int64, int64, int64, u256)")
def stable_in(row: int, i: int, j: int, amount_out: int) -> int:
    """Return the scaled input for a scaled output; 0 where the pool reverts."""
    held, before = _scaled(row, j), _scaled(row, i)
    if amount_out > held:
        return ZERO
    after = _token_balance(row, j, held - amount_out, i)
    return after - before + UNIT if after != ZERO and after >= before else ZERO


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
    per_ann = 1000.0 / (float(load(row + AMP, 0)) * n)
    c, b = invariant * per_ann * (invariant / n), invariant * per_ann - invariant
    for k in range(count):
        if k != j:
            balance = to_f64(_scaled(row, k))
            b += balance
            c *= invariant / (n * balance)
    x, y = to_f64(_scaled(row, i)) + amount_in, to_f64(_scaled(row, j))
    linear, constant = 2.0 * y + b + amount_in, amount_in * (y + c / x)
    root = math.sqrt(max(0.0, linear * linear - 4.0 * constant))
    out = 2.0 * constant / (linear + root)
    slope = (y - out + c * (x - amount_in) / (x * x)) / root
    return max(0.0, out - 1.0), slope
