"""The invariant and its solution by Newton's method, in Python integers, as the contracts walk to them.

Sources: `geometric_mean`, `newton_D` and `newton_y` of the sources in `templates`. Balances are scaled:
`balance * precision * price_scale / 10**18`, all in units of the first coin with 18 decimals. `ann` is
A * N**N * `A_MULTIPLIER`, `gamma` is of 10**18.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt
from typing import Final

from tallyio_protocol_curve_crypto.reference_words import Revert, div, fit, require, unsafe, unsafe_div
from tallyio_protocol_curve_crypto.templates import A_MULTIPLIER, MAX_D, MIN_D, MIN_GAMMA, Template

PRECISION: Final = 10**18
MAX_STEPS: Final = 255
ROUGHNESS: Final = 10**14
"""A loop has converged when a step moves by less than this part."""


def require_settings(template: Template, ann: int, gamma: int) -> None:
    """Check A and gamma. Raises: Revert: out of the range that the contract calls safe."""
    require(template.min_a <= ann <= template.max_a, "unsafe values A")
    require(MIN_GAMMA <= gamma <= template.max_gamma, "unsafe values gamma")


def require_d(d: int) -> None:
    """Check D. Raises: Revert: out of the range that the contract calls safe."""
    require(MIN_D <= d <= MAX_D, "unsafe values D")


def _g1k0(gamma: int, k0: int) -> int:
    return abs(gamma + PRECISION - k0) + 1


def _mul1(d: int, gamma: int, g1k0: int, ann: int) -> int:
    # In the order of the source: D times (g1k0 / gamma)**2 over A.
    once = fit(fit(PRECISION * d) // gamma * g1k0) // gamma
    return div(fit(fit(once * g1k0) * A_MULTIPLIER), ann)


def walk_to_y(ann: int, gamma: int, d: int, *, others: Sequence[int], start: int, k0_i: int) -> int:
    """Return where the loop of `newton_y` ends, from `start` on.

    `others` are the other balances, `k0_i` is 10**18 times the product of `other * N / D`.
    Raises: Revert.
    """
    n, y, s_i = len(others) + 1, start, sum(others)
    limit = max(max(others) // ROUGHNESS, d // ROUGHNESS, 100)
    for _ in range(MAX_STEPS):
        before = y
        k0 = div(fit(fit(k0_i * y) * n), d)
        s = fit(s_i + y)
        g1k0 = _g1k0(gamma, k0)
        mul1 = _mul1(d, gamma, g1k0, ann)
        mul2 = fit(PRECISION + fit(2 * PRECISION * k0) // g1k0)
        slope = fit(fit(fit(PRECISION * y) + fit(s * mul2)) + mul1)
        minus = fit(d * mul2)
        if slope < minus:
            y = before // 2
            continue
        slope -= minus
        fprime = div(slope, y)
        down = div(mul1, fprime)
        up = fit(fit(slope + fit(PRECISION * d)) // fprime + div(fit(down * PRECISION), k0))
        down = fit(down + fit(PRECISION * s) // fprime)
        y = before // 2 if up < down else up - down
        if abs(y - before) < max(limit, y // ROUGHNESS):
            return y
    raise Revert("did not converge")


def newton_y(template: Template, ann: int, gamma: int, xp: Sequence[int], d: int, j: int) -> int:
    """Return the balance of coin `j` that the others leave it, as old pools do. Raises: Revert."""
    require_settings(template, ann, gamma)
    require_d(d)
    y = newton_y_unchecked(template, ann, gamma, xp, d, j)
    require_fraction(y, d, 10**16)
    return y


def newton_y_unchecked(template: Template, ann: int, gamma: int, xp: Sequence[int], d: int, j: int) -> int:
    """Return `newton_y` without its checks of the settings and the result. Raises: Revert."""
    n = template.coins
    if n == 2:  # noqa: PLR2004 - the contract of two coins
        other = xp[1 - j]
        start = div(fit(d * d), fit(other * 4))
        k0_i = fit(2 * PRECISION * other) // d
        least, most = imbalance_bounds(template, gamma)
        require(least <= k0_i <= most, "unsafe values x[i]")
        return walk_to_y(ann, gamma, d, others=[other], start=start, k0_i=k0_i)
    others = sorted((x for k, x in enumerate(xp) if k != j), reverse=True)
    for x in others:
        require_fraction(x, d, 10**16)
    start, k0_i = d // n, PRECISION
    for x in reversed(others):
        start = div(fit(start * d), fit(x * n))
    for x in others:
        k0_i = fit(k0_i * x * n) // d
    return walk_to_y(ann, gamma, d, others=others, start=start, k0_i=k0_i)


def imbalance_bounds(template: Template, gamma: int) -> tuple[int, int]:
    """Return least and most of 2 * 10**18 * x / D for a balance x of two coins."""
    if not template.ng:
        return 2 * 10**16, 2 * 10**20
    most = 10**20 if gamma <= template.tight_gamma else 10**20 * template.tight_gamma // gamma
    return 10**36 // most, most


def require_fraction(x: int, d: int, least: int) -> None:
    """Check a balance against D. Raises: Revert: it is beyond `least` / 10**18 or 100 of it."""
    require(least <= fit(x * PRECISION) // d <= 10**20, "unsafe values x[i]")


def newton_d(template: Template, ann: int, gamma: int, xp: Sequence[int]) -> int:
    """Return the invariant. Raises: Revert."""
    x = sorted(xp, reverse=True)
    if template.ng and template.coins == 3:  # noqa: PLR2004 - the contract of three coins
        return _newton_d_tricrypto_ng(ann, gamma, x)
    require_settings(template, ann, gamma)
    require(10**9 <= x[0] <= MAX_D, "unsafe values x[0]")
    least = 10**14 if template.coins == 2 else 10**11  # noqa: PLR2004 - the contract of two coins
    for other in x[1:]:
        require(fit(other * PRECISION) // x[0] >= least, "unsafe values x[i]")
    if template.ng:
        return _walk_to_d(ann, gamma, x, start=2 * isqrt(x[0] * x[1]), least=10**16 - 1)
    mean = geometric_mean_of_two(x) if template.coins == 2 else geometric_mean(x)  # noqa: PLR2004 - as above
    return _walk_to_d(ann, gamma, x, start=template.coins * mean, least=10**16)


def geometric_mean(x: Sequence[int]) -> int:
    """Return the geometric mean of three balances, the largest first. Raises: Revert."""
    n, d = len(x), x[0]
    for _ in range(MAX_STEPS):
        before, part = d, PRECISION
        for value in x:
            part = div(fit(part * value), d)
        d = fit(d * fit((n - 1) * PRECISION + part)) // (n * PRECISION)
        if abs(d - before) <= 1 or fit(abs(d - before) * PRECISION) < d:
            return d
    raise Revert("did not converge")


def geometric_mean_of_two(x: Sequence[int]) -> int:
    """Return the geometric mean of two balances, the larger first. Raises: Revert."""
    d = x[0]
    for _ in range(MAX_STEPS):
        before = d
        d = fit(d + div(fit(x[0] * x[1]), d)) // 2
        if abs(d - before) <= 1 or fit(abs(d - before) * PRECISION) < d:
            return d
    raise Revert("did not converge")


def _walk_to_d(ann: int, gamma: int, x: Sequence[int], *, start: int, least: int) -> int:
    d, s = start, sum(x)
    for _ in range(MAX_STEPS):
        before = d
        d = _d_step(ann, gamma, x, s, d)
        if fit(abs(d - before) * ROUGHNESS) < max(10**16, d):
            for value in x:
                require_fraction(value, require_positive(d), least)
            return d
    raise Revert("did not converge")


def require_positive(d: int) -> int:
    """Return `d`. Raises: Revert: it is 0."""
    require(d > 0, "division by zero")
    return d


def _d_step(ann: int, gamma: int, x: Sequence[int], s: int, d: int) -> int:
    n, k0 = len(x), k0_of(x, d)
    g1k0 = _g1k0(gamma, k0)
    mul1 = _mul1(d, gamma, g1k0, ann)
    mul2 = fit(2 * PRECISION * n * k0) // g1k0
    rising = fit(fit(s + fit(s * mul2) // PRECISION) + div(fit(mul1 * n), k0))
    slope = fit(rising - fit(mul2 * d) // PRECISION)
    plus = div(fit(d * fit(slope + s)), slope)
    minus = fit(d * d) // slope
    part = fit(d * (mul1 // slope)) // PRECISION
    change = fit(part * abs(PRECISION - k0)) // k0
    minus = fit(minus + change) if k0 < PRECISION else fit(minus - change)
    return plus - minus if plus > minus else (minus - plus) // 2


def k0_of(x: Sequence[int], d: int) -> int:
    """Return 10**18 * N**N * product of `x` / D**N, in the contract's order. Raises: Revert."""
    if len(x) == 2:  # noqa: PLR2004 - the contract of two coins
        return div(fit(div(fit(4 * PRECISION * x[0]), d) * x[1]), d)
    k0 = PRECISION
    for value in x:
        k0 = div(fit(fit(k0 * value) * len(x)), d)
    return k0


def _newton_d_tricrypto_ng(ann: int, gamma: int, x: Sequence[int]) -> int:
    require(0 < x[0] < (2**256 - 1) // PRECISION * 27, "out of limits")
    s = unsafe(sum(x))
    d = unsafe(3 * _cube_mean(x))
    for _ in range(MAX_STEPS):
        before = d
        d = _d_step_tricrypto_ng(ann, gamma, x, s, d)
        if unsafe(abs(d - before) * ROUGHNESS) < max(10**16, d):
            for value in x:
                share = unsafe_div(unsafe(value * PRECISION), d)
                require(10**16 - 1 <= share <= 10**20, "unsafe values x[i]")
            return d
    raise Revert("did not converge")


def _cube_mean(x: Sequence[int]) -> int:
    product = fit(fit(x[0] * x[1]) // PRECISION * x[2]) // PRECISION
    return cbrt(product) if product else 0


def _d_step_tricrypto_ng(ann: int, gamma: int, x: Sequence[int], s: int, d: int) -> int:
    k0 = unsafe_div(unsafe(PRECISION * x[0] * 3), d)
    k0 = unsafe_div(unsafe(k0 * x[1] * 3), d)
    k0 = unsafe_div(unsafe(k0 * x[2] * 3), d)
    g1k0 = unsafe(_g1k0(gamma, k0))
    once = unsafe_div(unsafe(unsafe_div(unsafe(PRECISION * d), gamma) * g1k0), gamma)
    mul1 = unsafe_div(unsafe(once * g1k0 * A_MULTIPLIER), ann)
    mul2 = unsafe_div(unsafe(6 * PRECISION * k0), g1k0)
    slope = unsafe(
        s + unsafe(s * mul2) // PRECISION + unsafe_div(unsafe(mul1 * 3), k0) - unsafe(mul2 * d) // PRECISION
    )
    plus = unsafe_div(fit(d * unsafe(slope + s)), slope)
    minus = unsafe_div(fit(d * d), slope)
    part = fit(d * unsafe_div(mul1, slope)) // PRECISION
    change = unsafe_div(unsafe(part * abs(PRECISION - k0)), k0)
    minus = fit(minus + change) if k0 < PRECISION else fit(minus - change)
    return plus - minus if plus > minus else (minus - plus) // 2


CBRT_HIGH: Final = 115792089237316195423570985008687907853269
"""2**256 / 10**36, rounded up."""

CBRT_STEPS: Final = 7


def cbrt(x: int) -> int:
    """Return the cube root of `x` / 10**18, times 10**18, as NG's `_cbrt`: a guess and seven steps."""
    whole, scale = (x, 10**12) if x >= CBRT_HIGH * PRECISION else (x * PRECISION, 10**6)
    if x < CBRT_HIGH:
        whole, scale = x * 10**36, 1
    log2 = max(whole.bit_length() - 1, 0)
    power, rest = divmod(log2, 3)
    a: int = (1 << power) * 1260**rest // 1000**rest
    for _ in range(CBRT_STEPS):
        a = unsafe(2 * a + unsafe_div(whole, unsafe(a * a))) // 3
    return unsafe(a * scale)
