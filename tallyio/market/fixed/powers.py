"""Powers of fixed numbers as weighted pools compute them; `reference.pow_up` is the specification.

Layer: market. Solidity computes with signed integers, and its division cuts towards zero. So every step is
the same for a number and its negative, and magnitudes are enough: a logarithm is negative where its argument
is below one, and so is every term of its series.

The domain is what a swap can ask for. An amount is at most 30 % of its balance, so a base is more than
1 / 1.3 and less than 10 / 7 and a unit; a weight is at least 1 %, so an exponent is at most 99. Then the
logarithm is below 0.357 in magnitude and the power is e to less than 35.4: no bound of `LogExpMath` is
reached, and the entries for e**64 and e**128 are not needed. Outside of the domain the result is 0.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.fixed import reference
from tallyio.market.fixed.arithmetic import (
    ONE,
    UNIT,
    ZERO,
    div_up,
    fixed_mul_up,
    reciprocal,
    times,
    times_wide,
)
from tallyio.market.fixed.reference import POWERS
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256

LOWEST_BASE: Final = 75 * 10**16
HIGHEST_BASE: Final = 145 * 10**16
HIGHEST_EXPONENT: Final = 99 * 10**18

_LOWEST_BASE: Final = const(LOWEST_BASE)
_HIGHEST_BASE: Final = const(HIGHEST_BASE)
_HIGHEST_EXPONENT: Final = const(HIGHEST_EXPONENT)
_TWO: Final = const(reference.TWO)
_FOUR: Final = const(reference.FOUR)
_MARGIN: Final = const(reference.MAX_POW_RELATIVE_ERROR)
_HUNDRED: Final = const(100)
_ONE_20: Final = const(10**20)
_ONE_36: Final = const(10**36)
_NEAR_LOW: Final = const(9 * 10**17)
_NEAR_HIGH: Final = const(11 * 10**17)

_X32, _E32 = (const(part) for part in POWERS[0])
_X16, _E16 = (const(part) for part in POWERS[1])
_X8, _E8 = (const(part) for part in POWERS[2])
_X4, _E4 = (const(part) for part in POWERS[3])
_X2, _E2 = (const(part) for part in POWERS[4])
_X1, _E1 = (const(part) for part in POWERS[5])
_X_HALF, _E_HALF = (const(part) for part in POWERS[6])
_X_4TH, _E_4TH = (const(part) for part in POWERS[7])
_X_8TH, _E_8TH = (const(part) for part in POWERS[8])
_X_16TH, _E_16TH = (const(part) for part in POWERS[9])


def _constant(divisor: int, bits: int) -> tuple[int, int]:
    multiplier, shift = reciprocal(divisor, bits)
    return const(multiplier), shift


# Terms of series are below 2**120: both series start with z below 0.18, and 0.18 * 10**36 < 2**118.
_TERM_BITS: Final = 120
_M3, _S3 = _constant(3, _TERM_BITS)
_M5, _S5 = _constant(5, _TERM_BITS)
_M7, _S7 = _constant(7, _TERM_BITS)
_M9, _S9 = _constant(9, _TERM_BITS)
_M11, _S11 = _constant(11, _TERM_BITS)
_M13, _S13 = _constant(13, _TERM_BITS)
_M15, _S15 = _constant(15, _TERM_BITS)

# 10**36 = 2**36 * 5**36 and 10**20 = 2**20 * 5**20; cutting twice is cutting once.
_M36, _S36 = _constant(5**36, 200)
_M20, _S20 = _constant(5**20, 164)
_M18, _S18 = _constant(10**18, 127)
# In the series of e**x with x below 0.25, a term times x is below 2**65 * 2**65, shifted below 2**110; one
# division by 10**20 * n is the two of the contract.
_SERIES_BITS: Final = 110
_N2, _T2 = _constant(2 * 5**20, _SERIES_BITS)
_N3, _T3 = _constant(3 * 5**20, _SERIES_BITS)
_N4, _T4 = _constant(4 * 5**20, _SERIES_BITS)
_N5, _T5 = _constant(5 * 5**20, _SERIES_BITS)
_N6, _T6 = _constant(6 * 5**20, _SERIES_BITS)
_N7, _T7 = _constant(7 * 5**20, _SERIES_BITS)
_N8, _T8 = _constant(8 * 5**20, _SERIES_BITS)
_N9, _T9 = _constant(9 * 5**20, _SERIES_BITS)
_N10, _T10 = _constant(10 * 5**20, _SERIES_BITS)
_N11, _T11 = _constant(11 * 5**20, _SERIES_BITS)
_N12, _T12 = _constant(12 * 5**20, _SERIES_BITS)


@hot("boolean(u256, boolean)")
def is_multiplied(y: int, has_powers: bool) -> bool:  # noqa: FBT001 - a row's fact, not a choice
    """Return whether the pool multiplies for this exponent, without a margin."""
    return has_powers and (y == ONE or y == _TWO or y == _FOUR)  # noqa: PLR1714, SIM109 - wide integers have no `in`


@hot("u256(u256, u256, boolean)")
def pow_up(x: int, y: int, has_powers: bool) -> int:  # noqa: FBT001 - a row's fact, not a choice
    """Return x**y with an error on the high side; 0 outside of the domain."""
    if has_powers and y == ONE:
        return x
    if x < _LOWEST_BASE or x > _HIGHEST_BASE or y > _HIGHEST_EXPONENT:
        return ZERO
    if has_powers and y == _TWO:
        return fixed_mul_up(x, x)
    if has_powers and y == _FOUR:
        square = fixed_mul_up(x, x)
        return fixed_mul_up(square, square)
    raw = _power(x, y)  # below 2**112
    return raw + div_up(raw * _MARGIN, ONE) + UNIT


@hot("u256(u256, u256)")
def _power(x: int, y: int) -> int:
    # A logarithm is below 0.357 * 10**18 < 2**59, so `whole` too, `part` below 2**60, y below 2**67: every
    # product is below 2**127.
    if _NEAR_LOW < x < _NEAR_HIGH:
        whole, part = divmod256(_ln_36(x), ONE)
        product = whole * y + times(part * y, _M18, _S18)
    else:
        product = (_ln(x) if x >= ONE else _ln(divmod256(_ONE_36, x)[0])) * y
    result = _exp(times(product, _M18, _S18))
    return result if x >= ONE else divmod256(_ONE_36, result)[0]


@hot("u256(u256)")
def _exp(x: int) -> int:
    # e**x for x below 35.4, fixed. `_scaled` divides by 10**20 what is then at most e**35.4 * 10**20, below
    # 2**118: the product before is below 2**184, and shifted by 20 below 2**164.
    x = x * _HUNDRED
    product = _ONE_20
    if x >= _X32:
        x, product = x - _X32, _E32
    if x >= _X16:
        x, product = x - _X16, _scaled(product, _E16)
    if x >= _X8:
        x, product = x - _X8, _scaled(product, _E8)
    if x >= _X4:
        x, product = x - _X4, _scaled(product, _E4)
    if x >= _X2:
        x, product = x - _X2, _scaled(product, _E2)
    if x >= _X1:
        x, product = x - _X1, _scaled(product, _E1)
    if x >= _X_HALF:
        x, product = x - _X_HALF, _scaled(product, _E_HALF)
    if x >= _X_4TH:
        x, product = x - _X_4TH, _scaled(product, _E_4TH)
    return divmod256(_scaled(product, _exp_series(x)), _HUNDRED)[0]


@hot("u256(u256, u256)", inline=True)
def _scaled(a: int, b: int) -> int:
    return times_wide((a * b) >> 20, _M20, _S20)


@hot("u256(u256)")
def _exp_series(x: int) -> int:
    # 1 + x + ... + x**12 / 12! with 20 decimals, for x below 0.25: 25 * 10**18 < 2**65.
    term = times((x * x) >> 20, _N2, _T2)
    total = _ONE_20 + x + term
    term = times((term * x) >> 20, _N3, _T3)
    total = total + term
    term = times((term * x) >> 20, _N4, _T4)
    total = total + term
    term = times((term * x) >> 20, _N5, _T5)
    total = total + term
    term = times((term * x) >> 20, _N6, _T6)
    total = total + term
    term = times((term * x) >> 20, _N7, _T7)
    total = total + term
    term = times((term * x) >> 20, _N8, _T8)
    total = total + term
    term = times((term * x) >> 20, _N9, _T9)
    total = total + term
    term = times((term * x) >> 20, _N10, _T10)
    total = total + term
    term = times((term * x) >> 20, _N11, _T11)
    total = total + term
    term = times((term * x) >> 20, _N12, _T12)
    return total + term


@hot("u256(u256)")
def _ln(a: int) -> int:
    # The logarithm of a fixed number from 1 to 1.45, below e**0.5: the entries that can apply are the last
    # three. What is left is below e**(1 / 16), so z is below 0.032.
    total, a = ZERO, a * _HUNDRED
    if a >= _E_4TH:
        a, total = divmod256(a * _ONE_20, _E_4TH)[0], total + _X_4TH
    if a >= _E_8TH:
        a, total = divmod256(a * _ONE_20, _E_8TH)[0], total + _X_8TH
    if a >= _E_16TH:
        a, total = divmod256(a * _ONE_20, _E_16TH)[0], total + _X_16TH
    z = divmod256((a - _ONE_20) * _ONE_20, a + _ONE_20)[0]
    square = _scaled(z, z)
    term = _scaled(z, square)
    series = z + times(term, _M3, _S3)
    term = _scaled(term, square)
    series = series + times(term, _M5, _S5)
    term = _scaled(term, square)
    series = series + times(term, _M7, _S7)
    term = _scaled(term, square)
    series = series + times(term, _M9, _S9)
    term = _scaled(term, square)
    series = series + times(term, _M11, _S11)
    return divmod256(total + series + series, _HUNDRED)[0]


@hot("u256(u256)")
def _ln_36(x: int) -> int:
    # The magnitude of the logarithm of a fixed number between 0.9 and 1.1, with 36 decimals. The distance
    # from one is below 10**35 with 36 decimals, times 10**36 below 2**236; z is below 0.053 * 10**36, below
    # 2**116, and all that `_scaled_36` multiplies too: products below 2**232, shifted below 2**196.
    distance = (x - ONE if x >= ONE else ONE - x) * ONE
    z = divmod256(distance * _ONE_36, x * ONE + _ONE_36)[0]
    square = _scaled_36(z, z)
    term = _scaled_36(z, square)
    series = z + times(term, _M3, _S3)
    term = _scaled_36(term, square)
    series = series + times(term, _M5, _S5)
    term = _scaled_36(term, square)
    series = series + times(term, _M7, _S7)
    term = _scaled_36(term, square)
    series = series + times(term, _M9, _S9)
    term = _scaled_36(term, square)
    series = series + times(term, _M11, _S11)
    term = _scaled_36(term, square)
    series = series + times(term, _M13, _S13)
    term = _scaled_36(term, square)
    series = series + times(term, _M15, _S15)
    return series + series


@hot("u256(u256, u256)", inline=True)
def _scaled_36(a: int, b: int) -> int:
    return times_wide((a * b) >> 36, _M36, _S36)
