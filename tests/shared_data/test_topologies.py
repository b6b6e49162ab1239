"""Real machines: hwloc's own test topologies, where the shared data folder lies beside the checkout."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tallyio.kernel.draw import draw_text
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import Placement, place
from tallyio.kernel.profile import auto_profile, load_profile, profile_names
from tallyio.kernel.svg import draw_svg

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FOLDER = "07_topology/hwloc"
SVG = "{http://www.w3.org/2000/svg}"

pytestmark = pytest.mark.skipif(
    not (DATA / FOLDER).is_dir(), reason=f"no shared data beside the checkout: {DATA / FOLDER} is absent"
)


def listed() -> dict[str, dict[str, int]]:
    """Return the counts that the index gives for each description, by file name."""
    index = DATA / "INDEX.md"
    rows = index.read_text(encoding="utf-8").splitlines() if index.is_file() else []
    found = (re.match(rf"\| `{FOLDER}/(?P<name>[^`]+)` .*?(?P<counts>{{.*?}})", row) for row in rows)
    return {row["name"]: json.loads(row["counts"]) for row in found if row}


CASES = listed() or {"absent": {}}


def test_the_index_lists_every_description() -> None:
    assert CASES.keys() == {path.name for path in (DATA / FOLDER).glob("*.xml")}


@pytest.mark.parametrize("name", CASES)
def test_counts_agree_with_the_index(name: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    counts = {
        "Package": len(machine.packages),
        "NUMANode": len(machine.numa_nodes),
        "L3Cache": len(machine.l3_groups),
        "Core": len(machine.cores),
        "PU": len(machine.pus),
    }
    assert counts == {kind: CASES[name].get(kind, 0) for kind in counts}


@pytest.mark.parametrize("name", CASES)
def test_cores_and_domains_divide_the_pus(name: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    assert sorted(pu for core in machine.cores for pu in core.pus) == sorted(machine.pus)
    assert sorted(pu for domain in machine.domains for pu in domain.pus) == sorted(machine.pus)


@pytest.mark.parametrize("name", CASES)
def test_what_the_firmware_says_is_square_and_about_parts_that_exist(name: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    for matrix in machine.distances:
        size = len(matrix.os_indexes)
        assert [len(row) for row in matrix.latency] == [size] * size
        assert all(pus <= machine.pus for pus in matrix.pus)
        assert all(matrix.ratio(row, row) >= 1.0 for row in range(size))
    assert {node.os_index for node in machine.numa_nodes} >= machine.allowed_nodes


def test_known_distances_and_kinds_are_read() -> None:
    opteron = Machine.from_xml(DATA / FOLDER / "16amd64-4distances.xml")
    assert {matrix.between for matrix in opteron.distances} == {"NUMANode", "Package", "Core", "PU"}
    power = Machine.from_xml(DATA / FOLDER / "power8gpudistances.xml")
    assert power.relative_latency(0, 80) == 4.0
    hybrid = Machine.from_xml(DATA / FOLDER / "Intel-ArrowLake-CoreUltra5-225U.xml")
    assert [kind.name for kind in hybrid.core_kinds] == ["low power", "efficiency", "performance"]
    fake = Machine.from_xml(DATA / FOLDER / "fakeheterocpunuma.xml")
    assert fake.sub_numa
    assert len(fake.core_kinds) == 3


@pytest.mark.parametrize("profile", [*profile_names(), "auto"])
@pytest.mark.parametrize("name", CASES)
def test_lanes_are_placed_explained_and_drawn(name: str, profile: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    asked = auto_profile(machine).profile if profile == "auto" else load_profile(profile)
    placement = place(machine, asked)
    _check_lanes(machine, placement)
    assert max(len(line) for line in draw_text(machine, placement).splitlines()) <= 80
    shown = [text.text for text in ET.fromstring(draw_svg(machine, placement)).iter(f"{SVG}text")]  # noqa: S314 - ours
    assert {lane.role for lane in placement.lanes} <= set(shown)
    assert {str(pu) for pu in machine.pus} <= set(shown)


def _check_lanes(machine: Machine, placement: Placement) -> None:
    """Exclusive cores are nobody else's, their siblings idle; whoever loses something says so."""
    for lane in placement.lanes:
        assert machine.allowed.issuperset(lane.cpuset)
        assert lane.reasons
        assert lane.choices
        if lane.level == "cores":
            cores = {pu for own in lane.cpuset for pu in machine.core_of(own).pus}
            others = {pu for other in placement.lanes if other is not lane for pu in other.cpuset}
            assert cores.isdisjoint(others)
            assert cores - set(lane.cpuset) == set(lane.idle_siblings)
        if machine.memory_bytes:
            assert lane.memory_nodes


@pytest.mark.parametrize("name", CASES)
def test_hot_lanes_and_their_rings_stay_under_one_l3_where_it_has_room(name: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    placement = place(machine, load_profile("epyc_9454p"))
    room = max(len(domain.cores) for domain in machine.domains)
    if room >= 7:
        market = {"hot", "control", "feeds", "risk"}
        rings = [ring for ring in placement.rings if {ring.source, ring.target} <= market]
        assert rings
        assert all(ring.one_cache for ring in rings)
