"""How the Trio loop does: how long tasks run at a stretch, and how long they wait for their turn.

Layer: kernel. An instrument of Trio that fills histograms; a task step costs about twice as much with it.

    meter = LoopMeter()
    trio.lowlevel.add_instrument(meter)        # from a task; `watch_loop` does it
    meter.statistics().step.p99_ns
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple, final

import trio

from tallyio.kernel.lane_meter import Spread
from tallyio.native.histogram import Histogram, record
from tallyio.native.jit import entry

_KEPT_STEPS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopStatistics:
    """The loop so far."""

    steps: int
    step: Spread
    """How long a task runs before it lets the others go on."""
    delay: Spread
    """Between the moment when a task could go on and the moment when it did."""
    lateness: Spread
    """How much later than asked for the loop woke up, where it was not woken before."""


class Step(NamedTuple):
    """A task runs, or has run, without letting the others go on."""

    task: trio.lowlevel.Task
    start_ns: int
    end_ns: int = 0
    """0 while it runs; times are of `time.perf_counter_ns`."""


@final
class LoopMeter(trio.abc.Instrument):
    """An instrument for one Trio run at a time; any thread may read it."""

    # Guarantees
    # - `current` is replaced whole, so that a reader in another thread sees a task with its own start.
    # - A task that was scheduled is stepped, so what `task_scheduled` notes is always taken out again.

    def __init__(self, long_step_s: float = float("inf")) -> None:
        self.current: Step | None = None
        """The step that runs now; None while the loop itself does, or waits."""
        self.long_steps: Final[deque[Step]] = deque(maxlen=_KEPT_STEPS)
        """Steps of `long_step_s` or more that have ended, for a watcher to take out."""
        self.late_by_ns = 0
        """How late the last waking was."""
        self._long_ns = long_step_s * 1e9
        self._scheduled: dict[trio.lowlevel.Task, int] = {}
        self._step, self._delay, self._lateness = Histogram(), Histogram(), Histogram()
        self._due_ns = 0
        self._record = entry(record)  # unchecked, and twice as fast: the histograms are never closed

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """Note when a task could go on."""
        self._scheduled[task] = time.perf_counter_ns()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note when it does."""
        now = time.perf_counter_ns()
        self._record(self._delay.address, now - self._scheduled.pop(task, now))
        self.current = Step(task, now)

    def after_task_step(self, task: trio.lowlevel.Task) -> None:
        """Note how long it ran."""
        now, step = time.perf_counter_ns(), self.current
        self.current = None
        if step is None:
            return  # the instrument was added by this very step
        taken = now - step.start_ns
        self._record(self._step.address, taken)
        if taken >= self._long_ns:
            self.long_steps.append(Step(task, step.start_ns, now))

    def before_io_wait(self, timeout: float) -> None:
        """Note when the loop wants to be woken, unless it only looks, because tasks wait for their turn."""
        self._due_ns = time.perf_counter_ns() + int(timeout * 1e9) if timeout else 0

    def after_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - Trio's signature
        """Note how much later it was."""
        if self._due_ns and (late_ns := time.perf_counter_ns() - self._due_ns) > 0:
            self.late_by_ns = late_ns
            self._record(self._lateness.address, late_ns)

    def statistics(self) -> LoopStatistics:
        """Return the loop so far."""
        return LoopStatistics(
            steps=self._step.count,
            step=_spread(self._step),
            delay=_spread(self._delay),
            lateness=_spread(self._lateness),
        )


def _spread(histogram: Histogram) -> Spread:
    p50, p99, p999 = (histogram.percentile(p) for p in (50, 99, 99.9))
    return Spread(p50_ns=p50, p99_ns=p99, p999_ns=p999, most_ns=histogram.maximum)
