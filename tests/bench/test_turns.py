"""Scripts that wait at their benchmarks: what they are asked, what they answer, how they end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tallyio.bench.quick import measure_quickly
from tallyio.bench.records import Job
from tallyio.bench.run import by_effort, run_jobs
from tallyio.bench.script import ScriptFailed, run_script
from tallyio.bench.turns import Script, Stop
from tallyio.hooks.contract import Bench
from tests.bench.conftest import GLANCE

SCRIPT = """
import os
import sys
import pyperf

def steady(loops, ms):
    return loops * ms / 1000

class Held:
    def __enter__(self):
        self.open = True
        return self
    def __exit__(self, *_):
        print("closed")
        open(sys.argv[0] + ".closed", "w").close()

runner = pyperf.Runner()
with Held() as held:
    runner.bench_time_func("toy.twice", steady, 20, inner_loops=10)
    assert held.open
    runner.bench_time_func("toy.once", steady, 10, inner_loops=10)
    runner.bench_func("toy.pu", lambda: os.sched_getaffinity(0))
"""
PROMISE = Bench(name="toy.twice", script="bench.py", reference="toy.once", max_ratio=2.5)


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "bench.py"
    path.write_text(SCRIPT)
    return path


def job(script: Path, promise: Bench = PROMISE) -> Job:
    return Job(subject="protocol toy", script=script, promises=(promise,))


def test_a_script_stops_at_each_benchmark_until_it_may_go_on(script: Path) -> None:
    with Script(script) as running:
        assert running.stop() == Stop("toy.twice", 10)
        assert running.seconds(1) == pytest.approx(0.02)
        assert running.seconds(3) == pytest.approx(0.06)
        assert running.loops_for(0.1) == 5
        calls = running.calls(10)
        assert (calls.operations, calls.count >= 3) == (10, True)
        assert calls.p50_ns == pytest.approx(20_000_000, rel=1 / 64)
        running.go_on()
        assert running.stop() == Stop("toy.once", 10)
        running.go_on()
        assert running.stop() == Stop("toy.pu", 1)
        assert running.seconds(2) > 0
        running.go_on()
        assert running.stop() is None


def test_a_script_that_is_left_early_closes_what_it_holds(script: Path) -> None:
    with Script(script) as running:
        running.stop()
    assert Path(f"{script}.closed").is_file()


def test_a_quick_run_measures_what_is_promised_and_its_reference(script: Path) -> None:
    measured = measure_quickly(job(script))
    assert set(measured.runs) == {"toy.twice", "toy.once"}
    assert measured.timings["toy.twice"] == pytest.approx([0.002] * len(measured.timings["toy.twice"]))
    assert set(measured.calls) == {"toy.twice"}


def test_rounds_are_processes_of_their_own_whose_values_stay_apart(script: Path) -> None:
    (verdict,) = run_jobs([job(script)], by_effort("quick"), progress=lambda *_: None, rounds=2)
    assert verdict.state == "kept"
    assert len(verdict.runs) == 2
    assert verdict.ratio is not None
    assert verdict.ratio.median == pytest.approx(2.0)
    assert verdict.calls is not None


def test_a_lane_has_its_pus(script: Path) -> None:
    pu = max(os.sched_getaffinity(0))
    code = SCRIPT.replace("return loops * ms / 1000", "return loops * (1 + sum(os.sched_getaffinity(0)))")
    script.write_text(code)
    (verdict,) = run_jobs([job(script)], by_effort("quick"), progress=lambda *_: None, lanes={"hot": [pu]})
    assert verdict.seconds is not None
    assert verdict.seconds.median == pytest.approx((1 + pu) / 10)


def test_pyperfs_own_run_comes_with_single_calls(script: Path) -> None:
    measured = run_script(script, GLANCE)
    assert measured.calls["toy.once"].operations == 10
    assert measured.calls["toy.once"].max_ns == pytest.approx(10_000_000, rel=1e-6)


@pytest.mark.parametrize(
    ("code", "fault"),
    [("raise SystemExit('answers differ')", "answers differ"), ("raise SystemExit(3)", "exit code 3")],
)
def test_a_script_that_fails_says_why(script: Path, code: str, fault: str) -> None:
    script.write_text(code)
    with Script(script) as running, pytest.raises(ScriptFailed, match=fault):
        running.stop()


def test_a_script_that_fails_while_it_is_asked_says_why(script: Path) -> None:
    script.write_text(SCRIPT.replace("return loops * ms / 1000", "raise SystemExit('no time')"))
    with Script(script) as running:
        running.stop()
        with pytest.raises(ScriptFailed, match="no time"):
            running.seconds(1)


def test_a_script_that_hangs_is_ended(script: Path) -> None:
    script.write_text("import time\ntime.sleep(600)")
    with (
        Script(script, timeout_s=0.5) as running,
        pytest.raises(ScriptFailed, match=r"not done after 0\.5 s"),
    ):
        running.stop()
