"""The doctor's checks of what lanes get: allowed PUs, quota, profile, cache; and the whole round.

Layer: kernel. As in `doctor`, every check is pure and changes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from tallyio.kernel import doctor
from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.doctor import Check, Facts, Finding


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


def check_cache(facts: Facts) -> Finding:
    """Whether compiled code can be kept."""
    # The nearest folder that exists decides: the cache itself is made on first use.
    nearest = next(path for path in (facts.cache, *facts.cache.parents) if path.exists())
    usable = nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
    return Finding(
        name="compile_cache",
        grade="good" if usable else "could_cost",
        what=f"{facts.cache} {'can' if usable else 'cannot'} be written",
        why="without it every start compiles all hot functions again, for seconds",
        remedy="" if usable else "set TALLYIO_CACHE to a folder you may write to",
    )


CHECKS: tuple[Check, ...] = (
    check_profile,
    check_allowed,
    check_quota,
    doctor.check_governor,
    doctor.check_smt,
    doctor.check_isolated,
    doctor.check_nohz_full,
    doctor.check_thp,
    doctor.check_numa_balancing,
    doctor.check_clocksource,
    doctor.check_memlock,
    doctor.check_rtprio,
    doctor.check_sched_rt_runtime,
    doctor.check_clock_sync,
    check_cache,
)


def examine(facts: Facts) -> Iterator[Finding]:
    """Yield the finding of every check, in the order in which they are shown."""
    for check in CHECKS:
        yield check(facts)
