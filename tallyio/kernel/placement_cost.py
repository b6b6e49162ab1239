"""What a placement costs: the one function that the placer lowers and that tests check it against.

Layer: kernel. The cost of lanes that have their cores to themselves is

    sum over rings        traffic * distance(core, core)
  + sum over groups       AFFINITY * distance, for each two lanes of one group
  + sum over lanes        COHESION * distance, shared out over each two cores of one lane
  + sum over strangers    OWN_L3 for each core under the same L3 as a group that wants it for itself
  + sum over cores        urgency * what disturbs a lane there

A lane of several cores counts with the mean over them. Distances are nanoseconds, or numbers of
that size: measured between the two cores where they were, else by what the cores share, times what
the firmware says of their NUMA nodes, brought to the scale of what was measured.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property
from itertools import combinations
from statistics import median
from typing import NamedTuple

import msgspec

from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.lane_graph import LaneGraph
from tallyio.kernel.machine import Core, Machine
from tallyio.kernel.placement_grant import Grant, all_whole, heavy_cores
from tallyio.kernel.placement_solve import FORBIDDEN, Link, Problem
from tallyio.kernel.profile import LANES

NEAR = 30.0
"""Under one L3; orders of magnitude of published core-to-core tables, in ns."""
FAR = 100.0
"""Between two L3 groups of one NUMA node."""
OTHER_PACKAGE = 2.0
"""Times FAR, where the firmware gives no distances."""

AFFINITY = 4.0
COHESION = 4.0
OWN_L3 = 100.0

HEAVY_IRQS = 40.0
FIRST_PU = 40.0
OS_CACHE = 4.0
"""Under one L3 with the housekeeping core, whose work goes through that cache."""
AWAY_FROM_OS = 2.0
"""For a lane that may be disturbed: it leaves the other caches to those that may not."""
NOT_ISOLATED = 60.0
FOREIGN_SIBLING = 20.0
SLOWER_KIND = 20.0
"""Per kind of core below the fastest. Lanes that have time are drawn to slow cores instead."""
ISOLATED_POOL = 1_000.0
"""For a lane of several PUs on isolated ones: the OS does not balance there, so all of its threads
would stay on one."""

_INDIFFERENT = 2.5
"""The urgency between simulation, which gains by a fast core, and analytics, which does not."""


def urgency(role: str) -> int:
    """Return how much the place of a lane of this role matters: 8 for hot, 1 for background."""
    return len(LANES) - LANES.index(role)


class Reach:
    """Distances between the cores of one machine."""

    def __init__(self, machine: Machine, matrix: CoreMatrix | None) -> None:
        self._machine = machine
        self._matrix = matrix

    def between(self, first: Core, second: Core) -> float:
        """Return the distance in ns, or a number of that size; symmetric."""
        ns = self.measured(first, second)
        return self._stated(first, second) * self._scale if ns is None else ns

    def measured(self, first: Core, second: Core) -> float | None:
        """Return what was measured between two cores, None where nothing was."""
        if self._matrix is None:
            return None
        here, there = first.pus[0], second.pus[0]
        both = (self._matrix.between(here, there), self._matrix.between(there, here))
        found = [ns for ns in both if ns is not None]
        return sum(found) / len(found) if found else None

    def _stated(self, first: Core, second: Core) -> float:
        machine, here, there = self._machine, first.pus[0], second.pus[0]
        if machine.domain_of(here) is machine.domain_of(there):
            return NEAR
        said = [machine.relative_latency(*pair) for pair in ((here, there), (there, here))]
        known = [ratio for ratio in said if ratio is not None]
        if known:
            return FAR * sum(known) / len(known)
        return FAR if machine.package_of(here) is machine.package_of(there) else FAR * OTHER_PACKAGE

    @cached_property
    def _scale(self) -> float:
        """How many measured ns one stated one is worth; 1 where nothing was measured."""
        pairs = combinations(self._machine.allowed_cores(), 2)
        ratios = [ns / self._stated(*pair) for pair in pairs if (ns := self.measured(*pair)) is not None]
        return median(ratios) if ratios else 1.0


class Slot(msgspec.Struct, frozen=True):
    """One core that one lane wants."""

    lane: int
    """Index into the grants."""
    number: int
    """Which of the lane's cores."""


class _Traits(NamedTuple):
    """What the cost of a core depends on, whoever takes it."""

    slower: int
    """Ranks below the fastest kind of core."""
    is_keeper: bool
    is_isolated: bool
    is_beside_os: bool
    disturbance: float
    """For a lane that is pinned there, before its urgency."""


class Board:
    """The assignment problem of one machine: slots of lanes, and places, which are sets of equal cores."""

    def __init__(
        self, machine: Machine, keeper: Core, grants: tuple[Grant, ...], graph: LaneGraph, reach: Reach
    ) -> None:
        self._machine = machine
        self._cores = machine.allowed_cores()
        self._keeper = keeper
        self._grants = grants
        self._graph = graph
        self._reach = reach
        self._heavy = heavy_cores(machine)
        self._fastest = max(machine.rank_of(core) for core in machine.cores)
        self._all_whole = all_whole(grants)
        self._traits = {core: self._traits_of(core) for core in self._cores}
        self.slots = self._choose_slots()
        self.places = self._choose_places()

    def problem(self) -> Problem:
        """Return what `solve` is to solve; an assignment's cost is what the module's docstring says."""
        first = [cores[0] for cores in self.places]
        number = {domain.name: index for index, domain in enumerate(self._machine.domains)}
        domains = [number[self._machine.domain_of(core.pus[0]).name] for core in first]
        return Problem(
            room=[len(cores) for cores in self.places],
            distance=self._distances(first),
            domain=domains,
            own_cost=[[self.burden(self._grants[slot.lane], core) for core in first] for slot in self.slots],
            links=self._links(),
        )

    def cores_of(self, assigned: Sequence[int]) -> dict[str, list[Core]]:
        """Return the cores of each lane that has slots; of equal cores the urgent lanes get the first."""
        left = [list(cores) for cores in self.places]
        found: dict[str, list[Core]] = defaultdict(list)
        for slot, place in zip(self.slots, assigned, strict=True):
            found[self._grants[slot.lane].lane].append(left[place].pop(0))
        return found

    def burden(self, grant: Grant, core: Core) -> float:
        """Return what disturbs a lane on `core`, weighted by its urgency."""
        urgent, of = urgency(grant.role), self._traits[core]
        cost = SLOWER_KIND * of.slower * (urgent - _INDIFFERENT)
        if grant.level == "cores" and of.is_keeper and not self._all_whole:
            return FORBIDDEN
        if grant.pinned:
            return cost + urgent * of.disturbance
        patient = AWAY_FROM_OS * (not of.is_beside_os and grant.level == "shared")
        return cost + ISOLATED_POOL * of.is_isolated + patient + of.is_keeper

    def _traits_of(self, core: Core) -> _Traits:
        machine = self._machine
        isolated = machine.isolated.issuperset(core.pus)
        beside_os = machine.domain_of(core.pus[0]) is machine.domain_of(self._keeper.pus[0])
        disturbed = HEAVY_IRQS * (core in self._heavy) + FIRST_PU * (min(machine.pus) in core.pus)
        disturbed += OS_CACHE * beside_os
        unprotected = NOT_ISOLATED * (bool(machine.isolated) and not isolated)
        shared = FOREIGN_SIBLING * (len(machine.core_of(core.pus[0]).pus) > len(core.pus))
        return _Traits(
            slower=self._fastest - machine.rank_of(core),
            is_keeper=core == self._keeper,
            is_isolated=isolated,
            is_beside_os=beside_os,
            disturbance=disturbed + unprotected + shared,
        )

    def _choose_slots(self) -> list[Slot]:
        """Return the slots of lanes with whole cores, then those of others as long as cores are left.

        Where single PUs are given out there are no cores to spare: the others share what is left.
        """
        whole = [(index, grant) for index, grant in enumerate(self._grants) if grant.level == "cores"]
        room = len(self._cores) - sum(grant.cores for _, grant in whole)
        spare: list[tuple[int, Grant]] = []
        if not any(grant.level == "pu" for grant in self._grants):
            for index, grant in enumerate(self._grants):
                if grant.level == "shared" and grant.cores <= room:
                    room -= grant.cores
                    spare.append((index, grant))
        return [Slot(index, number) for index, grant in (*whole, *spare) for number in range(grant.cores)]

    def _choose_places(self) -> list[list[Core]]:
        """Return the cores we may use, those together that no cost tells apart."""
        equal: dict[object, list[Core]] = defaultdict(list)
        sample = [*{(grant.role, grant.pinned, grant.level): grant for grant in self._grants}.values()]
        for core in self._cores:
            burdens = tuple(self.burden(grant, core) for grant in sample)
            node = self._machine.numa_of(core.pus[0])
            alone = core if self._is_measured(core) else None
            domain = self._machine.domain_of(core.pus[0]).name
            equal[domain, node and node.os_index, burdens, alone].append(core)
        return [*equal.values()]

    def _is_measured(self, core: Core) -> bool:
        others = (other for other in self._cores if other is not core)
        return any(self._reach.measured(core, other) is not None for other in others)

    def _distances(self, first: list[Core]) -> list[list[float]]:
        rows = [[0.0] * len(first) for _ in first]
        for (row, here), (column, there) in combinations(enumerate(first), 2):
            rows[row][column] = rows[column][row] = self._reach.between(here, there)
        for index, cores in enumerate(self.places):
            rows[index][index] = self._reach.between(*cores[:2]) if len(cores) > 1 else 0.0
        return rows

    def _links(self) -> list[list[Link]]:
        talk = self._traffic()
        links: list[list[Link]] = [[] for _ in self.slots]
        for (one, first), (two, second) in combinations(enumerate(self.slots), 2):
            pull, push = self._tie(first, second, talk)
            if pull or push:
                links[one].append(Link(two, pull, push))
                links[two].append(Link(one, pull, push))
        return links

    def _traffic(self) -> dict[tuple[str, str], float]:
        talk: dict[tuple[str, str], float] = defaultdict(float)
        for ring in self._graph.rings:
            for ends in ((ring.source, ring.target), (ring.target, ring.source)):
                talk[ends] += ring.traffic
        return talk

    def _tie(self, first: Slot, second: Slot, talk: dict[tuple[str, str], float]) -> tuple[float, float]:
        one, two = self._grants[first.lane], self._grants[second.lane]
        if first.lane == second.lane:
            return COHESION / (one.cores - 1), 0.0
        pull = talk[one.lane, two.lane] + AFFINITY * (one.group == two.group)
        apart = one.group != two.group and "own" in (one.needs.l3, two.needs.l3)
        return pull / (one.cores * two.cores), OWN_L3 * apart
