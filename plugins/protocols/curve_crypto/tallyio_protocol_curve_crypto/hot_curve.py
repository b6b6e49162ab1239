"""An exchange in float64, without differences of nearly equal numbers.

Divided by D**N, the invariant says of s = sum / D and k = K0 = N**N * product / D**N, with g = gamma + 1
and c = A * N**N * gamma**2, that

    s = 1 + H(k),  H(k) = (1 - k) * (g - k)**2 / (c * k)

Balances x and y are shares X and Y of D. Selling p * x for q * y changes s by p * X - q * Y, and k by the
factor 1 + e with e = p - q - p * q. So q solves, with T(e) = H(k) - H(k * (1 + e)),

    f(q) = p * X - q * Y + T(e) = 0

Multiplied out, T is e times a sum that has no cancellation: with w = g - k and u = k * e,

    T(e) = e * (k * ((1 - k) * (2 * w - u) + (w - u)**2) + (1 - k) * w**2) / (c * k * (1 + e))

The root is where k * (1 + e) <= 1, for s is at least the N-th root of k, and f falls there.

The pool's own y solves the invariant to units only, and its balance need not be it: the row keeps how
far it is (`SOLVED`), and 1 - k there (`LEFT`), both computed exactly.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load, load_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import load256, to_f64
from tallyio_protocol_curve_crypto.hot_newton import imbalance_bounds, xp_of
from tallyio_protocol_curve_crypto.hot_words import REVERTED
from tallyio_protocol_curve_crypto.layout import (
    ANN,
    COIN_BYTES,
    COINS,
    COUNT,
    FEE_GAMMA,
    GAMMA,
    LEFT,
    MID_FEE,
    MULTIPLIER,
    OUT_FEE,
    PRICE,
    SOLVED,
    D,
)
from tallyio_protocol_curve_crypto.reference import FEE_DENOMINATOR
from tallyio_protocol_curve_crypto.reference_newton import PRECISION
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER

_WAD: Final = float(PRECISION)
_FEE_BASE: Final = float(FEE_DENOMINATOR)
_A_UNIT: Final = float(A_MULTIPLIER)
_STEPS: Final = 100
_CLOSE: Final = 1e-15
_PAIR: Final = 2
_MOST: Final = 100.0
_LEAST: Final = 0.01


@hot("UniTuple(float64, 2)(int64, int64, int64, float64)")
def curve_of(row: int, i: int, j: int, amount_in: float) -> tuple[float, float]:
    """Return output and slope; (0, 0) where the pool pays nothing. `i`, `j` are a direction of the pool."""
    d, solved = load256(row + D), load256(row + COINS + j * COIN_BYTES + SOLVED)
    before = xp_of(row, j)
    if REVERTED in (d, solved, before) or xp_of(row, i) == REVERTED:
        return 0.0, 0.0
    whole, x, y = to_f64(d), to_f64(xp_of(row, i)), to_f64(solved)
    to_xp, from_xp = _unit(row, i), 1.0 / _unit(row, j)
    dx = amount_in * to_xp
    q, slope = _part(row, j, dx / x, x / whole, y / whole)
    if not _is_allowed(row, (x + dx) / whole, (y - q * y) / whole):
        return 0.0, 0.0
    off = to_f64(before - solved) if before >= solved else -to_f64(solved - before)
    out, slope = off + q * y - 1.0, slope * y / x
    # Nothing pays nothing, wherever the balance is beside the solution.
    out = max(0.0, out) if amount_in > 0.0 else 0.0
    fee, fee_slope = _fee(row, i, j, x + dx, y - q * y, slope)
    falling = max(0.0, slope * (1.0 - fee) - out * fee_slope)
    return out * (1.0 - fee) * from_xp, falling * to_xp * from_xp


@hot("float64(int64, int64)", inline=True)
def _unit(row: int, k: int) -> float:
    at = row + COINS + k * COIN_BYTES
    return float(load(at + MULTIPLIER, 0)) * (to_f64(load256(at + PRICE)) / _WAD)


@hot("UniTuple(float64, 2)(int64, int64, float64, float64, float64)")
def _part(row: int, j: int, p: float, x: float, y: float) -> tuple[float, float]:
    # The part q of y that leaves for the part p of x, and its slope.
    left = load_f64(row + COINS + j * COIN_BYTES + LEFT, 0)
    gamma = float(load(row + GAMMA, 0)) / _WAD
    w, k, c = gamma + left, 1.0 - left, float(load(row + ANN, 0)) / _A_UNIT * gamma * gamma
    # Where k * (1 + e) is 1, f is not negative; at 1 it is minus infinity.
    low, high = max(0.0, (p - left - p * left) / (k * (1.0 + p))), 1.0
    q = low
    for _ in range(_STEPS):
        e = p - q - p * q
        value, falls = _f(p * x - q * y, e, w, left, k, c), y + _rise(e, w, left, k, c) * (1.0 + p)
        low, high = (q, high) if value > 0.0 else (low, q)
        after = q + value / falls
        if not low < after < high:
            after = 0.5 * (low + high)
        done = abs(after - q) <= _CLOSE * after
        q = after
        if done:
            break
    rise = _rise(p - q - p * q, w, left, k, c)
    return q, (x + rise * (1.0 - q)) / (y + rise * (1.0 + p))


@hot("float64(float64, float64, float64, float64, float64, float64)", inline=True)
def _f(moved: float, e: float, w: float, left: float, k: float, c: float) -> float:
    u = k * e
    inner = k * (left * (2.0 * w - u) + (w - u) * (w - u)) + left * w * w
    return moved + e * inner / (c * k * (1.0 + e))


@hot("float64(float64, float64, float64, float64, float64)", inline=True)
def _rise(e: float, w: float, left: float, k: float, c: float) -> float:
    # The derivative of T: -k * H'(k * (1 + e)).
    now, near, rest = k * (1.0 + e), w - k * e, left - k * e
    return k * ((near * near + 2.0 * rest * near) * now + rest * near * near) / (c * now * now)


@hot("boolean(int64, float64, float64)", inline=True)
def _is_allowed(row: int, x: float, y: float) -> bool:
    # What the contract calls safe, as shares of D.
    if load(row + COUNT, 0) != _PAIR:
        return x <= _MOST and y >= _LEAST
    low, high = imbalance_bounds(row)
    return 2.0 * x * _WAD <= to_f64(high) and 2.0 * y * _WAD >= to_f64(low)


@hot("UniTuple(float64, 2)(int64, int64, int64, float64, float64, float64)")
def _fee(row: int, i: int, j: int, x: float, y: float, slope: float) -> tuple[float, float]:
    # The fee with balances x and y, and how it rises with x.
    count = load(row + COUNT, 0)
    total, share, power = x + y, x * y, 4.0
    if count != _PAIR:
        z = to_f64(xp_of(row, 3 - i - j))
        total, power = total + z, 27.0
        share = x / total * (y / total) * (z / total)
    else:
        share = x / total * (y / total)
    balance = power * share
    balance_slope = balance * (1.0 / x - slope / y - float(count) * (1.0 - slope) / total)
    gamma = float(load(row + FEE_GAMMA, 0)) / _WAD
    if gamma > 0.0 or count == _PAIR:
        rest = max(gamma + 1.0 - balance, 1e-300)
        balance, balance_slope = gamma / rest, balance_slope * gamma / (rest * rest)
    mid, out = float(load(row + MID_FEE, 0)) / _FEE_BASE, float(load(row + OUT_FEE, 0)) / _FEE_BASE
    return mid * balance + out * (1.0 - balance), (mid - out) * balance_slope
