"""What `demo` and `run` share: the machine, the placement, the process's own settings.

Layer: cli.
"""

from __future__ import annotations

import gc
import logging
import resource
from typing import Final

import msgspec
from rich.console import Console

from tallyio.hooks.notices import redact
from tallyio.kernel.core_matrix import load_matrix
from tallyio.kernel.draw import MachineMap
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import Placement, place
from tallyio.kernel.profile import choose_profile
from tallyio.kernel.threads import pin_trio_thread, shorten_switch_interval

CONTROL: Final = "control"


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


def peak_rss_mb() -> float:
    """Return the largest memory that this process had, in MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024, 1)


class _Lines(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(f"! {redact(record.getMessage())}", markup=False, highlight=False)
