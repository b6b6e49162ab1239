"""Fixed-point arithmetic in Python integers: the specification of `arithmetic` and `powers`.

Layer: market. Sources: `FixedPoint`, `Math` and `LogExpMath` of solidity-utils (balancer-v2-monorepo, and
the same in balancer-v3-monorepo). Where the contract reverts, these raise `Revert`. Solidity 0.7 wraps what
is not checked; no value here comes near that, so plain integers are the same. A *fixed* number has 18
decimals.
"""

from __future__ import annotations

from typing import Final

ONE: Final = 10**18
TWO: Final = 2 * ONE
FOUR: Final = 4 * ONE
UINT256_MAX: Final = (1 << 256) - 1
MAX_POW_RELATIVE_ERROR: Final = 10_000
"""In units of 1e-18: the margin that `pow_up` adds to what the logarithm and the exponential give."""

_ONE_20: Final = 10**20
_ONE_36: Final = 10**36
_MIN_EXPONENT: Final = -41 * ONE
_MAX_EXPONENT: Final = 130 * ONE
_MILD_EXPONENT_BOUND: Final = 2**254 // _ONE_20
_NEAR_ONE: Final = 10**17
"""Closer to one than this, the logarithm is computed with 36 decimals."""

LARGE_POWERS: Final = (
    (128 * ONE, 38877084059945950922200000000000000000000000000000000000),
    (64 * ONE, 6235149080811616882910000000),
)
"""(x, e**x): x fixed, e**x a plain integer."""
POWERS: Final = (
    (32 * _ONE_20, 7896296018268069516100000000000000),
    (16 * _ONE_20, 888611052050787263676000000),
    (8 * _ONE_20, 298095798704172827474000),
    (4 * _ONE_20, 5459815003314423907810),
    (2 * _ONE_20, 738905609893065022723),
    (_ONE_20, 271828182845904523536),
    (_ONE_20 // 2, 164872127070012814685),
    (_ONE_20 // 4, 128402541668774148407),
    (_ONE_20 // 8, 113314845306682631683),
    (_ONE_20 // 16, 106449445891785942956),
)
"""(x, e**x), both with 20 decimals. `exp` uses the first eight, `ln` all."""
EXP_POWERS: Final = 8


class Revert(Exception):
    """The contract would revert here."""


def require(condition: object) -> None:
    """Raise `Revert` unless `condition` holds."""
    if not condition:
        raise Revert


def checked(value: int) -> int:
    """Return `value` if it is a uint256. Raises: Revert."""
    require(0 <= value <= UINT256_MAX)
    return value


def div_down(a: int, b: int) -> int:
    """Return a / b, rounded down: `Math.divDown`. Raises: Revert: b is 0."""
    require(b)
    return a // b


def div_up(a: int, b: int) -> int:
    """Return a / b, rounded up: `Math.divUp`. Raises: Revert: b is 0."""
    require(b)
    return -(-a // b)


def fixed_mul_down(a: int, b: int) -> int:
    """Return the product, rounded down: `FixedPoint.mulDown`."""
    return checked(a * b) // ONE


def fixed_mul_up(a: int, b: int) -> int:
    """Return the product, rounded up: `FixedPoint.mulUp`."""
    return -(-checked(a * b) // ONE)


def fixed_div_down(a: int, b: int) -> int:
    """Return the quotient, rounded down: `FixedPoint.divDown`."""
    return div_down(checked(a * ONE), b)


def fixed_div_up(a: int, b: int) -> int:
    """Return the quotient, rounded up: `FixedPoint.divUp`."""
    return div_up(checked(a * ONE), b)


def complement(x: int) -> int:
    """Return 1 - x, or 0 if x is more than 1: `FixedPoint.complement`."""
    return max(ONE - x, 0)


def pow_up(x: int, y: int, *, has_powers: bool) -> int:
    """Return x**y with an error on the high side: `FixedPoint.powUp`.

    `has_powers`: the version that multiplies for an exponent of exactly 1, 2 or 4.
    """
    if has_powers and y == ONE:
        return x
    if has_powers and y == TWO:
        return fixed_mul_up(x, x)
    if has_powers and y == FOUR:
        square = fixed_mul_up(x, x)
        return fixed_mul_up(square, square)
    raw = log_exp_pow(x, y)
    return checked(raw + fixed_mul_up(raw, MAX_POW_RELATIVE_ERROR) + 1)


def log_exp_pow(x: int, y: int) -> int:
    """Return x**y of two fixed numbers: `LogExpMath.pow`."""
    if y == 0:
        return ONE
    if x == 0:
        return 0
    require(x >> 255 == 0 and y < _MILD_EXPONENT_BOUND)
    if ONE - _NEAR_ONE < x < ONE + _NEAR_ONE:
        ln_36 = _ln_36(x)
        whole = _quotient(ln_36, ONE)
        product = whole * y + _quotient((ln_36 - whole * ONE) * y, ONE)
    else:
        product = _ln(x) * y
    exponent = _quotient(product, ONE)
    require(_MIN_EXPONENT <= exponent <= _MAX_EXPONENT)
    return exp(exponent)


def exp(x: int) -> int:
    """Return e**x of a fixed number: `LogExpMath.exp`."""
    if x < 0:
        return _ONE_36 // exp(-x)
    large = 1
    for threshold, power in LARGE_POWERS:
        if x >= threshold:
            x, large = x - threshold, power
            break
    x, product = 100 * x, _ONE_20
    for threshold, power in POWERS[:EXP_POWERS]:
        if x >= threshold:
            x, product = x - threshold, product * power // _ONE_20
    term, total = x, _ONE_20 + x
    for n in range(2, 13):
        term = term * x // _ONE_20 // n
        total += term
    return product * total // _ONE_20 * large // 100


def _ln(a: int) -> int:
    if a < ONE:
        return -_ln(_ONE_36 // a)
    total = 0
    for threshold, power in LARGE_POWERS:
        if a >= power * ONE:
            a, total = a // power, total + threshold
    total, a = 100 * total, 100 * a
    for threshold, power in POWERS:
        if a >= power:
            a, total = a * _ONE_20 // power, total + threshold
    return (total + 2 * _inverse_tanh(a, _ONE_20, 11)) // 100


def _ln_36(x: int) -> int:
    # The logarithm of a fixed number near one, with 36 decimals.
    return 2 * _inverse_tanh(x * ONE, _ONE_36, 15)


def _inverse_tanh(a: int, one: int, last: int) -> int:
    # z + z**3 / 3 + ... + z**last / last for z = (a - 1) / (a + 1), where `one` is 1.
    z = _quotient((a - one) * one, a + one)
    square = z * z // one
    term = total = z
    for n in range(3, last + 1, 2):
        term = _quotient(term * square, one)
        total += _quotient(term, n)
    return total


def _quotient(a: int, b: int) -> int:
    # Solidity's signed division cuts towards zero; b is positive here.
    return a // b if a >= 0 else -(-a // b)
