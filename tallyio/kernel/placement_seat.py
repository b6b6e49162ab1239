"""Second step of `placement`: which PUs each grant becomes.

Layer: kernel. Deterministic. Lanes with cores of their own, and others as long as cores are left, are
put where `placement_cost` is lowest; then single PUs are given out; then what is left is shared.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.lane_graph import LaneGraph
from tallyio.kernel.machine import Core, Domain, Machine
from tallyio.kernel.placement_cost import AFFINITY, ISOLATED_POOL, Board, Reach, urgency
from tallyio.kernel.placement_grant import Grant
from tallyio.kernel.placement_solve import solve

CROWD = 25.0
"""What each lane that is there already costs one more that comes, times its urgency."""


class Seating:
    """Which lane sits on which PUs of one machine; complete once constructed."""

    def __init__(
        self,
        machine: Machine,
        keeper: Core,
        grants: tuple[Grant, ...],
        graph: LaneGraph,
        matrix: CoreMatrix | None,
    ) -> None:
        self.machine = machine
        self.keeper = keeper
        self.grants = grants
        self.graph = graph
        self.cores = machine.allowed_cores()
        self.reach = Reach(machine, matrix)
        self.pus: dict[str, tuple[int, ...]] = {}
        """The PUs of each lane by OS index, ascending, never empty."""
        self.cost = 0.0
        """Of the lanes that `placement_cost` speaks of."""
        self._of = {grant.lane: grant for grant in grants}
        self._lanes_on: dict[Core, list[Grant]] = {core: [] for core in self.cores}
        self._core_of = {pu: core for core in self.cores for pu in core.pus}
        self._whole: set[Core] = set()
        self._single: set[int] = set()
        self._talk = _traffic(graph, grants)
        self._board = Board(machine, keeper, grants, graph, self.reach)
        self._solve()
        for level, seat in (("pu", self._own_pu), ("shared", self._shared_pus)):
            for grant in grants:
                if grant.level == level and grant.lane not in self.pus:
                    self._sit(grant, seat(grant))

    def company(self, lane: str) -> tuple[str, ...]:
        """Return the other lanes that may run on a PU of `lane`, the most urgent first."""
        own = set(self.pus[lane])
        others = (grant.lane for grant in self.grants if grant.lane != lane)
        return tuple(other for other in others if not own.isdisjoint(self.pus[other]))

    def siblings(self, lane: str) -> frozenset[int]:
        """Return the other PUs of the cores that `lane` sits on, allowed or not."""
        own = self.pus[lane]
        return frozenset(other for pu in own for other in self.machine.siblings(pu)) - frozenset(own)

    def cores_of(self, lane: str) -> tuple[Core, ...]:
        """Return the cores that `lane` sits on, in the order of its PUs."""
        return tuple(dict.fromkeys(self._core_of[pu] for pu in self.pus[lane]))

    def home(self, group: str) -> Domain:
        """Return the domain that holds most of a group, of equals the one of its most urgent lane."""
        held = Counter(
            self.machine.domain_of(pu).name
            for grant in self.grants
            if grant.group == group
            for pu in self.pus[grant.lane]
        )
        best, _ = held.most_common(1)[0]
        return next(domain for domain in self.machine.domains if domain.name == best)

    def distance(self, lane: str, other: str) -> float:
        """Return the mean distance between the cores of two lanes, in ns or of that size; 0 on one core."""
        pairs = [(here, there) for here in self.cores_of(lane) for there in self.cores_of(other)]
        return sum(self.reach.between(*pair) for pair in pairs if pair[0] != pair[1]) / len(pairs)

    def _solve(self) -> None:
        problem = self._board.problem()
        assigned = solve(problem)
        self.cost = problem.cost(assigned)
        for lane, cores in self._board.cores_of(assigned).items():
            grant = self._of[lane]
            whole = grant.level == "cores"
            self._whole.update(cores if whole else ())
            one_pu = whole and grant.needs.smt == "idle"
            self._sit(grant, [pu for core in cores for pu in (core.pus[:1] if one_pu else core.pus)])

    def _sit(self, grant: Grant, pus: Iterable[int]) -> None:
        self.pus[grant.lane] = tuple(sorted(pus))
        for core in self.cores_of(grant.lane):
            self._lanes_on[core].append(grant)

    def _own_pu(self, grant: Grant) -> Iterable[int]:
        lowest = self.keeper.pus[0]
        free = [
            (core, pu)
            for core in self.cores
            if core not in self._whole
            for pu in core.pus
            if pu not in self._single
        ]
        # The lowest PU is the last choice: it belongs to the lanes that share.
        _, pu = min(
            free,
            key=lambda at: (
                at[1] == lowest,
                self._remoteness(grant, at[0]) + self._board.burden(grant, at[0]),
                at[0] == self.keeper,
                at[1],
            ),
        )
        self._single.add(pu)
        return [pu]

    def _shared_pus(self, grant: Grant) -> Iterable[int]:
        def cost(core: Core) -> tuple[float, bool]:
            crowd = sum(urgency(other.role) for other in self._lanes_on[core])
            pool = ISOLATED_POOL * self.machine.isolated.issuperset(core.pus)
            return self._remoteness(grant, core) + CROWD * crowd + pool, core == self.keeper

        open_cores = (
            core for core in self.cores if core not in self._whole and not self._single.issuperset(core.pus)
        )
        chosen = sorted(open_cores, key=cost)[: grant.cores]
        return [pu for core in chosen for pu in core.pus if pu not in self._single]

    def _remoteness(self, grant: Grant, core: Core) -> float:
        """Return how far `core` is from the lanes that `grant` talks to, times how much they talk."""
        far = 0.0
        for other, traffic in self._talk[grant.lane].items():
            cores = self.cores_of(other) if other in self.pus else ()
            apart = (self.reach.between(core, there) for there in cores if there != core)
            far += traffic * sum(apart) / max(1, len(cores))
        return far


def _traffic(graph: LaneGraph, grants: tuple[Grant, ...]) -> dict[str, dict[str, float]]:
    """Return how much each lane talks to each other one, being of one group included."""
    talk: dict[str, dict[str, float]] = {grant.lane: defaultdict(float) for grant in grants}
    for ring in graph.rings:
        talk[ring.source][ring.target] += ring.traffic
        talk[ring.target][ring.source] += ring.traffic
    for grant in grants:
        for other in grants:
            if other is not grant and other.group == grant.group:
                talk[grant.lane][other.lane] += AFFINITY
    return talk
