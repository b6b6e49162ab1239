"""The doctor's checks of what lanes get: profile, caches, allowed PUs, quota; and the whole round.

Layer: kernel. As in `doctor`, every check is pure and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tallyio.kernel import doctor_cpu, doctor_memory, doctor_os
from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.doctor import Check, Facts, Finding, graded, unknown


def check_allowed(facts: Facts) -> Finding:
    """The PUs this process may use, of those that are online."""
    missing = facts.machine.pus - facts.machine.allowed
    allowed = format_cpuset(facts.machine.allowed)
    return Finding(
        name="allowed_pus",
        grade="could_cost" if missing else "good",
        what=f"{allowed}; online but not ours: {format_cpuset(missing)}" if missing else f"all: {allowed}",
        why="lanes are placed only where the cpuset and the affinity mask let them",
        remedy="widen the cgroup's cpuset, or start without taskset" if missing else "",
    )


def check_quota(facts: Facts) -> Finding:
    """The CPU time that the cgroup grants."""
    quota, pus = facts.machine.cpu_quota, len(facts.machine.allowed)
    short = quota is not None and quota < pus
    return Finding(
        name="cpu_quota",
        grade="could_cost" if short else "good",
        what="no quota" if quota is None else f"{quota:g} CPUs of time for {pus} PUs",
        why="when the quota is used up every thread stops, for the rest of 100 ms",
        remedy="raise cpu.max of the cgroup, or give the container whole CPUs (a cpuset)" if short else "",
    )


def check_profile(facts: Facts) -> Finding:
    """Whether the profile gets what it asks for."""
    weaker = [lane.lane for lane in facts.placement.lanes if lane.degraded]
    said = [f"lanes with less than asked: {', '.join(weaker)}"] if weaker else ["every lane has what it asks"]
    return Finding(
        name="profile",
        grade="could_cost" if weaker else "good",
        what="; ".join([facts.placement.profile, *said, *facts.differences]),
        why="a lane that shares its PU waits for the others on it",
        remedy="take another profile, or a machine with more cores (see: tallyio topology)" if weaker else "",
    )


def check_cache_sharing(facts: Facts) -> Finding:
    """Whether lanes that talk much share an L3."""
    why = "a cache line takes three to ten times as long from one L3 to another as within one"
    if not facts.machine.l3_groups:
        return unknown("cache_sharing", "this machine shows no L3 (a virtual machine may hide it)", why)
    far = [ring for ring in facts.placement.rings if not ring.one_cache and ring.traffic > _MUCH]
    said = ", ".join(f"{ring.source} to {ring.target}" for ring in far)
    return graded(
        "cache_sharing",
        good=not far,
        what=f"between caches: {said}" if far else "lanes that talk much share an L3",
        why=why,
        remedy="take a profile with fewer lanes, or a machine with more cores per L3",
    )


def check_cache(facts: Facts) -> Finding:
    """Whether compiled code can be kept."""
    # The nearest folder that we can see decides: the cache itself is made on first use. Asking `access`
    # never raises.
    nearest = next(path for path in (facts.cache, *facts.cache.parents) if os.access(path, os.F_OK))
    usable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return Finding(
        name="compile_cache",
        grade="good" if usable else "could_cost",
        what=f"{facts.cache} {'can' if usable else 'cannot'} be written",
        why="without it every start compiles all hot functions again, for seconds",
        remedy="" if usable else "set TALLYIO_CACHE to a folder you may write to",
    )


_MUCH = 2.0
"""Traffic of a ring on the way from a block to a plan."""

CHECKS: tuple[Check, ...] = (
    check_profile,
    check_allowed,
    check_quota,
    check_cache_sharing,
    doctor_cpu.check_governor,
    doctor_cpu.check_idle_states,
    doctor_cpu.check_smt,
    doctor_cpu.check_isolated,
    doctor_cpu.check_nohz_full,
    doctor_cpu.check_command_line,
    doctor_os.check_irq_affinity,
    doctor_os.check_work_queues,
    doctor_memory.check_thp,
    doctor_memory.check_huge_pages,
    doctor_memory.check_numa_balancing,
    doctor_memory.check_memlock,
    doctor_os.check_clocksource,
    doctor_os.check_clock_sync,
    doctor_os.check_rtprio,
    doctor_os.check_sched_rt_runtime,
    doctor_os.check_capabilities,
    doctor_os.check_pressure,
    doctor_os.check_open_files,
    check_cache,
)


def examine(facts: Facts) -> Iterator[Finding]:
    """Yield the finding of every check, in the order in which they are shown."""
    for check in CHECKS:
        yield check(facts)
