"""Rows of floats that hot functions compare and raise sixteen or more lanes at a time.

Layer: native. A row is an address, aligned to 64 bytes; lanes are counted from it. The operations
are written as LLVM vectors, so their speed does not hang on what the optimiser makes of a loop.
Rows are float32 unless a name says otherwise; values go in and come out as float64, rounded to the nearest
float32 on the way in.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from tallyio.native.primitive import INT32, INT64, primitive, word_pointer

_FLOAT: Final = ir.FloatType()
_DOUBLE: Final = ir.DoubleType()
_LINE: Final = 64
_ELEMENT: Final = 4
_WORD: Final = 8


@primitive("float64(int64, int64)")
def load_f32(builder: Any, row: int, lane: int) -> float:
    """Return one lane of the row; plain."""
    return builder.fpext(builder.load(word_pointer(builder, row, lane, _FLOAT), align=_ELEMENT), _DOUBLE)


@primitive("void(int64, int64, float64)")
def store_f32(builder: Any, row: int, lane: int, value: float) -> None:
    """Set one lane of the row; plain."""
    builder.store(builder.fptrunc(value, _FLOAT), word_pointer(builder, row, lane, _FLOAT), align=_ELEMENT)


@primitive("int64(int64)")
def lowest_bit(builder: Any, mask: int) -> int:
    """Return the number of the lowest bit that is set; 64 for none."""
    return builder.cttz(mask, ir.IntType(1)(0))


def _sums_above(lanes: int) -> Callable[[Any, int, int, int, float], int]:
    def emit(builder: Any, one: int, other: int, start: int, threshold: float) -> int:
        total = builder.fadd(_lanes(builder, one, start, lanes), _lanes(builder, other, start, lanes))
        above = builder.fcmp_ordered(">", total, _splat(builder, threshold, lanes))
        mask = builder.bitcast(above, ir.IntType(lanes))
        return mask if lanes == INT64.width else builder.zext(mask, INT64)

    emit.__name__ = f"sums_above_{lanes}"
    emit.__doc__ = f"Return the bits of lanes start to start + {lanes} where one + other > threshold."
    return emit


sums_above_16 = primitive("int64(int64, int64, int64, float64)")(_sums_above(16))
sums_above_64 = primitive("int64(int64, int64, int64, float64)")(_sums_above(64))


@primitive("int64(int64, int64, int64, float64)")
def raise_16(builder: Any, target: int, source: int, start: int, more: float) -> int:
    """Raise lanes start to start + 16 of `target` to `source` + `more` where that is more; return which."""
    lanes = 16
    place = _pointer(builder, target, start, lanes)
    present = builder.load(place, align=_LINE)
    offered = builder.fadd(_lanes(builder, source, start, lanes), _splat(builder, more, lanes))
    higher = builder.fcmp_ordered(">", offered, present)
    builder.store(builder.select(higher, offered, present), place, align=_LINE)
    return builder.zext(builder.bitcast(higher, ir.IntType(lanes)), INT64)


@primitive("int64(int64, int64, int64)")
def not_above_f64_32(builder: Any, one: int, other: int, start: int) -> int:
    """Return the bits of lanes start to start + 32, of float64, where not one > other: NaN counts."""
    lanes = 32
    first, second = (_doubles(builder, row, start, lanes) for row in (one, other))
    mask = builder.bitcast(builder.fcmp_unordered("<=", first, second), ir.IntType(lanes))
    return builder.zext(mask, INT64)


def _doubles(builder: Any, row: Any, start: Any, lanes: int) -> Any:
    element = word_pointer(builder, row, start, _DOUBLE)
    place = builder.bitcast(element, ir.VectorType(_DOUBLE, lanes).as_pointer())
    return builder.load(place, align=_WORD)


def _pointer(builder: Any, row: Any, start: Any, lanes: int) -> Any:
    element = word_pointer(builder, row, start, _FLOAT)
    return builder.bitcast(element, ir.VectorType(_FLOAT, lanes).as_pointer())


def _lanes(builder: Any, row: Any, start: Any, lanes: int) -> Any:
    return builder.load(_pointer(builder, row, start, lanes), align=_LINE)


def _splat(builder: Any, value: Any, lanes: int) -> Any:
    empty = ir.Constant(ir.VectorType(_FLOAT, lanes), ir.Undefined)
    first = builder.insert_element(empty, builder.fptrunc(value, _FLOAT), INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, lanes), [INT32(0)] * lanes)
    return builder.shuffle_vector(first, empty, zeros)
