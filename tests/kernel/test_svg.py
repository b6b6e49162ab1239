"""The drawing of a machine for slides."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import msgspec
import pytest

from tallyio.kernel.machine import Machine, NumaNode
from tallyio.kernel.placement import place
from tallyio.kernel.profile import Profile, load_profile, profile_names
from tallyio.kernel.svg import draw_svg
from tallyio.kernel.svg_legend import COLOURS

SVG = "{http://www.w3.org/2000/svg}"


def drawn(machine: Machine, profile: Profile) -> ET.Element:
    """Return the parsed drawing."""
    return ET.fromstring(draw_svg(machine, place(machine, profile)))  # noqa: S314 - our own text


def words(root: ET.Element) -> list[str]:
    """Return all texts."""
    return [text.text or "" for text in root.iter(f"{SVG}text")]


@pytest.mark.parametrize("name", profile_names())
def test_every_lane_and_every_pu_is_in_the_drawing(name: str) -> None:
    profile = load_profile(name)
    machine = profile.machine.read()
    shown = words(drawn(machine, profile))
    for role in COLOURS:
        assert role in shown
    assert all(str(pu) in shown for pu in machine.pus)
    assert f"profile {name}" in shown[1]


@pytest.mark.parametrize("name", profile_names())
def test_nothing_lies_outside_and_cells_do_not_overlap(name: str) -> None:
    profile = load_profile(name)
    root = drawn(profile.machine.read(), profile)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    shift = root.find(f"{SVG}g")
    assert shift is not None
    rects = [rect.attrib for rect in shift.iter(f"{SVG}rect")]
    assert all(0 <= float(rect["x"]) <= width - float(rect["width"]) for rect in rects)
    assert all(0 <= float(rect["y"]) <= height - float(rect["height"]) for rect in rects)
    corners = {(rect["x"], rect["y"], rect["width"]) for rect in rects if rect["rx"] == "8"}
    assert len(corners) == len(profile.machine.read().cores)


def test_boxes_name_packages_nodes_and_caches() -> None:
    shown = words(drawn(load_profile("epyc_9654_2s").machine.read(), load_profile("epyc_9654_2s")))
    assert {"package 0", "package 1", "NUMA node 0", "NUMA node 1", "L3#0", "L3#23"} <= set(shown)


def test_rings_within_a_cache_differ_from_rings_between_caches() -> None:
    epyc = load_profile("epyc_9454p")
    paths = [path.attrib for path in drawn(epyc.machine.read(), epyc).iter(f"{SVG}path")]
    between = [path for path in paths if path.get("stroke-dasharray") == "7 5"]
    within = [path for path in paths if path.get("marker-end") == "url(#near)"]
    # analytics, simulation, background; hot-control, feeds-hot, control-risk, network-feeds,
    # control-network; and a line in the legend for each kind.
    assert (len(between), len(within)) == (3 + 1, 5 + 1)


def test_a_small_machine_has_a_label_for_every_lane() -> None:
    root = drawn(Machine.from_synthetic("l3:1 core:2 pu:1"), load_profile("ci"))
    assert [words(root).count(role) for role in COLOURS] == [2] * len(COLOURS)


def test_what_is_not_ours_is_struck_out() -> None:
    machine = msgspec.structs.replace(Machine.from_synthetic("l3:1 core:2 pu:1"), allowed=frozenset({1}))
    root = drawn(machine, load_profile("ci"))
    assert "not ours" in words(root)
    assert [text.text for text in root.iter(f"{SVG}text") if "text-decoration" in text.attrib] == ["0"]


def test_memory_only_nodes_stand_below() -> None:
    machine = Machine.from_synthetic("package:2 [numa] l3:1 core:2 pu:1")
    far = NumaNode(os_index=2, pus=frozenset(), memory_bytes=1 << 39)
    machine = msgspec.structs.replace(machine, numa_nodes=(*machine.numa_nodes, far))
    assert "NUMA node 2 is memory only: 512 GiB" in words(drawn(machine, load_profile("ci")))


def test_names_from_outside_are_escaped() -> None:
    machine = msgspec.structs.replace(Machine.from_synthetic("core:2 pu:1"), name="<&>")
    assert words(drawn(machine, load_profile("ci")))[0] == "<&>"


def test_what_xml_cannot_hold_is_replaced() -> None:
    machine = msgspec.structs.replace(Machine.from_synthetic("core:2 pu:1"), name="a\x1b[31m\x00\udc80.xml")
    assert words(drawn(machine, load_profile("ci")))[0] == "a\ufffd[31m\ufffd\ufffd.xml"
