"""Between 256-bit integers and float64, correctly rounded.

Layer: native; use it through `tallyio.native.u256`. LLVM's own conversions
call library functions that may not be there.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

from typing import Any, Final

from llvmlite import ir

from tallyio.native.arithmetic import clz, const, lo64, u64, u256
from tallyio.native.jit import hot
from tallyio.native.primitive import INT64, primitive

_ZERO: Final = const(0)
_MAXIMUM: Final = const(2**256 - 1)
_TWO256: Final = float(2**256)
_ONE: Final = const(1, 64)
_MANTISSA: Final = const((1 << 52) - 1, 64)
_HIDDEN_BIT: Final = const(1 << 52, 64)


@primitive("int64(float64)")
def float_bits(builder: Any, x: float) -> int:
    """Return the 64 bits of a float64."""
    return builder.bitcast(x, INT64)


@primitive("float64(int64)")
def float_of_bits(builder: Any, bits: int) -> float:
    """Return the float64 of these 64 bits."""
    return builder.bitcast(bits, ir.DoubleType())


@hot("float64(u256)")
def to_f64(x: int) -> float:
    """Return the float64 nearest to x, ties to even: Python's `float(x)`."""
    shift = 192 - clz(x)
    if shift <= 0:
        return float(lo64(x))
    # The highest 64 bits, the last one set if any bit below is: it lies 11 bits under what is kept, so it
    # only breaks ties. 2**shift is exact (shift <= 192), and so is the product.
    top = lo64(x >> shift)
    if (u256(top) << shift) != x:
        top = top | _ONE
    return float(top) * float_of_bits((1023 + shift) << 52)


@hot("u256(float64)")
def from_f64(x: float) -> int:
    """Return x without its fraction; 0 for NaN and below 1, 2**256 - 1 from 2**256 on."""
    if not x >= 1.0:  # also NaN
        return _ZERO
    if x >= _TWO256:
        return _MAXIMUM
    bits = float_bits(x)
    shift = (bits >> 52) - 1075  # 1 <= x: the sign is 0 and the exponent at least 1023
    mantissa = u256((u64(bits) & _MANTISSA) | _HIDDEN_BIT)
    return mantissa << shift if shift >= 0 else mantissa >> -shift
