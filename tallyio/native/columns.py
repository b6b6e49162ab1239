"""Between Python integers and columns of wide integers: arrays with the limbs of one number in each row.

Layer: native. A column is a numpy array of little-endian uint64 whose last axis holds the limbs of one
number, lowest first: the bytes that `load256` and its kin read, as in a view of a `Region` or a field of
a record.

    to_column(values, bits)     a new array of shape (count, bits // 64)
    from_column(column)         its numbers as a list
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LIMB: Final = np.dtype("<u8")
"""The type of a column's elements."""
_LIMB_BITS: Final = 64
_LIMB_BYTES: Final = 8


def to_column(values: Iterable[int], bits: int = 256) -> npt.NDArray[np.uint64]:
    """Return a new column of shape (count, bits // 64).

    Raises: ValueError: `bits` is not a positive multiple of 64. OverflowError: a value is negative or too
        large.
    """
    if bits <= 0 or bits % _LIMB_BITS:
        raise ValueError(f"a column's width must be a positive multiple of {_LIMB_BITS} bits, not {bits}")
    raw = bytearray().join(value.to_bytes(bits // 8, "little") for value in values)
    return np.frombuffer(raw, LIMB).reshape(-1, bits // _LIMB_BITS)


def from_column(column: npt.NDArray[Any]) -> list[int]:
    """Return the numbers of a column of any shape (..., limbs), in the order of its rows.

    Raises: ValueError: it has no axis, no limbs, or elements other than uint64.
    """
    if column.ndim == 0 or column.shape[-1] == 0 or column.dtype != LIMB:
        raise ValueError(f"a column has uint64 limbs on its last axis, not {column.dtype} of {column.shape}")
    width, raw = column.shape[-1] * _LIMB_BYTES, column.tobytes()
    return [int.from_bytes(raw[at : at + width], "little") for at in range(0, len(raw), width)]
