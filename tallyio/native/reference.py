"""The arithmetic of `tallyio.native.u256` on Python integers: what compiled code must equal.

Layer: native. Each function has the name, the arguments and the documented edge cases of its compiled twin.
"""

from __future__ import annotations

import math
from typing import Final

MAX256: Final = 2**256 - 1
MAX512: Final = 2**512 - 1
_TWO256: Final = float(2**256)


def divmod256(n: int, d: int) -> tuple[int, int]:
    """Return (n // d, n % d); (0, 0) for d == 0."""
    return divmod(n, d) if d else (0, 0)


def divmod512(n: int, d: int) -> tuple[int, int]:
    """Return (n // d, n % d); (0, 0) for d == 0."""
    return divmod(n, d) if d else (0, 0)


def quotient128(n: int, d: int) -> int:
    """Return n // d where that is below 2**128; else, and for d == 0, 0."""
    return n // d if n >> 128 < d else 0


def div512(hi: int, lo: int, d: int) -> tuple[int, int]:
    """Return quotient and remainder of hi * 2**256 + lo by d; (0, 0) where hi >= d."""
    return divmod(hi << 256 | lo, d) if hi < d else (0, 0)


def mul_wide(a: int, b: int) -> tuple[int, int]:
    """Return the product of a and b as (high, low)."""
    return a * b >> 256, a * b & MAX256


def mul_wide512(a: int, b: int) -> tuple[int, int]:
    """Return the product of two 512-bit integers as (high, low)."""
    return a * b >> 512, a * b & MAX512


def muldiv(a: int, b: int, d: int) -> int:
    """Return a * b // d; 0 for d == 0 and where the quotient does not fit 256 bits."""
    return _fitting(a * b // d) if d else 0


def muldiv_up(a: int, b: int, d: int) -> int:
    """Return a * b / d rounded up; 0 for d == 0 and where the quotient does not fit 256 bits."""
    return _fitting(-(-a * b // d)) if d else 0


def isqrt256(n: int) -> int:
    """Return the square root of n, rounded down."""
    return math.isqrt(n)


def isqrt512(hi: int, lo: int) -> int:
    """Return the square root of hi * 2**256 + lo, rounded down."""
    return math.isqrt(hi << 256 | lo)


def to_f64(x: int) -> float:
    """Return the float64 nearest to x."""
    return float(x)


def from_f64(x: float) -> int:
    """Return x without its fraction; 0 for NaN and below 1, 2**256 - 1 from 2**256 on."""
    if not x >= 1.0:
        return 0
    return int(x) if x < _TWO256 else MAX256


def _fitting(quotient: int) -> int:
    return quotient if quotient <= MAX256 else 0
