"""Products of two 256-bit integers, and such products divided: Uniswap's FullMath.

Layer: native; use it through `tallyio.native.u256`.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.arithmetic import const, u256, u512
from tallyio.native.divide import div512_inline
from tallyio.native.jit import hot

_ZERO: Final = const(0)
_ONE: Final = const(1)
_MAXIMUM: Final = const(2**256 - 1)


@hot("UniTuple(u256, 2)(u256, u256)", inline=True)
def mul_wide(a: int, b: int) -> tuple[int, int]:
    """Return the whole product of a and b as (high, low): high * 2**256 + low."""
    product = u512(a) * u512(b)
    return u256(product >> 256), u256(product)


@hot("u256(u256, u256, u256)")
def muldiv(a: int, b: int, d: int) -> int:
    """Return a * b // d with the whole product, as `FullMath.mulDiv` of @uniswap/v3-core.

    0 where that reverts: d == 0, or a quotient of 2**256 and more. Callers for whom 0 could also be
    an answer check first; `d > max(a, b)` or `a < d` are enough.
    """
    high, low = mul_wide(a, b)
    return div512_inline(high, low, d)[0]


@hot("u256(u256, u256, u256)")
def muldiv_up(a: int, b: int, d: int) -> int:
    """Return a * b / d rounded up, as `FullMath.mulDivRoundingUp`; 0 where that reverts, as in `muldiv`."""
    high, low = mul_wide(a, b)
    quotient, rest = div512_inline(high, low, d)
    if rest == _ZERO:
        return quotient
    # The rounded quotient is 2**256 only for the largest one; adding 1 makes it 0, as documented.
    return quotient + _ONE
