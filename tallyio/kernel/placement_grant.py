"""First step of `placement`: how much each lane gets, before it is known where.

Layer: kernel. Lanes are served in order of urgency, and each gets the best level that leaves
at least one PU for those after it.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from tallyio.kernel.lane_graph import LaneGraph
from tallyio.kernel.machine import Core, Machine
from tallyio.kernel.profile import LANES, LaneNeeds, Profile

Level = Literal["cores", "pu", "shared"]
"""What a lane has to itself: whole cores, one PU of a common core, or nothing."""

HEAVY_SHARE = 1.5
"""A core with this many times its fair share of device interrupts is avoided."""

HEAVY_COUNT = 10_000
"""Fewer interrupts than this since the start say nothing about the future."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What one lane gets."""

    lane: str
    role: str
    needs: LaneNeeds
    level: Level
    cores: int
    """Whole cores with level "cores", else the cores wished for among the common ones."""

    @property
    def group(self) -> str:
        """The group under one L3; a lane without one is its own."""
        # A space cannot be confused with a group's name: group names are checked to have none.
        return self.needs.group or f"lane {self.lane}"

    @property
    def pinned(self) -> bool:
        """Whether the lane will sit on exactly one PU of its own."""
        return self.level == "pu" or (self.level == "cores" and self.cores == 1 and self.needs.smt == "idle")


def grant(cores: tuple[Core, ...], keeper: Core, profile: Profile, graph: LaneGraph) -> tuple[Grant, ...]:
    """Return a grant for each lane of `graph`, the most urgent first; together they fit `cores`.

    `cores` is not empty and holds `keeper`, which is never given whole while anybody shares.
    Sharing always fits, so every lane has a grant.
    """
    asked = sorted(graph.lanes, key=lambda lane: LANES.index(lane.role))
    room = _Room(cores, keeper)
    granted: list[Grant] = []
    for index, lane in enumerate(asked):
        needs = profile.lanes[lane.role]
        wishes: list[tuple[Level, int]] = [("shared", needs.cores)]
        if needs.exclusive:
            wishes = [*(("cores", count) for count in range(needs.cores, 0, -1)), ("pu", 1), *wishes]
        more_to_come = index + 1 < len(asked)
        level, count = next(wish for wish in wishes if room.fits(*wish, more_to_come=more_to_come))
        room.take(level, count)
        granted.append(Grant(lane=lane.name, role=lane.role, needs=needs, level=level, cores=count))
    return tuple(granted)


def housekeeping_core(machine: Machine) -> Core:
    """Return the core that is left to the OS: the worst place for a lane that must not be disturbed.

    Where PUs are isolated it is the first core that is not. Where one core clearly takes most of
    the devices' interrupts it is that one. Otherwise it is the core of the lowest PU, where the OS
    takes interrupts and runs its own work first.
    """
    cores = machine.allowed_cores()
    common = [core for core in cores if not machine.isolated.issuperset(core.pus)] or [*cores]
    heavy = heavy_cores(machine) & set(common)
    counts = {each.pu: each.count for each in machine.interrupts}
    if heavy:
        return max(common, key=lambda core: (core in heavy, sum(counts.get(pu, 0) for pu in core.pus)))
    return min(common, key=lambda core: core.pus)


def heavy_cores(machine: Machine) -> frozenset[Core]:
    """Return the cores we may use that take far more than their share of the devices' interrupts."""
    counts = {each.pu: each.count for each in machine.interrupts}
    if sum(counts.values()) < HEAVY_COUNT:
        return frozenset()
    cores = machine.allowed_cores()
    load = {core: sum(counts.get(pu, 0) for pu in machine.core_of(core.pus[0]).pus) for core in cores}
    fair = sum(load.values()) / len(cores)
    if sum(load.values()) < HEAVY_COUNT:
        return frozenset()
    return frozenset(core for core in cores if load[core] >= HEAVY_SHARE * fair)


def all_whole(grants: tuple[Grant, ...]) -> bool:
    """Tell whether every lane has whole cores, so that no common core is needed."""
    return all(grant.level == "cores" for grant in grants)


class _Room:
    """What is left, counted so that any choice of whole cores leaves at least as many PUs."""

    def __init__(self, cores: tuple[Core, ...], keeper: Core) -> None:
        self._total = len(cores)
        self._keeper = len(keeper.pus)
        # Of the cores that may be given whole, count those with the fewest PUs as what is left over.
        self._others = sorted(len(core.pus) for core in cores if core != keeper)
        self._whole = 0
        self._single = 0
        self._shared = False

    def fits(self, level: Level, count: int, *, more_to_come: bool) -> bool:
        whole = self._whole + (count if level == "cores" else 0)
        single = self._single + (level == "pu")
        shared = more_to_come or self._shared or level == "shared"
        if not single + shared:
            return whole <= self._total
        if whole > len(self._others):
            return False
        return single + shared <= self._keeper + sum(self._others[: len(self._others) - whole])

    def take(self, level: Level, count: int) -> None:
        self._whole += count if level == "cores" else 0
        self._single += level == "pu"
        self._shared = self._shared or level == "shared"
