"""What the OS says of its PUs: interrupts, isolation, offline PUs; and what firmware says of distances."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tallyio.kernel.distances import Distances
from tallyio.kernel.irq import PuInterrupts, read_interrupts
from tallyio.kernel.machine import Machine, NumaNode
from tallyio.kernel.os_files import read_list, read_mask, read_text

INTERRUPTS = """\
           CPU0       CPU2
 24:         10          0  IO-APIC   5-edge      ACPI:Ged
 36:          5     151747 PCI-MSIX-0000:00:02.0   1-edge      virtio1-req.0
NMI:          0          0   Non-maskable interrupts
LOC:     601561     641666   Local timer interrupts
ERR:          0
"""


def build(root: Path, files: dict[str, str]) -> None:
    """Write `files` under `root`."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_device_interrupts_are_counted_by_the_names_of_their_columns(tmp_path: Path) -> None:
    build(
        tmp_path,
        {
            "proc/interrupts": INTERRUPTS,
            "proc/irq/24/smp_affinity_list": "0\n",
            "proc/irq/36/smp_affinity_list": "0,2\n",
            "proc/irq/default_smp_affinity": "5\n",
        },
    )
    assert read_interrupts(tmp_path) == (
        PuInterrupts(pu=0, count=15, lines=2),
        PuInterrupts(pu=2, count=151_747, lines=1),
    )


@pytest.mark.parametrize("text", ["", "rubbish\n 5: x\n", "CPU0\n 1: -3 x\n\n".replace("\n\n", "\n")])
def test_damaged_interrupt_tables_mean_nothing_is_known(tmp_path: Path, text: str) -> None:
    build(tmp_path, {"proc/interrupts": text})
    assert all(each.count == 0 for each in read_interrupts(tmp_path))


def test_this_system_tells_what_the_os_does_with_its_pus(tmp_path: Path) -> None:
    online = sorted(Machine.this_system().pus)
    first = min(os.sched_getaffinity(0))
    cpu = "sys/devices/system/cpu"
    build(
        tmp_path,
        {
            f"{cpu}/isolated": f"{first},8000\n",
            f"{cpu}/nohz_full": " (null)\n",
            f"{cpu}/offline": f"{online[-1]},7000-7001\n",
            "proc/interrupts": f"CPU{first}\n 1: 77 x\n",
        },
    )
    machine = Machine.this_system(root=tmp_path)
    assert machine.isolated == {first}
    assert machine.nohz_full == frozenset()
    assert machine.offline == {7000, 7001}
    assert machine.interrupts == (PuInterrupts(pu=first, count=77, lines=0),)


def test_files_that_are_absent_or_illegible_say_nothing(tmp_path: Path) -> None:
    build(tmp_path, {"list": "one\n", "mask": "xyz\n", "wide": "80000000,00000001\n"})
    assert read_text(tmp_path / "absent") is None
    assert read_list(tmp_path / "absent") is None
    assert read_list(tmp_path / "list") is None
    assert read_mask(tmp_path / "mask") is None
    assert read_mask(tmp_path / "wide") == frozenset({0, 63})


def two_nodes(*, latency: tuple[tuple[float, ...], ...] | None = None) -> Machine:
    """Return two packages with a NUMA node each, and a memory-only node behind the second."""
    machine = Machine.from_synthetic("package:2 [numa(memory=1024)] l3:1 core:2 pu:1")
    far = NumaNode(os_index=2, pus=frozenset(), memory_bytes=4096)
    rows = latency or ((10, 21, 31), (21, 10, 17), (31, 17, 10))
    matrix = Distances(
        between="NUMANode",
        os_indexes=(0, 1, 2),
        pus=(frozenset({0, 1}), frozenset({2, 3}), frozenset()),
        latency=rows,
    )
    return msgspec.structs.replace(
        machine,
        numa_nodes=(*machine.numa_nodes, far),
        distances=(matrix,),
        allowed_nodes=frozenset({0, 1, 2}),
    )


def test_firmware_distances_are_ratios() -> None:
    machine = two_nodes()
    assert machine.relative_latency(0, 1) == 1.0
    assert machine.relative_latency(0, 2) == 2.1
    assert Machine.from_synthetic("core:2 pu:1").relative_latency(0, 1) is None


def test_firmware_that_says_zero_is_not_believed() -> None:
    machine = two_nodes(latency=((0, 0, 0), (0, 0, 0), (0, 0, 0)))
    assert machine.relative_latency(0, 2) == 1.0


def test_memory_comes_from_ones_own_node_and_from_memory_only_nodes_last() -> None:
    machine = two_nodes()
    assert [node.os_index for node in machine.memory_only_nodes] == [2]
    assert [machine.memory_near(pu).os_index for pu in (0, 3)] == [0, 1]  # type: ignore[union-attr]
    forbidden = msgspec.structs.replace(machine, allowed_nodes=frozenset({1, 2}))
    assert forbidden.memory_near(0).os_index == 1  # type: ignore[union-attr]
    only_far = msgspec.structs.replace(machine, allowed_nodes=frozenset({2}))
    assert only_far.memory_near(0).os_index == 2  # type: ignore[union-attr]


def test_sub_numa_clustering_is_seen() -> None:
    assert Machine.from_synthetic("package:1 group:4 [numa] l3:2 core:2 pu:1").sub_numa
    assert not Machine.from_synthetic("package:2 [numa] l3:2 core:2 pu:1").sub_numa
    assert not Machine.from_synthetic("package:1 [numa] l3:2 core:2 pu:1").sub_numa


def test_smt_switched_off_leaves_one_pu_per_core() -> None:
    assert Machine.from_synthetic("core:4 pu:2").threads_per_core == 2
    assert Machine.from_synthetic("core:4 pu:1").threads_per_core == 1


def test_json_has_what_the_os_and_the_firmware_say() -> None:
    plain = msgspec.structs.replace(
        two_nodes(),
        isolated=frozenset({3}),
        interrupts=(PuInterrupts(pu=0, count=5, lines=1),),
        offline=frozenset({9, 8}),
    ).to_json()
    assert plain["isolated"] == [3]
    assert plain["offline"] == [8, 9]
    assert plain["interrupts"] == [{"pu": 0, "count": 5, "lines": 1}]
    assert plain["distances"] == [
        {
            "between": "NUMANode",
            "os_indexes": [0, 1, 2],
            "pus": [[0, 1], [2, 3], []],
            "latency": [[10, 21, 31], [21, 10, 17], [31, 17, 10]],
        }
    ]
