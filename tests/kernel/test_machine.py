"""Machines from this system, from synthetic strings and from XML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyio.kernel.hwloc_reader import _allowed
from tallyio.kernel.machine import Core, Machine
from tallyio.kernel.profile import load_profile
from tallyio.model.errors import ConfigError, EnvironmentFault

HYBRID_XML = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE topology SYSTEM "hwloc2.dtd">
<topology version="2.0">
 <object type="Machine" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000000f"
   allowed_cpuset="0x0000000f" nodeset="0x00000001" complete_nodeset="0x00000001"
   allowed_nodeset="0x00000001" gp_index="1">
  <object type="NUMANode" os_index="0" cpuset="0x0000000f" complete_cpuset="0x0000000f"
    nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="2" local_memory="1024"/>
  <object type="L3Cache" cpuset="0x00000007" complete_cpuset="0x00000007" nodeset="0x00000001"
    complete_nodeset="0x00000001" gp_index="3" cache_size="1048576" depth="3"
    cache_linesize="64" cache_associativity="16" cache_type="0">
   <object type="Core" os_index="0" cpuset="0x00000003" complete_cpuset="0x00000003"
     nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="4">
    <object type="PU" os_index="0" cpuset="0x00000001" complete_cpuset="0x00000001"
      nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="5"/>
    <object type="PU" os_index="1" cpuset="0x00000002" complete_cpuset="0x00000002"
      nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="6"/>
   </object>
   <object type="Core" os_index="1" cpuset="0x00000004" complete_cpuset="0x00000004"
     nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="7">
    <object type="PU" os_index="2" cpuset="0x00000004" complete_cpuset="0x00000004"
      nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="8"/>
   </object>
  </object>
  <object type="Core" os_index="2" cpuset="0x00000008" complete_cpuset="0x00000008"
    nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="9">
   <object type="PU" os_index="3" cpuset="0x00000008" complete_cpuset="0x00000008"
     nodeset="0x00000001" complete_nodeset="0x00000001" gp_index="10"/>
  </object>
 </object>
 <cpukind cpuset="0x00000008"><info name="CoreType" value="IntelLowPower"/></cpukind>
 <cpukind cpuset="0x00000004"><info name="CoreType" value="IntelAtom"/></cpukind>
 <cpukind cpuset="0x00000003"><info name="CoreType" value="IntelCore"/></cpukind>
</topology>
"""


@pytest.fixture(scope="module")
def epyc() -> Machine:
    """The EPYC 9454P as its profile describes it."""
    return Machine.from_synthetic(load_profile("epyc_9454p").machine.synthetic)


def test_the_9454p_has_eight_l3_groups_of_six_cores(epyc: Machine) -> None:
    assert [len(domain.cores) for domain in epyc.domains] == [6] * 8
    assert [len(l3.pus) for l3 in epyc.l3_groups] == [12] * 8
    assert len(epyc.cores) == 48
    assert len(epyc.pus) == 96
    assert epyc.core_of(0).pus == (0, 48)
    assert epyc.memory_bytes == 405_874_409_472


def test_siblings_and_caches_come_from_cpusets(epyc: Machine) -> None:
    assert epyc.siblings(53) == (5,)
    assert epyc.same_l3(5, 48)
    assert not epyc.same_l3(5, 6)
    assert epyc.domain_of(54).name == "L3#1"


def test_sub_numa_clustering_gives_each_pu_its_nearest_node() -> None:
    nps4 = Machine.from_synthetic(
        "Package:1 Group:4 [NUMANode(memory=1024)] L3:2(size=1024) L2:6 Core:1 PU:2(indexes=2*48:1*2)"
    )
    assert len(nps4.numa_nodes) == 4
    node = nps4.numa_of(60)
    assert node is not None
    assert node.os_index == 1


def test_the_hash_tells_shapes_apart_and_nothing_else(epyc: Machine) -> None:
    smaller_memory = Machine.from_synthetic(
        "Package:1 [NUMANode(memory=4096)] L3:8(size=1) L2:6 Core:1 PU:2(indexes=2*48:1*2)"
    )
    other_numbers = Machine.from_synthetic("Package:1 L3:8 Core:6 PU:2")
    assert smaller_memory.topology_hash == epyc.topology_hash
    assert other_numbers.topology_hash != epyc.topology_hash


@pytest.mark.parametrize("text", ["pu:2", "numa:1 pu:2"])
def test_a_machine_without_cores_has_one_core_per_pu(text: str) -> None:
    machine = Machine.from_synthetic(text)
    assert machine.cores == (Core(os_index=None, pus=(0,)), Core(os_index=None, pus=(1,)))
    assert [domain.pus for domain in machine.domains] == [{0, 1}]
    assert not machine.same_l3(0, 1)
    assert machine.package_of(0) is None


def test_cores_under_no_l3_form_a_domain_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "hybrid.xml"
    path.write_text(HYBRID_XML)
    machine = Machine.from_xml(path)
    assert [(domain.name, set(domain.pus)) for domain in machine.domains] == [
        ("L3#0", {0, 1, 2}),
        ("NUMA node 0", {3}),
    ]


def test_hybrid_cores_are_ranked_by_speed(tmp_path: Path) -> None:
    path = tmp_path / "hybrid.xml"
    path.write_text(HYBRID_XML)
    machine = Machine.from_xml(path)
    assert [(kind.name, kind.rank) for kind in machine.core_kinds] == [
        ("low power", 0),
        ("efficiency", 1),
        ("performance", 2),
    ]
    assert [machine.rank_of(core) for core in machine.cores] == [2, 1, 0]


def test_this_system_offers_what_the_affinity_mask_allows() -> None:
    machine = Machine.this_system()
    assert machine.is_this_system
    assert machine.allowed <= os.sched_getaffinity(0) & machine.pus


def test_a_cgroup_narrows_this_system(tmp_path: Path) -> None:
    first = min(os.sched_getaffinity(0))
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "cpuset.cpus.effective").write_text(f"{first}\n")
    (group / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text("0::/\n")
    (tmp_path / "proc/self/mountinfo").write_text("41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n")
    machine = Machine.this_system(root=tmp_path)
    assert machine.allowed == {first}
    assert machine.cpu_quota == 1.5
    assert first in machine.pus


def test_no_pu_left_is_said_with_the_way_out() -> None:
    class Nothing:
        allowed_cpuset = (0, 1)

    with pytest.raises(EnvironmentFault, match=r"no PU is left.*0-1.*allowed 0 and 1; widen"):
        _allowed(Nothing(), frozenset({0, 1}), (frozenset({0}), frozenset({1})))  # type: ignore[arg-type]


def test_hwlocs_own_variables_give_a_description(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HWLOC_SYNTHETIC", "package:1 core:64 pu:1")
    machine = Machine.this_system()
    assert not machine.is_this_system
    assert len(machine.allowed) == 64


def test_a_description_is_not_this_system(epyc: Machine) -> None:
    assert not epyc.is_this_system


@pytest.mark.parametrize("text", ["", "nonsense", "core:x pu:2", "core:4"])
def test_a_synthetic_string_that_hwloc_refuses_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match=r"hwloc refuses the synthetic machine.*write levels"):
        Machine.from_synthetic(text)


def test_an_absurd_synthetic_machine_is_refused_before_it_is_built() -> None:
    with pytest.raises(ConfigError, match=r"10,000,000 PUs; describe at most 8,192"):
        Machine.from_synthetic("core:1000(size=5) pu:10000")


@pytest.mark.parametrize("text", ["Package:0x4000 PU:4", "16 16 16 16", "Package:040000 PU:1", "4096PU:4"])
def test_an_absurd_machine_is_counted_as_hwloc_counts(text: str) -> None:
    with pytest.raises(ConfigError, match=r"(16,384|65,536) PUs; describe at most 8,192"):
        Machine.from_synthetic(text)
    assert len(Machine.from_synthetic("Package:0x2 [NUMANode(memory=99999)] L3:02 Core:3 PU:1").pus) == 12


@pytest.mark.parametrize(
    ("where", "instead"),
    [
        ('complete_cpuset="0x0000000f"', 'complete_cpuset="0xf...f"'),
        ("</topology>", '<cpukind cpuset="0xf...f" forced_efficiency="9"/></topology>'),
        ("0x0000000f", "0xf...f"),
    ],
)
def test_a_set_without_an_end_is_cut_to_the_machine(where: str, instead: str, tmp_path: Path) -> None:
    path = tmp_path / "endless.xml"
    assert where in HYBRID_XML
    path.write_text(HYBRID_XML.replace(where, instead))
    machine = Machine.from_xml(path)
    assert (set(machine.pus), set(machine.offline)) == ({0, 1, 2, 3}, set())
    assert all(kind.pus <= machine.pus for kind in machine.core_kinds)


def test_a_missing_or_foreign_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"absent.xml: No such file"):
        Machine.from_xml(tmp_path / "absent.xml")
    (tmp_path / "page.xml").write_text("<html/>")
    with pytest.raises(ConfigError, match=r"hwloc refuses the machine description.*page.xml"):
        Machine.from_xml(tmp_path / "page.xml")
    (tmp_path / "bytes.xml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes.xml: it is not text"):
        Machine.from_xml(tmp_path / "bytes.xml")


def test_json_counts_cores_per_l3_group(epyc: Machine) -> None:
    plain = epyc.to_json()
    groups = plain["l3_groups"]
    assert isinstance(groups, list)
    assert groups[0] == {
        "name": "L3#0",
        "size_bytes": 33_554_432,
        "cores": 6,
        "pus": [*range(6), *range(48, 54)],
    }
    assert plain["cpu_quota"] is None
