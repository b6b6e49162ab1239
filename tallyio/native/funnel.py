"""Shifts of wide integers by less than one limb, as division needs them.

Layer: native. A shift by an unknown distance goes through memory in LLVM's code; one that is known to be
below 64 is a funnel shift per limb. It is spelt in plain shifts, because a processor's own (SHLD) by an
unknown distance is slow on many: six micro-operations on Zen 3.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from numba import types
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
        limbs, shift = _limbs(builder, values[0]), values[1]
        rest = builder.sub(INT64(_LIMB - 1), shift)
        if up:  # a limb takes the top bits of the one below
            shifted = [
                builder.or_(builder.shl(limb, shift), builder.lshr(builder.lshr(below, INT64(1)), rest))
                for limb, below in zip(limbs, [INT64(0), *limbs], strict=False)
            ]
        else:  # a limb takes the lowest bits of the one above
            shifted = [
                builder.or_(builder.lshr(limb, shift), builder.shl(builder.shl(above, INT64(1)), rest))
                for limb, above in zip(limbs, [*limbs[1:], INT64(0)], strict=True)
            ]
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
