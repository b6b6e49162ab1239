"""How many instructions an operation takes: by the processor's own counter, or else one by one.

Layer: bench. Many virtual machines and containers do not lend the counter out; then a child process does the
operation in single steps, which takes some 30 us an instruction and gives the same number. Where neither is
allowed, the answer is a sentence that says so.
"""

from __future__ import annotations

import ctypes
import errno
import functools
import gc
import itertools
import os
import platform
import signal
import struct
import warnings
from collections.abc import Callable
from typing import Final

type Call = Callable[[], object]
type Count = Callable[[Call], int]

FEW: Final = 64
"""An operation takes what so many more of them take longer: entering and leaving count for both."""

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_PERF_EVENT_OPEN: Final = {"x86_64": 298, "aarch64": 241}
_ATTRIBUTES: Final = struct.Struct("<IIQQQQQ16x")
"""perf_event_attr: type, size, config, sample period, sample type, read format, flags, the rest unused."""
_HARDWARE, _INSTRUCTIONS = 0, 1
_DISABLED_AND_USER_ONLY: Final = 1 << 0 | 1 << 5 | 1 << 6
_ENABLE, _DISABLE, _RESET = 0x2400, 0x2401, 0x2403
_TRACEME, _SINGLESTEP = 0, 9
_STEPPED: Final = signal.SIGTRAP << 8 | 0x7F
_AT_AN_END: Final = signal.SIGSTOP << 8 | 0x7F
"""The status of a child that stopped after a step, and of one that stopped itself."""


def open_counter(kind: int = _HARDWARE, event: int = _INSTRUCTIONS) -> Count:
    """Return a count by perf_event_open(2) of an event in this thread's own code.

    Raises: OSError: the machine does not have the event, or does not allow to read it.
    """
    attributes = _ATTRIBUTES.pack(kind, _ATTRIBUTES.size, event, 0, 0, 0, _DISABLED_AND_USER_ONLY)
    number = _PERF_EVENT_OPEN.get(platform.machine(), -1)
    descriptor = _LIBC.syscall(number, attributes, 0, -1, -1, 0)
    _check(descriptor)

    def count(call: Call) -> int:
        for request in (_RESET, _ENABLE):
            _check(_LIBC.ioctl(descriptor, request, 0))
        call()
        _check(_LIBC.ioctl(descriptor, _DISABLE, 0))
        return int.from_bytes(os.read(descriptor, 8), "little")

    return count


def count_steps(call: Call) -> int:
    """Return how many instructions a copy of this process takes for `call`, Python's own around it included.

    Raises: OSError: processes may not be traced here.
    """
    with warnings.catch_warnings():
        # Of other threads' locks the child needs none: it does one thing and ends.
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        _be_stepped(call)
    return _steps(child)


def _be_stepped(call: Call) -> None:
    gc.disable()
    if _LIBC.ptrace(_TRACEME, 0, None, None) == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        call()
    os.kill(os.getpid(), signal.SIGSTOP)
    os._exit(0)


def _steps(child: int) -> int:
    _, status = os.waitpid(child, os.WUNTRACED)
    try:
        for steps in itertools.count():
            _check(_LIBC.ptrace(_SINGLESTEP, child, None, None))
            _, status = os.waitpid(child, 0)
            if status == _AT_AN_END:
                return steps
            if status != _STEPPED:
                break
    finally:
        if os.WIFSTOPPED(status):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    raise ChildProcessError(errno.ECHILD, f"the child ended with status {status}")


@functools.cache
def counter() -> tuple[Count | None, str]:
    """Return a function that counts instructions here, or None, and that in words."""
    try:
        return open_counter(), "counted by the processor"
    except OSError as fault:
        reason = f"the processor's counter: {fault.strerror}"
    try:
        count_steps(lambda: None)
    except OSError as fault:
        return None, f"this machine does not let them be counted ({reason}; single steps: {fault.strerror})"
    return count_steps, f"counted in single steps ({reason})"


def instructions_each(do: Callable[[int], object]) -> float | None:
    """Return the instructions of one of the operations that `do` does so many of; None: see `counter`."""
    count, _ = counter()
    if count is None:
        return None
    do(2 * FEW)  # what the first call loads is not counted
    return (count(lambda: do(2 * FEW)) - count(lambda: do(FEW))) / FEW


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
