"""Sixteen 64-bit lanes that hot functions look at at once: two cache lines of a table's row.

Layer: native. Lanes are an address, aligned to 64 bytes. Written as LLVM vectors, so that the speed does not
hang on what the optimiser makes of a loop. Loads are plain: each lane is read whole, and in no order.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir

from tallyio.native.primitive import INT32, INT64, primitive, word_pointer

LANES: Final = 16
_DOUBLE: Final = ir.DoubleType()
_WIDTH: Final = 4
"""Lanes of one vector: what AVX2 has registers and masks for."""
_PARTS: Final = range(0, LANES, _WIDTH)
_ALIGNED: Final = 8 * _WIDTH


@primitive("int64(int64)")
def sum_16(builder: Any, lanes: int) -> int:
    """Return the sum of sixteen integers, modulo 2**64."""
    total, *others = (_load(builder, lanes, start, INT64) for start in _PARTS)
    for part in others:
        total = builder.add(total, part)
    return _folded(builder, total, builder.add)


@primitive("Tuple(float64, float64, int64, int64)(int64, int64, int64, int64, int64, int64, float64)")
def most_and_least_16(  # noqa: PLR0913, PLR0917 - the columns, and what makes them count
    builder: Any,
    bids: int,
    asks: int,
    sequences: int,
    stamps: int,
    weights: int,
    oldest: int,
    least_weight: float,
) -> tuple[float, float, int, int]:
    """Return the most of `bids`, the least of `asks` above 0, and the bits of the lanes where those are.

    0.0 and infinity where there is none. Only lanes count whose sequence number is even, whose stamp is
    at least `oldest` and whose weight at least `least_weight`.
    """
    nobody, nothing = _splat(builder, _DOUBLE(math.inf)), _splat(builder, _DOUBLE(0.0))
    high, low = [], []
    for start in _PARTS:
        is_still = _is_even(builder, _load(builder, sequences, start, INT64))
        stamp, weight = _load(builder, stamps, start, INT64), _load(builder, weights, start, _DOUBLE)
        is_fresh = builder.icmp_signed(">=", stamp, _splat(builder, oldest))
        is_heavy = builder.fcmp_ordered(">=", weight, _splat(builder, least_weight))
        counts = builder.and_(builder.and_(is_still, is_fresh), is_heavy)
        high.append(builder.select(counts, _load(builder, bids, start, _DOUBLE), nothing))
        ask = _load(builder, asks, start, _DOUBLE)
        is_offered = builder.and_(counts, builder.fcmp_ordered(">", ask, nothing))
        low.append(builder.select(is_offered, ask, nobody))
    bid, ask = _best(builder, ">", high), _best(builder, "<", low)
    sell, buy = _where(builder, high, bid), _where(builder, low, ask)
    # Wanted here, all is computed here, and no vector waits in memory for the caller's last look at the row.
    kind = ir.FunctionType(ir.VoidType(), [INT64, INT64])
    builder.asm(kind, "", "r,r,~{memory}", [sell, buy], True)
    return bid, ask, sell, buy


def _is_even(builder: Any, values: Any) -> Any:
    odd = builder.and_(values, _splat(builder, INT64(1)))
    return builder.icmp_signed("==", odd, _splat(builder, INT64(0)))


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


def _load(builder: Any, lanes: Any, start: int, element: Any) -> Any:
    place = word_pointer(builder, lanes, INT64(start), element)
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
