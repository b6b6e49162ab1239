"""Swaps of weighted pools in compiled code; `reference_weighted` is the specification.

Balances and amounts are below 2**129, so a product with a fixed number below 2**67 is below 2**196 and needs
no question. 0 stands for a revert; no swap that succeeds takes or pays a scaled 0 and is of use.
"""

from __future__ import annotations

import math
from typing import Final

from tallyio.market.fixed.arithmetic import (
    ONE,
    UNIT,
    ZERO,
    fits,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
)
from tallyio.market.fixed.powers import is_multiplied, pow_up
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, to_f64, u256
from tallyio_protocol_balancer_v3 import reference_weighted
from tallyio_protocol_balancer_v3.layout import LEAST_LIVE, LIVE, MORE, WEIGHT

_MAX_RATIO: Final = const(reference_weighted.MAX_RATIO)
_MAX_RATIO_F64: Final = reference_weighted.MAX_RATIO / 1e18
_MARGIN: Final = 1e-14
_UNIT_F64: Final = 1e-18


@hot("u256(int64, int64)", inline=True)
def _number(token: int, field: int) -> int:
    return u256(load128(token + field))


@hot("u256(int64, int64)", inline=True)
def _exponent(sold: int, bought: int) -> int:
    return fixed_div_down(u256(load(sold + WEIGHT, 0)), u256(load(bought + WEIGHT, 0)))


@hot("u256(int64, int64)", inline=True)
def _counted(row: int, sold: int) -> int:
    # What the pool counts of the token sold; 0, which it refuses to trade for, where that is too little.
    counted = _number(sold, LIVE) + (UNIT if load(row + MORE, 0) == 1 else ZERO)
    return counted if counted >= _number(sold, LEAST_LIVE) else ZERO


@hot("u256(int64, int64, int64, u256)")
def weighted_out(row: int, sold: int, bought: int, amount_in: int) -> int:
    """Return the scaled output of a scaled input; 0 where the pool reverts.

    `sold` and `bought` are addresses of token records.
    """
    balance_in, balance_out = _counted(row, sold), _number(bought, LIVE)
    if balance_in == ZERO or amount_in > fixed_mul_down(balance_in, _MAX_RATIO):
        return ZERO
    base = fixed_div_up(balance_in, balance_in + amount_in)
    power = pow_up(base, _exponent(sold, bought), True)
    if power == ZERO or power >= ONE:
        return ZERO
    amount_out = fixed_mul_down(balance_out, ONE - power)
    return amount_out if balance_out - amount_out >= _number(bought, LEAST_LIVE) else ZERO


@hot("u256(int64, int64, int64, u256)")
def weighted_in(row: int, sold: int, bought: int, amount_out: int) -> int:
    """Return the scaled input for a scaled output; 0 where the pool reverts."""
    balance_in, balance_out = _counted(row, sold), _number(bought, LIVE)
    if balance_in == ZERO or amount_out > fixed_mul_down(balance_out, _MAX_RATIO):
        return ZERO
    if balance_out - amount_out < _number(bought, LEAST_LIVE):
        return ZERO
    base = fixed_div_up(balance_out, balance_out - amount_out)
    exponent = fixed_div_up(u256(load(bought + WEIGHT, 0)), u256(load(sold + WEIGHT, 0)))
    power = pow_up(base, exponent, True)
    if power < ONE or not fits(balance_in, power - ONE):
        return ZERO
    return fixed_mul_up(balance_in, power - ONE)


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def weighted_curve(row: int, sold: int, bought: int, amount_in: float) -> tuple[float, float]:
    """Return scaled output and slope at a scaled input after the fee, in float64."""
    balance_in, balance_out = to_f64(_counted(row, sold)), to_f64(_number(bought, LIVE))
    if balance_in == 0.0 or amount_in > balance_in * _MAX_RATIO_F64:
        return 0.0, 0.0
    exponent = float(load(sold + WEIGHT, 0)) / float(load(bought + WEIGHT, 0))
    logarithm = exponent * math.log1p(amount_in / balance_in)
    power = math.exp(-logarithm)
    slope = balance_out / (balance_in + amount_in) * exponent * power
    left = -math.expm1(-logarithm)
    if not is_multiplied(_exponent(sold, bought), True):
        left = left - power * _MARGIN - _UNIT_F64
    return max(0.0, balance_out * left), slope
