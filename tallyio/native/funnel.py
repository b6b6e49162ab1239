"""Shifts of wide integers by less than one limb, as division needs them.

Layer: native. A shift by an unknown distance goes through memory in LLVM's code; one that is known to be
below 64 is a funnel shift (SHLD) per limb.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tallyio.native.primitive import INT64
from tallyio.native.wide import WideInt

_LIMB: Final = 64


@intrinsic
def _shift_up(_typing: Any, x: Any, distance: Any) -> Any:
    """Return x << distance, for 0 <= distance < 64."""
    return _funnel(x, distance, up=True)


@intrinsic
def _shift_down(_typing: Any, x: Any, distance: Any) -> Any:
    """Return x >> distance, for 0 <= distance < 64."""
    return _funnel(x, distance, up=False)


shift_up = cast("Callable[[int, int], int]", _shift_up)
shift_down = cast("Callable[[int, int], int]", _shift_down)


def _funnel(x: Any, distance: Any, *, up: bool) -> Any:
    if not (isinstance(x, WideInt) and isinstance(distance, types.Integer)):
        return None

    def lowering(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        kind = ir.FunctionType(INT64, [INT64, INT64, INT64])
        shift = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fsh{'l' if up else 'r'}.i64")
        limbs = _limbs(builder, values[0])
        # Upwards a limb takes the top bits of the one below; downwards the one above gives its lowest.
        upper, lower = (limbs, [INT64(0), *limbs]) if up else ([*limbs[1:], INT64(0)], limbs)
        shifted = [builder.call(shift, [*pair, values[1]]) for pair in zip(upper, lower, strict=False)]
        return _joined(builder, shifted, values[0].type)

    return x(x, types.int64), lowering


def _limbs(builder: Any, value: Any) -> list[Any]:
    wide = value.type
    return [builder.trunc(builder.lshr(value, wide(at)), INT64) for at in range(0, wide.width, _LIMB)]


def _joined(builder: Any, limbs: list[Any], wide: Any) -> Any:
    value = builder.zext(limbs[0], wide)
    for k, limb in enumerate(limbs[1:], 1):
        value = builder.or_(value, builder.shl(builder.zext(limb, wide), wide(k * _LIMB)))
    return value
