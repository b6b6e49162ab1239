"""Two checkouts in turns, with toy plugins whose times are made up: nothing here depends on the machine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tallyio.bench import against
from tallyio.bench.against import compare_in_turns
from tallyio.bench.checkout import Checkout, other, package_folder, this_one
from tallyio.bench.compare import Comparison
from tallyio.bench.quick import measure_quickly
from tallyio.bench.records import BenchReport, Job
from tallyio.bench.run import run_jobs
from tallyio.bench.surroundings import look_around
from tallyio.cli.bench import bench, compare
from tallyio.cli.output import print_json
from tallyio.hooks.contract import Bench
from tallyio.model.errors import ConfigError

SCRIPT = """
import random
import pyperf

draw = random.Random()

def about(seconds):
    return lambda loops: loops * seconds * draw.uniform(0.99, 1.01)

runner = pyperf.Runner()
{benchmarks}
"""


def checkout(root: Path, **benchmarks: float) -> Path:
    """Write what looks like a checkout with one plugin, whose benchmarks take so many seconds."""
    package = root / "plugins" / "notifiers" / "toy" / "tallyio_notifier_toyturns"
    package.mkdir(parents=True)
    (root / "tallyio").mkdir()
    for folder in (package, root / "tallyio"):
        (folder / "__init__.py").touch()
    (package.parent / "pyproject.toml").touch()
    lines = [f'runner.bench_time_func("toy.{name}", about({value}))' for name, value in benchmarks.items()]
    (package / "bench.py").write_text(SCRIPT.format(benchmarks="\n".join(lines)))
    return root


def side(root: Path) -> Checkout:
    """Return a checkout that holds the toy alone: the `tallyio` beside it is empty."""
    full = this_one()
    plugin = root / "plugins" / "notifiers" / "toy"
    return Checkout(python=full.python, environment={**full.environment, "PYTHONPATH": str(plugin)})


def compared(tmp_path: Path, before: dict[str, float], after: dict[str, float]) -> Comparison:
    """Compare two such checkouts."""
    old, new = checkout(tmp_path / "a", **before), checkout(tmp_path / "b", **after)
    promises = tuple(
        Bench(name=f"toy.{name}", script="bench.py", reference="none", max_ratio=1)
        for name in {**before, **after}
    )
    script = new / "plugins/notifiers/toy/tallyio_notifier_toyturns/bench.py"
    job = Job(subject="notifier toy", script=script, promises=promises)
    return compare_in_turns([job], (side(old), side(new)), lanes={}, progress=lambda *_: None)


def test_what_became_slower_is_found_among_what_did_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(against, "SPARE_PAIRS", 1)
    found = compared(tmp_path, {"a": 0.001, "b": 0.001, "gone": 1.0}, {"a": 0.001, "b": 0.0011, "fresh": 1.0})
    assert {each.name: (each.outcome, each.why) for each in found.changes} == {
        "toy.a": ("same", ""),
        "toy.b": ("slower", ""),
        "toy.fresh": ("alone", "only in B"),
        "toy.gone": ("alone", "only in A"),
    }
    [slower] = [each for each in found.changes if each.outcome == "slower"]
    assert slower.factor == pytest.approx(1.1, abs=0.01)
    assert slower.processes[0] > against.FIRST_PAIRS


def test_a_checkout_without_an_environment_is_put_before_ours(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a", a=1.0)
    path = other(root).environment["PYTHONPATH"].split(":")
    assert path[:2] == [str(root), str(root / "plugins" / "notifiers" / "toy")]
    assert other(root).folders(["tallyio_notifier_toyturns", "tallyio_notifier_absent"]) == {
        "tallyio_notifier_toyturns": root / "plugins" / "notifiers" / "toy" / "tallyio_notifier_toyturns"
    }


def test_a_checkout_with_an_environment_runs_in_it(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a", a=1.0)
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    assert other(root).python == str(python)


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no checkout of TallyIO"):
        other(tmp_path)


def test_a_script_belongs_to_the_highest_package_above_it(tmp_path: Path) -> None:
    root = checkout(tmp_path / "a", a=1.0)
    package = root / "plugins/notifiers/toy/tallyio_notifier_toyturns"
    inner = package / "bench"
    inner.mkdir()
    (inner / "__init__.py").touch()
    assert package_folder(Job(subject="", script=inner / "x.py", promises=())) == package


def test_two_result_files_are_compared_from_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = checkout(tmp_path / "a", a=0.01, slow=0.02)
    script = root / "plugins/notifiers/toy/tallyio_notifier_toyturns/bench.py"
    promise = Bench(name="toy.a", script="bench.py", reference="toy.slow", max_ratio=1)
    job = Job(subject="notifier toy", script=script, promises=(promise,))
    verdicts = run_jobs([job], measure_quickly, progress=lambda *_: None)
    report = BenchReport(effort="quick", surroundings=look_around(), promises=tuple(verdicts))
    print_json(report)
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(capsys.readouterr().out or (tmp_path / "a.json").read_text())
    assert compare(tmp_path / "a.json", tmp_path / "b.json", json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["way"], found["changes"][0]["outcome"]) == ("apart", "undecided")
    assert compare(tmp_path / "a.json", tmp_path / "b.json") == 0
    assert "measure with --rounds" in " ".join(capsys.readouterr().out.split())


def test_what_is_no_result_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"a\.json is no result file"):
        compare(tmp_path / "a.json", tmp_path / "a.json")


def test_the_command_line_takes_a_checkout_to_measure_against(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no checkout"):
        bench("console", against=tmp_path)
