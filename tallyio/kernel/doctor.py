"""Grade the machine's settings: what is good, what could cost latency, what cannot be seen.

Layer: kernel. Every check is a pure function of `Facts`: it reads files under a root that tests
replace, and changes nothing. A check never fails: what it cannot read is "unknown", with the reason.
The checks are in `doctor_cpu`, `doctor_memory`, `doctor_os` and `doctor_lanes`, which has the round.
Sources: the OS kernel's Documentation/admin-guide (kernel-parameters, sysctl/kernel, mm/transhuge,
pm/cpufreq, pm/cpuidle), Documentation/core-api/workqueue, sched(7), getrlimit(2), capabilities(7).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from tallyio.kernel.cpuset import CpuSet
from tallyio.kernel.machine import Machine
from tallyio.kernel.os_files import read_list, read_text
from tallyio.kernel.placement import Placement
from tallyio.kernel.profile import Expects

Grade = Literal["good", "could_cost", "unknown"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, graded."""

    name: str
    grade: Grade
    what: str
    """What was found."""
    why: str
    """Why it matters to a run."""
    remedy: str = ""
    """What mends it, in words or as the commands; "" where nothing is to be done."""
    commands: tuple[str, ...] = ()
    """Shell commands that mend it, for root; empty where no command can."""
    boot: tuple[str, ...] = ()
    """Kernel parameters that mend it after the next boot."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks look at."""

    machine: Machine
    placement: Placement
    differences: tuple[str, ...]
    """How the machine differs from the one that the profile was written for."""
    cache: Path
    """Where compiled code is kept."""
    root: Path = Path("/")
    """Where proc, sys and run are looked for."""
    expects: Expects = Expects()
    """The settings that the profile counts on."""

    def read(self, path: str) -> str | None:
        """Return the stripped text of a file under the root, None if it cannot be read."""
        return read_text(self.root / path)

    def read_pus(self, path: str) -> CpuSet | None:
        """Return the PUs that a file lists, None if it cannot be read."""
        return read_list(self.root / path)

    def quiet_pus(self) -> CpuSet:
        """Return the PUs of lanes pinned to one PU of their own, with the siblings left idle.

        Lanes of several PUs are not among them: the OS does not balance threads over isolated
        PUs, so isolating theirs would pile all their threads on one.
        """
        pinned = [lane for lane in self.placement.lanes if lane.level != "shared" and len(lane.cpuset) == 1]
        return frozenset(pu for lane in pinned for pu in (*lane.cpuset, *lane.idle_siblings))

    def common_pus(self) -> CpuSet:
        """Return the other online PUs: where the OS may do its own work."""
        return self.machine.pus - self.quiet_pus()

    def uses_fifo(self) -> bool:
        """Tell whether any lane asks for real-time scheduling."""
        return any(lane.scheduling == "fifo" for lane in self.placement.lanes)

    def limit(self, name: str) -> str | None:
        """Return the soft limit called `name` in /proc/self/limits."""
        for line in (self.read("proc/self/limits") or "").splitlines():
            if line.startswith(name):
                return line.removeprefix(name).split()[0]
        return None

    def has_capability(self, bit: int) -> bool:
        """Tell whether this process has a capability, by its number in capabilities(7)."""
        for line in (self.read("proc/self/status") or "").splitlines():
            if line.startswith("CapEff:"):
                return bool(int(line.split()[1], 16) >> bit & 1)
        return False


Check = Callable[[Facts], Finding]


def graded(  # noqa: PLR0913 - the fields of a finding
    name: str,
    *,
    good: bool,
    what: str,
    why: str,
    remedy: str = "",
    commands: tuple[str, ...] = (),
    boot: tuple[str, ...] = (),
) -> Finding:
    """Return a finding; what mends it is left out where it is good, and put into words where it is not."""
    if good:
        return Finding(name=name, grade="good", what=what, why=why)
    words = remedy or "; ".join([*commands, *(f"kernel parameter {parameter}" for parameter in boot)])
    return Finding(
        name=name, grade="could_cost", what=what, why=why, remedy=words, commands=commands, boot=boot
    )


def unknown(name: str, what: str, why: str, *, remedy: str = "") -> Finding:
    """Return a finding about what cannot be seen."""
    return Finding(name=name, grade="unknown", what=what, why=why, remedy=remedy)


def one_of(
    facts: Facts, name: str, path: str, *, good: tuple[str, ...], why: str, commands: tuple[str, ...] = ()
) -> Finding:
    """Return a finding about a file that holds one word, or offers several with one in brackets."""
    text = facts.read(path)
    if not text:
        return unknown(name, f"/{path} cannot be read", why)
    # Files that offer choices write the chosen one in brackets: "always [madvise] never".
    chosen = text.partition("[")[2].partition("]")[0] or text
    return graded(name, good=chosen in good, what=chosen, why=why, commands=commands)


def enough(limit: str, wanted: int) -> bool:
    """Tell whether a soft limit is at least `wanted`."""
    return limit == "unlimited" or (limit.isdecimal() and int(limit) >= wanted)
