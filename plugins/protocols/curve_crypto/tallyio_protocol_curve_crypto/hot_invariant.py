"""D in compiled code, as the contracts walk to it; `reference_newton` is the specification.

A row needs it only while A or gamma move; an exchange of a pool at rest uses the D that the pool keeps.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, isqrt256, u256
from tallyio_protocol_curve_crypto.hot_cube_root import cbrt
from tallyio_protocol_curve_crypto.hot_newton import (
    LEAST_SHARE,
    MOST_SHARE,
    ROUGH,
    WAD,
    g1k0_of,
    has_safe_settings,
    is_share,
    mul1_of,
    xp_of,
)
from tallyio_protocol_curve_crypto.hot_words import (
    ONE,
    REVERTED,
    ZERO,
    add,
    distance,
    div,
    mul,
    ratio,
    sub,
    unsafe_div,
)
from tallyio_protocol_curve_crypto.layout import ANN, COUNT, GAMMA, NG
from tallyio_protocol_curve_crypto.reference_newton import MAX_STEPS, PRECISION
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER, MAX_D

_TWO: Final = const(2)
_THREE: Final = const(3)
_FOUR_WADS: Final = const(4 * PRECISION)
_SIX_WADS: Final = const(6 * PRECISION)
_TWO_WADS: Final = const(2 * PRECISION)
_THREE_WADS: Final = const(3 * PRECISION)
_A_MULTIPLIER: Final = const(A_MULTIPLIER)
_SMALLEST: Final = const(10**9)
_LARGEST: Final = const(MAX_D)
_NG_LARGEST: Final = const((2**256 - 1) // PRECISION * 27)
_LEAST_OF_TWO: Final = const(10**14)
_LEAST_OF_THREE: Final = const(10**11)
_FINE: Final = const(10**16)
_PAIR: Final = 2


@hot("u256(int64)")
def newton_d(row: int) -> int:
    """Return the invariant of the scaled balances in the row; `REVERTED` where the contract reverts."""
    two, ng = load(row + COUNT, 0) == _PAIR, load(row + NG, 0)
    a, b = xp_of(row, 0), xp_of(row, 1)
    c = ZERO if two else xp_of(row, 2)
    large, small = max(a, b), min(a, b)
    x, z = max(large, c), min(small, c)
    y = a + b + c - x - z  # the middle one, modulo 2**256; with two coins the smaller one, and z is 0
    if x == REVERTED:
        return REVERTED
    if ng and not two:
        return _of_three_ng(row, x, y, z)
    even = _is_even(x, y, _LEAST_OF_TWO) if two else _is_even(x, z, _LEAST_OF_THREE)
    if not has_safe_settings(row) or not _SMALLEST <= x <= _LARGEST or not even:
        return REVERTED
    least = LEAST_SHARE - ONE if ng else LEAST_SHARE
    return _walk(row, x, y, z, _start(x, y, z, ng), least)


@hot("boolean(u256, u256, u256)", inline=True)
def _is_even(x: int, smallest: int, least: int) -> bool:
    # The source checks each of the smaller ones; x is at least 10**9 and none is beyond 10**33.
    return divmod256(smallest * WAD, x)[0] >= least


@hot("u256(u256, u256, u256, int64)")
def _start(x: int, y: int, z: int, ng: int) -> int:
    # The mean times the number of coins. All are at least 10**-11 of x, so none is 0; at most 10**33.
    if z != ZERO:
        return mul(_mean_of_three(x, y, z), _THREE)
    return mul(isqrt256(x * y) if ng else _mean_of_two(x, y), _TWO)


@hot("u256(u256, u256)")
def _mean_of_two(x: int, y: int) -> int:
    # D is never 0: x * y / D is at least 10**5 for D <= x. All products are below 10**66.
    d = x
    for _ in range(MAX_STEPS):
        before = d
        d = (d + divmod256(x * y, d)[0]) >> 1
        moved = distance(d, before)
        if moved <= ONE or moved * WAD < d:
            return d
    return REVERTED


@hot("u256(u256, u256, u256)")
def _mean_of_three(x: int, y: int, z: int) -> int:
    d = x
    for _ in range(MAX_STEPS):
        before = d
        part = ratio(ratio(ratio(WAD, x, d), y, d), z, d)
        d = ratio(d, add(_TWO_WADS, part), _THREE_WADS)
        moved = distance(d, before)
        if d == REVERTED or moved <= ONE or mul(moved, WAD) < d:
            return d
    return REVERTED


@hot("u256(int64, u256, u256, u256, u256, u256)")
def _walk(row: int, x: int, y: int, z: int, start: int, least: int) -> int:
    three = load(row + COUNT, 0) != _PAIR
    d = start
    for _ in range(MAX_STEPS):
        before = d
        d = _step(row, x, y, z, d)
        if d == REVERTED:
            return REVERTED
        if mul(distance(d, before), ROUGH) < max(_FINE, d):
            kept = is_share(x, d, least) and is_share(y, d, least) and (not three or is_share(z, d, least))
            return d if kept else REVERTED
    return REVERTED


@hot("u256(int64, u256, u256, u256, u256)")
def _step(row: int, x: int, y: int, z: int, d: int) -> int:
    ann, gamma, n = u256(load(row + ANN, 0)), u256(load(row + GAMMA, 0)), u256(load(row + COUNT, 0))
    if n == _TWO:
        k0 = ratio(ratio(_FOUR_WADS, x, d), y, d)
    else:
        k0 = ratio(mul(WAD, x), _THREE, d)
        k0 = ratio(mul(k0, y), _THREE, d)
        k0 = ratio(mul(k0, z), _THREE, d)
    if k0 == REVERTED:
        return REVERTED
    s = x + y + z  # of three numbers up to 10**33
    g1k0 = g1k0_of(gamma, k0)
    mul1 = mul1_of(d, gamma, g1k0, ann)
    mul2 = ratio(_TWO_WADS * n, k0, g1k0)
    rising = add(add(s, ratio(s, mul2, WAD)), ratio(mul1, n, k0))
    slope = sub(rising, ratio(mul2, d, WAD))
    plus = ratio(d, add(slope, s), slope)
    minus = ratio(d, d, slope)
    change = ratio(ratio(d, div(mul1, slope), WAD), distance(WAD, k0), k0)
    return _next(plus, add(minus, change) if k0 < WAD else sub(minus, change))


@hot("u256(u256, u256)", inline=True)
def _next(plus: int, minus: int) -> int:
    if REVERTED in (plus, minus):
        return REVERTED
    return plus - minus if plus > minus else (minus - plus) >> 1


@hot("u256(int64, u256, u256, u256)")
def _of_three_ng(row: int, x: int, y: int, z: int) -> int:
    if x == ZERO or x >= _NG_LARGEST:
        return REVERTED
    product = ratio(ratio(x, y, WAD), z, WAD)
    if product == REVERTED:
        return REVERTED
    d = cbrt(product) * _THREE if product > ZERO else ZERO
    for _ in range(MAX_STEPS):
        before = d
        d = _step_of_three_ng(row, x, y, z, d)
        if d == REVERTED:
            return REVERTED
        if distance(d, before) * ROUGH < max(_FINE, d):
            return d if _is_balanced(x, d) and _is_balanced(y, d) and _is_balanced(z, d) else REVERTED
    return REVERTED


@hot("boolean(u256, u256)", inline=True)
def _is_balanced(x: int, d: int) -> bool:
    return LEAST_SHARE - ONE <= unsafe_div(x * WAD, d) <= MOST_SHARE


@hot("u256(int64, u256, u256, u256, u256)")
def _step_of_three_ng(row: int, x: int, y: int, z: int, d: int) -> int:
    # Most of it wraps in the source too; what it checks is `mul`, `add` and `sub` here.
    ann, gamma, s = u256(load(row + ANN, 0)), u256(load(row + GAMMA, 0)), x + y + z
    k0 = unsafe_div(WAD * x * _THREE, d)
    k0 = unsafe_div(k0 * y * _THREE, d)
    k0 = unsafe_div(k0 * z * _THREE, d)
    g1k0 = g1k0_of(gamma, k0)
    once = unsafe_div(unsafe_div(WAD * d, gamma) * g1k0, gamma)
    mul1 = unsafe_div(once * g1k0 * _A_MULTIPLIER, ann)
    mul2 = unsafe_div(_SIX_WADS * k0, g1k0)
    slope = s + unsafe_div(s * mul2, WAD) + unsafe_div(mul1 * _THREE, k0) - unsafe_div(mul2 * d, WAD)
    plus, minus, part = mul(d, slope + s), mul(d, d), mul(d, unsafe_div(mul1, slope))
    if REVERTED in (plus, minus, part):
        return REVERTED
    minus = unsafe_div(minus, slope)
    change = unsafe_div(unsafe_div(part, WAD) * distance(WAD, k0), k0)
    return _next(unsafe_div(plus, slope), add(minus, change) if k0 < WAD else sub(minus, change))
