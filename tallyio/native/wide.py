"""The wide unsigned integer types of compiled code: LLVM integers of 128 to 576 bits, by value.

Layer: native. A wide integer lives in registers like any scalar: no memory, no heap, no object. At
the Python boundary it is a plain `int`, carried over by CPython's own byte conversion; a negative
or too large one raises OverflowError, anything that is not an integer TypeError.

The arithmetic is in `tallyio.native.u256`; this module holds only what signatures need.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import sys
from typing import Any, Final

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import NativeValue, box, models, register_model, unbox

WIDTHS: Final = (128, 256, 320, 512, 576)
"""Bits of the wide types. 320 and 576 hold what a step of a division by 256 and 512 bits leaves."""

_INT32: Final = ir.IntType(32)
_SIZE: Final = ir.IntType(64)
_BYTES: Final = ir.IntType(8).as_pointer()


class WideInt(types.Type):
    """An unsigned integer of `bits` bits; arithmetic wraps as the EVM's does."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"u{bits}")

    @property
    def key(self) -> int:
        """Two types of the same width are the same type."""
        return self.bits


@register_model(WideInt)
class _WideIntModel(models.PrimitiveModel):
    def __init__(self, manager: Any, wide: WideInt) -> None:
        super().__init__(manager, wide, ir.IntType(wide.bits))


U128: Final = WideInt(128)
U256: Final = WideInt(256)
U320: Final = WideInt(320)
U512: Final = WideInt(512)
U576: Final = WideInt(576)


@unbox(WideInt)
def _from_python(wide: WideInt, value: Any, context: Any) -> NativeValue:
    builder, module = context.builder, context.builder.module
    pyobject = context.pyapi.pyobj
    index = cgutils.get_or_insert_function(module, ir.FunctionType(pyobject, [pyobject]), "PyNumber_Index")
    # 3.13 added `with_exceptions` to the end.
    extra = [_INT32] if sys.version_info >= (3, 13) else []
    to_bytes = cgutils.get_or_insert_function(
        module,
        ir.FunctionType(_INT32, [pyobject, _BYTES, _SIZE, _INT32, _INT32, *extra]),
        "_PyLong_AsByteArray",
    )
    slot = cgutils.alloca_once_value(builder, ir.Constant(ir.IntType(wide.bits), 0))
    failed = cgutils.alloca_once_value(builder, cgutils.true_bit)
    integer = builder.call(index, [value])
    with builder.if_then(cgutils.is_not_null(builder, integer)):
        little_endian, signed = _INT32(1), _INT32(0)
        arguments = [integer, builder.bitcast(slot, _BYTES), _SIZE(wide.bits // 8), little_endian, signed]
        status = builder.call(to_bytes, arguments + [_INT32(1)] * len(extra))
        builder.store(builder.icmp_signed("<", status, _INT32(0)), failed)
        context.pyapi.decref(integer)
    return NativeValue(builder.load(slot), is_error=builder.load(failed))


@box(WideInt)
def _to_python(wide: WideInt, value: Any, context: Any) -> Any:
    builder = context.builder
    from_bytes = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(context.pyapi.pyobj, [_BYTES, _SIZE, _INT32, _INT32]),
        "_PyLong_FromByteArray",
    )
    slot = builder.bitcast(cgutils.alloca_once_value(builder, value), _BYTES)
    # Python goes through the bytes one by one, also those that are 0.
    unused = builder.trunc(builder.ctlz(value, cgutils.false_bit), _SIZE)
    used = builder.lshr(builder.sub(_SIZE(wide.bits + 7), unused), _SIZE(3))
    little_endian, signed = _INT32(1), _INT32(0)
    return builder.call(from_bytes, [slot, used, little_endian, signed])
