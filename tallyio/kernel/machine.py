"""The machine as hwloc found it: packages, NUMA nodes, L3 groups, cores and PUs, immutable.

Layer: kernel. Everything is named by PUs' OS indexes (`P#`), because logical indexes
renumber when SMT is switched off; `topology_hash` tells two shapes apart. Parts are related
by cpuset inclusion only, never by arithmetic on numbers: PU 48 is core 0's second PU on one
machine and the first of core 24 on another.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

import msgspec

from tallyio.kernel.cpuset import CpuSet, format_cpuset
from tallyio.kernel.distances import Distances
from tallyio.kernel.irq import PuInterrupts

_SETS = ("pus", "allowed", "offline", "isolated", "nohz_full", "allowed_nodes")


class Package(msgspec.Struct, frozen=True, kw_only=True):
    """What sits in one socket."""

    os_index: int
    pus: CpuSet
    model: str = ""
    """The vendor's name of the chip, where known."""


class NumaNode(msgspec.Struct, frozen=True, kw_only=True):
    """Memory, and the PUs it is local to: none for a memory-only node."""

    os_index: int
    pus: CpuSet
    memory_bytes: int


class L3Group(msgspec.Struct, frozen=True, kw_only=True):
    """The PUs that share one L3 cache."""

    pus: CpuSet
    size_bytes: int


class CoreKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of core of a hybrid machine."""

    name: str
    """"performance", "efficiency", "low power", or "kind N" where the vendor is silent."""
    rank: int
    """Higher is faster; 0 for all kinds where the OS gives no order."""
    pus: CpuSet


class Core(msgspec.Struct, frozen=True, kw_only=True):
    """A physical core, or a lone PU where the machine shows no cores (odd virtual machines)."""

    os_index: int | None
    """The OS's number, unique within a package only; None for a lone PU."""
    pus: tuple[int, ...]
    """Its PUs by OS index, ascending; the later ones are the SMT siblings of the first."""


class Domain(msgspec.Struct, frozen=True, kw_only=True):
    """Cores that reach each other fastest: an L3 group, or the closest thing the machine has."""

    name: str
    """"L3#0", or "package 0", "NUMA node 0", "machine" for PUs under no L3."""
    cores: tuple[Core, ...]
    pus: CpuSet
    l3_bytes: int
    """0 where there is no L3."""


class Machine(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One machine. Compare by `topology_hash`; choose PUs from `allowed` only."""

    name: str
    """Where it came from: "this system", a file's name, or "synthetic"."""
    packages: tuple[Package, ...]
    numa_nodes: tuple[NumaNode, ...]
    l3_groups: tuple[L3Group, ...]
    cores: tuple[Core, ...]
    """Every core, in hwloc's logical order: neighbours in the tuple are neighbours in silicon."""
    core_kinds: tuple[CoreKind, ...]
    """Empty where all cores are alike."""
    pus: CpuSet
    """All online PUs."""
    allowed: CpuSet
    """The PUs this process may use: never empty, a subset of `pus`."""
    cpu_quota: float | None
    """CPU time per wall time that the cgroup grants, in CPUs; None where unlimited."""
    is_this_system: bool
    """False for a description: binding to it would succeed and do nothing, so it is refused."""
    allowed_nodes: frozenset[int] = frozenset()
    """The NUMA nodes whose memory this process may use, by OS index."""
    offline: CpuSet = frozenset()
    """PUs that exist and are switched off, SMT siblings included: not among `pus`."""
    isolated: CpuSet = frozenset()
    """Online PUs that the OS's scheduler leaves alone (kernel parameter isolcpus)."""
    nohz_full: CpuSet = frozenset()
    """Online PUs without the scheduler's tick while one thread runs there."""
    distances: tuple[Distances, ...] = ()
    """The latency matrices that the firmware gives, as hwloc reads them."""
    interrupts: tuple[PuInterrupts, ...] = ()
    """What devices do to each PU; empty for a description."""

    @classmethod
    def this_system(cls, *, root: Path = Path("/")) -> Machine:
        """Read the machine this process runs on.

        `allowed` is what hwloc, the affinity mask (`taskset`) and the cgroup's cpuset leave
        together. `root` is where proc and sys are looked for.
        Raises: EnvironmentFault: hwloc cannot read the machine, or no PU is left.
        """
        from tallyio.kernel import hwloc_reader  # noqa: PLC0415 - hwloc's library loads when needed

        return hwloc_reader.read_this_system(root)

    @classmethod
    def from_xml(cls, path: Path) -> Machine:
        """Read an hwloc XML description (`lstopo file.xml`).

        Raises: ConfigError: no such file, or hwloc refuses it.
        """
        from tallyio.kernel import hwloc_reader  # noqa: PLC0415 - hwloc's library loads when needed

        return hwloc_reader.read_xml(path)

    @classmethod
    def from_synthetic(cls, text: str) -> Machine:
        """Build the machine that an hwloc synthetic string describes ("Package:1 Core:4 PU:2").

        Raises: ConfigError: hwloc refuses the string, or it asks for an absurd machine.
        """
        from tallyio.kernel import hwloc_reader  # noqa: PLC0415 - hwloc's library loads when needed

        return hwloc_reader.read_synthetic(text)

    @property
    def memory_bytes(self) -> int:
        """Memory of all NUMA nodes together, in bytes; 0 where the description has none."""
        return sum(node.memory_bytes for node in self.numa_nodes)

    @property
    def model(self) -> str:
        """The vendor's name of the first chip that has one, or ""."""
        return next((package.model for package in self.packages if package.model), "")

    @property
    def threads_per_core(self) -> int:
        """PUs of the widest core that are online: 1 where SMT is off or absent."""
        return max(len(core.pus) for core in self.cores)

    @property
    def memory_only_nodes(self) -> tuple[NumaNode, ...]:
        """NUMA nodes without PUs, such as memory behind CXL."""
        return tuple(node for node in self.numa_nodes if not node.pus)

    @cached_property
    def sub_numa(self) -> bool:
        """Whether a package is divided into several NUMA nodes, each with PUs of its own."""
        nodes = [node.pus for node in self.numa_nodes if node.pus]
        return any(
            first < package.pus and second < package.pus and first.isdisjoint(second)
            for package in self.packages
            for first in nodes
            for second in nodes
        )

    @cached_property
    def topology_hash(self) -> str:
        """16 hex digits over which PUs share what: equal for equal shapes.

        Sizes, memory, model names and what is allowed are left out: they differ between
        two machines on which the same placement is right.
        """
        shape = (self.packages, self.numa_nodes, self.l3_groups, self.cores)
        lines = ["|".join(format_cpuset(part.pus) for part in parts) for parts in shape]
        lines.append("|".join(f"{kind.rank}:{format_cpuset(kind.pus)}" for kind in self.core_kinds))
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]

    @cached_property
    def domains(self) -> tuple[Domain, ...]:
        """All cores, divided by what they share: each core is in exactly one domain.

        PUs under no L3 (old machines, small virtual ones, low-power cores) are grouped by
        package, else by NUMA node, else as the whole machine.
        """
        shared: list[tuple[str, CpuSet, int]] = [
            (f"L3#{index}", l3.pus, l3.size_bytes) for index, l3 in enumerate(self.l3_groups)
        ]
        shared += [(f"package {package.os_index}", package.pus, 0) for package in self.packages]
        shared += [(f"NUMA node {node.os_index}", node.pus, 0) for node in self.numa_nodes]
        left = list(self.cores)
        found: list[Domain] = []
        for name, pus, l3_bytes in (*shared, ("machine", self.pus, 0)):
            cores = tuple(core for core in left if pus.issuperset(core.pus))
            if cores:
                taken = set(cores)
                left = [core for core in left if core not in taken]
                own = frozenset(pu for core in cores for pu in core.pus)
                found.append(Domain(name=name, cores=cores, pus=own, l3_bytes=l3_bytes))
        return tuple(found)

    @cached_property
    def _core_of(self) -> dict[int, Core]:
        return {pu: core for core in self.cores for pu in core.pus}

    @cached_property
    def _domain_of(self) -> dict[int, Domain]:
        return {pu: domain for domain in self.domains for pu in domain.pus}

    @cached_property
    def _rank_of(self) -> dict[int, int]:
        return {pu: kind.rank for kind in self.core_kinds for pu in kind.pus}

    @cached_property
    def _numa_of(self) -> dict[int, NumaNode]:
        widest_first = sorted(self.numa_nodes, key=lambda node: (-len(node.pus), -node.os_index))
        return {pu: node for node in widest_first for pu in node.pus}

    def core_of(self, pu: int) -> Core:
        """Return the core that holds `pu`. Raises: KeyError: no such PU."""
        return self._core_of[pu]

    def siblings(self, pu: int) -> tuple[int, ...]:
        """Return the other PUs of the core that holds `pu`. Raises: KeyError: no such PU."""
        return tuple(other for other in self.core_of(pu).pus if other != pu)

    def domain_of(self, pu: int) -> Domain:
        """Return the domain that holds `pu`. Raises: KeyError: no such PU."""
        return self._domain_of[pu]

    def same_l3(self, pu: int, other: int) -> bool:
        """Tell whether one L3 cache is above both PUs."""
        return any({pu, other} <= l3.pus for l3 in self.l3_groups)

    def numa_of(self, pu: int) -> NumaNode | None:
        """Return the most local NUMA node of `pu`: the one that the fewest PUs share."""
        return self._numa_of.get(pu)

    def memory_near(self, pu: int) -> NumaNode | None:
        """Return the NUMA node with memory that is nearest to `pu`, None where none is known.

        Nodes with PUs of their own come before memory-only ones, which are slower.
        """
        usable = [
            node
            for node in self.numa_nodes
            if node.memory_bytes and (not self.allowed_nodes or node.os_index in self.allowed_nodes)
        ]

        def farness(node: NumaNode) -> tuple[bool, float, int, int]:
            inside = pu in node.pus
            return (not node.pus, 0.0 if inside else self._reach(pu, node), len(node.pus), node.os_index)

        return min(usable, key=farness, default=None)

    def relative_latency(self, first: int, second: int) -> float | None:
        """Return how many times farther than near the firmware puts two PUs apart; None if it is silent.

        The matrix between NUMA nodes decides; others only where that one is missing.
        """
        for matrix in sorted(self.distances, key=lambda matrix: matrix.between != "NUMANode"):
            row, column = matrix.row_of(first), matrix.row_of(second)
            if row is not None and column is not None:
                return matrix.ratio(row, column)
        return None

    def _reach(self, pu: int, node: NumaNode) -> float:
        for matrix in self.distances:
            row = matrix.row_of(pu)
            if matrix.between == "NUMANode" and row is not None and node.os_index in matrix.os_indexes:
                return matrix.ratio(row, matrix.os_indexes.index(node.os_index))
        package = self.package_of(pu)
        return 1.0 if package and package.pus & node.pus else 2.0

    def package_of(self, pu: int) -> Package | None:
        """Return the package that holds `pu`, None where the machine shows none."""
        return next((package for package in self.packages if pu in package.pus), None)

    def rank_of(self, core: Core) -> int:
        """Return how fast `core`'s kind is: higher is faster, 0 where all are alike."""
        return self._rank_of.get(core.pus[0], 0)

    def allowed_cores(self) -> tuple[Core, ...]:
        """Return the cores we may use, each with only its allowed PUs."""
        trimmed = ((core.os_index, tuple(pu for pu in core.pus if pu in self.allowed)) for core in self.cores)
        return tuple(Core(os_index=os_index, pus=pus) for os_index, pus in trimmed if pus)

    def to_json(self) -> dict[str, object]:
        """Return the machine as plain values; every `pus` is an ascending list of OS indexes.

        `{name, model, topology_hash, is_this_system, memory_bytes, cpu_quota, threads_per_core,
        sub_numa, pus, allowed, offline, isolated, nohz_full, allowed_nodes,
        packages: [{os_index, model, pus}], numa_nodes: [{os_index, memory_bytes, pus}],
        l3_groups: [{name, size_bytes, cores, pus}], cores: [{os_index, kind, pus}],
        core_kinds: [{name, rank, pus}], distances: [{between, os_indexes, pus, latency}],
        interrupts: [{pu, count, lines}]}`; `cores` of an L3 group counts them.
        """
        return {
            "name": self.name,
            "model": self.model,
            "topology_hash": self.topology_hash,
            "is_this_system": self.is_this_system,
            "memory_bytes": self.memory_bytes,
            "cpu_quota": self.cpu_quota,
            "threads_per_core": self.threads_per_core,
            "sub_numa": self.sub_numa,
            **{part: sorted(getattr(self, part)) for part in _SETS},
            "packages": [_plain(part) for part in self.packages],
            "numa_nodes": [_plain(part) for part in self.numa_nodes],
            "l3_groups": [
                {
                    "name": f"L3#{index}",
                    "size_bytes": l3.size_bytes,
                    "cores": sum(l3.pus.issuperset(core.pus) for core in self.cores),
                    "pus": sorted(l3.pus),
                }
                for index, l3 in enumerate(self.l3_groups)
            ],
            "cores": [{**_plain(core), "kind": self._kind_name(core)} for core in self.cores],
            "core_kinds": [_plain(kind) for kind in self.core_kinds],
            "distances": [matrix.to_json() for matrix in self.distances],
            "interrupts": [msgspec.structs.asdict(each) for each in self.interrupts],
        }

    def _kind_name(self, core: Core) -> str | None:
        return next((kind.name for kind in self.core_kinds if core.pus[0] in kind.pus), None)


def _plain(part: Package | NumaNode | Core | CoreKind) -> dict[str, object]:
    return {**msgspec.structs.asdict(part), "pus": sorted(part.pus)}
