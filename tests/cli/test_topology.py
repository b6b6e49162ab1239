"""`tallyio topology`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tallyio.cli import main
from tallyio.cli.topology import topology
from tallyio.kernel.profile import profile_names
from tallyio.model.errors import ConfigError, EnvironmentFault


def shown(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, list[dict[str, object]]]]:
    """Return the JSON that was printed."""
    return dict(json.loads(capsys.readouterr().out))


def test_this_machine_is_drawn_with_its_lanes(capsys: pytest.CaptureFixture[str]) -> None:
    topology()
    text = capsys.readouterr().out
    assert text.startswith("this system")
    assert "H hot" in text
    assert "drawn on this system" in text


def test_a_named_profile_is_drawn_on_the_machine_it_is_for(capsys: pytest.CaptureFixture[str]) -> None:
    topology(profile="epyc_9454p", json=True)
    plain = shown(capsys)
    machine, placement = plain["machine"], plain["placement"]
    assert [(group["cores"], len(group["pus"])) for group in machine["l3_groups"]] == [(6, 12)] * 8  # type: ignore[arg-type]
    assert machine["cores"][0]["pus"] == [0, 48]
    lanes = {str(lane["lane"]): lane for lane in placement["lanes"]}
    assert {lanes[name]["domain"] for name in ("hot", "control", "feeds", "risk", "network")} == {"L3#1"}
    assert lanes["hot"]["idle_siblings"] == [54]
    assert all(lane["choices"] and not lane["degraded"] for lane in lanes.values())
    assert "was written for" in str(plain["subject"])


def test_a_named_profile_is_put_on_this_system_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    topology(profile="epyc_9654_2s", machine="this")
    text = capsys.readouterr().out
    assert text.startswith("this system")
    assert "lanes with less than the profile asks for: hot" in text


@pytest.mark.parametrize("profile", profile_names())
def test_json_describes_machine_profile_and_placement(
    profile: str, capsys: pytest.CaptureFixture[str]
) -> None:
    topology(profile=profile, machine="package:1 l3:8 core:6 pu:2(indexes=2*48:1*2)", json=True)
    plain = shown(capsys)
    assert plain["machine"]["cores"][0]["pus"] == [0, 48]
    assert str(plain["profile"]["name"]) == profile
    assert {lane["lane"] for lane in plain["placement"]["lanes"]} >= {"hot", "control"}


def test_a_profile_that_was_written_for_another_machine_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    topology(profile="epyc_9454p", machine="core:4 pu:2")
    assert "cores: epyc_9454p is for 48, this machine has 4" in capsys.readouterr().out


def test_a_drawing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    topology(profile="ci", svg=tmp_path / "ci.svg")
    assert (tmp_path / "ci.svg").read_text().startswith("<svg")
    assert "drawn into" in capsys.readouterr().out
    with pytest.raises(EnvironmentFault, match="cannot write the drawing"):
        topology(profile="ci", svg=tmp_path / "absent" / "ci.svg")


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


def test_a_refused_machine_ends_with_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["topology", "--machine", "core:none"]) == 3
    assert "way out: write levels from the package down" in capsys.readouterr().err
