"""Third step of `placement`: why each lane is where it is, and what it lost, in words.

Layer: kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.placement_grant import Grant, heavy_cores
from tallyio.kernel.placement_seat import Seating


def domains_of(seating: Seating, lane: str) -> str:
    """Return the domains of a lane, joined by " + "."""
    return " + ".join(dict.fromkeys(seating.machine.domain_of(pu).name for pu in seating.pus[lane]))


def idle_siblings(seating: Seating, granted: Grant) -> tuple[int, ...]:
    """Return the PUs of a lane's cores that are left idle for its sake, ascending."""
    if granted.level != "cores":
        return ()
    return tuple(sorted(seating.siblings(granted.lane) & seating.machine.allowed))


def gained(seating: Seating, granted: Grant) -> str:
    """Say what a lane has."""
    where = domains_of(seating, granted.lane)
    if granted.level == "pu":
        return f"a PU of its own in {where}"
    if granted.level == "shared":
        company = seating.company(granted.lane)
        return f"shares its PUs in {where} with {listed(company)}" if company else f"runs in {where}"
    idle = idle_siblings(seating, granted)
    left_idle = f", {named(idle)} beside it left idle" if idle else ""
    return f"{cores(granted.cores)} of its own in {where}{left_idle}"


def choices(seating: Seating, granted: Grant, nodes: Sequence[int]) -> tuple[str, ...]:
    """Say why a lane is there and not elsewhere."""
    said = (
        _mates(seating, granted),
        _apart(seating, granted),
        _home(seating, granted),
        _quiet(seating, granted),
        _kind(seating, granted),
        _memory(seating, granted, nodes),
    )
    return tuple(each for each in said if each)


def lost(seating: Seating, granted: Grant) -> list[str]:
    """Say what a lane has less than the profile asks for, and why."""
    reasons = (
        _fewer_cores(seating, granted),
        _far_from_group(seating, granted),
        _strangers(seating, granted),
        _foreign_sibling(seating, granted),
        _disturbed(seating, granted),
        _unprotected(seating, granted),
    )
    return [reason for reason in reasons if reason]


def machine_reasons(seating: Seating, *, measured: bool) -> tuple[str, ...]:
    """Say what concerns the machine as a whole."""
    machine, keeper = seating.machine, seating.keeper
    why = (
        "device interrupts arrive there most"
        if keeper in heavy_cores(machine)
        else "interrupts arrive there first"
    )
    if machine.isolated and not machine.isolated.issuperset(keeper.pus):
        why = "the OS was told to stay there"
    plural = "s" if len(keeper.pus) == 1 else ""
    said = [f"{named(keeper.pus)} stay{plural} common: {why}"]
    forbidden = tuple(sorted(machine.pus - machine.allowed))
    if forbidden:
        said.append(f"{named(forbidden)} not used: this process is not allowed there")
    if machine.offline:
        said.append(f"{named(sorted(machine.offline))} switched off")
    if machine.cpu_quota is not None:
        said.append(f"the cgroup's quota is {machine.cpu_quota:g} CPUs of time")
    if measured:
        said.append("distances between cores were measured (tallyio c2c)")
    elif machine.distances:
        said.append("distances between NUMA nodes are the firmware's; between cores, by what they share")
    return tuple(said)


def _mates(seating: Seating, granted: Grant) -> str:
    near = [
        other
        for other in _partners(seating, granted.lane)
        if seating.machine.domain_of(seating.pus[other][0]).pus.issuperset(
            (*seating.pus[other], *seating.pus[granted.lane])
        )
    ]
    if not near:
        return ""
    stay = "its ring stays" if len(near) == 1 else "their rings stay"
    return f"under one cache with {listed(near)}: {stay} there"


def _apart(seating: Seating, granted: Grant) -> str:
    """Say why a lane is not under the cache of those it talks to."""
    partners = _partners(seating, granted.lane)
    if not partners:
        return "it talks to no lane: any core does"
    mine = set(domains_of(seating, granted.lane).split(" + "))
    away = [other for other in partners if mine.isdisjoint(domains_of(seating, other).split(" + "))]
    if not away:
        return ""
    far = max(seating.distance(granted.lane, other) for other in away)
    owned = sorted({seating.home(grant.group).name for grant in _owners(seating) if grant.lane in away})
    why = f"{listed(owned)} {'is' if len(owned) == 1 else 'are'} another group's alone" if owned else ""
    own = granted.needs.l3 == "own" and f"its group has {domains_of(seating, granted.lane)} for itself"
    return (
        f"not under one cache with {listed(away)} ({far:.0f} ns): {why or own or 'the whole is cheaper so'}"
    )


def _owners(seating: Seating) -> list[Grant]:
    return [grant for grant in seating.grants if grant.needs.l3 == "own"]


def _partners(seating: Seating, lane: str) -> list[str]:
    ends = [(ring.source, ring.target) for ring in seating.graph.rings]
    found = [target if source == lane else source for source, target in ends if lane in (source, target)]
    return list(dict.fromkeys(found))


def _home(seating: Seating, granted: Grant) -> str:
    home = seating.home(granted.group)
    if granted.needs.l3 != "own" or not home.l3_bytes or _lodgers(seating, granted):
        return ""
    return f"{home.name} is its group's alone"


def _lodgers(seating: Seating, granted: Grant) -> list[str]:
    """Return the lanes of other groups in the L3 that a lane's group wants for itself."""
    home = seating.home(granted.group)
    return [
        other.lane
        for other in seating.grants
        if other.group != granted.group and not home.pus.isdisjoint(seating.pus[other.lane])
    ]


def _quiet(seating: Seating, granted: Grant) -> str:
    machine, pus = seating.machine, seating.pus[granted.lane]
    if not granted.pinned or seating.keeper.pus[0] in pus:
        return ""
    if machine.isolated.issuperset(pus):
        return "isolated: the OS schedules nothing else there"
    return f"away from {named(seating.keeper.pus)}, where interrupts arrive"


def _kind(seating: Seating, granted: Grant) -> str:
    kinds = seating.machine.core_kinds
    names = [kind.name for kind in kinds if not kind.pus.isdisjoint(seating.pus[granted.lane])]
    return f"on {listed(names)} cores" if kinds else ""


def _memory(seating: Seating, granted: Grant, nodes: Sequence[int]) -> str:
    if not nodes or len(seating.machine.numa_nodes) == 1:
        return ""
    where = f"NUMA node{'' if len(nodes) == 1 else 's'} {format_cpuset(nodes)}"
    how = {"local": "first from", "bind": "only from", "interleave": "in turn from"}[granted.needs.memory]
    return f"memory {how} {where}"


def _fewer_cores(seating: Seating, granted: Grant) -> str:
    needs = granted.needs
    if not needs.exclusive or (granted.level == "cores" and granted.cores == needs.cores):
        return ""
    pus, count = len(seating.machine.allowed), len(seating.cores)
    have = f"{pus} PU{'s' if pus > 1 else ''} on {cores(count)} must do for {len(seating.grants)} lanes"
    return f"the profile asks for {cores(needs.cores)} of its own: {have}"


def _far_from_group(seating: Seating, granted: Grant) -> str:
    group = granted.needs.group
    mates = [other.lane for other in seating.grants if other.needs.group == group and other is not granted]
    if not group or not mates:
        return ""
    home = seating.home(group)
    if home.pus.issuperset(seating.pus[granted.lane]):
        return ""
    there = [mate for mate in mates if not home.pus.isdisjoint(seating.pus[mate])]
    with_them = f" with {listed(there)}" if there else ""
    return f"not in {home.name}{with_them}: no core is left there"


def _strangers(seating: Seating, granted: Grant) -> str:
    home = seating.home(granted.group)
    if granted.needs.l3 != "own":
        return ""
    if not home.l3_bytes:
        return f"no L3 of its own: the machine shows none for {home.name}"
    lodgers = _lodgers(seating, granted)
    run = "runs" if len(lodgers) == 1 else "run"
    return f"{home.name} is not its group's alone: {listed(lodgers)} {run} there, too" if lodgers else ""


def _foreign_sibling(seating: Seating, granted: Grant) -> str:
    foreign = tuple(sorted(seating.siblings(granted.lane) - seating.machine.allowed))
    if granted.level != "cores" or not foreign:
        return ""
    return f"{named(foreign)} beside it is not ours: another process may run there"


def _disturbed(seating: Seating, granted: Grant) -> str:
    if not granted.pinned or heavy_cores(seating.machine).isdisjoint(seating.cores_of(granted.lane)):
        return ""
    return f"devices interrupt {named(seating.pus[granted.lane])} more than others"


def _unprotected(seating: Seating, granted: Grant) -> str:
    isolated, pus = seating.machine.isolated, seating.pus[granted.lane]
    if not isolated or not granted.pinned or isolated.issuperset(pus):
        return ""
    return f"{named(pus)} is not isolated: no isolated core is left"


def named(pus: Sequence[int]) -> str:
    """Return "PU 3" or "PUs 3-5"."""
    return f"PU{'' if len(pus) == 1 else 's'} {format_cpuset(pus)}"


def cores(count: int) -> str:
    """Return "1 core" or "3 cores"."""
    return f"{count} core{'' if count == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return "a", "a and b", "a, b and c"."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
