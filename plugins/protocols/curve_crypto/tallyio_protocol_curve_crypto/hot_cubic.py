"""NG's solution from a cubic equation in compiled code; `reference_cubic` is the specification.

Numbers are int256 as two's complement; what reverts is `BROKEN`, by the rules of `hot_words`. Bounds,
from the checks that stand before: A < 2**29, gamma < 2**58, D in [10**17, 10**33], balances in
[D / 200, 100 * D].
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, is_negative, isqrt256, load256, negate, u256
from tallyio_protocol_curve_crypto.hot_cube_root import cbrt
from tallyio_protocol_curve_crypto.hot_newton import (
    LEAST_SHARE,
    WAD,
    has_safe_settings,
    imbalance_bounds,
    is_safe_d,
    is_share,
    share_of,
    walk_to_y,
    xp_of,
)
from tallyio_protocol_curve_crypto.hot_words import (
    BROKEN,
    ONE,
    REVERTED,
    ZERO,
    int_add,
    int_div,
    int_mul,
    int_sub,
    magnitude,
    ratio,
    to_uint,
    unsafe_int_div,
    unsafe_int_mul,
)
from tallyio_protocol_curve_crypto.layout import ANN, COUNT, GAMMA, D
from tallyio_protocol_curve_crypto.reference_cubic import THREE_DIVIDERS, TWO_DIVIDERS
from tallyio_protocol_curve_crypto.reference_newton import PRECISION
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER

_TWO: Final = const(2)
_THREE: Final = const(3)
_FOUR: Final = const(4)
_27: Final = const(27)
_27_2: Final = const(27**2)
_A_MULTIPLIER: Final = const(A_MULTIPLIER)
_TWO_WADS: Final = const(2 * PRECISION)
_FOUR_WADS: Final = const(4 * PRECISION)
_WHOLE: Final = const(10**36)
_TEN_4: Final = const(10**4)
_TEN_14: Final = const(10**14)
_SCALED: Final = const(400_000_000)
_A_OF_TWO: Final = const(10**32)
_A_OF_THREE: Final = const(10**36 // 27)
_NINTH: Final = const(10**36 // 9)
_THREE_A: Final = const(3 * 10**32)
_LAST_OF_TWO: Final = const(27 * 10**64)
_PAIR: Final = 2

_TWO_ROWS: Final = tuple((const(threshold), const(divider)) for threshold, divider in TWO_DIVIDERS)
_THREE_ROWS: Final = tuple((const(threshold), const(divider)) for threshold, divider in THREE_DIVIDERS)


@hot("u256(int64, int64, int64, u256)")
def get_y(row: int, i: int, j: int, x: int) -> int:
    """Return the balance of coin `j` as NG computes it; `i`, `j` are a direction of the pool."""
    d = load256(row + D)
    if not has_safe_settings(row) or not is_safe_d(d) or x == REVERTED:
        return REVERTED
    if load(row + COUNT, 0) == _PAIR:
        return _of_two(row, d, i, j, x)
    return _of_three(row, d, i, j, x)


@hot("u256(u256)", inline=True)
def _signed_cbrt(value: int) -> int:
    root = cbrt(magnitude(value))
    return negate(root) if is_negative(value) else root


@hot("u256(u256, u256)")
def _second_cbrt(delta1: int, root: int) -> int:
    # |delta1| and root are below 2**128: their squares are int256.
    above = not is_negative(delta1) and delta1 != ZERO
    second = cbrt((root + delta1 if above else root - delta1) >> 1)
    return second if above else negate(second)


@hot("u256(int64, u256, int64, int64, u256)")
def _of_two(row: int, d: int, i: int, j: int, x: int) -> int:
    k0_i = ratio(_TWO_WADS, x, d)
    least, most = imbalance_bounds(row)
    if not least <= k0_i <= most:
        return REVERTED
    a, b, c, last = _scaled_of_two(row, d, x)
    delta0, delta1, inside = _deltas_of_two(a, b, c, last)
    if BROKEN in (b, delta0, delta1, inside):
        return REVERTED
    if is_negative(inside) or inside == ZERO:
        return walk_to_y(row, d, i, j, x)
    b_cbrt = _signed_cbrt(b)
    # |b| < 10**36, so b_cbrt**2 < 10**49; the other root is below 10**25.
    second = _second_cbrt(delta1, isqrt256(inside))
    c1 = unsafe_int_div(unsafe_int_div(b_cbrt * b_cbrt, WAD) * second, WAD)
    scaled = b * WAD
    left = int_sub(c1 * WAD, scaled)
    k0 = int_div(int_sub(left, int_mul(int_div(scaled, c1), delta0)), a * _THREE)
    if k0 == BROKEN or is_negative(k0):
        return REVERTED
    # D**2 <= 10**66. The product wraps in the source.
    product = unsafe_int_mul(divmod256(d * d, x)[0], k0)
    y = to_uint(unsafe_int_div(unsafe_int_div(product, _FOUR), WAD))
    if not divmod256(divmod256(_WHOLE, _TWO)[0], most)[0] <= share_of(y, d) <= most >> 1:
        return REVERTED
    return y


@hot("UniTuple(u256, 4)(int64, u256, u256)")
def _scaled_of_two(row: int, d: int, x: int) -> tuple[int, int, int, int]:
    # The coefficients after the division by a power of ten; b is BROKEN where one of them is.
    gamma = u256(load(row + GAMMA, 0))
    gamma2 = gamma * gamma
    # A < 4 * 10**7 and gamma**2 < 4 * 10**34: D * both < 2 * 10**75, and with D / x <= 200 the rest is small.
    ann_gamma2 = u256(load(row + ANN, 0)) * gamma2
    b = divmod256(divmod256(d * ann_gamma2, _SCALED)[0], x)[0] - _THREE_A - (gamma * _TEN_14 << 1)
    part = divmod256(ann_gamma2 * _FOUR, _SCALED)[0]
    c = _THREE_A + gamma * _FOUR * _TEN_14 + divmod256(gamma2, _TEN_4)[0]
    c = c + divmod256(part * x, d)[0] - part
    whole = WAD + gamma
    last = negate(divmod256(whole * whole, _TEN_4)[0])
    # c < 10**36 in size.
    delta0 = int_sub(int_div(_THREE_A * c, b), b)
    far = int_div(int_mul(int_div(_LAST_OF_TWO, b), last), b)
    delta1 = int_sub(int_add(int_mul(_THREE, delta0), b), far)
    if BROKEN in (delta0, delta1):
        return ZERO, BROKEN, ZERO, ZERO
    threshold = min(magnitude(delta0), magnitude(delta1))
    divider = _divider_of_two(min(threshold, _A_OF_TWO))
    return (
        divmod256(_A_OF_TWO, divider)[0],
        unsafe_int_div(b, divider),
        unsafe_int_div(c, divider),
        unsafe_int_div(last, divider),
    )


@hot("u256(u256)")
def _divider_of_two(threshold: int) -> int:
    for limit, divider in _TWO_ROWS:
        if threshold > limit:
            return divider
    return ONE


@hot("UniTuple(u256, 3)(u256, u256, u256, u256)")
def _deltas_of_two(a: int, b: int, c: int, last: int) -> tuple[int, int, int]:
    # Both deltas, and the discriminant.
    delta0 = int_sub(unsafe_int_div(a * _THREE * c, b), b)
    far = unsafe_int_div(unsafe_int_mul(unsafe_int_div(a * a * _27, b), last), b)
    delta1 = int_sub(int_add(int_mul(_THREE, delta0), b), far)
    square = int_mul(_FOUR, int_mul(delta0, delta0))
    inside = int_add(int_mul(delta1, delta1), unsafe_int_mul(unsafe_int_div(square, b), delta0))
    return delta0, delta1, inside


@hot("u256(int64, u256, int64, int64, u256)")
def _of_three(row: int, d: int, i: int, j: int, x: int) -> int:
    z = xp_of(row, 3 - i - j)
    if not is_share(x, d, LEAST_SHARE) or not is_share(z, d, LEAST_SHARE):
        return REVERTED
    first, other = (x, z) if i < 3 - i - j else (z, x)
    a, b, c, last = _scaled_of_three(row, d, first, other)
    delta0, delta1, inside = _deltas_of_three(a, b, c, last)
    if BROKEN in (b, delta0, delta1, inside):
        return REVERTED
    if is_negative(inside) or inside == ZERO:
        y = walk_to_y(row, d, i, j, x)
        return y if is_share(y, d, LEAST_SHARE) else REVERTED
    b_cbrt = _signed_cbrt(b)
    second = _second_cbrt(delta1, isqrt256(inside))
    # |b| < 10**39: b_cbrt**2 < 10**50.
    c1 = unsafe_int_div(int_mul(divmod256(b_cbrt * b_cbrt, WAD)[0], second), WAD)
    root_k0 = unsafe_int_div(int_sub(int_add(b, int_div(int_mul(b, delta0), c1)), c1), _THREE)
    # D**2 / 27 / x < 10**34, times D < 10**67.
    product = divmod256(divmod256(divmod256(d * d, _27)[0], other)[0] * d, first)[0]
    # BROKEN is negative.
    y = to_uint(unsafe_int_div(int_mul(product, root_k0), a))
    k0 = to_uint(unsafe_int_div(int_mul(WAD, root_k0), a))
    if REVERTED in (y, k0) or not is_share(y, d, LEAST_SHARE - ONE):
        return REVERTED
    return y


@hot("UniTuple(u256, 4)(int64, u256, u256, u256)")
def _scaled_of_three(row: int, d: int, x: int, z: int) -> tuple[int, int, int, int]:
    # The coefficients after both scalings; b is BROKEN where one of them is.
    b, c, last = _cubic_of_three(row, d, x, z)
    # c < 10**39 in size.
    all_three = int_sub(int_div(_A_OF_THREE * _THREE * c, b), b)
    if BROKEN in (b, all_three):
        return ZERO, BROKEN, ZERO, ZERO
    divider = _divider_of_three(magnitude(all_three))
    if magnitude(b) < _A_OF_THREE:
        # b is not 0: all_three would be BROKEN. Each product is below 10**74.
        more = magnitude(unsafe_int_div(_A_OF_THREE, b))
        return (
            divmod256(_A_OF_THREE * more, divider)[0],
            unsafe_int_div(b * more, divider),
            unsafe_int_div(c * more, divider),
            unsafe_int_div(last * more, divider),
        )
    less = divmod256(magnitude(b), _A_OF_THREE)[0]
    return (
        divmod256(divmod256(_A_OF_THREE, less)[0], divider)[0],
        unsafe_int_div(unsafe_int_div(b, less), divider),
        unsafe_int_div(unsafe_int_div(c, less), divider),
        unsafe_int_div(unsafe_int_div(last, less), divider),
    )


@hot("UniTuple(u256, 3)(int64, u256, u256, u256)")
def _cubic_of_three(row: int, d: int, x: int, z: int) -> tuple[int, int, int]:
    gamma, ann = u256(load(row + GAMMA, 0)), u256(load(row + ANN, 0))
    gamma2 = gamma * gamma
    # D**2 / x <= 10**35 and gamma**2 <= 25 * 10**32; times A the source checks it.
    far = int_mul(divmod256(d * d, x)[0] * gamma2, ann)
    far = unsafe_int_div(unsafe_int_div(unsafe_int_div(far, _27_2), _A_MULTIPLIER), z)
    b = int_sub(_NINTH + divmod256(_TWO_WADS * gamma, _27)[0], far)
    c = _NINTH + divmod256(gamma * (gamma + _FOUR_WADS), _27)[0]
    # x + z - D < 2 * 10**35 in size, and everything below 10**78.
    lean = unsafe_int_div(gamma2 * (x + z - d), d) * ann
    c = c + unsafe_int_div(unsafe_int_div(lean, _27), _A_MULTIPLIER)
    whole = WAD + gamma
    return b, c, divmod256(whole * whole, _27)[0]


@hot("u256(u256)")
def _divider_of_three(size: int) -> int:
    for limit, divider in _THREE_ROWS:
        if size > limit:
            return divider
    return ONE


@hot("UniTuple(u256, 3)(u256, u256, u256, u256)")
def _deltas_of_three(a: int, b: int, c: int, last: int) -> tuple[int, int, int]:
    # Both deltas, and the discriminant.
    all_three = int_mul(int_mul(a, _THREE), c)
    delta0 = int_sub(unsafe_int_div(all_three, b), b)
    far = unsafe_int_div(int_mul(unsafe_int_div(int_mul(_27, int_mul(a, a)), b), last), b)
    delta1 = int_sub(int_sub(unsafe_int_div(int_mul(_THREE, all_three), b), b + b), far)
    square = unsafe_int_div(int_mul(_FOUR, int_mul(delta0, delta0)), b)
    inside = int_add(int_mul(delta1, delta1), int_mul(square, delta0))
    return delta0, delta1, inside
