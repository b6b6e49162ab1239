"""`tallyio c2c`."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tallyio.cli import main
from tallyio.cli.c2c import _heat_table, _summary
from tallyio.cli.output import console
from tallyio.kernel.core_matrix import CoreMatrix
from tallyio.kernel.machine import Machine

TWO_PUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one PU has nobody to talk to")


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep data in a folder of the test."""
    monkeypatch.setenv("TALLYIO_DATA", str(tmp_path))
    return tmp_path


def matrix(machine: Machine) -> CoreMatrix:
    """Return made-up measurements: 30 ns under one L3, else 100."""
    pus = tuple(core.pus[0] for core in machine.cores)
    rows = tuple(tuple(0.0 if a == b else 30.0 if machine.same_l3(a, b) else 100.0 for b in pus) for a in pus)
    return CoreMatrix(
        topology_hash=machine.topology_hash,
        model="",
        pus=pus,
        one_way_ns=rows,
        spread_ns=rows,
        rounds=20,
        measured_at=0,
    )


@TWO_PUS
def test_the_matrix_is_shown_and_kept(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["c2c", "--rounds", "20"]) == 0
    shown = capsys.readouterr().out
    assert "PU 0" in shown
    assert "half of a pair's samples" in shown
    assert len(list((data / "c2c").glob("*.json"))) == 1


@TWO_PUS
def test_json_has_all_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["c2c", "--rounds", "20", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert Path(shown["path"]).is_file()
    assert len(shown["one_way_ns"]) == len(shown["pus"])


@TWO_PUS
def test_too_few_rounds_end_with_exit_code_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["c2c", "--rounds", "1"]) == 3
    assert "rounds must be >= 20" in capsys.readouterr().err


def test_large_machines_are_shown_in_colours_and_summed_up(capsys: pytest.CaptureFixture[str]) -> None:
    machine = Machine.from_synthetic("package:2 l3:2 core:4 pu:1")
    measured = matrix(machine)
    console().print(_heat_table(measured))
    shown = capsys.readouterr().out
    assert len(shown.splitlines()) == 16
    assert "30" not in shown
    assert [line.split("  ")[0] for line in _summary(machine, measured)] == [
        "under one L3",
        "in one package",
        "between packages",
        "half of a pair's samples lie within 100.0 ns",
    ]
