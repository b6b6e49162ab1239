"""Grade the machine's settings: what is good, what could cost latency, what cannot be seen.

Layer: kernel. Every check is a pure function of `Facts`: it reads files under a root that tests
replace, and changes nothing. A check never fails: what it cannot read is "unknown", with the reason.
`doctor_lanes` holds the checks that concern placement; this module those of the OS.
Sources: the OS kernel's Documentation/admin-guide (kernel-parameters, sysctl/kernel, mm/transhuge,
pm/cpufreq), sched(7), getrlimit(2).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from tallyio.kernel.cpuset import CpuSet, format_cpuset, parse_cpuset
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import Placement
from tallyio.model.errors import ConfigError

Grade = Literal["good", "could_cost", "unknown"]

LOCKED_BYTES_WANTED = 64 << 20
"""Rings, tables and histograms of a run, with room: what locking in memory needs."""

_FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase")
"""Clocks that are read without entering the OS."""

_CLOCK_DAEMONS = (
    "run/systemd/timesync/synchronized",
    "run/chrony/chronyd.pid",
    "run/chronyd.pid",
    "run/ntpd.pid",
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One setting, graded."""

    name: str
    grade: Grade
    what: str
    """What was found."""
    why: str
    """Why it matters to a run."""
    remedy: str = ""
    """The command or kernel parameter that mends it; "" where nothing is to be done."""


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

    def read(self, path: str) -> str | None:
        """Return the stripped text of a file under the root, None if it cannot be read."""
        try:
            return (self.root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def read_pus(self, path: str) -> CpuSet | None:
        """Return the PUs that a file lists; some files say "(null)" for none."""
        text = self.read(path)
        try:
            return None if text is None else parse_cpuset(text.replace("(null)", ""))
        except ConfigError:
            return None

    def quiet_pus(self) -> CpuSet:
        """Return the PUs of lanes pinned to one PU of their own, with the siblings left idle.

        Lanes of several PUs are not among them: the OS does not balance threads over isolated
        PUs, so isolating theirs would pile all their threads on one.
        """
        pinned = [lane for lane in self.placement.lanes if lane.level != "shared" and len(lane.cpuset) == 1]
        return frozenset(pu for lane in pinned for pu in (*lane.cpuset, *lane.idle_siblings))

    def uses_fifo(self) -> bool:
        """Tell whether any lane asks for real-time scheduling."""
        return any(lane.scheduling == "fifo" for lane in self.placement.lanes)


Check = Callable[[Facts], Finding]


def check_governor(facts: Facts) -> Finding:
    """The frequency governor of the PUs we may use."""
    paths = (
        f"sys/devices/system/cpu/cpu{pu}/cpufreq/scaling_governor" for pu in sorted(facts.machine.allowed)
    )
    governors = sorted({text for path in paths if (text := facts.read(path))})
    why = "a PU that was slowed down takes tens of microseconds to come back to full speed"
    if not governors:
        return Finding(
            name="governor", grade="unknown", what="no frequency control here (a virtual machine?)", why=why
        )
    return _graded(
        "governor",
        good=governors == ["performance"],
        what=", ".join(governors),
        why=why,
        remedy="cpupower frequency-set -g performance",
    )


def check_smt(facts: Facts) -> Finding:
    """Whether a sibling can disturb a lane that has a core of its own."""
    control = facts.read("sys/devices/system/cpu/smt/control")
    why = "a busy sibling halves the speed of the PU beside it"
    if control is None:
        return Finding(name="smt", grade="unknown", what="this system does not say", why=why)
    beside = sorted(
        lane.lane
        for lane in facts.placement.lanes
        if lane.level == "pu" and any(facts.machine.siblings(pu) for pu in lane.cpuset)
    )
    what = f"{control}; " + (
        f"lanes beside a busy sibling: {', '.join(beside)}" if beside else "no lane suffers"
    )
    return _graded(
        "smt",
        good=not beside,
        what=what,
        why=why,
        remedy="use a machine with more cores, or a profile with fewer exclusive lanes",
    )


def check_isolated(facts: Facts) -> Finding:
    """Whether the OS keeps other processes off exclusive PUs."""
    return _covers(
        facts,
        "isolated",
        facts.read_pus("sys/devices/system/cpu/isolated"),
        why="the OS may run other processes on a lane's PU, for milliseconds",
        parameter="isolcpus=managed_irq,domain,",
    )


def check_nohz_full(facts: Facts) -> Finding:
    """Whether the scheduler's tick is off on exclusive PUs."""
    return _covers(
        facts,
        "nohz_full",
        facts.read_pus("sys/devices/system/cpu/nohz_full"),
        why="the scheduler's tick interrupts a busy PU up to 1,000 times a second, for microseconds",
        parameter="nohz_full=",
    )


def _covers(facts: Facts, name: str, covered: CpuSet | None, *, why: str, parameter: str) -> Finding:
    wanted = facts.quiet_pus()
    if covered is None:
        return Finding(name=name, grade="unknown", what="this OS kernel does not say", why=why)
    if not wanted:
        return Finding(name=name, grade="good", what="no lane has a PU of its own", why=why)
    return _graded(
        name,
        good=wanted <= covered,
        what=f"{format_cpuset(covered)}; lanes with PUs of their own: {format_cpuset(wanted)}",
        why=why,
        remedy=f"kernel parameter {parameter}{format_cpuset(wanted)}",
    )


def check_thp(facts: Facts) -> Finding:
    """Transparent huge pages."""
    return _one_of(
        facts,
        "thp",
        "sys/kernel/mm/transparent_hugepage/enabled",
        good=("madvise", "never"),
        why="with 'always' the OS moves memory into huge pages while lanes use it",
        remedy="echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    )


def check_numa_balancing(facts: Facts) -> Finding:
    """Automatic NUMA balancing."""
    return _one_of(
        facts,
        "numa_balancing",
        "proc/sys/kernel/numa_balancing",
        good=("0",),
        why="the OS unmaps pages to see who touches them: each costs a lane a page fault",
        remedy="sysctl -w kernel.numa_balancing=0",
    )


def check_clocksource(facts: Facts) -> Finding:
    """The clock behind timestamps."""
    folder = "sys/devices/system/clocksource/clocksource0"
    better = [
        clock
        for clock in (facts.read(f"{folder}/available_clocksource") or "").split()
        if clock in _FAST_CLOCKS
    ]
    return _one_of(
        facts,
        "clocksource",
        f"{folder}/current_clocksource",
        good=_FAST_CLOCKS,
        why="every stage is stamped, and reading any other clock enters the OS",
        remedy=f"echo {better[0]} > /{folder}/current_clocksource" if better else "",
    )


def check_memlock(facts: Facts) -> Finding:
    """How much memory we may lock."""
    soft = _limit(facts, "Max locked memory")
    why = "locked tables are never paged out; without the right to lock them they can be"
    if soft is None:
        return Finding(name="memlock", grade="unknown", what="this system does not say", why=why)
    enough = soft == "unlimited" or (soft.isdecimal() and int(soft) >= LOCKED_BYTES_WANTED)
    said = soft if not soft.isdecimal() else f"{int(soft) >> 20} MiB"
    return _graded(
        "memlock",
        good=enough,
        what=f"{said}, {LOCKED_BYTES_WANTED >> 20} MiB wanted",
        why=why,
        remedy="ulimit -l unlimited (or LimitMEMLOCK=infinity in the unit)",
    )


def check_rtprio(facts: Facts) -> Finding:
    """Whether lanes may be scheduled before others, if any asks."""
    why = "real-time lanes run before everything else on their PU"
    soft = _limit(facts, "Max realtime priority")
    if not facts.uses_fifo():
        return Finding(name="rtprio", grade="good", what="no lane asks for real-time scheduling", why=why)
    if soft is None:
        return Finding(name="rtprio", grade="unknown", what="this system does not say", why=why)
    wanted = max(lane.priority for lane in facts.placement.lanes)
    return _graded(
        "rtprio",
        good=soft == "unlimited" or (soft.isdecimal() and int(soft) >= wanted),
        what=f"{soft} allowed, {wanted} wanted",
        why=why,
        remedy=f"ulimit -r {wanted} (or LimitRTPRIO={wanted} in the unit)",
    )


def check_sched_rt_runtime(facts: Facts) -> Finding:
    """Whether the OS stops real-time lanes for part of every period."""
    why = "the OS stops real-time threads for the rest of each period, 50 ms of a second by default"
    if not facts.uses_fifo():
        return Finding(
            name="sched_rt_runtime", grade="good", what="no lane asks for real-time scheduling", why=why
        )
    return _one_of(
        facts,
        "sched_rt_runtime",
        "proc/sys/kernel/sched_rt_runtime_us",
        good=("-1",),
        why=why,
        remedy="sysctl -w kernel.sched_rt_runtime_us=-1",
    )


def check_clock_sync(facts: Facts) -> Finding:
    """Whether something keeps the clock right."""
    why = "a wrong clock misjudges the age of blocks and the time left in a slot"
    if any(facts.read(path) is not None for path in _CLOCK_DAEMONS):
        return Finding(name="clock_sync", grade="good", what="a time service is running", why=why)
    return Finding(
        name="clock_sync",
        grade="unknown",
        what="no time service seen (in a container the host may have one)",
        why=why,
        remedy="timedatectl set-ntp true",
    )


def _one_of(facts: Facts, name: str, path: str, *, good: tuple[str, ...], why: str, remedy: str) -> Finding:
    text = facts.read(path)
    if not text:
        return Finding(name=name, grade="unknown", what=f"/{path} cannot be read", why=why)
    # Files that offer choices write the chosen one in brackets: "always [madvise] never".
    chosen = text.partition("[")[2].partition("]")[0] or text
    return _graded(name, good=chosen in good, what=chosen, why=why, remedy=remedy)


def _graded(name: str, *, good: bool, what: str, why: str, remedy: str) -> Finding:
    grade: Grade = "good" if good else "could_cost"
    return Finding(name=name, grade=grade, what=what, why=why, remedy="" if good else remedy)


def _limit(facts: Facts, name: str) -> str | None:
    for line in (facts.read("proc/self/limits") or "").splitlines():
        if line.startswith(name):
            return line.removeprefix(name).split()[0]
    return None
