"""Scripts run as programs of their own; what goes wrong in them is one clear fault."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tallyio.bench.records import Job
from tallyio.bench.run import by_pyperf, run_jobs
from tallyio.bench.script import ScriptFailed, run_script
from tallyio.hooks.contract import Bench
from tallyio.model.errors import MissingExtraError
from tests.bench.conftest import GLANCE, SCRIPT


def write(folder: Path, code: str, name: str = "bench.py") -> Path:
    path = folder / name
    path.write_text(code)
    return path


def test_every_value_of_a_script_is_read_back(tmp_path: Path) -> None:
    timings = run_script(write(tmp_path, SCRIPT.format(name="toy")), GLANCE).timings
    assert timings == {"toy.twice": (0.002,) * 3, "toy.once": (0.001,) * 3}


def test_a_measuring_process_is_bound_to_the_pus_it_is_given(tmp_path: Path) -> None:
    pu = min(os.sched_getaffinity(0))
    code = """
import os
import pyperf
pyperf.Runner().bench_time_func("pus", lambda loops: 1.0 + sum(os.sched_getaffinity(0)))
"""
    timings = run_script(write(tmp_path, code), (*GLANCE[:3], "--loops=1"), pus=(pu,)).timings
    assert set(timings["pus"]) == {1.0 + pu}


def test_a_module_beside_the_script_does_not_hide_the_standard_librarys(tmp_path: Path) -> None:
    write(tmp_path, "raise SystemExit('the wrong random')", "random.py")
    code = "import random\n" + SCRIPT.format(name="toy")
    assert set(run_script(write(tmp_path, code), GLANCE).runs) == {"toy.twice", "toy.once"}


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        ("raise SystemExit('compiled and reference quotes differ')", "compiled and reference quotes differ"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('all is well')", "it wrote no result"),
    ],
)
def test_a_script_that_fails_is_reported_in_its_own_words(tmp_path: Path, code: str, fault: str) -> None:
    script = write(tmp_path, code)
    with pytest.raises(ScriptFailed) as failure:
        run_script(script, GLANCE)
    assert failure.value.message == f"benchmark bench.py failed: {fault}"
    assert str(script) in failure.value.way_out


def test_a_script_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    pipe = tmp_path / "alive"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    code = f"""
import subprocess, sys, time
alive = open({str(pipe)!r}, "w")
subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"], pass_fds=[alive.fileno()])
"""
    with pytest.raises(ScriptFailed, match=r"was not done after 0\.5 s"):
        run_script(write(tmp_path, code), GLANCE, timeout_s=0.5)
    # End of file, as soon as nobody is left that holds the pipe's other end.
    os.set_blocking(reader, True)
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_without_pyperf_the_way_out_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "pyperf", None)
    with pytest.raises(MissingExtraError, match=r"tallyio\[bench\]"):
        run_script(tmp_path / "bench.py")


def test_a_script_that_fails_leaves_the_others_their_verdicts(tmp_path: Path) -> None:
    promise = Bench(name="toy.twice", script="bench.py", reference="toy.once", max_ratio=2.0)
    bad = write(tmp_path, "raise SystemExit('no')", "bad.py")
    good = write(tmp_path, SCRIPT.format(name="toy"))
    jobs = [Job(subject=path.stem, script=path, promises=(promise,)) for path in (bad, good)]
    heard: list[tuple[str, int, int]] = []
    verdicts = run_jobs(jobs, by_pyperf(GLANCE), progress=lambda *facts: heard.append(facts))
    assert [(verdict.subject, verdict.state) for verdict in verdicts] == [
        ("bad", "failed"),
        ("bench", "kept"),
    ]
    assert heard == [("bad: bad.py", 0, 2), ("bench: bench.py", 1, 2), ("done", 2, 2)]
