"""What `demo` and `run` share: the end on a signal, the machine, the placement, the process's own settings.

Layer: cli.
"""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import trio
from rich.console import Console

from tallyio.engine.report import Report
from tallyio.hooks.notices import redact
from tallyio.kernel.core_matrix import load_matrix
from tallyio.kernel.draw import MachineMap
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import Placement, place
from tallyio.kernel.profile import choose_profile
from tallyio.kernel.threads import pin_trio_thread, shorten_switch_interval
from tallyio.lab.fetch import Progress as LabProgress

CONTROL: Final = "control"


@asynccontextmanager
async def until_told() -> AsyncIterator[None]:
    """Cancel the block at Ctrl-C or SIGTERM, and go on behind it; another signal hurries nothing.

    What the block has opened is closed in order. A thread that compiles is waited for.
    """
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async with trio.open_nursery() as nursery:
            with trio.CancelScope() as block:
                nursery.start_soon(_cancel_at, signals, block)
                yield
            nursery.cancel_scope.cancel()


async def _cancel_at(signals: AsyncIterator[int], block: trio.CancelScope) -> None:
    # To the end of the block: a signal that is left in the receiver would be raised again behind it.
    async for _ in signals:
        block.cancel()


class Seat(msgspec.Struct, frozen=True, kw_only=True):
    """Where this process runs."""

    machine: Machine
    placement: Placement
    why: str
    """Why this profile."""

    @property
    def drawing(self) -> MachineMap:
        """The machine with its lanes, small enough for the live view."""
        return MachineMap(self.machine, self.placement, explain=False)


def take_seat(profile: str) -> Seat:
    """Read this machine and place the lanes. Raises: ConfigError: unknown profile, with "did you mean"."""
    machine = Machine.this_system()
    choice = choose_profile(profile, machine)
    return Seat(
        machine=machine, placement=place(machine, choice.profile, matrix=load_matrix(machine)), why=choice.why
    )


def settle_process(seat: Seat) -> None:
    """Prepare this process for steady work; on the Trio thread, after everything has started.

    The Trio thread is pinned last, because threads that start later inherit its affinity.
    What start-up made lives as long as the run: the collector need not look at it again.
    """
    shorten_switch_interval()
    pin_trio_thread(frozenset(seat.placement.lane(CONTROL).cpuset))
    gc.collect()
    gc.freeze()


def log_to(console: Console) -> None:
    """Print our own warnings, such as a lost node, as lines of `console`, without secrets."""
    logger = logging.getLogger("tallyio")
    logger.handlers = [_Lines(console)]
    logger.setLevel(logging.WARNING)
    logger.propagate = False


def compiling(progress: LabProgress, screen: Console) -> Callable[[int, int, str], None] | None:
    """Return a progress of compilation that shows itself as the lab's does, on a terminal only."""
    if not screen.is_terminal:
        return None  # one line says that it is going on; the rest would differ from start to start

    def show(done: int, total: int, _name: str) -> None:
        progress("compiling, once", done, total)

    return show


def milestones(report: Report) -> dict[str, float]:
    """Return when, in seconds since this process started, the run came where."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - _started_at_s()
    now = time.perf_counter_ns()
    return {name: round(age - (now - at) / 1e9, 3) for name, at in report.milestones_ns.items()}


def _started_at_s() -> float:
    # Field 22 of the process's stat, in clock ticks since boot; the name before it may hold spaces.
    fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")


def peak_rss_mb() -> float:
    """Return the largest memory that this process had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1)


class _Lines(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(f"! {redact(record.getMessage())}")
