"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` and `quote_exact_out` equal `reference.quote` and `reference.quote_exact_out` to the unit. `i` and
`j` are positions among the tokens without the pool's own; a direction that is none quotes 0.

The output grows with the input up to the largest that the pool and the Vault take; beyond, the quote is
0. `curve` is smooth where the contract rounds: README.md states by how much they differ at most.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import CURVE_SIGNATURE, GAS_SIGNATURE, QUOTE_SIGNATURE
from tallyio.market.abi import QUOTE_EXACT_OUT_SIGNATURE as EXACT_OUT_SIGNATURE
from tallyio.market.fixed.arithmetic import (
    ONE,
    ZERO,
    fits,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, load128, load256, to_f64, u256
from tallyio_protocol_balancer.hot_events import apply_log
from tallyio_protocol_balancer.hot_stable import stable_curve, stable_in, stable_out
from tallyio_protocol_balancer.hot_state import advance
from tallyio_protocol_balancer.hot_weighted import weighted_curve, weighted_in, weighted_out
from tallyio_protocol_balancer.layout import (
    CASH,
    COUNT,
    FEE,
    GAS,
    HEAD_BYTES,
    KIND,
    MANAGED,
    PAUSED_UNTIL,
    SCALING,
    STABLE_ROUNDED,
    TOKEN_BYTES,
    UINT112_MAX,
)

__all__ = ["advance", "apply_log", "curve", "gas", "quote", "quote_exact_out"]

_UINT112_MAX: Final = const(UINT112_MAX)
_UINT112_MAX_F64: Final = float(UINT112_MAX)
_FIXED: Final = 1e-18


@hot("boolean(int64, int64, int64)", inline=True)
def _trades(row: int, i: int, j: int) -> bool:
    count = load(row + COUNT, 0)
    return 0 <= i < count and 0 <= j < count and i != j and load(row + PAUSED_UNTIL, 0) == 0


@hot("int64(int64, int64)", inline=True)
def _token(row: int, k: int) -> int:
    return row + HEAD_BYTES + k * TOKEN_BYTES


@hot("u256(int64)", inline=True)
def _held(token: int) -> int:
    return u256(load128(token + CASH)) + u256(load128(token + MANAGED))


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the pool pays for `amount_in`, exactly; 0 where it or the Vault reverts."""
    if not _trades(row, i, j) or amount_in > _UINT112_MAX:
        return ZERO
    sold, bought = _token(row, i), _token(row, j)
    if _held(sold) + amount_in > _UINT112_MAX:
        return ZERO
    # A fee is below 2**57, an amount below 2**112.
    after_fee = amount_in - fixed_mul_up(amount_in, u256(load(row + FEE, 0)))
    scaling = load256(sold + SCALING)
    if not fits(after_fee, scaling):
        return ZERO
    amount, amount_out = fixed_mul_down(after_fee, scaling), ZERO
    if load(row + KIND, 0) >= STABLE_ROUNDED:
        amount_out = stable_out(row, i, j, amount)
    else:
        amount_out = weighted_out(row, sold, bought, amount)
    # The output is less than the scaled balance, which times 10**18 is below 2**256.
    amount_out = fixed_div_down(amount_out, load256(bought + SCALING))
    return amount_out if amount_out <= u256(load128(bought + CASH)) else ZERO


@hot(EXACT_OUT_SIGNATURE)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return what the pool takes for exactly `amount_out`; 0 where it or the Vault reverts."""
    if not _trades(row, i, j) or amount_out == ZERO:
        return ZERO
    sold, bought = _token(row, i), _token(row, j)
    scaling = load256(bought + SCALING)
    if amount_out > u256(load128(bought + CASH)) or not fits(amount_out, scaling):
        return ZERO
    amount, amount_in = fixed_mul_down(amount_out, scaling), ZERO
    if load(row + KIND, 0) >= STABLE_ROUNDED:
        amount_in = stable_in(row, i, j, amount)
    else:
        amount_in = weighted_in(row, sold, bought, amount)
    if not fits(amount_in, ONE):
        return ZERO
    amount_in = fixed_div_up(amount_in, load256(sold + SCALING))
    if not fits(amount_in, ONE):
        return ZERO
    amount_in = fixed_div_up(amount_in, ONE - u256(load(row + FEE, 0)))
    if amount_in > _UINT112_MAX or _held(sold) + amount_in > _UINT112_MAX:
        return ZERO
    return amount_in


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64."""
    if not _trades(row, i, j):
        return 0.0, 0.0
    sold, bought = _token(row, i), _token(row, j)
    if not 0.0 <= amount_in <= _UINT112_MAX_F64 - to_f64(_held(sold)):
        return 0.0, 0.0
    enter = (1.0 - float(load(row + FEE, 0)) * _FIXED) * (to_f64(load256(sold + SCALING)) * _FIXED)
    leave = to_f64(load256(bought + SCALING)) * _FIXED
    if load(row + KIND, 0) >= STABLE_ROUNDED:
        out, slope = stable_curve(row, i, j, amount_in * enter)
    else:
        out, slope = weighted_curve(row, sold, bought, amount_in * enter)
    cash = to_f64(u256(load128(bought + CASH)))
    if leave == 0.0:
        return 0.0, 0.0
    if out / leave >= cash:
        return cash, 0.0
    return out / leave, slope * enter / leave


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the configured gas of one swap."""
    return load(row + GAS, 0)
