"""The measuring scripts of `perf/`: what they choose, what they make of a run, what they write."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest

from perf import run
from perf.bench_demo import figures
from tallyio.bench.records import Figure, Surroundings, Verdict
from tallyio.model.errors import ConfigError

SUMMARY: dict[str, Any] = {
    "placement": {"profile": "ci"},
    "milestones_s": {"first_block": 2.0},
    "detect_us": {"p50": 50.0, "p99": 200.0},
    "stages_us": {
        "signed": {"p50": 900.0, "p99": 1_000.0, "count": 3},
        "bytes_in_to_signed": {"p50": 3_500.0, "p99": 4_000.0, "count": 3},
    },
    "rss_mb": 300.0,
}
AROUND = Surroundings(
    python="CPython", pyperf="2", model="", topology_hash=None, pus=(), placement=None, note="not pinned"
)


def by_name(summary: dict[str, Any]) -> dict[str, Figure]:
    return {each.name: each for each in figures(summary, {"demo.signed.p50": ("secp256k1", 20.0)})}


def test_a_demo_becomes_figures_beside_their_references() -> None:
    found = by_name(SUMMARY)
    assert list(found) == [
        "demo.start_to_first_block",
        "demo.detect.p50",
        "demo.detect.p99",
        "demo.signed.p50",
        "demo.signed.p99",
        "demo.bytes_in_to_signed.p50",
        "demo.bytes_in_to_signed.p99",
        "demo.rss",
    ]
    assert (found["demo.signed.p50"].reference, found["demo.signed.p50"].ratio) == ("secp256k1", 45.0)


def test_the_time_to_a_signature_has_a_goal_and_a_miss_says_who_was_waited_for() -> None:
    signed = by_name(SUMMARY)["demo.bytes_in_to_signed.p50"]
    assert signed.goal is not None
    assert (signed.state, signed.goal.aim, signed.budget) == ("missed", "<= 3000 us", None)
    assert signed.goal.why == "of it the loop waits for others: the signer's process 900 us"


def test_a_liquidation_of_the_demo_has_a_goal_which_breaks_nothing() -> None:
    found = {each.name: each for each in figures(SUMMARY, {}, "lending")}
    signed = found["demo.lending.bytes_in_to_signed.p50"]
    assert signed.goal is not None
    assert (signed.state, signed.goal.aim, signed.budget) == ("missed", "<= 2000 us", None)
    fast = SUMMARY["stages_us"] | {"bytes_in_to_signed": {"p50": 1_999.0, "p99": 9_000.0, "count": 3}}
    met = {each.name: each for each in figures(SUMMARY | {"stages_us": fast}, {}, "lending")}
    assert met["demo.lending.bytes_in_to_signed.p50"].state == "met"


def test_a_budget_is_judged_on_its_own_profile_only() -> None:
    here = by_name(SUMMARY)
    slow = by_name(SUMMARY | {"detect_us": {"p50": 101.0, "p99": 200.0}})
    assert (here["demo.detect.p50"].state, slow["demo.detect.p50"].state) == ("kept", "broken")
    elsewhere = by_name(SUMMARY | {"placement": {"profile": "laptop"}})
    assert elsewhere["demo.detect.p50"].state == "shown"


def test_all_means_the_plugins_and_no_script_of_the_folder() -> None:
    plain, jobs, faults = run.plan(["all"])
    assert (plain, faults) == ([], [])
    assert {job.subject for job in jobs} >= {"protocol uniswap_v2", "signer local_key"}
    assert not any(job.subject.startswith(run.CORE) for job in jobs)


def test_a_name_chooses_a_script_or_a_contract() -> None:
    assert run.plan(["demo"]) == (["demo"], [], [])
    plain, (job,), faults = run.plan(["startup"])
    assert (plain, job.script.name, faults) == ([], "bench_startup.py", [])
    assert job.script.is_file()
    everything, jobs, _ = run.plan([])
    assert "demo" in everything
    assert len(jobs) > 1


def test_an_unknown_name_comes_with_did_you_mean() -> None:
    with pytest.raises(ConfigError, match=r"did you mean \"startup\""):
        run.plan(["strtup"])


def test_results_of_one_run_leave_those_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "RESULTS", tmp_path / "results")
    verdict = Verdict(subject="protocol toy", name="toy.quote", state="failed", fault="it broke")
    run.save(run.Found(verdicts=[verdict]), AROUND, "fast")
    run.save(run.Found(figures={"demo": [Figure(name="demo.rss", value=1.0, unit="MiB")]}), AROUND, "fast")
    toy = json.loads((tmp_path / "results" / "toy.json").read_text())
    assert toy["promises"][0]["fault"] == "it broke"
    assert toy["surroundings"]["note"] == "not pinned"
    assert json.loads((tmp_path / "results" / "demo.json").read_text())["figures"][0]["value"] == 1.0
    assert (tmp_path / "results" / ".gitignore").read_text() == "*\n"


def test_a_broken_budget_or_a_failed_script_is_not_kept() -> None:
    over = Figure(name="demo.rss", value=2.0, unit="MiB", budget=1.0)
    assert run.Found().all_kept
    assert not run.Found(figures={"demo": [over]}).all_kept
    assert not run.Found(failed=["bench_rings.py ended with exit code 1"]).all_kept


@pytest.mark.parametrize(
    ("names", "ran"),
    [
        (["lending"], ["bench_lending.py --json", "bench_demo.py --world lending --json"]),
        (["demo", "lending"], ["bench_demo.py --json", "bench_lending.py --json"]),
    ],
)
def test_the_table_of_lending_ends_with_the_demo_of_lending(
    names: list[str], ran: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[str] = []

    def said(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        commands.append(" ".join([Path(command[1]).name, *command[2:]]))
        figure = Figure(name=f"figure {len(commands)}", value=1.0, unit="us")
        return subprocess.CompletedProcess(command, 0, msgspec.json.encode([figure]).decode())

    monkeypatch.setattr(subprocess, "run", said)
    found = run.Found()
    run.run_scripts(names, found, lambda *_: None)
    assert commands == ran
    assert [each.name for each in found.figures[names[-1]]][-1] == "figure 2"
    assert sum(map(len, found.figures.values())) == 2
