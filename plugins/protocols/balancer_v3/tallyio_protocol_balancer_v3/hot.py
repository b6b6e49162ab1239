"""A pool's compiled functions; `tallyio.market.abi` states what each must do.

`quote` and `quote_exact_out` equal `reference.quote` and `reference.quote_exact_out` to the unit. `i` and
`j` are positions among the pool's tokens; a direction that is none quotes 0.

The output grows with the input up to the largest that the pool and the Vault take; beyond, the quote is 0.
Every event asks for a reload: one call of the Vault then says what it counts, fees and rates included.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.abi import (
    ADVANCE_SIGNATURE,
    APPLY_LOG_SIGNATURE,
    CURVE_SIGNATURE,
    GAS_SIGNATURE,
    LOG_IGNORED,
    LOG_RELOAD,
    QUOTE_SIGNATURE,
)
from tallyio.market.abi import QUOTE_EXACT_OUT_SIGNATURE as EXACT_OUT_SIGNATURE
from tallyio.market.fixed.arithmetic import (
    ONE,
    UNIT,
    ZERO,
    div_up,
    fits,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, to_f64, u256
from tallyio_protocol_balancer_v3.hot_stable import stable_curve, stable_in, stable_out
from tallyio_protocol_balancer_v3.hot_weighted import weighted_curve, weighted_in, weighted_out
from tallyio_protocol_balancer_v3.layout import (
    COUNT,
    FEE,
    GAS,
    HEAD_BYTES,
    KIND,
    LEAST,
    LIVE,
    MAX_AGE,
    RATE,
    RAW,
    READ_AT,
    SCALING,
    STABLE,
    TOKEN_BYTES,
)
from tallyio_protocol_balancer_v3.state import MOST

_MOST: Final = const(MOST)
_MOST_F64: Final = float(MOST)
_FIXED: Final = 1e-18


@hot("boolean(int64, int64, int64)", inline=True)
def _trades(row: int, i: int, j: int) -> bool:
    count = load(row + COUNT, 0)
    return 0 <= i < count and 0 <= j < count and i != j


@hot("int64(int64, int64)", inline=True)
def _token(row: int, k: int) -> int:
    return row + HEAD_BYTES + k * TOKEN_BYTES


@hot("u256(int64, int64)", inline=True)
def _number(token: int, field: int) -> int:
    return u256(load128(token + field))


@hot("boolean(int64, u256)")
def _takes(token: int, amount: int) -> bool:
    """Return whether the Vault can book `amount`, below 2**128, more of the token.

    Then the amount with 18 decimals and the rate is below 2**128 too.
    """
    raw = _number(token, RAW) + amount
    scaled = raw * _number(token, SCALING)  # a uint128 times less than 2**60
    if raw > _MOST or not fits(scaled, _number(token, RATE)):
        return False
    return fixed_mul_down(scaled, _number(token, RATE)) <= _MOST


@hot("u256(int64)", inline=True)
def _rate_up(token: int) -> int:
    rate = _number(token, RATE)
    return rate if divmod256(rate, ONE)[1] == ZERO else rate + UNIT


@hot(QUOTE_SIGNATURE)
def quote(row: int, i: int, j: int, amount_in: int) -> int:
    """Return what the Vault pays for `amount_in`, exactly; 0 where it or the pool reverts."""
    if not _trades(row, i, j) or amount_in == ZERO or amount_in > _MOST:
        return ZERO
    sold, bought, least = _token(row, i), _token(row, j), u256(load(row + LEAST, 0))
    if not _takes(sold, amount_in):
        return ZERO
    given = fixed_mul_down(amount_in * _number(sold, SCALING), _number(sold, RATE))
    given = given - fixed_mul_up(given, u256(load(row + FEE, 0)))
    if given < least:
        return ZERO
    scaled = ZERO
    if load(row + KIND, 0) == STABLE:
        scaled = stable_out(row, i, j, given)
    else:
        scaled = weighted_out(row, sold, bought, given)
    if scaled < least:
        return ZERO
    # The output is less than the live balance, below 2**128.
    amount_out = fixed_div_down(scaled, _number(bought, SCALING) * _rate_up(bought))
    return amount_out if amount_out <= _number(bought, RAW) else ZERO


@hot(EXACT_OUT_SIGNATURE)
def quote_exact_out(row: int, i: int, j: int, amount_out: int) -> int:
    """Return what the Vault takes for exactly `amount_out`; 0 where it or the pool reverts."""
    if not _trades(row, i, j) or amount_out == ZERO:
        return ZERO
    sold, bought, least = _token(row, i), _token(row, j), u256(load(row + LEAST, 0))
    scaled = amount_out * _number(bought, SCALING)  # of a uint128, or refused here
    if amount_out > _number(bought, RAW) or not fits(scaled, _rate_up(bought)):
        return ZERO
    given = fixed_mul_up(scaled, _rate_up(bought))
    if given < least or given > _number(bought, LIVE):
        return ZERO
    if load(row + KIND, 0) == STABLE:
        scaled = stable_in(row, i, j, given)
    else:
        scaled = weighted_in(row, sold, bought, given)
    if scaled < least or scaled > _MOST:
        return ZERO
    fee = u256(load(row + FEE, 0))  # below one: the sum is below 2**128 + 2**128 * 2**60
    scaled = scaled + div_up(scaled * fee, ONE - fee)
    amount_in = fixed_div_up(scaled, _number(sold, SCALING) * _number(sold, RATE))
    return amount_in if amount_in <= _MOST and _takes(sold, amount_in) else ZERO


@hot(CURVE_SIGNATURE)
def curve(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope at `amount_in` in float64; README.md states by how much it differs."""
    if not _trades(row, i, j) or not 0.0 <= amount_in <= _MOST_F64:
        return 0.0, 0.0
    sold, bought = _token(row, i), _token(row, j)
    enter = to_f64(_number(sold, SCALING)) * to_f64(_number(sold, RATE)) * _FIXED
    enter = enter * (1.0 - float(load(row + FEE, 0)) * _FIXED)
    leave = to_f64(_number(bought, SCALING)) * to_f64(_rate_up(bought)) * _FIXED
    if load(row + KIND, 0) == STABLE:
        out, slope = stable_curve(row, i, j, amount_in * enter)
    else:
        out, slope = weighted_curve(row, sold, bought, amount_in * enter)
    return out / leave, slope * enter / leave


@hot(GAS_SIGNATURE)
def gas(row: int, i: int, j: int, amount_in: int) -> int:  # noqa: ARG001 - the same for every swap
    """Return the configured gas of one swap."""
    return load(row + GAS, 0)


@hot(ADVANCE_SIGNATURE)
def advance(row: int, timestamp: int) -> int:
    """Ask for a reload where rates or the amp may have moved: the row is too old."""
    age = load(row + MAX_AGE, 0)
    is_old = age > 0 and timestamp - load(row + READ_AT, 0) > age
    return LOG_RELOAD if is_old else LOG_IGNORED


@hot(APPLY_LOG_SIGNATURE)
def apply_log(row: int, event: int, topics: int, data: int, data_bytes: int) -> int:  # noqa: ARG001 - all the same
    """Ask for a reload, whatever happened to the pool."""
    return LOG_RELOAD
