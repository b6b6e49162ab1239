"""Measuring core to core, and keeping what was measured."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from tallyio.kernel.c2c import measure_matrix, pairs_of
from tallyio.kernel.core_matrix import CoreMatrix, data_root, load_matrix, matrix_path, save_matrix
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import place
from tallyio.kernel.profile import choose_profile
from tallyio.kernel.threads import PinError
from tallyio.model.errors import ConfigError, EnvironmentFault

TWO_PUS = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one PU has nobody to talk to")


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep data in a folder of the test."""
    monkeypatch.setenv("TALLYIO_DATA", str(tmp_path))
    return tmp_path


def matrix(machine: Machine) -> CoreMatrix:
    """Return a matrix of two PUs for `machine`."""
    return CoreMatrix(
        topology_hash=machine.topology_hash,
        model=machine.model,
        pus=(0, 1),
        one_way_ns=((0.0, 40.5), (40.5, 0.0)),
        spread_ns=((0.0, 1.5), (1.5, 0.0)),
        rounds=100,
        measured_at=1_700_000_000,
    )


def test_cores_and_siblings_are_paired() -> None:
    machine = Machine.from_synthetic("l3:1 core:3 pu:2(indexes=2*3:1*2)")
    assert pairs_of(machine) == [(0, 1), (0, 2), (1, 2), (0, 3), (1, 4), (2, 5)]
    narrow = msgspec.structs.replace(machine, allowed=frozenset({1, 3, 4}))
    assert pairs_of(narrow) == [(3, 1), (1, 4)]


@TWO_PUS
def test_this_machine_is_measured_and_its_placement_uses_it(data: Path) -> None:
    machine = Machine.this_system()
    told: list[tuple[int, int]] = []
    measured = measure_matrix(machine, rounds=20, done=told.append)
    assert told == pairs_of(machine)
    first, second = told[0]
    between = measured.between(first, second)
    assert between is not None
    # Light needs a nanosecond for 30 cm; a second is not a latency.
    assert 1 < between < 1e9
    assert measured.between(second, first) == between
    assert measured.between(first, first) is None
    save_matrix(measured, machine)
    placement = place(machine, choose_profile("auto", machine).profile, matrix=load_matrix(machine))
    assert placement.measured


def test_a_description_cannot_be_measured() -> None:
    with pytest.raises(PinError, match="is not this system: nothing can be measured there"):
        measure_matrix(Machine.from_synthetic("core:2 pu:1"))


def test_one_pu_has_nobody_to_talk_to() -> None:
    machine = Machine.this_system()
    alone = msgspec.structs.replace(machine, allowed=frozenset({min(machine.allowed)}))
    with pytest.raises(EnvironmentFault, match=r"nothing to measure between.*widen the cgroup"):
        measure_matrix(alone)


@TWO_PUS
def test_too_few_rounds_are_refused() -> None:
    with pytest.raises(ConfigError, match="rounds must be >= 20, was 3"):
        measure_matrix(Machine.this_system(), rounds=3)


@TWO_PUS
def test_a_pu_that_is_gone_is_named_and_nobody_waits_for_it() -> None:
    machine = Machine.this_system()
    kept = sorted(machine.allowed)[:1]
    before = os.sched_getaffinity(0)
    gone = msgspec.structs.replace(
        machine,
        allowed=machine.allowed | {8_000},
        cores=(*machine.cores, msgspec.structs.replace(machine.cores[0], pus=(8_000,))),
    )
    narrow = msgspec.structs.replace(gone, allowed=frozenset({kept[0], 8_000}))
    with pytest.raises(PinError, match="cannot be pinned to PUs 8000"):
        measure_matrix(narrow, rounds=20)
    assert os.sched_getaffinity(0) == before


def test_what_is_kept_is_found_again(data: Path) -> None:
    machine = Machine.from_synthetic("core:2 pu:1")
    assert load_matrix(machine) is None
    path = save_matrix(matrix(machine), machine)
    assert path == matrix_path(machine) == data / "c2c" / f"{machine.topology_hash}.json"
    assert load_matrix(machine) == matrix(machine)
    assert [each.name for each in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("text", ["", "{}", "nonsense", '{"pus": [0]}'])
def test_a_damaged_file_is_as_good_as_none(data: Path, text: str) -> None:
    machine = Machine.from_synthetic("core:2 pu:1")
    save_matrix(matrix(machine), machine).write_text(text)
    assert load_matrix(machine) is None


def test_another_chip_of_the_same_shape_has_its_own_latencies(data: Path) -> None:
    machine = Machine.from_synthetic("core:2 pu:1")
    save_matrix(msgspec.structs.replace(matrix(machine), model="another"), machine)
    assert load_matrix(machine) is None


def test_a_matrix_is_square() -> None:
    with pytest.raises(ValueError, match="a matrix of 2 PUs must be square"):
        msgspec.structs.replace(matrix(Machine.from_synthetic("core:2 pu:1")), one_way_ns=((0.0,),))


def test_a_folder_that_cannot_be_written_is_named(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine.from_synthetic("core:2 pu:1")
    (data / "file").touch()
    monkeypatch.setenv("TALLYIO_DATA", str(data / "file"))
    with pytest.raises(EnvironmentFault, match="cannot keep the measurements"):
        save_matrix(matrix(machine), machine)


def test_data_lies_where_users_keep_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TALLYIO_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", "/somewhere")
    assert data_root() == Path("/somewhere/tallyio")
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/elsewhere")
    assert data_root() == Path("/elsewhere/.local/share/tallyio")
