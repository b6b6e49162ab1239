"""The loop watchdog: tells which task keeps the Trio loop from all others, and in which code.

Layer: kernel. A thread of its own looks at the loop, because a stalled loop runs nobody. Code that also
keeps the GIL (a library's) stops that thread too: such a stall is told when it is over, without the place.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Final, Never

import trio

from tallyio.kernel.loop_meter import LoopMeter, Step
from tallyio.kernel.threads import name_current_thread

_LOOKS_PER_LIMIT: Final = 4
_NOT_TO_BLAME: Final = (sysconfig.get_paths()["stdlib"], str(Path(trio.__file__).parent))


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStall:
    """A task has kept the loop for `busy_s` seconds, at least; `over` when it let go."""

    task: str
    where: str
    """The code that ran: "module:function:line"; empty where that could not be seen."""
    busy_s: float
    over: bool = False


async def watch_loop(
    on_stall: Callable[[LoopStall], object],
    *,
    limit_s: float,
    meter: LoopMeter | None = None,
    task_status: trio.TaskStatus[LoopMeter] = trio.TASK_STATUS_IGNORED,
) -> Never:
    """Call `on_stall` once when the loop stalls and once when that is over, until cancelled.

    It is called in the watching thread: it may wake Trio, must not wait for it, and must not raise. A
    stall of `limit_s` or more is noticed at most a quarter of `limit_s` late.
    """
    meter = meter or LoopMeter(limit_s)
    watch = _Watch(meter, on_stall, limit_s, threading.get_ident())
    trio.lowlevel.add_instrument(meter)
    watch.start()
    task_status.started(meter)
    try:
        await trio.sleep_forever()
    finally:
        watch.stop()
        trio.lowlevel.remove_instrument(meter)


class _Watch(threading.Thread):
    """Looks at one loop."""

    def __init__(
        self, meter: LoopMeter, on_stall: Callable[[LoopStall], object], limit_s: float, loop: int
    ) -> None:
        super().__init__(name="loop-watch", daemon=True)
        self._meter, self._on_stall, self._limit_s, self._loop = meter, on_stall, limit_s, loop
        self._ending = threading.Event()
        self._told: Step | None = None

    def run(self) -> None:
        """Look until stopped."""
        name_current_thread(self.name)
        while not self._ending.wait(self._limit_s / _LOOKS_PER_LIMIT):
            self._look()
        self._tell_ended()

    def stop(self) -> None:
        """Look once more, then end."""
        self._ending.set()
        self.join()

    def _look(self) -> None:
        self._tell_ended()
        step = self._meter.current
        if step is None or step is self._told:
            return
        busy_s = (time.perf_counter_ns() - step.start_ns) / 1e9
        if busy_s >= self._limit_s:
            where = blame(sys._current_frames().get(self._loop))  # noqa: SLF001 - the documented way to see it
            if self._meter.current is step:  # else that was already other code
                self._told = step
                self._on_stall(LoopStall(task=step.task.name, where=where, busy_s=busy_s))

    def _tell_ended(self) -> None:
        while self._meter.long_steps:
            step = self._meter.long_steps.popleft()
            busy_s = (step.end_ns - step.start_ns) / 1e9
            self._on_stall(LoopStall(task=step.task.name, where="", busy_s=busy_s, over=True))


def blame(frame: FrameType | None) -> str:
    """Return "module:function:line" of the innermost code that is neither Python's nor Trio's.

    Where there is no such code, the innermost of all; without a frame, an empty string.
    """
    innermost = frame
    while frame is not None and frame.f_code.co_filename.startswith(_NOT_TO_BLAME):
        # Third-party code lies below Python's own folder, too.
        if "site-packages" in frame.f_code.co_filename and not _is_trio(frame):
            break
        frame = frame.f_back
    frame = frame or innermost
    if frame is None:
        return ""
    return f"{frame.f_globals.get('__name__', '?')}:{frame.f_code.co_qualname}:{frame.f_lineno}"


def _is_trio(frame: FrameType) -> bool:
    return frame.f_code.co_filename.startswith(_NOT_TO_BLAME[1])
