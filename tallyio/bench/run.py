"""Run benchmark scripts one after the other and judge their promises.

Layer: bench. Synchronous: two benchmarks at the same time would measure each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallyio.bench.judge import failed, judge
from tallyio.bench.records import Job, Verdict
from tallyio.bench.script import TIMEOUT_S, ScriptFailed, run_script

Progress = Callable[[str, int, int], None]
"""Called with what runs now, how many scripts are done, and how many there are."""


def run_jobs(
    jobs: Sequence[Job],
    options: Sequence[str],
    *,
    pus: Sequence[int] = (),
    progress: Progress,
    timeout_s: float = TIMEOUT_S,
) -> list[Verdict]:
    """Return the verdict on every promise; a script that fails fails its own promises only.

    Raises: MissingExtraError: no pyperf.
    """
    verdicts: list[Verdict] = []
    for done, job in enumerate(jobs):
        progress(f"{job.subject}: {job.script.name}", done, len(jobs))
        try:
            timings = run_script(job.script, options, pus=pus, timeout_s=timeout_s)
        except ScriptFailed as fault:
            verdicts += failed(job, str(fault))
        else:
            verdicts += judge(job, timings)
    if jobs:
        progress("done", len(jobs), len(jobs))
    return verdicts
