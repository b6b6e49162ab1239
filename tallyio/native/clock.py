"""The processor's cycle counter, and what a cycle is worth.

Layer: native. On x86-64 this is the time stamp counter, on aarch64 the virtual counter, elsewhere the
monotonic clock in nanoseconds. All of them run at one constant rate and agree between cores of
one machine on every processor of the last decade; the rate is not the core's momentary frequency.
"""

# mypy: disable-error-code="no-untyped-call,no-any-return"
from __future__ import annotations

import functools
import platform
import time
from collections.abc import Callable
from typing import Any, Final

from llvmlite import ir
from numba.core import cgutils

from tallyio.native.arithmetic import const
from tallyio.native.jit import entry, hot
from tallyio.native.primitive import INT32, INT64, primitive

_MACHINE: Final = platform.machine()
# Odd, and without a structure that a compiler could use.
_FACTOR: Final = const(0x9E37_79B9_7F4A_7C15, 64)
_PATTERN: Final = const(0xD1B5_4A32_D192_ED03, 64)
_SAMPLES: Final = 5
_SAMPLE_NS: Final = 4_000_000
_TRIES: Final = 5


@primitive("int64()")
def cycle_count(builder: Any) -> int:
    """Return the counter, inside hot functions; `read_cycles` is the same from Python."""
    if _MACHINE in {"x86_64", "AMD64"}:
        kind = ir.FunctionType(INT64, [])
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.readcyclecounter"), [])
    if _MACHINE in {"aarch64", "arm64"}:
        # LLVM's own intrinsic reads PMCCNTR_EL0, which user code may not.
        kind = ir.FunctionType(INT64, [ir.MetaDataType()])
        read = cgutils.get_or_insert_function(builder.module, kind, "llvm.read_volatile_register.i64")
        return builder.call(read, [builder.module.add_metadata(["cntvct_el0"])])
    return _monotonic_ns(builder)


def _monotonic_ns(builder: Any) -> Any:
    spec = cgutils.alloca_once(builder, ir.LiteralStructType([INT64, INT64]))
    kind = ir.FunctionType(INT32, [INT32, spec.type])
    clock_gettime = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
    builder.call(clock_gettime, [INT32(time.CLOCK_MONOTONIC), spec])
    seconds, nanoseconds = (builder.extract_value(builder.load(spec), k) for k in (0, 1))
    return builder.add(builder.mul(seconds, INT64(1_000_000_000)), nanoseconds)


@hot("int64()")
def read_cycles() -> int:
    """Return the counter."""
    return cycle_count()


@hot("uint64(int64, uint64)")
def multiply_chain(steps: int, start: int) -> int:
    """Multiply and exclusive-or `steps` times, each step waiting for the one before: a ruler for cycles."""
    for _ in range(steps):
        start = (start * _FACTOR) ^ _PATTERN
    return start


@functools.cache
def cycles_per_ns() -> float:
    """Return the counter's rate, measured once per process in about 20 ms against `perf_counter_ns`."""
    read = entry(read_cycles)
    rates = sorted(_rate(read) for _ in range(_SAMPLES))
    return rates[_SAMPLES // 2]  # the median is free of samples that were interrupted


def cycles_to_ns(cycles: float) -> float:
    """Return a number of cycles as nanoseconds."""
    return cycles / cycles_per_ns()


def _rate(read: Callable[[], int]) -> float:
    start, start_ns = _moment(read)
    while time.perf_counter_ns() - start_ns < _SAMPLE_NS:
        pass
    end, end_ns = _moment(read)
    return (end - start) / (end_ns - start_ns)


def _moment(read: Callable[[], int]) -> tuple[float, int]:
    """Return counter and clock of one moment: of the tries, the one that nothing came in between."""
    tries = [(read(), time.perf_counter_ns(), read()) for _ in range(_TRIES)]
    before, now_ns, after = min(tries, key=lambda each: each[2] - each[0])
    return (before + after) / 2, now_ns
