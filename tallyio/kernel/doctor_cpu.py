"""The doctor's checks of PUs: frequency, idle states, SMT, isolation.

Layer: kernel.
"""

from __future__ import annotations

from tallyio.kernel.cpuset import CpuSet, format_cpuset, parse_cpuset
from tallyio.kernel.doctor import Facts, Finding, graded, unknown
from tallyio.model.errors import ConfigError

_CPU = "sys/devices/system/cpu"
_STATES_MAX = 16

_TELLING = (
    "isolcpus",
    "nohz_full",
    "rcu_nocbs",
    "irqaffinity",
    "idle",
    "intel_idle.max_cstate",
    "processor.max_cstate",
    "nosmt",
    "mitigations",
    "transparent_hugepage",
    "hugepages",
    "clocksource",
    "tsc",
    "nmi_watchdog",
)
"""Kernel parameters that bear on latency."""


def check_governor(facts: Facts) -> Finding:
    """The frequency governor of the PUs we may use."""
    why = "a PU that was slowed down takes tens of microseconds to come back to full speed"
    paths = (f"{_CPU}/cpu{pu}/cpufreq/scaling_governor" for pu in sorted(facts.machine.allowed))
    governors = sorted({text for path in paths if (text := facts.read(path))})
    if not governors:
        return unknown("governor", "no frequency control here (a virtual machine?)", why)
    wanted = facts.expects.governor
    what = ", ".join(governors) + ("" if wanted else "; the profile does not ask")
    command = f'for f in /{_CPU}/cpu*/cpufreq/scaling_governor; do echo {wanted} > "$f"; done'
    return graded(
        "governor", good=not wanted or governors == [wanted], what=what, why=why, commands=(command,)
    )


def check_idle_states(facts: Facts) -> Finding:
    """How long the quiet PUs may take to wake from the states that are left enabled."""
    why = "a PU that sleeps deeply takes that long to notice a wake-up"
    driver = facts.read(f"{_CPU}/cpuidle/current_driver") or "no driver"
    latencies = [
        int(latency)
        for pu in sorted(facts.quiet_pus() or facts.machine.allowed)
        for state in range(_STATES_MAX)
        if (latency := facts.read(f"{_CPU}/cpu{pu}/cpuidle/state{state}/latency") or "").isdecimal()
        and facts.read(f"{_CPU}/cpu{pu}/cpuidle/state{state}/disable") != "1"
    ]
    if not latencies:
        return unknown("idle_states", f"{driver}; no idle states to be seen (a virtual machine?)", why)
    slowest, wanted = max(latencies), facts.expects.idle_latency_us
    what = f"{driver}; the slowest enabled state wakes in {slowest} us" + (
        "; the profile does not ask" if wanted is None else f", {wanted} us wanted"
    )
    folders = " ".join(f"/{_CPU}/cpu{pu}/cpuidle/state*" for pu in sorted(facts.quiet_pus()))
    command = f'for s in {folders}; do [ "$(cat "$s/latency")" -le {wanted} ] || echo 1 > "$s/disable"; done'
    good = wanted is None or slowest <= wanted or not folders
    return graded("idle_states", good=good, what=what, why=why, commands=(command,))


def check_smt(facts: Facts) -> Finding:
    """Whether SMT is as the profile counts on, and no busy sibling disturbs a lane on a PU of its own."""
    control = facts.read(f"{_CPU}/smt/control")
    why = "a busy sibling halves the speed of the PU beside it"
    if control is None:
        return unknown("smt", "this system does not say", why)
    beside = sorted(
        lane.lane
        for lane in facts.placement.lanes
        if lane.level == "pu" and any(facts.machine.siblings(pu) for pu in lane.cpuset)
    )
    wanted, present = facts.expects.smt, control in ("on", "off")
    other = bool(wanted) and present and control != wanted
    said = f"lanes beside a busy sibling: {', '.join(beside)}" if beside else "no lane suffers"
    return graded(
        "smt",
        good=not beside and not other,
        what=f"{control}{f' ({wanted} wanted)' if other else ''}; {said}",
        why=why,
        remedy="" if other else "use a machine with more cores, or a profile with fewer exclusive lanes",
        commands=(f"echo {wanted} > /{_CPU}/smt/control",) if other else (),
    )


def check_isolated(facts: Facts) -> Finding:
    """Whether the OS keeps other processes off exclusive PUs."""
    return _covers(
        facts,
        "isolated",
        facts.read_pus(f"{_CPU}/isolated"),
        asked=facts.expects.isolated,
        why="the OS may run other processes on a lane's PU, for milliseconds",
        parameter="isolcpus=managed_irq,domain,",
    )


def check_nohz_full(facts: Facts) -> Finding:
    """Whether the scheduler's tick is off on exclusive PUs."""
    return _covers(
        facts,
        "nohz_full",
        facts.read_pus(f"{_CPU}/nohz_full"),
        asked=facts.expects.nohz_full,
        why="the scheduler's tick interrupts a busy PU up to 1,000 times a second, for microseconds",
        parameter="nohz_full=",
    )


def check_command_line(facts: Facts) -> Finding:
    """The kernel parameters that bear on latency; RCU's callbacks belong off the quiet PUs."""
    why = "callbacks of the OS's RCU run on the PU that caused them, unless rcu_nocbs moves them"
    line = facts.read("proc/cmdline")
    if line is None:
        return unknown("kernel_command_line", "/proc/cmdline cannot be read", why)
    given = [word for word in line.split() if word.partition("=")[0] in _TELLING]
    quiet = facts.quiet_pus() if facts.expects.nohz_full else frozenset()
    moved = _listed(given, "rcu_nocbs") | _listed(given, "nohz_full")  # the latter implies the former
    return graded(
        "kernel_command_line",
        good=quiet <= moved,
        what=" ".join(given) or "nothing that bears on latency",
        why=why,
        boot=(f"rcu_nocbs={format_cpuset(quiet)}",),
    )


def _listed(given: list[str], name: str) -> CpuSet:
    values = (word.partition("=")[2] for word in given if word.startswith(f"{name}="))
    try:
        return frozenset(pu for value in values for pu in parse_cpuset(value))
    except ConfigError:
        return frozenset()  # "all" and other words of newer kernels


def _covers(
    facts: Facts, name: str, covered: CpuSet | None, *, asked: bool, why: str, parameter: str
) -> Finding:
    wanted = facts.quiet_pus()
    if covered is None:
        return unknown(name, "this OS kernel does not say", why)
    if not wanted:
        return graded(name, good=True, what="no lane has a PU of its own", why=why)
    what = f"{format_cpuset(covered)}; lanes with PUs of their own: {format_cpuset(wanted)}"
    return graded(
        name,
        good=wanted <= covered or not asked,
        what=what if asked else f"{what}; the profile does not ask",
        why=why,
        boot=(f"{parameter}{format_cpuset(wanted)}",),
    )
