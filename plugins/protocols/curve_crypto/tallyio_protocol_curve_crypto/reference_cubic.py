"""The balance that solves the invariant, from a cubic equation in Python integers: NG's `get_y`.

The source mixes checked arithmetic (it reverts) with unchecked (it wraps modulo 2**256, and a division
by 0 gives 0). So does this: `int_fit` and `int_div` are checked, `unsafe_int` and `unsafe_int_div` not.
Divisions round towards 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final

from tallyio_protocol_curve_crypto.reference_newton import (
    PRECISION,
    cbrt,
    imbalance_bounds,
    newton_y_unchecked,
    require_d,
    require_fraction,
    require_settings,
)
from tallyio_protocol_curve_crypto.reference_words import (
    fit,
    int_div,
    int_fit,
    require,
    unsafe_int,
    unsafe_int_div,
)
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER, Template

Cubic = tuple[int, int, int, int]

TWO_DIVIDERS: Final = (
    (10**30, 10**12),
    (10**28, 10**10),
    (10**26, 10**8),
    (10**24, 10**6),
    (10**20, 10**2),
)
"""What the coefficients are divided by beyond a threshold. The source has further rows, for thresholds
beyond 10**32, which its own `a` = 10**32 does not let it reach."""

THREE_DIVIDERS: Final = tuple((10 ** (k + 18), 10**k) for k in (30, 26, 22, 18, 14, 10, 6, 2))


def get_y(template: Template, ann: int, gamma: int, xp: Sequence[int], d: int, j: int) -> int:
    """Return the balance of coin `j` that the others leave it. Raises: Revert."""
    require_settings(template, ann, gamma)
    require_d(d)
    if template.coins == 2:  # noqa: PLR2004 - the contract of two coins
        return _of_two(template, ann, gamma, xp, d, j)
    return _of_three(template, ann, gamma, xp, d, j)


def _divider(table: Sequence[tuple[int, int]], value: int) -> int:
    return next((divider for threshold, divider in table if value > threshold), 1)


def _signed_cbrt(value: int) -> int:
    return cbrt(value) if value >= 0 else -cbrt(-value)


def _second_cbrt(delta1: int, root: int) -> int:
    return cbrt((delta1 + root) // 2) if delta1 > 0 else -cbrt((root - delta1) // 2)


def _of_two(template: Template, ann: int, gamma: int, xp: Sequence[int], d: int, j: int) -> int:
    x = xp[1 - j]
    require(x > 0, "division by zero")
    k0_i = int_fit(2 * PRECISION * x) // d
    least, most = imbalance_bounds(template, gamma)
    require(least <= k0_i <= most, "unsafe values x[i]")
    cubic = _scaled_of_two(_cubic_of_two(ann, gamma, d, x))
    delta0, delta1, root = _deltas_of_two(cubic)
    if root == 0:
        return newton_y_unchecked(template, ann, gamma, xp, d, j)
    a, b, _, _ = cubic
    c1 = unsafe_int_div(
        unsafe_int(unsafe_int_div(_signed_cbrt(b) ** 2, PRECISION) * _second_cbrt(delta1, root)), PRECISION
    )
    scaled = unsafe_int(PRECISION * b)
    left = int_fit(unsafe_int(PRECISION * c1) - scaled)
    k0 = int_div(int_fit(left - int_fit(int_div(scaled, c1) * delta0)), unsafe_int(3 * a))
    y = fit(unsafe_int_div(unsafe_int_div(unsafe_int(d * d // x * k0), 4), PRECISION))
    require(k0 >= 0, "negative")
    require(10**36 // 2 // most <= fit(y * PRECISION) // d <= most // 2, "unsafe value for y")
    return y


def _cubic_of_two(ann: int, gamma: int, d: int, x: int) -> Cubic:
    gamma2 = gamma * gamma
    ann_gamma2 = ann * gamma2
    b = d * ann_gamma2 // 400_000_000 // x - 3 * 10**32 - 2 * gamma * 10**14
    part = 4 * ann_gamma2 // 400_000_000
    c = 3 * 10**32 + 4 * gamma * 10**14 + gamma2 // 10**4 + part * x // d - part
    return 10**32, b, c, -((PRECISION + gamma) ** 2 // 10**4)


def _scaled_of_two(cubic: Cubic) -> Cubic:
    a, b, c, d = cubic
    delta0 = int_fit(int_div(int_fit(3 * a * c), b) - b)
    last = int_div(int_fit(int_div(int_fit(27 * a**2), b) * d), b)
    delta1 = int_fit(int_fit(3 * delta0 + b) - last)
    divider = _divider(TWO_DIVIDERS, min(abs(delta0), abs(delta1), a))
    return a // divider, unsafe_int_div(b, divider), unsafe_int_div(c, divider), unsafe_int_div(d, divider)


def _deltas_of_two(cubic: Cubic) -> tuple[int, int, int]:
    """Return both deltas, and the root of the discriminant: 0 where there is none."""
    a, b, c, d = cubic
    delta0 = int_fit(unsafe_int_div(unsafe_int(3 * a * c), b) - b)
    last = unsafe_int_div(unsafe_int(unsafe_int_div(unsafe_int(27 * a**2), b) * d), b)
    delta1 = int_fit(int_fit(int_fit(3 * delta0) + b) - last)
    square = int_fit(4 * int_fit(delta0**2))
    inside = int_fit(int_fit(delta1**2) + unsafe_int(unsafe_int_div(square, b) * delta0))
    return delta0, delta1, isqrt(inside) if inside > 0 else 0


def _of_three(template: Template, ann: int, gamma: int, xp: Sequence[int], d: int, j: int) -> int:
    x, z = (value for k, value in enumerate(xp) if k != j)
    for value in (x, z):
        require_fraction(value, d, 10**16)
    cubic = _scaled_of_three(_cubic_of_three(ann, gamma, d, x, z))
    delta0, delta1, root = _deltas_of_three(cubic)
    if root == 0:
        y = newton_y_unchecked(template, ann, gamma, xp, d, j)
        require_fraction(y, d, 10**16)
        return y
    a, b, _, _ = cubic
    c1 = unsafe_int_div(int_fit(_signed_cbrt(b) ** 2 // PRECISION * _second_cbrt(delta1, root)), PRECISION)
    root_k0 = unsafe_int_div(int_fit(int_fit(b + int_div(int_fit(b * delta0), c1)) - c1), 3)
    product = d * d // 27 // z * d // x
    y = fit(unsafe_int_div(int_fit(product * root_k0), a))
    fit(unsafe_int_div(int_fit(PRECISION * root_k0), a))
    require_fraction(y, d, 10**16 - 1)
    return y


def _cubic_of_three(ann: int, gamma: int, d: int, x: int, z: int) -> Cubic:
    gamma2 = gamma * gamma
    b = 10**36 // 9 + 2 * PRECISION * gamma // 27
    b -= int_fit(d * d // x * gamma2 * ann) // 27**2 // A_MULTIPLIER // z
    c = 10**36 // 9 + gamma * (gamma + 4 * PRECISION) // 27
    lean = unsafe_int_div(gamma2 * (x + z - d), d) * ann
    c += unsafe_int_div(unsafe_int_div(lean, 27), A_MULTIPLIER)
    return 10**36 // 27, b, c, (PRECISION + gamma) ** 2 // 27


def _scaled_of_three(cubic: Cubic) -> Cubic:
    a, b, c, _ = cubic
    divider = _divider(THREE_DIVIDERS, abs(int_fit(int_div(int_fit(3 * a * c), b) - b)))
    if a > abs(b):
        more = abs(unsafe_int_div(a, b))
        scaled = (unsafe_int_div(int_fit(value * more), divider) for value in cubic)
    else:
        less = abs(unsafe_int_div(b, a))
        scaled = (unsafe_int_div(unsafe_int_div(value, less), divider) for value in cubic)
    a, b, c, d = scaled
    return a, b, c, d


def _deltas_of_three(cubic: Cubic) -> tuple[int, int, int]:
    """Return both deltas, and the root of the discriminant: 0 where there is none."""
    a, b, c, d = cubic
    all_three = int_fit(3 * a * c)
    delta0 = int_fit(unsafe_int_div(all_three, b) - b)
    last = unsafe_int_div(int_fit(unsafe_int_div(int_fit(27 * int_fit(a**2)), b) * d), b)
    delta1 = int_fit(int_fit(unsafe_int_div(int_fit(3 * all_three), b) - 2 * b) - last)
    square = unsafe_int_div(int_fit(4 * int_fit(delta0**2)), b)
    inside = int_fit(int_fit(delta1**2) + int_fit(square * delta0))
    return delta0, delta1, isqrt(inside) if inside > 0 else 0
