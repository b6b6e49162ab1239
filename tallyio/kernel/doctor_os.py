"""The doctor's checks of the OS: clocks, real time, interrupts, work queues, pressure, limits.

Layer: kernel.
"""

from __future__ import annotations

from tallyio.kernel.cpuset import CpuSet, format_cpuset
from tallyio.kernel.doctor import Facts, Finding, enough, graded, one_of, unknown
from tallyio.kernel.os_files import read_list, read_mask

CAP_SYS_NICE = 23

OPEN_FILES_WANTED = 4_096
"""Sockets, pipes and event descriptors of a run with all plugins, with room."""

PRESSURE_MAX_PERCENT = {"cpu": 10.0, "memory": 1.0, "io": 10.0}
"""The share of the last minute in which somebody waited for it, beyond which it costs."""

_FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase")
"""Clocks that are read without entering the OS."""

_CLOCK_DAEMONS = (
    "run/systemd/timesync/synchronized",
    "run/chrony/chronyd.pid",
    "run/chronyd.pid",
    "run/ntpd.pid",
)

_WORK_QUEUES = ("sys/devices/virtual/workqueue/cpumask", "sys/bus/workqueue/devices/writeback/cpumask")


def check_clocksource(facts: Facts) -> Finding:
    """The clock behind timestamps."""
    folder = "sys/devices/system/clocksource/clocksource0"
    offered = (facts.read(f"{folder}/available_clocksource") or "").split()
    better = [clock for clock in offered if clock in _FAST_CLOCKS][:1]
    return one_of(
        facts,
        "clocksource",
        f"{folder}/current_clocksource",
        good=_FAST_CLOCKS,
        why="every stage is stamped, and reading any other clock enters the OS",
        commands=tuple(f"echo {clock} > /{folder}/current_clocksource" for clock in better),
    )


def check_clock_sync(facts: Facts) -> Finding:
    """Whether something keeps the clock right."""
    why = "a wrong clock misjudges the age of blocks and the time left in a slot"
    if any(facts.read(path) is not None for path in _CLOCK_DAEMONS):
        return graded("clock_sync", good=True, what="a time service is running", why=why)
    return unknown(
        "clock_sync",
        "no time service seen (in a container the host may have one)",
        why,
        remedy="timedatectl set-ntp true",
    )


def check_rtprio(facts: Facts) -> Finding:
    """Whether lanes may be scheduled before others, if any asks."""
    why = "real-time lanes run before everything else on their PU"
    soft = facts.limit("Max realtime priority")
    if not facts.uses_fifo():
        return graded("rtprio", good=True, what="no lane asks for real-time scheduling", why=why)
    if soft is None:
        return unknown("rtprio", "this system does not say", why)
    wanted = max(lane.priority for lane in facts.placement.lanes)
    return graded(
        "rtprio",
        good=enough(soft, wanted) or facts.has_capability(CAP_SYS_NICE),
        what=f"{soft} allowed, {wanted} wanted",
        why=why,
        remedy=f"ulimit -r {wanted} (or LimitRTPRIO={wanted} in the unit)",
    )


def check_capabilities(facts: Facts) -> Finding:
    """Whether the process may do what its lanes ask for."""
    why = "without CAP_SYS_NICE real-time scheduling depends on the limit, and memory cannot be moved"
    if facts.read("proc/self/status") is None:
        return unknown("capabilities", "this system does not say", why)
    has = facts.has_capability(CAP_SYS_NICE)
    needed = facts.uses_fifo()
    said = "CAP_SYS_NICE is there" if has else "no CAP_SYS_NICE"
    return graded(
        "capabilities",
        good=has or not needed,
        what=said if needed else f"{said}; no lane needs it",
        why=why,
        remedy="AmbientCapabilities=CAP_SYS_NICE CAP_IPC_LOCK in the unit",
    )


def check_sched_rt_runtime(facts: Facts) -> Finding:
    """Whether the OS stops real-time lanes for part of every period."""
    why = "the OS stops real-time threads for the rest of each period, 50 ms of a second by default"
    if not facts.uses_fifo():
        return graded("sched_rt_runtime", good=True, what="no lane asks for real-time scheduling", why=why)
    return one_of(
        facts,
        "sched_rt_runtime",
        "proc/sys/kernel/sched_rt_runtime_us",
        good=("-1",),
        why=why,
        commands=("sysctl -w kernel.sched_rt_runtime_us=-1",),
    )


def check_irq_affinity(facts: Facts) -> Finding:
    """Whether devices may interrupt the quiet PUs."""
    why = "an interrupt takes a lane's PU for microseconds, and its cache lines with it"
    folders = sorted((facts.root / "proc/irq").glob("[0-9]*"))
    lines = [pus for folder in folders if (pus := read_list(folder / "smp_affinity_list"))]
    if not lines:
        return unknown("irq_affinity", "no interrupt lines to be seen", why)
    quiet = facts.quiet_pus()
    near = sum(not pus.isdisjoint(quiet) for pus in lines)
    taken = sum(each.count for each in facts.machine.interrupts if each.pu in quiet)
    asked, common = facts.expects.irqs_away, format_cpuset(facts.common_pus())
    what = f"{near} of {len(lines)} lines may reach {format_cpuset(quiet)}, {taken:,} interrupts so far"
    # Some lines belong to one PU (timers, per-queue vectors): the OS refuses to move them.
    move = (
        f'for f in /proc/irq/[0-9]*/smp_affinity_list; do echo {common} > "$f" 2>/dev/null'
        ' || echo "stays: $f"; done'
    )
    return graded(
        "irq_affinity",
        good=not near or not asked or not facts.common_pus(),
        what=what if asked else f"{what}; the profile does not ask",
        why=why,
        commands=(move,),
        boot=(f"irqaffinity={common}",),
    )


def check_work_queues(facts: Facts) -> Finding:
    """Whether the OS's own work queues may run on the quiet PUs."""
    why = "the OS runs its deferred work on any PU of this mask"
    masks = {path: pus for path in _WORK_QUEUES if (pus := read_mask(facts.root / path)) is not None}
    if not masks:
        return unknown("work_queues", "this system does not say", why)
    quiet, common = facts.quiet_pus(), facts.common_pus()
    near = {path: pus & quiet for path, pus in masks.items() if pus & quiet}
    asked = facts.expects.isolated
    what = f"may run on {format_cpuset(frozenset().union(*masks.values()))}"
    return graded(
        "work_queues",
        good=not near or not asked or not common,
        what=what if asked else f"{what}; the profile does not ask",
        why=why,
        commands=tuple(f"echo {_mask(common)} > /{path}" for path in near),
    )


def check_pressure(facts: Facts) -> Finding:
    """Whether somebody on this machine waits for PUs, memory or disks (PSI)."""
    why = "what waits beside us soon waits with us: the machine is short of it"
    shares = {name: _pressure(facts, name) for name in PRESSURE_MAX_PERCENT}
    known = {name: share for name, share in shares.items() if share is not None}
    if not known:
        return unknown("pressure", "this OS kernel does not count it", why)
    return graded(
        "pressure",
        good=all(share <= PRESSURE_MAX_PERCENT[name] for name, share in known.items()),
        what="waited in the last minute: "
        + ", ".join(f"for {name} {share:.1f} %" for name, share in known.items()),
        why=why,
        remedy="find who uses it (systemd-cgtop, top), and move that elsewhere",
    )


def check_open_files(facts: Facts) -> Finding:
    """How many descriptors we may have open."""
    why = "each node, each lane's doorbell and each peer takes descriptors"
    soft = facts.limit("Max open files")
    if soft is None:
        return unknown("open_files", "this system does not say", why)
    return graded(
        "open_files",
        good=enough(soft, OPEN_FILES_WANTED),
        what=f"{soft} allowed, {OPEN_FILES_WANTED:,} wanted",
        why=why,
        remedy=f"ulimit -n {OPEN_FILES_WANTED} (or LimitNOFILE={OPEN_FILES_WANTED} in the unit)",
    )


def _pressure(facts: Facts, name: str) -> float | None:
    for word in (facts.read(f"proc/pressure/{name}") or "").split():
        key, _, value = word.partition("=")
        if key == "avg60":
            try:
                return float(value)
            except ValueError:
                return None
    return None


def _mask(pus: CpuSet) -> str:
    """Return PUs as the OS writes masks: words of 32 bits in hexadecimal, the highest first."""
    bits = sum(1 << pu for pu in pus)
    words = [f"{bits >> shift & 0xFFFFFFFF:08x}" for shift in range(0, max(bits.bit_length(), 1), 32)]
    return ",".join(reversed(words))
