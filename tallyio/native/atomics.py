"""Loads, stores and atomics by address, and the two system calls that wake a sleeper.

Layer: native. Everything here is for hot functions. An operation takes the int64 `address` of a
line of 8-byte words and the int64 number of the `word` in it; both must name memory that a `Region`
or an array owns, and the word must be 8-byte aligned. Nothing is checked.

Orderings are those of C11. Plain `load` and `store` may be merged, moved or left out by the
compiler, as if no other thread existed; a word that another thread writes needs an atomic one.

    load, store                     plain
    load_relaxed, store_relaxed     whole, in no order: counters that others look at
    load_acquire, store_release     publish: what was written before the store is seen after the load
    store_seq_cst, fence            also orders a store before a later load (an armed doorbell)
    fence_acquire, fence_release    order plain accesses around a sequence number: free on x86-64
    fetch_add, exchange,
    compare_exchange                acquire and release at once
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import platform
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils

from tallyio.native.primitive import INT8, INT32, INT64, pointer, primitive, word_pointer

_MACHINE: Final = platform.machine()
_DOUBLE: Final = ir.DoubleType()
_WORD: Final = 8
_NO_ORDER: Final = "monotonic"


@primitive("int64(int64, int64)")
def load(builder: Any, address: int, word: int) -> int:
    """Return the word; plain."""
    return builder.load(word_pointer(builder, address, word), align=_WORD)


@primitive("void(int64, int64, int64)")
def store(builder: Any, address: int, word: int, value: int) -> None:
    """Set the word; plain."""
    builder.store(value, word_pointer(builder, address, word), align=_WORD)


def _atomic_load(order: str) -> Callable[[Any, int, int], int]:
    def emit(builder: Any, address: int, word: int) -> int:
        return builder.load_atomic(word_pointer(builder, address, word), order, _WORD)

    emit.__name__ = f"load_{order}"
    return emit


def _atomic_store(order: str) -> Callable[[Any, int, int, int], None]:
    def emit(builder: Any, address: int, word: int, value: int) -> None:
        builder.store_atomic(value, word_pointer(builder, address, word), order, _WORD)

    emit.__name__ = f"store_{order}"
    return emit


load_relaxed = primitive("int64(int64, int64)")(_atomic_load(_NO_ORDER))
load_acquire = primitive("int64(int64, int64)")(_atomic_load("acquire"))
store_relaxed = primitive("void(int64, int64, int64)")(_atomic_store(_NO_ORDER))
store_release = primitive("void(int64, int64, int64)")(_atomic_store("release"))
store_seq_cst = primitive("void(int64, int64, int64)")(_atomic_store("seq_cst"))


@primitive("int64(int64, int64, int64)")
def fetch_add(builder: Any, address: int, word: int, value: int) -> int:
    """Add `value` to the word and return what it was."""
    return builder.atomic_rmw("add", word_pointer(builder, address, word), value, "acq_rel")


@primitive("int64(int64, int64, int64)")
def exchange(builder: Any, address: int, word: int, value: int) -> int:
    """Set the word and return what it was."""
    return builder.atomic_rmw("xchg", word_pointer(builder, address, word), value, "acq_rel")


@primitive("boolean(int64, int64, int64, int64)")
def compare_exchange(builder: Any, address: int, word: int, expected: int, desired: int) -> bool:
    """Set the word to `desired` if it is `expected`; return whether it was. Never fails by chance."""
    place = word_pointer(builder, address, word)
    return builder.extract_value(builder.cmpxchg(place, expected, desired, "acq_rel", "acquire"), 1)


@primitive("void()")
def fence(builder: Any) -> None:
    """Let no load or store pass, in either direction."""
    builder.fence("seq_cst")


@primitive("void()")
def fence_acquire(builder: Any) -> None:
    """Let no later load or store pass an earlier load, and no earlier plain load pass the fence."""
    builder.fence("acquire")
    # LLVM may move a plain load to where its value is first wanted, even past a fence; not past this.
    builder.asm(ir.FunctionType(ir.VoidType(), []), "", "~{memory}", [], True)


@primitive("void()")
def fence_release(builder: Any) -> None:
    """Let no earlier load or store pass a later store."""
    builder.fence("release")


@primitive("void()")
def pause(builder: Any) -> None:
    """Tell the processor that this is a waiting loop; it then leaves more to the core's other thread."""
    if _MACHINE in {"x86_64", "AMD64"}:
        kind, arguments = ir.FunctionType(ir.VoidType(), []), []
        name = "llvm.x86.sse2.pause"
    elif _MACHINE in {"aarch64", "arm64"}:
        kind, arguments = ir.FunctionType(ir.VoidType(), [INT32]), [INT32(1)]  # hint 1 is YIELD
        name = "llvm.aarch64.hint"
    else:
        return
    builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


@primitive("int64(int64)")
def load_u8(builder: Any, address: int) -> int:
    """Return the byte at `address`, 0 to 255."""
    return builder.zext(builder.load(pointer(builder, address, INT8)), INT64)


@primitive("void(int64, int64)")
def store_u8(builder: Any, address: int, value: int) -> None:
    """Set the byte at `address` to the low eight bits of `value`."""
    builder.store(builder.trunc(value, INT8), pointer(builder, address, INT8))


@primitive("float64(int64, int64)")
def load_f64(builder: Any, address: int, word: int) -> float:
    """Return the word as a float64; plain."""
    return builder.load(word_pointer(builder, address, word, _DOUBLE), align=_WORD)


@primitive("void(int64, int64, float64)")
def store_f64(builder: Any, address: int, word: int, value: float) -> None:
    """Set the word to a float64; plain."""
    builder.store(value, word_pointer(builder, address, word, _DOUBLE), align=_WORD)


@primitive("int64(int64, int64)")
def load_i32(builder: Any, address: int, index: int) -> int:
    """Return element `index` of the int32 array at `address` (4-byte aligned); plain."""
    element = word_pointer(builder, address, index, INT32)
    return builder.sext(builder.load(element, align=4), INT64)


@primitive("void(int64, int64, int64)")
def store_i32(builder: Any, address: int, index: int, value: int) -> None:
    """Set element `index` of the int32 array at `address` (4-byte aligned) to the low bits of `value`."""
    element = word_pointer(builder, address, index, INT32)
    builder.store(builder.trunc(value, INT32), element, align=4)


@primitive("u256(int64)")
def load_be256(builder: Any, address: int) -> int:
    """Return the 32 bytes at `address`, big-endian as in calldata and logs; any alignment."""
    wide = ir.IntType(256)
    return builder.bswap(builder.load(pointer(builder, address, wide), align=1))


@primitive("void(int64, u256)")
def store_be256(builder: Any, address: int, value: int) -> None:
    """Write 32 bytes at `address`, big-endian as in calldata and logs; any alignment."""
    builder.store(builder.bswap(value), pointer(builder, address, ir.IntType(256)), align=1)


@primitive("void(int64, int64, int64)")
def copy_bytes(builder: Any, target: int, source: int, count: int) -> None:
    """Copy `count` bytes, at least 0, from address `source` to address `target`; they may overlap."""
    cgutils.raw_memmove(
        builder, pointer(builder, target, INT8), pointer(builder, source, INT8), count, itemsize=1
    )


@primitive("int64(int64, int64, int64)")
def c_read(builder: Any, descriptor: int, address: int, count: int) -> int:
    """Call read(2): bytes read, 0 at the end, -1 on any error. Waits like the descriptor; needs no GIL."""
    return _call_libc(builder, "read", descriptor, address, count)


@primitive("int64(int64, int64, int64)")
def c_write(builder: Any, descriptor: int, address: int, count: int) -> int:
    """Call write(2): bytes written, -1 on any error. Waits like the descriptor; needs no GIL."""
    return _call_libc(builder, "write", descriptor, address, count)


def _call_libc(builder: Any, name: str, descriptor: int, address: int, count: int) -> int:
    # By symbol, not by address: an address would keep the compiled code out of the cache.
    kind = ir.FunctionType(INT64, [INT32, INT64, INT64])
    function = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(function, [builder.trunc(descriptor, INT32), address, count])
