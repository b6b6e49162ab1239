"""Real machines: hwloc's own test topologies, where the shared data folder lies beside the checkout."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tallyio.kernel.draw import draw_text
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import auto_profile, load_profile, profile_names

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FOLDER = "07_topology/hwloc"

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


@pytest.mark.parametrize("profile", [*profile_names(), "auto"])
@pytest.mark.parametrize("name", CASES)
def test_lanes_are_placed_and_drawn(name: str, profile: str) -> None:
    machine = Machine.from_xml(DATA / FOLDER / name)
    asked = auto_profile(machine).profile if profile == "auto" else load_profile(profile)
    placement = place(machine, asked)
    assert all(machine.allowed.issuperset(lane.cpuset) for lane in placement.lanes)
    assert max(len(line) for line in draw_text(machine, placement).splitlines()) <= 80
