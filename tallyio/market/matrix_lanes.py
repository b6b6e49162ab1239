"""One row of the price matrix, all sixteen chains at once.

Layer: market. Written as LLVM vectors, so that the speed does not hang on what the optimiser makes of a
loop. Loads are plain: each lane is read whole, and in no order.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from tallyio.market.abi import word
from tallyio.market.matrix_layout import COLUMNS, ROW
from tallyio.native.primitive import INT32, INT64, primitive, word_pointer

_DOUBLE: Final = ir.DoubleType()
_WIDTH: Final = 4
"""Lanes of one vector: what AVX2 has registers and masks for."""
_PARTS: Final = range(0, COLUMNS, _WIDTH)
_ALIGNED: Final = 8 * _WIDTH


@primitive("int64(int64)")
def changes(builder: Any, row: int) -> int:
    """Return the sum of the sequence numbers."""
    total, *others = (_load(builder, row, "sequence", start) for start in _PARTS)
    for part in others:
        total = builder.add(total, part)
    return _folded(builder, total, builder.add)


@primitive("Tuple(float64, float64, int64, int64)(int64, int64, float64)")
def best_prices(
    builder: Any, row: int, oldest: int, least_confidence: float
) -> tuple[float, float, int, int]:
    """Return the most anybody pays, the least anybody asks, and the bits of the chains where that is.

    0.0 and infinity where nobody does. Only columns take part that are not changing, not older than
    `oldest` and believed at least so much.
    """
    nobody, nothing = _splat(builder, _DOUBLE(math.inf)), _splat(builder, _DOUBLE(0.0))
    asks, bids = [], []
    for start in _PARTS:
        usable = _usable(builder, row, start, oldest, least_confidence)
        bids.append(builder.select(usable, _load(builder, row, "bid", start), nothing))
        ask = _load(builder, row, "ask", start)
        is_offered = builder.and_(usable, builder.fcmp_ordered(">", ask, nothing))
        asks.append(builder.select(is_offered, ask, nobody))
    bid, ask = _best(builder, ">", bids), _best(builder, "<", asks)
    sell, buy = _where(builder, bids, bid), _where(builder, asks, ask)
    # Wanted here, all is computed here, and no vector waits in memory for the caller's last look at the row.
    kind = ir.FunctionType(ir.VoidType(), [INT64, INT64])
    builder.asm(kind, "", "r,r,~{memory}", [sell, buy], True)
    return bid, ask, sell, buy


def _usable(builder: Any, row: Any, start: int, oldest: Any, least_confidence: Any) -> Any:
    odd = builder.and_(_load(builder, row, "sequence", start), _splat(builder, INT64(1)))
    is_still = builder.icmp_signed("==", odd, _splat(builder, INT64(0)))
    is_fresh = builder.icmp_signed(">=", _load(builder, row, "stamp_ns", start), _splat(builder, oldest))
    believed = _load(builder, row, "confidence", start)
    is_believed = builder.fcmp_ordered(">=", believed, _splat(builder, least_confidence))
    return builder.and_(builder.and_(is_still, is_fresh), is_believed)


def _best(builder: Any, comparison: str, parts: list[Any]) -> Any:
    def better(one: Any, other: Any) -> Any:
        return builder.select(builder.fcmp_ordered(comparison, one, other), one, other)

    while len(parts) > 1:
        half = len(parts) // 2
        parts = [better(*pair) for pair in zip(parts[:half], parts[half:], strict=True)]
    return _folded(builder, parts[0], better)


def _where(builder: Any, parts: list[Any], best: Any) -> Any:
    """Emit the bits of the lanes that are `best`."""
    bits = INT64(0)
    for start, part in zip(_PARTS, parts, strict=True):
        equal = builder.fcmp_ordered("==", part, _splat(builder, best))
        own = builder.zext(builder.bitcast(equal, ir.IntType(_WIDTH)), INT64)
        bits = builder.or_(bits, builder.shl(own, INT64(start)))
    return bits


def _load(builder: Any, row: Any, field: str, start: int) -> Any:
    base = ROW[field].base
    element = _DOUBLE if base.kind == "f" else INT64
    place = word_pointer(builder, row, INT64(word(ROW, field) + start), element)
    return builder.load(builder.bitcast(place, ir.VectorType(element, _WIDTH).as_pointer()), align=_ALIGNED)


def _folded(builder: Any, values: Any, fold: Callable[[Any, Any], Any]) -> Any:
    """Emit what folding the lanes of one vector gives: one half with the other, again and again."""
    lanes = _WIDTH
    while lanes > 1:
        lanes //= 2
        values = fold(*(_part(builder, values, range(start, start + lanes)) for start in (0, lanes)))
    return builder.extract_element(values, INT32(0))


def _part(builder: Any, values: Any, lanes: range) -> Any:
    wanted = ir.Constant(ir.VectorType(INT32, len(lanes)), [INT32(lane) for lane in lanes])
    return builder.shuffle_vector(values, ir.Constant(values.type, ir.Undefined), wanted)


def _splat(builder: Any, value: Any) -> Any:
    empty = ir.Constant(ir.VectorType(value.type, _WIDTH), ir.Undefined)
    first = builder.insert_element(empty, value, INT32(0))
    zeros = ir.Constant(ir.VectorType(INT32, _WIDTH), [INT32(0)] * _WIDTH)
    return builder.shuffle_vector(first, empty, zeros)
