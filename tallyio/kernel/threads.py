"""Where the current thread may run, what it is called, and how it is scheduled.

Layer: kernel. Linux. A new thread inherits the affinity *and* the scheduling policy of the thread
that starts it, Trio's worker threads included. So every thread here sets its own, and the Trio
thread is pinned last, after the lanes were started: what it starts later inherits its one PU, and
must go through `run_in_worker`.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from typing import Final

import trio

from tallyio.kernel.cpuset import CpuSet, format_cpuset
from tallyio.model.errors import EnvironmentFault

MAX_NAME_BYTES: Final = 15
"""Linux cuts thread names there; `top -H` shows them."""
SWITCH_INTERVAL_S: Final = 1e-4

_PR_SET_NAME: Final = 15
_FAULTS: Final = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGABRT, signal.SIGTRAP}


class PinError(EnvironmentFault):
    """A thread cannot run where it should."""

    code = "pin"


def pin_current_thread(pus: CpuSet) -> None:
    """Let the calling thread run on `pus` (OS indexes) only.

    Raises: PinError: `pus` is empty, or the process may not use all of them.
    """
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, pus)
    except (OSError, ValueError, OverflowError):
        _refuse(pus, before)
    # The OS takes a set that is only partly allowed and cuts it in silence.
    if os.sched_getaffinity(0) != pus:
        os.sched_setaffinity(0, before)
        _refuse(pus, before)


def _refuse(pus: CpuSet, before: set[int]) -> None:
    raise PinError(
        f"this thread cannot be pinned to PUs {format_cpuset(pus)}: it runs on {format_cpuset(before)}",
        way_out="choose PUs that `tallyio topology` shows as allowed, or widen the cgroup's cpuset",
    ) from None


def pin_trio_thread(pus: CpuSet) -> None:
    """Pin the thread that runs Trio, from a task. Call it last, after the lanes were started.

    Raises: PinError: as `pin_current_thread`. RuntimeError: called from another thread.
    """
    trio.lowlevel.current_task()  # raises outside of Trio
    pin_current_thread(pus)


def reset_scheduling() -> None:
    """Give the calling thread the ordinary policy, whatever its parent had.

    A real-time thread that waits for the GIL can hang the process, so this policy is never inherited.
    """
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def block_signals() -> None:
    """Keep signals away from the calling thread, but for those that its own faults raise.

    The OS delivers a process's signal to any thread that takes it; handlers run in Python's main
    thread anyway, and a lane is not to be interrupted for them.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - _FAULTS)


def check_thread_name(name: str) -> None:
    """Raise ValueError unless `name` is one that the OS shows whole."""
    if not name or "\0" in name or len(name.encode()) > MAX_NAME_BYTES:
        raise ValueError(f"a thread's name must have 1 to {MAX_NAME_BYTES} bytes, was {name!r}")


def name_current_thread(name: str) -> None:
    """Tell the OS the name of the calling thread. Raises: ValueError: not 1 to 15 bytes."""
    check_thread_name(name)
    # Fails only for a bad pointer.
    ctypes.CDLL(None).prctl(_PR_SET_NAME, ctypes.c_char_p(name.encode()), 0, 0, 0)


async def run_in_worker[T, *Ts](
    function: Callable[[*Ts], T], *args: *Ts, pus: CpuSet, limiter: trio.CapacityLimiter | None = None
) -> T:
    """Run a blocking function in a Trio worker thread on `pus`, not where the Trio thread is pinned.

    The worker gets the ordinary scheduling policy. It is kept for later jobs, so it is put
    back where it was afterwards. Not cancellable: the function is waited for.
    Raises: PinError: as `pin_current_thread`, and what `function` raises.
    """
    return await trio.to_thread.run_sync(_run_on, pus, function, args, limiter=limiter)


def _run_on[T, *Ts](pus: CpuSet, function: Callable[[*Ts], T], args: tuple[*Ts]) -> T:
    before = os.sched_getaffinity(0)
    reset_scheduling()
    pin_current_thread(pus)
    try:
        return function(*args)
    finally:
        os.sched_setaffinity(0, before)


def shorten_switch_interval() -> None:
    """Let a Python thread that wants the GIL ask for it after 0.1 ms instead of 5.

    With one busy Python thread beside it, a Trio wake-up took 3 ms at the default and 0.2 ms at
    this interval. Lanes never hold the GIL and do not feel it.
    """
    sys.setswitchinterval(SWITCH_INTERVAL_S)
