"""Compiled functions by their address: who calls one so is compiled without it.

Layer: native. Every function is compiled with all that it calls, and so is everything above it. A function
that stands on many plugins, called from several others that stand on each other, would be compiled as often
as there are floors. Called by its address it is compiled once, for a few nanoseconds a call.

    address = address_of(function)      # of a `hot` function `int64(int64, int64)`; put it into a record
    answer = call(address, one, other)  # in another one
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Any, Final

from llvmlite import ir

from tallyio.native.jit import HotFunction, SignatureError, signature_of
from tallyio.native.primitive import INT32, INT64, primitive

SIGNATURE: Final = "int64(int64, int64)"
"""Of every function that is called by its address."""

_FAILURE: Final = ir.IntType(8).as_pointer().as_pointer()
# As numba calls: the result by reference, the exception by reference, the arguments; a status comes back,
# which is always 0, since a hot function raises nothing.
_FUNCTION: Final = ir.FunctionType(INT32, [INT64.as_pointer(), _FAILURE, INT64, INT64])


def address_of(function: HotFunction[[int, int], int]) -> int:
    """Return where the machine code of `function` is, for as long as the function itself is held.

    Raises: SignatureError: its signature is not `SIGNATURE`.
    """
    if signature_of(function) != SIGNATURE:
        raise SignatureError(f"{function.py_func.__name__} is {signature_of(function)}, not {SIGNATURE}")
    compiled = function.machine_code()
    address: int = compiled.library.get_pointer_to_function(compiled.fndesc.llvm_func_name)
    return address


@primitive("int64(int64, int64, int64)")
def call(builder: Any, address: int, one: int, other: int) -> int:
    """Return what the function at `address` returns of `one` and `other`."""
    with builder.goto_entry_block():
        result, failure = builder.alloca(INT64), builder.alloca(_FAILURE.pointee)
    function = builder.inttoptr(address, _FUNCTION.as_pointer())
    builder.call(function, [result, failure, one, other])
    return builder.load(result)
