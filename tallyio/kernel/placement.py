"""Decide where every lane runs, and say why: a pure function of a machine and a profile.

Layer: kernel. `placement_grant` decides how much each lane gets, `placement_seat` where; this
module puts the decision, its reasons and how each lane waits into records.
"""

from __future__ import annotations

import msgspec

from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement_grant import Grant, Level, grant
from tallyio.kernel.placement_seat import Seating
from tallyio.kernel.profile import Profile, Scheduling, Wait

DEFAULT_HYBRID_BUDGET_US = 50
"""For a lane that asked to poll and may only be hybrid: longer than the gap between two events
of a burst, far shorter than the time between blocks."""


class LanePlacement(msgspec.Struct, frozen=True, kw_only=True):
    """Where one lane runs and how it waits there."""

    lane: str
    level: Level
    cpuset: tuple[int, ...]
    """OS indexes, ascending, never empty: its threads are bound to these."""
    idle_siblings: tuple[int, ...]
    """PUs of its cores that are left idle for its sake."""
    domain: str
    """The L3 group (or its substitute) that holds the lane; several are joined by " + "."""
    wait: Wait
    wait_budget_us: int
    """How long a hybrid lane stays awake before it parks, in microseconds; else 0."""
    scheduling: Scheduling
    priority: int
    degraded: bool
    """The lane has less than the profile asks for; `reasons` says what and why."""
    reasons: tuple[str, ...]


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Every lane's place on one machine."""

    machine: str
    topology_hash: str
    is_this_system: bool
    """Only then may threads be bound to it."""
    profile: str
    lanes: tuple[LanePlacement, ...]
    """The most urgent first."""
    free: tuple[int, ...]
    """Allowed PUs that no lane uses or keeps idle."""
    reasons: tuple[str, ...]
    """What concerns the machine as a whole."""

    def lane(self, name: str) -> LanePlacement:
        """Return the place of the lane `name`. Raises: KeyError: no such lane."""
        for lane in self.lanes:
            if lane.lane == name:
                return lane
        raise KeyError(name)

    def lanes_on(self, pu: int) -> tuple[str, ...]:
        """Return the lanes that may run on `pu`, the most urgent first."""
        return tuple(lane.lane for lane in self.lanes if pu in lane.cpuset)

    def to_json(self) -> dict[str, object]:
        """Return the placement as plain values, PUs by OS index.

        `{machine, topology_hash, is_this_system, profile, free: [pu], reasons: [text],
        lanes: [{lane, level, cpuset: [pu], idle_siblings: [pu], domain, wait,
        wait_budget_us, scheduling, priority, degraded, reasons: [text]}]}`
        """
        return dict[str, object](msgspec.to_builtins(self))


def place(machine: Machine, profile: Profile) -> Placement:
    """Return where each lane of `profile` runs on `machine`; the same answer for the same question.

    Every cpuset lies within `machine.allowed`. Cores granted whole are nobody else's, and
    with `smt = "idle"` their other PUs stay idle. Down to one PU there is always an answer:
    what a lane loses on the way is in its `reasons`, and a lane without a PU of its own parks.
    """
    seating = Seating(machine, grant(machine.allowed_cores(), profile))
    lanes = tuple(_record(seating, granted) for granted in seating.grants)
    busy = {pu for lane in lanes for pu in (*lane.cpuset, *lane.idle_siblings)}
    return Placement(
        machine=machine.name,
        topology_hash=machine.topology_hash,
        is_this_system=machine.is_this_system,
        profile=profile.name,
        lanes=lanes,
        free=tuple(sorted(machine.allowed - busy)),
        reasons=_machine_reasons(seating),
    )


def _record(seating: Seating, granted: Grant) -> LanePlacement:
    needs = granted.needs
    wait, weaker_wait = _wait(granted, may_stay_awake=_may_stay_awake(seating, granted))
    lost = [*_lost(seating, granted), *([weaker_wait] if weaker_wait else [])]
    return LanePlacement(
        lane=granted.lane,
        level=granted.level,
        cpuset=seating.pus[granted.lane],
        idle_siblings=_idle_siblings(seating, granted),
        domain=_domains(seating, granted.lane),
        wait=wait,
        wait_budget_us=(needs.wait_budget_us or DEFAULT_HYBRID_BUDGET_US) if wait == "hybrid" else 0,
        scheduling=needs.scheduling,
        priority=needs.priority,
        degraded=bool(lost),
        reasons=(_gained(seating, granted), *lost),
    )


def _wait(granted: Grant, *, may_stay_awake: bool) -> tuple[Wait, str]:
    # A lane that stays awake must own what it burns. On one PU of a common core it may do so for
    # a budget only; on a shared PU never, or it would keep off the lane that it waits for.
    asked = granted.needs.wait
    if asked == "park":
        return "park", ""
    if granted.level == "shared":
        return "park", f"waits by parking instead of {asked}: other lanes need its PU"
    if not may_stay_awake:
        return "park", f"waits by parking instead of {asked}: staying awake would use up the CPU quota"
    if asked == "poll" and granted.level == "pu":
        return "hybrid", "waits by hybrid instead of poll: polling slows the other PU of its core"
    return asked, ""


def _may_stay_awake(seating: Seating, granted: Grant) -> bool:
    # Each PU that stays awake may spend a whole CPU of the quota, and one CPU must be left over
    # for the lanes that have work.
    quota = seating.machine.cpu_quota
    if quota is None:
        return True
    urgent = seating.grants[: seating.grants.index(granted) + 1]
    awake = sum(len(seating.pus[other.lane]) for other in urgent if other.needs.wait != "park")
    return awake + 1 <= quota


def _idle_siblings(seating: Seating, granted: Grant) -> tuple[int, ...]:
    if granted.level != "cores":
        return ()
    return tuple(sorted(seating.siblings(granted.lane) & seating.machine.allowed))


def _domains(seating: Seating, lane: str) -> str:
    return " + ".join(dict.fromkeys(seating.machine.domain_of(pu).name for pu in seating.pus[lane]))


def _gained(seating: Seating, granted: Grant) -> str:
    where = _domains(seating, granted.lane)
    if granted.level == "pu":
        return f"a PU of its own in {where}"
    if granted.level == "shared":
        company = seating.company(granted.lane)
        return f"shares its PUs in {where} with {_listed(company)}" if company else f"runs in {where}"
    idle = _idle_siblings(seating, granted)
    left_idle = f", {_named(idle)} beside it left idle" if idle else ""
    return f"{_cores(granted.cores)} of its own in {where}{left_idle}"


def _lost(seating: Seating, granted: Grant) -> list[str]:
    reasons = (
        _fewer_cores(seating, granted),
        _far_from_group(seating, granted),
        _foreign_sibling(seating, granted),
    )
    return [reason for reason in reasons if reason]


def _fewer_cores(seating: Seating, granted: Grant) -> str:
    needs = granted.needs
    if not needs.exclusive or (granted.level == "cores" and granted.cores == needs.cores):
        return ""
    pus, cores = len(seating.machine.allowed), len(seating.cores)
    have = f"{pus} PU{'s' if pus > 1 else ''} on {_cores(cores)} must do for {len(seating.grants)} lanes"
    return f"the profile asks for {_cores(needs.cores)} of its own: {have}"


def _far_from_group(seating: Seating, granted: Grant) -> str:
    group = granted.needs.group
    home = seating.homes.get(group)
    mates = [other.lane for other in seating.grants if other.needs.group == group and other is not granted]
    if home is None or not mates or home.pus.issuperset(seating.pus[granted.lane]):
        return ""
    return f"not in {home.name} with {_listed(mates)}: no core is left there"


def _foreign_sibling(seating: Seating, granted: Grant) -> str:
    foreign = tuple(sorted(seating.siblings(granted.lane) - seating.machine.allowed))
    if granted.level != "cores" or not foreign:
        return ""
    return f"{_named(foreign)} beside it is not ours: another process may run there"


def _machine_reasons(seating: Seating) -> tuple[str, ...]:
    machine, keeper = seating.machine, seating.keeper.pus
    forbidden = tuple(sorted(machine.pus - machine.allowed))
    said = [f"{_named(keeper)} stay{'s' if len(keeper) == 1 else ''} common: interrupts arrive there first"]
    if forbidden:
        said.append(f"{_named(forbidden)} not used: this process is not allowed there")
    if machine.cpu_quota is not None:
        said.append(f"the cgroup's quota is {machine.cpu_quota:g} CPUs of time")
    return tuple(said)


def _named(pus: tuple[int, ...]) -> str:
    return f"PU{'' if len(pus) == 1 else 's'} {format_cpuset(pus)}"


def _cores(count: int) -> str:
    return f"{count} core{'' if count == 1 else 's'}"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
