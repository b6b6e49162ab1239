"""`primitive`: one machine operation, usable inside hot functions, written as LLVM.

Layer: native. A primitive has one signature, like a hot function, and the same rule for arguments:
none loses its meaning in silence. It is not callable from Python.
"""

# mypy: disable-error-code="no-untyped-call"
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Concatenate, cast

from llvmlite import ir
from numba.core.errors import TypingError
from numba.extending import intrinsic

from tallyio.native.signature import conversion_fault, parse

INT8 = ir.IntType(8)
INT32 = ir.IntType(32)
INT64 = ir.IntType(64)


def primitive[**P, R](
    signature: str,
) -> Callable[[Callable[Concatenate[Any, P], R]], Callable[P, R]]:
    """Make a primitive of a function that emits LLVM: `emit(builder, *values) -> value`.

    Nothing is returned for void, and a Python tuple of values for a tuple. Annotate `emit` with what
    hot code sees (int, float, bool): these are the types that the primitive shows to its callers.
    """
    declared = parse(signature)

    def make(emit: Callable[Concatenate[Any, P], R]) -> Callable[P, R]:
        emission = cast("Callable[..., Any]", emit)

        def lower(context: Any, builder: Any, _: Any, values: Any) -> Any:
            result: Any = emission(builder, *values)
            if result is None:
                return context.get_dummy_value()
            is_tuple = isinstance(result, tuple)
            return context.make_tuple(builder, declared.return_type, result) if is_tuple else result

        def typing(_: Any, *given: Any) -> Any:
            if len(given) != len(declared.args):
                raise TypingError(f"{emit.__name__} takes {len(declared.args)} arguments, not {len(given)}")
            if fault := conversion_fault(emit.__name__, declared, given):
                raise TypingError(fault)
            return declared, lower

        named = inspect.signature(emit)
        typing.__signature__ = named  # type: ignore[attr-defined]  # numba reads the arguments' names
        typing.__name__ = typing.__qualname__ = emit.__name__
        typing.__module__, typing.__doc__ = emit.__module__, emit.__doc__
        made: Any = intrinsic(typing)
        made.emit = emission  # for the tests of other processors
        return cast("Callable[P, R]", made)

    return make


def pointer(builder: Any, address: Any, element: Any) -> Any:
    """Emit an address as a pointer to `element`."""
    return builder.inttoptr(address, element.as_pointer())


def word_pointer(builder: Any, address: Any, word: Any, element: Any = INT64) -> Any:
    """Emit the pointer to the 8-byte word number `word` after `address`."""
    return builder.gep(pointer(builder, address, element), [word], inbounds=True)
