"""Decide where every lane runs, and say why: a pure function of machine, profile and lane graph.

Layer: kernel. `placement_grant` decides how much each lane gets, `placement_seat` where, by the cost
of `placement_cost`; `placement_words` explains; this module puts it all, and how each lane waits and
where its memory is, into records.
"""

from __future__ import annotations

import msgspec

from tallyio.kernel import placement_words as words
from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.lane_graph import LaneGraph, standard_graph
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement_grant import Grant, Level, grant, housekeeping_core
from tallyio.kernel.placement_seat import Seating
from tallyio.kernel.profile import MemoryPolicy, Profile, Scheduling, Wait
from tallyio.model.errors import ConfigError

DEFAULT_HYBRID_BUDGET_US = 50
"""For a lane that asked to poll and may only be hybrid: longer than the gap between two events
of a burst, far shorter than the time between blocks."""


class LanePlacement(msgspec.Struct, frozen=True, kw_only=True):
    """Where one lane runs and how it waits there."""

    lane: str
    role: str
    level: Level
    cpuset: tuple[int, ...]
    """OS indexes, ascending, never empty: its threads are bound to these."""
    idle_siblings: tuple[int, ...]
    """PUs of its cores that are left idle for its sake."""
    domain: str
    """The L3 group (or its substitute) that holds the lane; several are joined by " + "."""
    memory_nodes: tuple[int, ...]
    """NUMA nodes of its memory by OS index, nearest first; empty where none is known."""
    memory: MemoryPolicy
    huge_pages: bool
    wait: Wait
    wait_budget_us: int
    """How long a hybrid lane stays awake before it parks, in microseconds; else 0."""
    scheduling: Scheduling
    priority: int
    degraded: bool
    """The lane has less than the profile asks for; `reasons` says what and why."""
    reasons: tuple[str, ...]
    """What it has, then what it lost."""
    choices: tuple[str, ...]
    """Why it is there and not elsewhere."""


class RingPlacement(msgspec.Struct, frozen=True, kw_only=True):
    """A ring between two placed lanes."""

    source: str
    target: str
    traffic: float
    one_cache: bool
    """Both ends lie under one L3 (or in one domain, where the machine shows no L3)."""
    distance_ns: float
    """Mean over the cores of both ends: measured, or of that size; 0 on one core."""
    memory_node: int | None
    """The NUMA node its cells belong on: the reader's, which waits for them."""


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Every lane's place on one machine."""

    machine: str
    topology_hash: str
    is_this_system: bool
    """Only then may threads be bound to it."""
    profile: str
    lanes: tuple[LanePlacement, ...]
    """The most urgent first."""
    rings: tuple[RingPlacement, ...]
    free: tuple[int, ...]
    """Allowed PUs that no lane uses or keeps idle."""
    reasons: tuple[str, ...]
    """What concerns the machine as a whole."""
    cost: float
    """What `placement_cost` makes of it: comparable between placements of the same question."""
    measured: bool
    """Distances between cores were measured, not stated by the firmware."""

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

        `{machine, topology_hash, is_this_system, profile, free: [pu], reasons: [text], cost,
        measured, lanes: [{lane, role, level, cpuset: [pu], idle_siblings: [pu], domain,
        memory_nodes: [node], memory, huge_pages, wait, wait_budget_us, scheduling, priority,
        degraded, reasons: [text], choices: [text]}], rings: [{source, target, traffic,
        one_cache, distance_ns, memory_node}]}`
        """
        return dict[str, object](msgspec.to_builtins(self))


def place(
    machine: Machine, profile: Profile, graph: LaneGraph | None = None, matrix: CoreMatrix | None = None
) -> Placement:
    """Return where each lane runs on `machine`; the same answer for the same question.

    `graph` says which lanes there are and which talk; without one it is the standard pipeline.
    `matrix` is what was measured between the cores of this machine, if anything.

    Every cpuset lies within `machine.allowed`. Cores granted whole are nobody else's, and
    with `smt = "idle"` their other PUs stay idle. Down to one PU there is always an answer:
    what a lane loses on the way is in its `reasons`, and a lane without a PU of its own parks.
    Raises: ConfigError: `matrix` was measured on a machine of another shape.
    """
    if matrix is not None and matrix.topology_hash != machine.topology_hash:
        raise ConfigError(
            f"the core-to-core matrix is of topology {matrix.topology_hash}, not of {machine.topology_hash}",
            way_out="measure this machine: tallyio c2c",
        )
    asked = graph or standard_graph(profile)
    keeper = housekeeping_core(machine)
    grants = grant(machine.allowed_cores(), keeper, profile, asked)
    seating = Seating(machine, keeper, grants, asked, matrix)
    lanes = tuple(_record(seating, granted) for granted in grants)
    busy = {pu for lane in lanes for pu in (*lane.cpuset, *lane.idle_siblings)}
    return Placement(
        machine=machine.name,
        topology_hash=machine.topology_hash,
        is_this_system=machine.is_this_system,
        profile=profile.name,
        lanes=lanes,
        rings=tuple(_rings(seating)),
        free=tuple(sorted(machine.allowed - busy)),
        reasons=words.machine_reasons(seating, measured=matrix is not None),
        cost=round(seating.cost, 3),
        measured=matrix is not None,
    )


def _record(seating: Seating, granted: Grant) -> LanePlacement:
    needs = granted.needs
    wait, weaker_wait = _wait(granted, may_stay_awake=_may_stay_awake(seating, granted))
    nodes = _memory_nodes(seating, granted)
    lost = [*words.lost(seating, granted), *([weaker_wait] if weaker_wait else [])]
    return LanePlacement(
        lane=granted.lane,
        role=granted.role,
        level=granted.level,
        cpuset=seating.pus[granted.lane],
        idle_siblings=words.idle_siblings(seating, granted),
        domain=words.domains_of(seating, granted.lane),
        memory_nodes=nodes,
        memory=needs.memory,
        huge_pages=needs.huge_pages,
        wait=wait,
        wait_budget_us=(needs.wait_budget_us or DEFAULT_HYBRID_BUDGET_US) if wait == "hybrid" else 0,
        scheduling=needs.scheduling if granted.level != "shared" else "normal",
        priority=needs.priority if granted.level != "shared" else 0,
        degraded=bool(lost),
        reasons=(words.gained(seating, granted), *lost),
        choices=words.choices(seating, granted, nodes),
    )


def _rings(seating: Seating) -> list[RingPlacement]:
    return [
        RingPlacement(
            source=ring.source,
            target=ring.target,
            traffic=ring.traffic,
            one_cache=len({seating.machine.domain_of(pu).name for pu in ends}) == 1,
            distance_ns=round(seating.distance(ring.source, ring.target), 1),
            memory_node=node.os_index if (node := seating.machine.memory_near(ends[-1])) else None,
        )
        for ring in seating.graph.rings
        if (ends := (*seating.pus[ring.source], *seating.pus[ring.target]))
    ]


def _memory_nodes(seating: Seating, granted: Grant) -> tuple[int, ...]:
    machine = seating.machine
    near = [machine.memory_near(pu) for pu in seating.pus[granted.lane]]
    found = list(dict.fromkeys(node.os_index for node in near if node))
    if granted.needs.memory == "interleave" and found:
        rest = [machine.memory_near(min(node.pus & machine.pus)) for node in machine.numa_nodes if node.pus]
        found = list(dict.fromkeys([*found, *(node.os_index for node in rest if node)]))
    return tuple(found)


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
