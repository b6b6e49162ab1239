"""The only module that touches hwloc: it turns a topology into a `Machine`.

Layer: kernel. Uses pyhwloc, whose wheel carries the library. Topologies are loaded while they
are constructed, so that a refused description leaves no half-made handle behind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

import msgspec
from pyhwloc.bitmap import Bitmap
from pyhwloc.hwloc.core import DistancesKind
from pyhwloc.hwloc.lib import HwLocError
from pyhwloc.hwobject import ObjType
from pyhwloc.topology import Topology, TopologyFlags

from tallyio.kernel.cgroup import read_limits
from tallyio.kernel.cpuset import MAX_PUS, CpuSet, format_cpuset
from tallyio.kernel.distances import Distances
from tallyio.kernel.irq import read_interrupts
from tallyio.kernel.machine import Core, CoreKind, L3Group, Machine, NumaNode, Package
from tallyio.kernel.os_files import read_list
from tallyio.model.errors import ConfigError, EnvironmentFault

_HWLOC_FAULTS = (HwLocError, ValueError, OSError, NotImplementedError, MemoryError)

# hwloc's names for what x86 and the OS report of hybrid cores.
_KIND_NAMES = {"IntelCore": "performance", "IntelAtom": "efficiency", "IntelLowPower": "low power"}

# What may stand in a latency matrix; others (devices) are no place for a lane.
_MEASURED = {
    ObjType.NUMANODE: "NUMANode",
    ObjType.PACKAGE: "Package",
    ObjType.CORE: "Core",
    ObjType.PU: "PU",
}

_XML_BYTES_MAX = 64 * 1024 * 1024

_COUNT = re.compile(r"(?<![A-Za-z0-9])(?:0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")


def read_this_system(root: Path) -> Machine:
    """Read this machine; see `Machine.this_system`."""
    try:
        # PUs that the cgroup forbids stay visible, so that the map shows the whole machine.
        topology = Topology.from_this_system().set_flags(TopologyFlags.INCLUDE_DISALLOWED).load()
    except _HWLOC_FAULTS as fault:
        raise EnvironmentFault(
            f"hwloc cannot read this machine: {fault}",
            way_out="check that /sys is mounted, or pass a description with --machine",
        ) from fault
    with topology:
        if not topology.is_this_system():
            # hwloc's own variables (HWLOC_XMLFILE, HWLOC_SYNTHETIC) put a description in our place.
            return _machine(topology, "described by HWLOC_*", (), quota=None)
        limits = read_limits(root)
        ours = frozenset(os.sched_getaffinity(0))
        machine = _machine(topology, "this system", (ours, limits.cpus), quota=limits.quota_cpus)
    return _with_settings(machine, root)


def _with_settings(machine: Machine, root: Path) -> Machine:
    """Add what the OS does with its PUs, which hwloc does not look at."""
    cpu = root / "sys/devices/system/cpu"

    def listed(name: str) -> CpuSet:
        return read_list(cpu / name) or frozenset()

    return msgspec.structs.replace(
        machine,
        offline=(machine.offline | listed("offline")) - machine.pus,
        isolated=listed("isolated") & machine.pus,
        nohz_full=listed("nohz_full") & machine.pus,
        interrupts=tuple(each for each in read_interrupts(root) if each.pu in machine.pus),
    )


def read_xml(path: Path) -> Machine:
    """Read an XML description; see `Machine.from_xml`."""
    try:
        if path.stat().st_size > _XML_BYTES_MAX:
            raise ConfigError(
                f"{path} is larger than any machine's description", way_out="pass an hwloc XML file"
            )
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as fault:
        raise ConfigError(
            f"cannot read the machine description {path}: {_reason(fault)}", way_out="pass an hwloc XML file"
        ) from fault
    refused = ConfigError(
        f"hwloc refuses the machine description {path}",
        way_out="make one with hwloc 2 (lstopo --of xml) on the machine it describes",
    )
    return _described(lambda: Topology.from_xml_buffer(text, load=True), path.name, refused)


def read_synthetic(text: str) -> Machine:
    """Build a described machine; see `Machine.from_synthetic`."""
    # hwloc would build millions of PUs, for minutes: count them first. A level's type may be left out.
    counts = [_count(written) for written in _COUNT.findall(re.sub(r"\([^)]*\)", " ", text))]
    if prod(counts) > MAX_PUS:
        raise ConfigError(
            f"the synthetic machine {text!r} has {prod(counts):,} PUs",
            way_out=f"describe at most {MAX_PUS:,}",
        )
    refused = ConfigError(
        f"hwloc refuses the synthetic machine {text!r}",
        way_out='write levels from the package down to the PU, such as "Package:1 L3:2 Core:4 PU:2"',
    )
    return _described(lambda: Topology.from_synthetic(text, load=True), "synthetic", refused)


def _count(written: str) -> int:
    # hwloc reads by C's strtoul: what begins with 0 is octal, with 0x hexadecimal.
    return int(written, 0) if written[:2] in {"0x", "0X"} or written[0] != "0" else int(written, 8)


def _described(load: Callable[[], Topology], name: str, refused: ConfigError) -> Machine:
    try:
        topology = load()
    except _HWLOC_FAULTS as fault:
        raise refused from fault
    with topology:
        return _machine(topology, name, (), quota=None)


def _machine(
    topology: Topology, name: str, limits: tuple[CpuSet | None, ...], *, quota: float | None
) -> Machine:
    cores = tuple(
        Core(os_index=_os_index(core), pus=tuple(sorted(_pus(core))))
        for core in _objects(topology, ObjType.CORE)
    )
    pus = frozenset(int(pu.os_index) for pu in _objects(topology, ObjType.PU))
    return Machine(
        name=name,
        packages=tuple(
            Package(os_index=package.os_index, pus=_pus(package), model=_model(package))
            for package in _objects(topology, ObjType.PACKAGE)
        ),
        numa_nodes=tuple(
            NumaNode(os_index=node.os_index, pus=_pus(node), memory_bytes=int(node.local_memory))
            for node in _objects(topology, ObjType.NUMANODE)
        ),
        l3_groups=tuple(
            L3Group(pus=_pus(l3), size_bytes=int(l3.size)) for l3 in _objects(topology, ObjType.L3CACHE)
        ),
        cores=cores + tuple(_lone_pus(topology, cores)),
        core_kinds=_core_kinds(topology, pus),
        pus=pus,
        allowed=_allowed(topology, pus, limits),
        cpu_quota=quota,
        is_this_system=bool(topology.is_this_system()),
        allowed_nodes=_members(topology.allowed_nodeset),
        offline=_offline(topology, pus),
        distances=tuple(_distances(topology)),
    )


def _objects(topology: Topology, kind: ObjType) -> Iterator[Any]:
    yield from topology.iter_objs_by_type(kind)


def _pus(part: Any) -> CpuSet:
    return _members(part.cpuset)


def _members(bitmap: Any) -> frozenset[int]:
    # A description may say "all" by a set without an end, or number what no machine has.
    numbers = Bitmap()
    numbers.set_range(0, MAX_PUS - 1)
    return frozenset() if bitmap is None else frozenset(numbers & bitmap)


def _offline(topology: Topology, pus: CpuSet) -> CpuSet:
    complete = topology.get_root_obj().complete_cpuset
    is_endless = complete is not None and complete.weight() < 0
    return frozenset() if is_endless else _members(complete) - pus


def _os_index(part: Any) -> int | None:
    # hwloc writes an unknown index as the largest unsigned int.
    return None if part.os_index >= 2**32 - 1 else int(part.os_index)


def _lone_pus(topology: Topology, cores: tuple[Core, ...]) -> Iterator[Core]:
    inside = {pu for core in cores for pu in core.pus}
    for pu in _objects(topology, ObjType.PU):
        if pu.os_index not in inside:
            yield Core(os_index=None, pus=(int(pu.os_index),))


def _core_kinds(topology: Topology, pus: CpuSet) -> tuple[CoreKind, ...]:
    kinds = topology.get_cpukinds()
    found = [kinds.get_info(index) for index in range(kinds.n_kinds())]
    if len(found) < 2:  # noqa: PLR2004 - one kind is no distinction
        return ()
    return tuple(
        CoreKind(
            name=_KIND_NAMES.get(info.get("CoreType", ""), f"kind {index}"),
            rank=max(efficiency, 0),
            pus=_members(cpuset) & pus,
        )
        for index, (cpuset, efficiency, info) in enumerate(found)
    )


def _distances(topology: Topology) -> Iterator[Distances]:
    for matrix in topology.get_distances(DistancesKind.VALUE_LATENCY):
        parts = matrix.objects
        if all(part.type == parts[0].type and part.type in _MEASURED for part in parts):
            size = range(len(parts))
            yield Distances(
                between=_MEASURED[parts[0].type],
                os_indexes=tuple(int(part.os_index) for part in parts),
                pus=tuple(_pus(part) for part in parts),
                latency=tuple(tuple(matrix[row, column] for column in size) for row in size),
            )


def _allowed(topology: Topology, pus: CpuSet, limits: tuple[CpuSet | None, ...]) -> CpuSet:
    granted = topology.allowed_cpuset
    allowed = frozenset(pu for pu in pus if pu in granted)
    for limit in limits:
        allowed = allowed if limit is None else allowed & limit
    if not allowed:
        listed = " and ".join(format_cpuset(limit) for limit in limits if limit is not None)
        raise EnvironmentFault(
            f"no PU is left to run on: the machine has {format_cpuset(pus)}, we are allowed {listed}",
            way_out="widen the cgroup's cpuset or the affinity mask (taskset)",
        )
    return allowed


def _model(package: Any) -> str:
    return str(package.info.get("CPUModel", "")).strip()


def _reason(fault: Exception) -> str:
    return (fault.strerror or str(fault)) if isinstance(fault, OSError) else "it is not text"
