"""The invariant and its solution in compiled code, as the contracts compute them.

Where a contract reverts, these return `REVERTED`, which no proper value is. Bounds that hold for
every row: balances and rates are below 2**128, so a scaled balance is below 2**197 (10**18 > 2**59);
A times its precision is below 2**34, times N below 2**37.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import clz, const, divmod256, load256, mul_wide, u256
from tallyio_protocol_curve_stable.hot_newton import REVERTED, is_close, solve
from tallyio_protocol_curve_stable.layout import (
    A_PRECISION,
    AMP,
    COIN_BYTES,
    COINS,
    COUNT,
    D_RULE,
    FEE,
    FLAGS,
    MULTIPLIER,
    XP,
)
from tallyio_protocol_curve_stable.reference import FEE_DENOMINATOR, MAX_STEPS, PRECISION, UINT128_MAX
from tallyio_protocol_curve_stable.templates import DRule, Flag

ZERO: Final = const(0)
ONE: Final = const(1)
WAD: Final = const(PRECISION)
FEE_BASE: Final = const(FEE_DENOMINATOR)

_FOUR: Final = const(4)
_UINT128_MAX: Final = const(UINT128_MAX)
_LARGEST_D: Final = const(2**204)
"""D is at most the sum of 8 scaled balances, up to rounding: below 2**201. The guard makes it a fact."""

_PLUS_ONE: Final = int(DRule.PLUS_ONE)
_POWERS: Final = int(DRule.POWERS)
_FALLS_THROUGH: Final = int(Flag.FALLS_THROUGH)
_DYNAMIC_FEE: Final = int(Flag.DYNAMIC_FEE)
_SAVES_CAPPED_PRICES: Final = int(Flag.SAVES_CAPPED_PRICES)
_SAVES_PRICE: Final = int(Flag.SAVES_PRICE)
_WAD_BITS: Final = 60


@hot("int64(u256)", inline=True)
def bits_of(value: int) -> int:
    """Return the number of bits that `value` needs; 0 for 0."""
    return 256 - clz(value)


@hot("boolean(u256, u256)")
def fits(a: int, b: int) -> bool:
    """Return whether a * b is below 2**256."""
    # The product has bits(a) + bits(b) bits, or one less: only 257 leaves it open.
    bits = bits_of(a) + bits_of(b)
    return bits <= 256 or (bits == 257 and mul_wide(a, b)[0] == ZERO)  # noqa: PLR2004 - see above


@hot("u256(int64, int64)", inline=True)
def xp_of(row: int, k: int) -> int:
    """Return the scaled balance of coin `k`."""
    return load256(row + COINS + k * COIN_BYTES + XP)


@hot("u256(int64)")
def get_d(row: int) -> int:
    """Return the invariant of the scaled balances in the row; `REVERTED` where the contract reverts."""
    n = load(row + COUNT, 0)
    total = ZERO
    for k in range(n):  # below 2**200
        total = total + xp_of(row, k)
    if total == ZERO:
        return ZERO
    precision = u256(load(row + A_PRECISION, 0))
    ann = u256(load(row + AMP, 0)) * u256(n)
    if ann < precision:
        return REVERTED
    # ann * total < 2**237.
    weighted = divmod256(ann * total, precision)[0]
    d = total
    for _ in range(MAX_STEPS):
        after = _d_step(row, n, d, weighted, ann - precision, precision)
        if after >= _LARGEST_D:
            return REVERTED
        if is_close(after, d):
            return after
        d = after
    return d if load(row + FLAGS, 0) & _FALLS_THROUGH else REVERTED


@hot("u256(int64, int64, u256, u256, u256, u256)")
def _d_step(row: int, n: int, d: int, weighted: int, ann_less: int, precision: int) -> int:
    d_p = _d_product(row, n, d)
    # d < 2**204 and ann_less < 2**37; N + 1 > N, so the second product fits where the third does.
    if d_p == REVERTED or not fits(d_p, u256(n + 1)):
        return REVERTED
    sums = weighted + d_p * u256(n)
    rest = divmod256(ann_less * d, precision)[0]
    divisor = rest + d_p * u256(n + 1)
    if sums < weighted or divisor < rest or divisor == ZERO or not fits(sums, d):
        return REVERTED
    return divmod256(sums * d, divisor)[0]


@hot("u256(int64, int64, u256)")
def _d_product(row: int, n: int, d: int) -> int:
    rule = load(row + D_RULE, 0)
    product, powers = d, ONE
    for k in range(n):
        divisor = xp_of(row, k)  # times N: below 2**200
        if rule == _POWERS:
            powers = powers * u256(n)  # 8**8 at most
        elif rule == _PLUS_ONE:
            divisor = divisor * u256(n) + ONE
        else:
            divisor = divisor * u256(n)
        if divisor == ZERO or not fits(product, d):
            return REVERTED
        product = divmod256(product * d, divisor)[0]
    return divmod256(product, powers)[0]


@hot("u256(int64, u256, int64, int64, u256)")
def get_y(row: int, d: int, i: int, j: int, x: int) -> int:
    """Return the scaled balance of coin `j` once that of coin `i` is `x`; `REVERTED` as in `get_d`.

    `x` is below 2**200.
    """
    n = load(row + COUNT, 0)
    precision = u256(load(row + A_PRECISION, 0))
    ann = u256(load(row + AMP, 0)) * u256(n)
    c, total = d, ZERO
    for k in range(n):
        if k != j:
            here = x if k == i else xp_of(row, k)
            total = total + here  # below 2**203
            if here == ZERO or not fits(c, d):
                return REVERTED
            c = divmod256(c * d, here * u256(n))[0]
    if not fits(c, d) or not fits(c * d, precision):
        return REVERTED
    c = divmod256(c * d * precision, ann * u256(n))[0]
    # d < 2**204 and precision < 2**7, so b < 2**204 + 2**211 < 2**212.
    b = total + divmod256(d * precision, ann)[0]
    return solve(b, c, d, load(row + FLAGS, 0) & _FALLS_THROUGH)


@hot("u256(int64, u256, u256)")
def dynamic_fee(row: int, xp_i: int, xp_j: int) -> int:
    """Return the fee at these scaled balances, each below 2**200; `REVERTED` where they do not fit."""
    fee, multiplier = u256(load(row + FEE, 0)), load256(row + MULTIPLIER)
    if not load(row + FLAGS, 0) & _DYNAMIC_FEE or multiplier <= FEE_BASE:
        return fee
    total = xp_i + xp_j
    if total == ZERO or total > _UINT128_MAX or not fits(multiplier - FEE_BASE, _FOUR):
        return REVERTED
    weight = (multiplier - FEE_BASE) * _FOUR
    if not fits(weight, xp_i) or not fits(weight * xp_i, xp_j):
        return REVERTED
    # fee * multiplier <= 5 * 10**19 by the row's rule. The quotient is at most multiplier - 10**10.
    share = divmod256(weight * xp_i * xp_j, total * total)[0]
    return divmod256(multiplier * fee, share + FEE_BASE)[0]


@hot("boolean(int64, u256, int64, u256, int64, u256)")
def prices_fit(row: int, d: int, i: int, x: int, j: int, y: int) -> bool:
    """Return whether the prices that an exchange saves can be computed: coins `i` and `j` at `x`, `y`."""
    flags = load(row + FLAGS, 0)
    if not flags & (_SAVES_CAPPED_PRICES | _SAVES_PRICE):
        return True
    if flags & _SAVES_CAPPED_PRICES and d > _UINT128_MAX:
        return False
    return _surely_fit(row, d, i, x, j, y) or _do_fit(row, d, i, x, j, y)


@hot("boolean(int64, u256, int64, u256, int64, u256)")
def _surely_fit(row: int, d: int, i: int, x: int, j: int, y: int) -> bool:
    # Bits bound every product of `_do_fit`. bits(a * b // c) <= bits(a) + bits(b) - bits(c) + 1 for c > 0.
    d_bits = bits_of(d)
    first = bits_of(_xp_after(row, 0, i, x, j, y))
    bits, least = d_bits, first
    for k in range(load(row + COUNT, 0)):
        here = bits_of(_xp_after(row, k, i, x, j, y))
        least = min(least, here)
        if here == 0 or bits + d_bits > 256:  # noqa: PLR2004 - the word's
            return False
        bits = bits + d_bits - here + 1
    # ann * xp[0] / precision has at most first + 37 bits; with ann >= precision it is not 0 either.
    ratio = max(first + 37, bits + first - least + 1) + 1
    return bits + first <= 256 and ratio + _WAD_BITS <= 256 and first - least + 1 + _WAD_BITS <= 127  # noqa: PLR2004 - the word's


@hot("boolean(int64, u256, int64, u256, int64, u256)")
def _do_fit(row: int, d: int, i: int, x: int, j: int, y: int) -> bool:
    n = load(row + COUNT, 0)
    powers, product = ONE, ZERO
    for _ in range(n):
        powers = powers * u256(n)
    product = divmod256(d, powers)[0]
    for k in range(n):
        here = _xp_after(row, k, i, x, j, y)
        if here == ZERO or not fits(product, d):
            return False
        product = divmod256(product * d, here)[0]
    first = _xp_after(row, 0, i, x, j, y)
    ann = u256(load(row + AMP, 0)) * u256(n)
    weighted = divmod256(ann * first, u256(load(row + A_PRECISION, 0)))[0]  # ann * first < 2**237
    bottom = weighted + product
    if bottom < weighted or bottom == ZERO or not fits(product, first):
        return False
    for k in range(1, n):
        sums = weighted + divmod256(product * first, _xp_after(row, k, i, x, j, y))[0]
        if sums < weighted or not fits(WAD, sums):
            return False
        price = divmod256(WAD * sums, bottom)[0]
        if load(row + FLAGS, 0) & _SAVES_PRICE and price > _UINT128_MAX:
            return False
    return True


@hot("u256(int64, int64, int64, u256, int64, u256)", inline=True)
def _xp_after(row: int, k: int, i: int, x: int, j: int, y: int) -> int:
    if k == i:
        return x
    return y if k == j else xp_of(row, k)
