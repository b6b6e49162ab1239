"""The solution by Newton's method in compiled code; `reference_newton` is the specification.

What reverts is `REVERTED`, by the rules of `hot_words`.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load256, u256
from tallyio_protocol_curve_crypto.hot_words import REVERTED, ZERO, add, distance, div, mul, ratio
from tallyio_protocol_curve_crypto.layout import (
    ANN,
    COIN_BYTES,
    COINS,
    COUNT,
    GAMMA,
    MAX_A,
    MAX_GAMMA,
    MIN_A,
    NG,
    TIGHT_GAMMA,
    XP,
    D,
)
from tallyio_protocol_curve_crypto.reference_newton import MAX_STEPS, PRECISION, ROUGHNESS
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER, MAX_D, MIN_D, MIN_GAMMA

WAD: Final = const(PRECISION)
ROUGH: Final = const(ROUGHNESS)
LEAST_SHARE: Final = const(10**16)
MOST_SHARE: Final = const(10**20)

_ONE: Final = const(1)
_THREE: Final = const(3)
_FOUR: Final = const(4)
_HUNDRED: Final = const(100)
_TWO_WADS: Final = const(2 * PRECISION)
_A_MULTIPLIER: Final = const(A_MULTIPLIER)
_MIN_D: Final = const(MIN_D)
_MAX_D: Final = const(MAX_D)
_OLD_LEAST: Final = const(2 * 10**16)
_OLD_MOST: Final = const(2 * 10**20)
_WHOLE: Final = const(10**36)
_PAIR: Final = 2


@hot("u256(int64, int64)", inline=True)
def xp_of(row: int, k: int) -> int:
    """Return the scaled balance of coin `k`."""
    return load256(row + COINS + k * COIN_BYTES + XP)


@hot("boolean(int64)", inline=True)
def has_safe_settings(row: int) -> bool:
    """Return whether A and gamma are what the contract calls safe."""
    ann, gamma = load(row + ANN, 0), load(row + GAMMA, 0)
    low, high = load(row + MIN_A, 0), load(row + MAX_A, 0)
    return low <= ann <= high and MIN_GAMMA <= gamma <= load(row + MAX_GAMMA, 0)


@hot("boolean(u256)", inline=True)
def is_safe_d(d: int) -> bool:
    """Return whether D is what the contract calls safe."""
    return _MIN_D <= d <= _MAX_D


@hot("u256(u256, u256)")
def share_of(x: int, d: int) -> int:
    """Return 10**18 * x / D."""
    return ratio(x, WAD, d)


@hot("boolean(u256, u256, u256)", inline=True)
def is_share(x: int, d: int, least: int) -> bool:
    """Return whether `x` is between `least` / 10**18 and 100 times D."""
    return least <= share_of(x, d) <= MOST_SHARE


@hot("u256(u256, u256)", inline=True)
def g1k0_of(gamma: int, k0: int) -> int:
    """Return |gamma + 10**18 - K0| + 1."""
    return distance(gamma + WAD, k0) + _ONE


@hot("u256(u256, u256, u256, u256)")
def mul1_of(d: int, gamma: int, g1k0: int, ann: int) -> int:
    """Return 10**18 * D * g1k0**2 / gamma**2 / A, in the contract's order."""
    once = ratio(ratio(WAD, d, gamma), g1k0, gamma)
    return ratio(mul(once, g1k0), _A_MULTIPLIER, ann)


@hot("Tuple(u256, boolean)(int64, u256, u256, u256, u256)")
def _y_step(row: int, d: int, y: int, k0_i: int, s_i: int) -> tuple[int, bool]:
    # The next y, and whether it may be the last: the contract goes on where it has to halve y here.
    ann, gamma, n = u256(load(row + ANN, 0)), u256(load(row + GAMMA, 0)), u256(load(row + COUNT, 0))
    k0, s = ratio(mul(k0_i, y), n, d), add(s_i, y)
    if k0 == REVERTED:
        return REVERTED, True
    g1k0 = g1k0_of(gamma, k0)
    mul1 = mul1_of(d, gamma, g1k0, ann)
    mul2 = add(WAD, ratio(_TWO_WADS, k0, g1k0))
    slope, less = add(add(mul(WAD, y), mul(s, mul2)), mul1), mul(d, mul2)
    if REVERTED in (slope, less):
        return REVERTED, True
    if slope < less:
        return y >> 1, False
    slope = slope - less
    fprime = div(slope, y)
    down = div(mul1, fprime)
    up = add(div(add(slope, mul(WAD, d)), fprime), ratio(down, WAD, k0))
    down = add(down, ratio(WAD, s, fprime))
    if REVERTED in (up, down):
        return REVERTED, True
    return (y >> 1 if up < down else up - down), True


@hot("u256(int64, u256, int64, int64, u256)")
def walk_to_y(row: int, d: int, i: int, j: int, x: int) -> int:
    """Return `newton_y_unchecked`: the scaled balance of coin `j` once that of coin `i` is `x`."""
    two = load(row + COUNT, 0) == _PAIR
    z = ZERO if two else xp_of(row, 3 - i - j)
    y, k0_i = _start_of_two(row, d, x) if two else _start_of_three(d, x, z)
    if k0_i == REVERTED:
        return REVERTED
    # Both balances are at most 100 * D, so their sum fits.
    largest = max(x, z)
    limit = max(divmod256(max(largest, d), ROUGH)[0], _HUNDRED)
    for _ in range(MAX_STEPS):
        after, may_end = _y_step(row, d, y, k0_i, x + z)
        if after == REVERTED:
            return REVERTED
        if may_end and distance(after, y) < max(limit, divmod256(after, ROUGH)[0]):
            return after
        y = after
    return REVERTED


@hot("UniTuple(u256, 2)(int64, u256, u256)")
def _start_of_two(row: int, d: int, x: int) -> tuple[int, int]:
    # The first y, and K0 without it; REVERTED where the source refuses `x`.
    k0_i = ratio(_TWO_WADS, x, d)
    least, most = imbalance_bounds(row)
    if not least <= k0_i <= most:
        return ZERO, REVERTED
    return ratio(d, d, mul(x, _FOUR)), k0_i


@hot("UniTuple(u256, 2)(u256, u256, u256)")
def _start_of_three(d: int, x: int, z: int) -> tuple[int, int]:
    if not is_share(x, d, LEAST_SHARE) or not is_share(z, d, LEAST_SHARE):
        return ZERO, REVERTED
    large, small = max(x, z), min(x, z)
    # D is in [10**17, 10**33] and both balances in [D / 100, 100 * D]: products are below 3 * 10**71,
    # 10**18 * x * 3 below 3 * 10**53, and K0 without y below 10**23.
    start = divmod256(divmod256(d, _THREE)[0] * d, small * _THREE)[0]
    start = divmod256(start * d, large * _THREE)[0]
    k0_i = divmod256(divmod256(WAD * large * _THREE, d)[0] * small * _THREE, d)[0]
    return start, k0_i


@hot("UniTuple(u256, 2)(int64)", inline=True)
def imbalance_bounds(row: int) -> tuple[int, int]:
    """Return least and most of 2 * 10**18 * x / D for a balance x of two coins."""
    if not load(row + NG, 0):
        return _OLD_LEAST, _OLD_MOST
    gamma, tight = load(row + GAMMA, 0), load(row + TIGHT_GAMMA, 0)
    # 10**20 * tight < 2**127.
    most = MOST_SHARE if gamma <= tight else divmod256(MOST_SHARE * u256(tight), u256(gamma))[0]
    return divmod256(_WHOLE, most)[0], most


@hot("u256(int64, int64, int64, u256)")
def newton_y(row: int, i: int, j: int, x: int) -> int:
    """Return the balance of coin `j` as old pools compute it; `i`, `j` are a direction of the pool."""
    d = load256(row + D)
    if not has_safe_settings(row) or not is_safe_d(d):
        return REVERTED
    y = walk_to_y(row, d, i, j, x)
    return y if is_share(y, d, LEAST_SHARE) else REVERTED
