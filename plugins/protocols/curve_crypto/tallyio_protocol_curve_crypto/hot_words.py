"""Vyper's arithmetic in compiled code; `reference_words` is the specification.

Where a contract would revert the result is `REVERTED` (of uint256) or `BROKEN` (of int256), which no
proper value is, and whatever is computed from one of them is again one of them: a formula reads as the
contract's, and its result is asked once. An int256 is kept as its two's complement.
"""

from __future__ import annotations

from typing import Final

from tallyio.native.jit import hot
from tallyio.native.u256 import clz, const, divmod256, is_negative, negate

REVERTED: Final = const(2**256 - 1)
BROKEN: Final = const(2**255)
ZERO: Final = const(0)
ONE: Final = const(1)
_WORD: Final = 256


@hot("u256(u256, u256)")
def mul(a: int, b: int) -> int:
    """Return a * b of uint256."""
    # The product has the bits of both together, or one less: only 257 leaves open whether it fits. Then
    # (a >> 1) * b has 256 bits at most, and twice that, with the odd b, is the product.
    bits = 2 * _WORD - clz(a) - clz(b)
    half, product = (a >> 1) * b, a * b
    over = bits > _WORD and (half >= BROKEN or product < half << 1)
    return REVERTED if REVERTED in (a, b) or bits > _WORD + 1 or over else product


@hot("u256(u256, u256)", inline=True)
def add(a: int, b: int) -> int:
    """Return a + b of uint256."""
    total = a + b
    return REVERTED if total < a or b == REVERTED else total


@hot("u256(u256, u256)", inline=True)
def sub(a: int, b: int) -> int:
    """Return a - b of uint256."""
    return REVERTED if a < b or a == REVERTED else a - b


@hot("u256(u256, u256)")
def div(a: int, b: int) -> int:
    """Return a / b of uint256, rounded down."""
    if b == ZERO or REVERTED in (a, b):
        return REVERTED
    return divmod256(a, b)[0]


@hot("u256(u256, u256, u256)")
def ratio(a: int, b: int, c: int) -> int:
    """Return a * b / c of uint256, rounded down."""
    return div(mul(a, b), c)


@hot("u256(u256, u256)", inline=True)
def unsafe_div(a: int, b: int) -> int:
    """Return a / b of uint256, rounded down; 0 where b is 0."""
    return divmod256(a, b)[0]


@hot("u256(u256, u256)", inline=True)
def distance(a: int, b: int) -> int:
    """Return |a - b| of two proper values."""
    return a - b if a > b else b - a


@hot("u256(u256)", inline=True)
def magnitude(a: int) -> int:
    """Return |a| of int256."""
    return negate(a) if is_negative(a) else a


@hot("u256(u256, u256)")
def int_mul(a: int, b: int) -> int:
    """Return a * b of int256."""
    if BROKEN in (a, b):
        return BROKEN
    absolute_a, absolute_b = magnitude(a), magnitude(b)
    product = absolute_a * absolute_b
    if 2 * _WORD - clz(absolute_a) - clz(absolute_b) > _WORD or product >= BROKEN:
        return BROKEN
    return product if is_negative(a) == is_negative(b) else negate(product)


@hot("u256(u256, u256)", inline=True)
def int_add(a: int, b: int) -> int:
    """Return a + b of int256."""
    total = a + b
    over = is_negative(a) == is_negative(b) and is_negative(total) != is_negative(a)
    return BROKEN if BROKEN in (a, b) or over else total


@hot("u256(u256, u256)", inline=True)
def int_sub(a: int, b: int) -> int:
    """Return a - b of int256."""
    return BROKEN if b == BROKEN else int_add(a, negate(b))


@hot("u256(u256, u256)")
def unsafe_int_div(a: int, b: int) -> int:
    """Return a / b of int256, rounded towards 0; 0 where b is 0."""
    if BROKEN in (a, b):
        return BROKEN
    quotient = divmod256(magnitude(a), magnitude(b))[0]
    return quotient if is_negative(a) == is_negative(b) else negate(quotient)


@hot("u256(u256, u256)", inline=True)
def int_div(a: int, b: int) -> int:
    """Return a / b of int256, rounded towards 0."""
    return BROKEN if b == ZERO else unsafe_int_div(a, b)


@hot("u256(u256, u256)", inline=True)
def unsafe_int_mul(a: int, b: int) -> int:
    """Return a * b modulo 2**256."""
    return BROKEN if BROKEN in (a, b) else a * b


@hot("u256(u256)", inline=True)
def to_uint(a: int) -> int:
    """Return an int256 as uint256."""
    return REVERTED if is_negative(a) else a
