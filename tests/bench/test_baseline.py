"""Ratios that are kept, and what is said of a run beside them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tallyio.bench.baseline import (
    Baseline,
    baseline_of,
    differences,
    drifts,
    read_baseline,
    write_baseline,
)
from tallyio.bench.records import BenchReport, Spread, Surroundings, Verdict
from tallyio.model.errors import ConfigError

AROUND = Surroundings(
    python="CPython 3.12.1",
    pyperf="2",
    model="chip",
    topology_hash="x",
    pus=(0,),
    placement={"path": "somewhere"},
    note="",
    profile="ci",
    versions={"numba": "1"},
)


def verdict(name: str, low: float, median: float, high: float) -> Verdict:
    return Verdict(
        subject="protocol toy", name=name, state="kept", ratio=Spread(low=low, median=median, high=high)
    )


def report(*promises: Verdict, around: Surroundings = AROUND) -> BenchReport:
    return BenchReport(effort="fast", surroundings=around, promises=promises)


KEPT = baseline_of(report(verdict("toy.quote", 0.9, 1.0, 1.1)), "first words")


def test_a_baseline_holds_ratios_and_their_surroundings_and_no_place(tmp_path: Path) -> None:
    path = write_baseline(tmp_path, KEPT)
    assert path.name == "ci.json"
    assert "somewhere" not in path.read_text()
    assert set(msgspec.json.decode(path.read_bytes())) == {
        *("profile", "changelog", "effort", "model", "python", "versions", "ratios"),
    }
    assert read_baseline(tmp_path, "ci") == KEPT


@pytest.mark.parametrize(
    ("now", "state"),
    [
        ((1.2, 1.3, 1.4), "slower"),
        ((0.9, 1.3, 1.9), "same"),  # wide: the run was disturbed
        ((1.1, 1.2, 1.3), "same"),
        ((0.6, 0.7, 0.8), "faster"),
        ((0.5, 0.7, 1.2), "same"),
    ],
)
def test_a_ratio_has_drifted_if_it_took_a_step_and_the_run_was_not_disturbed(
    now: tuple[float, float, float], state: str
) -> None:
    [drift] = drifts(report(verdict("toy.quote", *now), verdict("toy.new", 1, 1, 1)), KEPT)
    assert (drift.name, drift.state) == ("toy.quote", state)
    assert drift.factor == pytest.approx(now[1])


def test_another_chip_or_python_is_told() -> None:
    elsewhere = msgspec.structs.replace(AROUND, model="another", python="CPython 3.13.0")
    assert list(differences(report(around=elsewhere), KEPT)) == [
        "chip: the baseline has chip, this run another",
        "Python: the baseline has CPython 3.12.1, this run CPython 3.13.0",
    ]
    assert list(differences(report(), KEPT)) == []


def test_a_run_with_a_failure_is_no_baseline() -> None:
    with pytest.raises(ConfigError, match=r"without: \['toy.quote'\]"):
        baseline_of(report(Verdict(subject="protocol toy", name="toy.quote", state="failed")), "words")


def test_a_profile_without_a_baseline_says_how_to_keep_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"laptop\.json is no baseline") as fault:
        read_baseline(tmp_path, "laptop")
    assert "--keep-baseline" in fault.value.way_out


def test_a_baseline_with_anything_else_in_it_is_refused(tmp_path: Path) -> None:
    raw = msgspec.to_builtins(KEPT) | {"host": "h"}
    (tmp_path / "ci.json").write_bytes(msgspec.json.encode(raw))
    with pytest.raises(ConfigError, match="unknown field"):
        read_baseline(tmp_path, "ci")


def test_baselines_are_frozen() -> None:
    with pytest.raises(AttributeError):
        KEPT.profile = "x"  # type: ignore[misc]
    assert isinstance(KEPT, Baseline)
