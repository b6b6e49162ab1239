"""`tallyio doctor`."""

from __future__ import annotations

import json

import pytest

from tallyio.cli.doctor import doctor
from tallyio.kernel.doctor_lanes import CHECKS
from tallyio.model.errors import ConfigError


def test_every_check_is_shown_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(json=True)
    shown = json.loads(capsys.readouterr().out)
    assert len(shown["findings"]) == len(CHECKS)
    assert sum(shown["counts"].values()) == len(CHECKS)
    assert shown["findings"][0].keys() == {"name", "grade", "what", "why", "remedy", "commands", "boot"}


def test_people_read_that_nothing_was_changed(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(profile="laptop")
    shown = capsys.readouterr().out
    assert "clocksource" in shown
    assert "nothing was changed" in shown


def test_the_script_is_printed_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    doctor(profile="workstation", script=True)
    shown = capsys.readouterr().out
    assert shown.startswith("#!/bin/sh")
    assert "\nset -eu\n" in shown


def test_an_unknown_profile_is_named() -> None:
    with pytest.raises(ConfigError, match="did you mean 'workstation'"):
        doctor(profile="workstatoin")
