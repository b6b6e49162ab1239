"""Second step of `placement`: which PUs each grant becomes.

Layer: kernel. Greedy and deterministic. A group takes the domain that holds most of it, the
fastest kind of core first, an unused domain before a used one, and away from the housekeeping
core; then whole cores are given out, then single PUs, then what is left is shared.
"""

from __future__ import annotations

from collections.abc import Iterable

from tallyio.kernel.machine import Core, Domain, Machine
from tallyio.kernel.placement_grant import Grant, all_whole, housekeeping_core
from tallyio.kernel.profile import LANES


class Seating:
    """Which lane sits on which PUs of one machine; complete once constructed."""

    def __init__(self, machine: Machine, grants: tuple[Grant, ...]) -> None:
        self.machine = machine
        self.grants = grants
        self.cores = machine.allowed_cores()
        self.keeper = housekeeping_core(self.cores)
        self.homes: dict[str, Domain] = {}
        """The domain of each group."""
        self.pus: dict[str, tuple[int, ...]] = {}
        """The PUs of each lane by OS index, ascending, never empty."""
        self._whole: set[Core] = set()
        self._single: set[int] = set()
        by_level = {"cores": self._whole_cores, "pu": self._own_pu, "shared": self._shared_pus}
        for level, seat in by_level.items():
            for grant in grants:
                if grant.level == level:
                    self.pus[grant.lane] = tuple(sorted(seat(grant)))

    def company(self, lane: str) -> tuple[str, ...]:
        """Return the other lanes that may run on a PU of `lane`, the most urgent first."""
        own = set(self.pus[lane])
        return tuple(other for other in LANES if other != lane and own & set(self.pus[other]))

    def siblings(self, lane: str) -> frozenset[int]:
        """Return the other PUs of the cores that `lane` sits on, allowed or not."""
        own = self.pus[lane]
        return frozenset(other for pu in own for other in self.machine.siblings(pu)) - frozenset(own)

    def _whole_cores(self, grant: Grant) -> Iterable[int]:
        home = self._home(grant)
        cores = sorted(
            self._free_cores(),
            key=lambda core: (self._distance(core, home), -self.machine.rank_of(core)),
        )[: grant.cores]
        self._whole.update(cores)
        return [pu for core in cores for pu in (core.pus if grant.needs.smt == "use" else core.pus[:1])]

    def _own_pu(self, grant: Grant) -> Iterable[int]:
        home = self._home(grant)
        lowest = self.keeper.pus[0]
        free = [(core, pu) for core in self._common_cores() for pu in core.pus if pu not in self._single]
        # The lowest PU is the last choice: it belongs to the lanes that share.
        _, pu = min(
            free,
            key=lambda at: (
                at[1] == lowest,
                self._distance(at[0], home),
                -self.machine.rank_of(at[0]),
                at[0] == self.keeper,
            ),
        )
        self._single.add(pu)
        return [pu]

    def _shared_pus(self, grant: Grant) -> Iterable[int]:
        near = self.homes.get(grant.needs.group)
        # Nearness matters to lanes that talk to somebody; the others look for quiet cores first.
        around = near or self.machine.domain_of(self.keeper.pus[0])
        cores = sorted(
            (core for core in self._common_cores() if not self._single.issuperset(core.pus)),
            key=lambda core: (
                self._distance(core, near) if near else 0,
                self._urgency(core),
                self._distance(core, around),
                core == self.keeper,
            ),
        )
        return [pu for core in cores[: grant.cores] for pu in core.pus if pu not in self._single]

    def _distance(self, core: Core, home: Domain) -> int:
        """Rank how far `core` is from `home`: 0 inside, then its NUMA node, its package, beyond."""
        pu, there = core.pus[0], home.cores[0].pus[0]
        if pu in home.pus:
            return 0
        if self.machine.numa_of(pu) == self.machine.numa_of(there):
            return 1
        return 2 if self.machine.package_of(pu) == self.machine.package_of(there) else 3

    def _urgency(self, core: Core) -> int:
        """Rank `core` by its most urgent lane: lowest where it is unused."""
        lanes = (LANES.index(lane) for lane, pus in self.pus.items() if not set(core.pus).isdisjoint(pus))
        return -min(lanes, default=len(LANES))

    def _home(self, grant: Grant) -> Domain:
        group = _group(grant)
        if group not in self.homes:
            self.homes[group] = self._choose_home(group)
        return self.homes[group]

    def _choose_home(self, group: str) -> Domain:
        members = [grant for grant in self.grants if _group(grant) == group]
        whole = sum(grant.cores for grant in members if grant.level == "cores")
        wanted = sum(grant.cores for grant in members)
        used = set(self.homes.values())

        def worth(domain: Domain) -> tuple[int, int, int, bool, bool]:
            free = [core for core in self._free_cores() if core.pus[0] in domain.pus]
            ranks = sorted((self.machine.rank_of(core) for core in free), reverse=True)
            return (
                min(len(free), whole),
                sum(ranks[:whole]),
                min(len(free), wanted),
                domain not in used,
                self.keeper.pus[0] not in domain.pus,
            )

        # max() keeps the first of equals: the domain that comes first in the machine.
        return max(self.machine.domains, key=worth)

    def _free_cores(self) -> list[Core]:
        withheld = self._whole if all_whole(self.grants) else {*self._whole, self.keeper}
        return [core for core in self.cores if core not in withheld]

    def _common_cores(self) -> list[Core]:
        return [core for core in self.cores if core not in self._whole]


def _group(grant: Grant) -> str:
    # A space cannot be confused with a group's name: group names are checked to have none.
    return grant.needs.group or f"lane {grant.lane}"
