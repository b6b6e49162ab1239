"""Hardware profiles: shipped ones, wrong ones, and the choice of one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import (
    LANES,
    Expects,
    Fit,
    LaneNeeds,
    auto_profile,
    choose_profile,
    differences,
    load_profile,
    profile_names,
    read_profile,
)
from tallyio.kernel.resources import data_path
from tallyio.model.errors import ConfigError

SHIPPED = (
    "ci",
    "dual_xeon_numa",
    "epyc_9454p",
    "epyc_9454p_nps4",
    "epyc_9654_2s",
    "hybrid_desktop",
    "laptop",
    "workstation",
)


FIFO = 'scheduling = "fifo"'


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """Return a copy of the ci profile with `old` replaced."""
    text = (data_path("hardware_profiles") / "ci" / "profile.toml").read_text()
    assert old in text
    path = tmp_path / "profile.toml"
    path.write_text(text.replace(old, new, 1))
    return path


def test_the_first_machines_have_profiles() -> None:
    assert set(SHIPPED) == set(profile_names())


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_is_written_for_the_machine_it_names(name: str) -> None:
    profile = load_profile(name)
    machine = profile.machine.read()
    assert profile.name == name
    assert profile.machine.topology_hash == machine.topology_hash
    assert set(profile.lanes) == set(LANES)
    assert auto_profile(machine).profile == profile
    assert differences(profile, machine) == ()


@pytest.mark.parametrize("name", profile_names())
def test_a_shipped_profile_loses_nothing_on_its_own_machine(name: str) -> None:
    profile = load_profile(name)
    assert not [lane.lane for lane in place(profile.machine.read(), profile).lanes if lane.degraded]


def test_an_unknown_profile_names_the_nearest_and_the_list() -> None:
    with pytest.raises(
        ConfigError, match=r"'epyc_9454' \(did you mean 'epyc_9454p'\?\); take auto, one of ci,"
    ):
        load_profile("epyc_9454")


def test_a_profile_may_be_a_file_of_ones_own(tmp_path: Path) -> None:
    path = changed(tmp_path, "a small virtual machine", "my own")
    assert load_profile(str(path)).summary.startswith("my own")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("exclusive = true", "exclusiv = true", r"'lanes.hot.exclusiv' \(did you mean 'exclusive'\?\)"),
        ("[lanes.network]", "[lanes.netwrk]", r"'lanes.netwrk' \(did you mean 'network'\?\)"),
        ('[lanes.control]\ngroup = "market"', "", "the role 'control' is missing; add a table"),
        ("summary =", "sumary =", r"unknown key 'sumary' \(did you mean 'summary'\?\)"),
        ("pus = 1", 'pus = "one"', "fits.pus: Expected `int`, got `str`"),
        ("exclusive = true", 'wait = "sleep"', "lanes.hot.wait: Invalid enum value 'sleep'"),
        ("exclusive = true", 'wait = "poll"', "lanes.hot: a lane that waits by poll must be exclusive"),
        ("exclusive = true", 'smt = "use"', "lanes.hot: smt"),
        ("exclusive = true", "cores = 0", "lanes.hot: cores must be >= 1, was 0"),
        ("exclusive = true", "wait_budget_us = 5", "wait_budget_us > 0 goes with hybrid only"),
        ("exclusive = true", 'scheduling = "fifo"', "priority > 0 goes with fifo only"),
        (
            "exclusive = true",
            f"exclusive = true\n{FIFO}\npriority = 100",
            "priority must be 0 to 99, was 100",
        ),
        ("exclusive = true", f"{FIFO}\npriority = 5", "a fifo lane must be exclusive"),
        ("exclusive = true", "exclusive = true\ncount = 0", "lanes.hot: count must be 1 to 1024, was 0"),
        ("exclusive = true", 'l3 = "own"', 'l3 = "own" is for exclusive lanes'),
        (
            "exclusive = true",
            "exclusive = true\ncores = 2",
            r"want 2 cores \(hot 2\); its machine has 1 besides",
        ),
        ("[lanes.control]", "[lanes.control]\nexclusive = true", r"want 2 cores \(hot 1, control 1\)"),
        (
            "[lanes.control]",
            f"[lanes.control]\nexclusive = true\n{FIFO}\npriority = 5",
            "the Trio thread holds the GIL",
        ),
        ("Package:1", "Packet:1", r"hwloc refuses the synthetic machine 'Packet:1 .*write levels from"),
        ("Core:2", "Core:4", "topology_hash is '644700f5c151348a', but the machine described has"),
        ("[machine]", '[machine]\nxml = "m.xml"', "give either synthetic or xml"),
        ('group = "market"', 'group = "two words"', "a group's name has no spaces"),
        ("[lanes.network]", "[lanes]\nnetwork = 5\n[lanes.x]", "unknown role 'lanes.x'"),
        ("[machine]", "[engine]", "unknown key 'engine'"),
        ("synthetic =", "# synthetic =", "give either synthetic or xml"),
        ("topology_hash =", "topology_hash = 5 #", "machine.topology_hash: Expected `str`, got `int`"),
        ("[fits]", "[fits", "is not TOML.*line"),
    ],
)
def test_a_wrong_profile_names_the_file_the_key_and_the_rule(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises(ConfigError, match=message) as caught:
        read_profile(path)
    assert str(path) in str(caught.value)


def test_what_a_profile_leaves_out_shares_what_is_left(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    path.write_text(
        'summary = "mine"\n[machine]\nsynthetic = "l3:1 core:4 pu:1"\n[fits]\n[lanes.hot]\nexclusive = true\n'
        "[lanes.control]\n"
    )
    profile = read_profile(path)
    assert profile.lanes["simulation"] == LaneNeeds()
    assert profile.machine.topology_hash == Machine.from_synthetic("l3:1 core:4 pu:1").topology_hash
    assert profile.expects == Expects()


def test_two_groups_cannot_have_the_one_l3(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    shipped = (data_path("hardware_profiles") / "workstation" / "profile.toml").read_text()
    own = shipped.replace("[lanes.hot]\n", '[lanes.hot]\nl3 = "own"\n')
    path.write_text(own)
    with pytest.raises(ConfigError, match=r"lanes\.control: its group 'market' has an L3 of its own"):
        read_profile(path)
    own = own.replace("[lanes.control]\n", '[lanes.control]\nl3 = "own"\n')
    path.write_text(own)
    assert read_profile(path).lanes["hot"].l3 == "own"
    path.write_text(own.replace("[lanes.simulation]\n", '[lanes.simulation]\nl3 = "own"\n'))
    with pytest.raises(
        ConfigError, match=r"2 groups want an L3 of their own \(market, simulation\).*they overlap"
    ):
        read_profile(path)


def test_a_group_must_fit_under_its_l3(tmp_path: Path) -> None:
    path = tmp_path / "profile.toml"
    shipped = (data_path("hardware_profiles") / "epyc_9454p" / "profile.toml").read_text()
    path.write_text(shipped.replace("[lanes.hot]\n", "[lanes.hot]\ncores = 4\n"))
    with pytest.raises(
        ConfigError, match="group 'market' wants an L3 of its own for 7 cores; the largest has 6"
    ):
        read_profile(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the profile.*absent.toml: No such file"):
        load_profile(str(tmp_path / "absent.toml"))


def test_a_profile_that_was_asked_for_is_taken() -> None:
    choice = choose_profile("laptop", Machine.from_synthetic("core:1 pu:1"))
    assert (choice.profile.name, choice.why) == ("laptop", "profile laptop was asked for")


@pytest.mark.parametrize(
    ("synthetic", "name"),
    [
        ("pu:1", "ci"),
        ("core:3 pu:1", "ci"),
        ("core:4 pu:1", "laptop"),
        ("core:6 pu:1", "workstation"),
        ("package:2 l3:4 core:12 pu:2", "epyc_9454p"),
        ("package:2 core:48 pu:2", "workstation"),
        ("package:2 [numa] l3:1 core:18 pu:2", "dual_xeon_numa"),
        ("package:1 group:4 [numa] l3:2 core:8 pu:2", "epyc_9454p_nps4"),
    ],
)
def test_auto_takes_the_most_demanding_profile_that_fits(synthetic: str, name: str) -> None:
    choice = auto_profile(Machine.from_synthetic(synthetic))
    assert choice.profile.name == name
    assert f"{name} asks for" in choice.why


def test_auto_counts_only_what_we_are_allowed() -> None:
    epyc = Machine.from_synthetic(load_profile("epyc_9454p").machine.synthetic)
    two_cores = msgspec.structs.replace(epyc, allowed=frozenset({0, 1, 48, 49}))
    assert auto_profile(two_cores).profile.name == "laptop"


def test_auto_says_what_no_profile_fits() -> None:
    big = msgspec.structs.replace(load_profile("laptop"), fits=Fit(cores=512))
    with pytest.raises(
        ConfigError, match=r"no profile fits a machine of 1 core and 1 PU; name one of laptop"
    ):
        auto_profile(Machine.from_synthetic("pu:1"), [big])


def test_a_profile_on_another_machine_says_what_differs() -> None:
    profile = load_profile("laptop")
    assert differences(profile, Machine.from_synthetic("package:2 l3:1 core:2 pu:2")) == (
        "packages: laptop is for 1, this machine has 2",
        "L3 groups: laptop is for 1, this machine has 2",
    )
    hybrid = load_profile("hybrid_desktop")
    assert "kinds of cores: hybrid_desktop is for 2, this machine has 1" in differences(
        hybrid, Machine.from_synthetic("core:16 pu:1")
    )
    renumbered = Machine.from_synthetic("package:1 l3:1 core:4 pu:2(indexes=2*4:1*2)")
    assert differences(profile, renumbered) == ("the counts agree, but other PUs share cores or caches",)
