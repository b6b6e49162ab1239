"""Run benchmark scripts one after the other and judge their promises.

Layer: bench. Synchronous: two benchmarks at the same time would measure each other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from tallyio.bench.judge import failed, judge
from tallyio.bench.quick import measure_quickly
from tallyio.bench.records import Job, Verdict
from tallyio.bench.script import EFFORTS, TIMEOUT_S, Measured, ScriptFailed, run_script

Progress = Callable[[str, int, int], None]
"""Called with what runs now, how many scripts are done, and how many there are."""

Measure = Callable[[Job, Sequence[int]], Measured]
"""Measures a job on the PUs with these OS indexes; without any, the OS chooses. Raises: ScriptFailed."""

QUICK: Final = "quick"


def by_pyperf(options: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> Measure:
    """Return what lets pyperf measure a script with `options`: a process for every few values."""
    return lambda job, pus: run_script(job.script, options, pus=pus, timeout_s=timeout_s)


def by_effort(effort: str, *, timeout_s: float = TIMEOUT_S) -> Measure:
    """Return the way to measure for "quick", "fast" or "rigorous"."""
    if effort == QUICK:
        return partial(measure_quickly, timeout_s=timeout_s)
    return by_pyperf(EFFORTS[effort], timeout_s=timeout_s)


def run_jobs(
    jobs: Sequence[Job],
    measure: Measure,
    *,
    lanes: Mapping[str, Sequence[int]] | None = None,
    progress: Progress,
    rounds: int = 1,
) -> list[Verdict]:
    """Return the verdict on every promise; a script that fails fails its own promises only.

    Args:
        jobs: What to run.
        measure: How.
        lanes: The PUs by the role of a lane; a role without any is left to the OS.
        progress: Told before each script.
        rounds: How often to go through all jobs; each time in processes of their own.

    Raises: MissingExtraError: no pyperf.
    """
    found: dict[int, Measured] = {}
    faults: dict[int, str] = {}
    turns = [place for _ in range(rounds) for place in range(len(jobs))]
    for done, place in enumerate(turns):
        job = jobs[place]
        progress(f"{job.subject}: {job.script.name}", done, len(turns))
        try:
            measured = measure(job, tuple((lanes or {}).get(job.lane, ())))
        except ScriptFailed as fault:
            faults[place] = str(fault)
        else:
            found[place] = found[place] + measured if place in found else measured
    if jobs:
        progress("done", len(turns), len(turns))
    return [
        verdict
        for place, job in enumerate(jobs)
        for verdict in (failed(job, faults[place]) if place in faults else judge(job, found[place]))
    ]
