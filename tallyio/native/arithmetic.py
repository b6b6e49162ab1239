"""What wide integers do in hot functions: operators, conversions, limbs, loads and stores.

Layer: native; use it through `tallyio.native.u256`. Everything wraps modulo 2**bits, as in the EVM.
Both operands have the same width. There is no `//`, `%` or `**`: LLVM's own wide division takes
hundreds of nanoseconds, so use `divmod256`, `muldiv` and their kin. A limb is 64 bits.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final, Self, cast

from llvmlite import ir
from numba import types
from numba.core.imputils import lower_builtin, lower_constant
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, typeof_impl

from tallyio.native.primitive import INT64, pointer, primitive
from tallyio.native.wide import U128, U256, U320, U512, U576, WIDTHS, WideInt

_LIMB: Final = 64
_ALIGNMENT: Final = 8
_Emit = Callable[..., Any]


class Const(int):
    """A Python integer that is a wide integer of `bits` bits in hot functions; made by `const`."""

    bits: int

    def __new__(cls, value: int, bits: int) -> Self:
        """Return `value`, tagged with the width that hot code gives it."""
        self = super().__new__(cls, value)
        self.bits = bits
        return self


def const(value: int, bits: int = 256) -> int:
    """Make a module's constant: an int in Python, an integer of `bits` bits in hot functions.

    With `bits` 64 it is a uint64, where a plain int would be an int64; the two do not mix well.

    Raises: ValueError: if `value` does not fit, or there is no such width.
    """
    if bits not in {_LIMB, *WIDTHS} or not 0 <= value < 1 << bits:
        raise ValueError(f"{value} is not an unsigned integer of {bits} bits; widths are {(_LIMB, *WIDTHS)}")
    return Const(value, bits)


@typeof_impl.register(Const)
def _type_of_constant(value: Const, _: Any) -> Any:
    return types.uint64 if value.bits == _LIMB else WideInt(value.bits)


@lower_constant(WideInt)
def _lower_constant(_context: Any, _builder: Any, wide: WideInt, value: int) -> Any:
    return ir.Constant(ir.IntType(wide.bits), int(value))


def _elementwise(function: Callable[..., Any], operands: int, emit: _Emit, result: Any = None) -> None:
    class Template(AbstractTemplate):
        def generic(self, given: Any, _: Any) -> Any:
            if len(given) == operands and isinstance(given[0], WideInt) and given[0] == given[-1]:
                return signature(result or given[0], *given)
            return None

    def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return emit(builder, *values)

    infer_global(function)(Template)
    lower_builtin(function, *[WideInt] * operands)(lower)


def _shift(function: Callable[..., Any], name: str) -> None:
    class Template(AbstractTemplate):
        def generic(self, given: Any, _: Any) -> Any:
            if isinstance(given[0], WideInt) and isinstance(given[1], types.Integer):
                return signature(given[0], given[0], types.uint64)
            return None

    def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        wide = values[0].type
        shifted = getattr(builder, name)(values[0], builder.zext(values[1], wide))
        # LLVM leaves a shift by the whole width undefined; the EVM gives 0.
        inside = builder.icmp_unsigned("<", values[1], INT64(wide.width))
        return builder.select(inside, shifted, wide(0))

    infer_global(function)(Template)
    lower_builtin(function, WideInt, types.uint64)(lower)


def _instruction(name: str) -> _Emit:
    return lambda builder, *values: getattr(builder, name)(*values)


def _comparison(symbol: str) -> _Emit:
    return lambda builder, a, b: builder.icmp_unsigned(symbol, a, b)


def _choice(symbol: str) -> _Emit:
    return lambda builder, a, b: builder.select(builder.icmp_unsigned(symbol, a, b), a, b)


for _name in ("add", "sub", "mul", "and_", "or_", "xor"):
    _elementwise(getattr(operator, _name), 2, _instruction(_name))
    _elementwise(getattr(operator, f"i{_name.rstrip('_')}"), 2, _instruction(_name))
for _name, _symbol in {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}.items():
    _elementwise(getattr(operator, _name), 2, _comparison(_symbol), types.boolean)
for _name, _mnemonic in {"lshift": "shl", "rshift": "lshr"}.items():
    _shift(getattr(operator, _name), _mnemonic)
    _shift(getattr(operator, f"i{_name}"), _mnemonic)
_elementwise(operator.invert, 1, _instruction("not_"))
_elementwise(operator.neg, 1, _instruction("neg"))
_elementwise(min, 2, _choice("<"))
_elementwise(max, 2, _choice(">"))


def _conversion(result: Any, bits: int) -> Callable[[int], int]:
    target = ir.IntType(bits)

    def convert(_typing: Any, x: Any) -> Any:
        if not isinstance(x, types.Integer | types.Boolean | WideInt):
            return None
        is_signed = getattr(x, "signed", False)

        def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
            width = values[0].type.width
            if width >= bits:
                return builder.trunc(values[0], target) if width > bits else values[0]
            return builder.sext(values[0], target) if is_signed else builder.zext(values[0], target)

        return result(types.unliteral(x)), lower

    convert.__name__ = str(result)
    return cast("Callable[[int], int]", intrinsic(convert))


# Return x modulo 2**bits, from any integer or other width; -1 becomes all ones. `i64` is its signed view.
i64 = _conversion(types.int64, 64)
u64 = _conversion(types.uint64, 64)
u128 = _conversion(U128, 128)
u256 = _conversion(U256, 256)
u320 = _conversion(U320, 320)
u512 = _conversion(U512, 512)
u576 = _conversion(U576, 576)
lo64 = u64


@intrinsic
def _limb(_typing: Any, x: Any, k: Any) -> Any:
    """Return limb `k` as uint64, counted from the lowest; 0 beyond the highest."""
    if not (isinstance(x, WideInt) and isinstance(k, types.Integer)):
        return None

    def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        wide = values[0].type
        distance = builder.mul(builder.zext(values[1], wide), wide(_LIMB))
        inside = builder.icmp_unsigned("<", values[1], INT64(wide.width // _LIMB))
        found = builder.trunc(builder.lshr(values[0], distance), INT64)
        return builder.select(inside, found, INT64(0))

    return types.uint64(x, types.uint64), lower


@intrinsic
def _clz(_typing: Any, x: Any) -> Any:
    """Return the number of leading zero bits as int64; the whole width for 0."""
    if not isinstance(x, WideInt | types.Integer):
        return None

    def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        zeros = builder.ctlz(values[0], ir.Constant(ir.IntType(1), 0))  # 0: defined for zero
        return zeros if zeros.type.width == _LIMB else builder.trunc(zeros, INT64)

    if isinstance(x, types.Integer):
        return types.int64(types.uint64), lower
    return types.int64(x), lower


@intrinsic
def _is_negative(_typing: Any, x: Any) -> Any:
    """Return whether x is negative as a two's complement number: int256 of Solidity."""
    if not isinstance(x, WideInt):
        return None

    def lower(_context: Any, builder: Any, _signature: Any, values: Any) -> Any:
        return builder.icmp_signed("<", values[0], values[0].type(0))

    return types.boolean(x), lower


@intrinsic
def _negate(_typing: Any, x: Any) -> Any:
    """Return -x in two's complement: 2**bits - x."""
    if not isinstance(x, WideInt):
        return None
    return x(x), lambda _c, builder, _s, values: builder.neg(values[0])


limb = cast("Callable[[int, int], int]", _limb)
clz = cast("Callable[[int], int]", _clz)
is_negative = cast("Callable[[int], bool]", _is_negative)
negate = cast("Callable[[int], int]", _negate)


@primitive("u256(uint64, uint64, uint64, uint64)")
def pack4(builder: Any, limb0: int, limb1: int, limb2: int, limb3: int) -> int:
    """Return the 256-bit integer of four limbs, lowest first."""
    wide = ir.IntType(256)
    value = builder.zext(limb0, wide)
    for k, part in enumerate((limb1, limb2, limb3), 1):
        value = builder.or_(value, builder.shl(builder.zext(part, wide), wide(k * _LIMB)))
    return value


def _load(bits: int) -> Callable[[int], int]:
    def emit(builder: Any, address: int) -> int:
        return builder.load(pointer(builder, address, ir.IntType(bits)), align=_ALIGNMENT)

    emit.__name__ = f"load{bits}"
    return primitive(f"u{bits}(int64)")(emit)


def _store(bits: int) -> Callable[[int, int], None]:
    def emit(builder: Any, address: int, value: int) -> None:
        builder.store(value, pointer(builder, address, ir.IntType(bits)), align=_ALIGNMENT)

    emit.__name__ = f"store{bits}"
    return primitive(f"void(int64, u{bits})")(emit)


load128, store128 = _load(128), _store(128)
load256, store256 = _load(256), _store(256)
load512, store512 = _load(512), _store(512)
