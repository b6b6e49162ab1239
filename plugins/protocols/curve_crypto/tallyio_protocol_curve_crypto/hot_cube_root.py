"""NG's cube root in compiled code; `reference_newton.cbrt` is the specification."""

from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.native.jit import hot
from tallyio.native.u256 import clz, const, divmod256, u256
from tallyio_protocol_curve_crypto.reference_newton import CBRT_HIGH, CBRT_STEPS, PRECISION

_ONE: Final = const(1)
_THREE: Final = const(3)
_HIGH: Final = const(CBRT_HIGH)
_HIGHEST: Final = const(CBRT_HIGH * PRECISION)
_WAD: Final = const(PRECISION)
_WAD_2: Final = const(PRECISION**2)
_MILLION: Final = const(10**6)
_BILLIONS: Final = const(10**12)
_TOP: Final = 255
_FACTORS: Final = np.array([1, 1260, 1260**2], np.int64)
_DIVISORS: Final = np.array([1, 1000, 1000**2], np.int64)


@hot("u256(u256)")
def cbrt(x: int) -> int:
    """Return the cube root of `x` / 10**18, times 10**18: a guess from the bits, and seven steps.

    All of it wraps in the source too.
    """
    whole, scale = x, _BILLIONS
    if x < _HIGH:
        whole, scale = x * _WAD_2, _ONE
    elif x < _HIGHEST:
        whole, scale = x * _WAD, _MILLION
    log2 = max(_TOP - clz(whole), 0)
    rest = log2 % 3
    a = divmod256((_ONE << (log2 // 3)) * u256(_FACTORS[rest]), u256(_DIVISORS[rest]))[0]
    for _ in range(CBRT_STEPS):
        a = divmod256((a << 1) + divmod256(whole, a * a)[0], _THREE)[0]
    return a * scale
