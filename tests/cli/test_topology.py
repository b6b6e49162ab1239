"""`tallyio topology`."""

from __future__ import annotations

import json

import pytest

from tallyio.cli.topology import topology
from tallyio.kernel.profile import profile_names
from tallyio.model.errors import ConfigError


def test_this_machine_is_drawn_with_its_lanes(capsys: pytest.CaptureFixture[str]) -> None:
    topology()
    shown = capsys.readouterr().out
    assert shown.startswith("this system")
    assert "H hot" in shown


@pytest.mark.parametrize("profile", profile_names())
def test_json_describes_machine_profile_and_placement(
    profile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topology(profile=profile, machine="package:1 l3:8 core:6 pu:2(indexes=2*48:1*2)", json=True)
    shown = json.loads(capsys.readouterr().out)
    assert [group["cores"] for group in shown["machine"]["l3_groups"]] == [6] * 8
    assert [len(group["pus"]) for group in shown["machine"]["l3_groups"]] == [12] * 8
    assert shown["machine"]["cores"][0]["pus"] == [0, 48]
    assert shown["profile"]["name"] == profile
    assert shown["placement"]["profile"] == profile
    assert {lane["lane"] for lane in shown["placement"]["lanes"]} >= {"hot", "control"}


def test_a_profile_that_was_written_for_another_machine_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    topology(profile="epyc_9454p", machine="core:4 pu:2")
    assert "cores: epyc_9454p is for 48, this machine has 4" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        ("core:none", "refuses the synthetic machine 'core:none'"),
        ("absent.xml", "cannot read the machine description absent.xml"),
        ("some/where", "cannot read the machine description some/where"),
    ],
)
def test_a_wrong_machine_is_named(machine: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        topology(machine=machine)


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'laptop'"):
        topology(profile="latop")
