"""The map of a machine with its lanes."""

from __future__ import annotations

import io

import msgspec
import pytest
from rich.console import Console

from tallyio.kernel.draw import MachineMap, draw_text
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import load_profile, profile_names


def drawn(synthetic: str, profile: str, *, width: int = 80) -> str:
    """Return the map of a synthetic machine with a profile's lanes."""
    return drawn_on(Machine.from_synthetic(synthetic), profile, width=width)


def drawn_on(machine: Machine, profile: str, *, width: int = 80) -> str:
    """Return the map of a machine with a profile's lanes."""
    return draw_text(machine, place(machine, load_profile(profile)), width=width)


def test_two_pus_name_their_lanes() -> None:
    assert drawn("Package:1 L3:1(size=33554432) Core:2 PU:1", "ci").splitlines()[2:6] == [
        "╭─ L3#0 · 32 MiB ─────────────────────────────────────────────────────────────╮",
        "│ core 0  PU 0  c  control feeds risk network simulation analytics background │",
        "│ core 1  PU 1  H  hot                                                        │",
        "╰─────────────────────────────────────────────────────────────────────────────╯",
    ]


def test_the_9454p_is_eight_boxes_in_two_rows() -> None:
    profile = load_profile("epyc_9454p")
    lines = drawn(profile.machine.synthetic, profile.name).splitlines()
    assert lines[2:6] == [
        "╭─ L3#0 · 32 MiB ─╮ ╭─ L3#1 · 32 MiB ─╮ ╭─ L3#2 · 32 MiB ─╮ ╭─ L3#3 · 32 MiB ─╮",
        "│  0-5 B A A B B B│ │ 6-11 H C F R N N│ │12-17 S S S S S S│ │18-23 · · · · · ·│",
        "│48-53 B A A B B B│ │54-59 ○ ○ ○ ○ N N│ │60-65 S S S S S S│ │66-71 · · · · · ·│",
        "╰─────────────────╯ ╰─────────────────╯ ╰─────────────────╯ ╰─────────────────╯",
    ]
    assert lines[-1] == "○ left idle for its neighbour   · free"


@pytest.mark.parametrize("width", [40, 80, 160])
@pytest.mark.parametrize("name", profile_names())
def test_a_map_keeps_to_its_width(name: str, width: int) -> None:
    text = drawn_on(load_profile(name).machine.read(), name, width=width)
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", profile_names())
def test_every_lane_has_a_line_in_the_legend(name: str) -> None:
    text = drawn_on(load_profile(name).machine.read(), name)
    for lane in ("H hot", "C control", "F feeds", "R risk", "N network", "S simulation", "B background"):
        assert sum(line.startswith(lane) for line in text.splitlines()) == 1


def test_losses_stand_on_lines_of_their_own() -> None:
    lines = [line.strip() for line in drawn("core:1 pu:1", "ci").splitlines()]
    assert "▲ the profile asks for 1 core of its own: 1 PU on 1" in lines


def test_pus_that_are_not_ours_are_crossed_out() -> None:
    machine = msgspec.structs.replace(Machine.from_synthetic("l3:2 core:8 pu:1"), allowed=frozenset({8, 9}))
    lines = draw_text(machine, place(machine, load_profile("ci"))).splitlines()
    assert lines[3] == "│ 0-7 x x x x x x x x│ │8-15 c H x x x x x x│"
    assert lines[-1] == "lower case shared   x not ours"


def test_packages_and_numa_nodes_are_named_where_there_are_several() -> None:
    text = drawn("package:2 [numa] l3:2 core:4 pu:1", "workstation")
    assert "package 0\n" in text
    assert "package 1\n" in text
    assert "╰─ NUMA node 1" in text


def test_a_machine_without_lanes_is_a_plain_map() -> None:
    text = draw_text(Machine.from_synthetic("pu:2"))
    assert "PU 1  ·  free" in text
    assert "hot" not in text


def test_cores_of_unequal_size_and_long_numbers_keep_their_columns() -> None:
    lines = drawn("package:1 l3:1 core:20 pu:2(indexes=2*20:1*2)", "workstation").splitlines()
    assert len({len(line) for line in lines[2:8]}) == 1


def test_a_terminal_without_unicode_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", errors="strict")
    machine = Machine.from_synthetic("l3:1 core:2 pu:2")
    Console(file=stream, width=80, color_system=None).print(
        MachineMap(machine, place(machine, load_profile("ci")))
    )
    stream.flush()
    assert b"core 1  PU 2  H  hot" in raw.getvalue()


def test_the_small_form_leaves_out_the_reasons() -> None:
    machine = Machine.from_synthetic("l3:1 core:2 pu:1")
    console = Console(file=io.StringIO(), width=80, color_system=None)
    with console.capture() as captured:
        console.print(MachineMap(machine, place(machine, load_profile("ci")), explain=False))
    assert "H hot" in captured.get()
    assert "of its own" not in captured.get()
