"""Decide promises from measured times. Pure.

Layer: bench.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from tallyio.bench.records import Job, Refused, Run, Spread, Verdict
from tallyio.bench.script import Measured
from tallyio.hooks.contract import Bench

_LOW: Final = 0.05
_HIGH: Final = 0.95


def spread(values: Sequence[float]) -> Spread:
    """Return the median of `values`, at least one, and their 5th and 95th percentile (nearest rank)."""
    ordered = sorted(values)
    last = len(ordered) - 1
    return Spread(
        median=statistics.median(ordered), low=ordered[round(_LOW * last)], high=ordered[round(_HIGH * last)]
    )


def ratio_of(times: Sequence[float], reference: Sequence[float]) -> Spread:
    """Return how `times` compare with `reference`, times above zero.

    The middle is the ratio of the medians. The two were measured one after the other, so no value
    belongs to another: the range is that of every value over every value of the reference.
    """
    pairs = spread([time / other for time in times for other in reference])
    return Spread(
        median=statistics.median(times) / statistics.median(reference), low=pairs.low, high=pairs.high
    )


def judge(job: Job, measured: Measured) -> list[Verdict]:
    """Return the verdict on each promise of `job`: kept while the ratio is at most `max_ratio`."""
    return [_judge(job, promise, measured) for promise in job.promises]


def failed(job: Job, fault: str) -> list[Verdict]:
    """Return the verdicts where the script of `job` measured nothing."""
    return [_failed(job, promise, fault) for promise in job.promises]


def refused(each: Refused) -> Verdict:
    """Return the verdict on what could not even be started."""
    return Verdict(subject=each.subject, name="", state="failed", fault=each.fault)


def _judge(job: Job, promise: Bench, measured: Measured) -> Verdict:
    timings = measured.timings
    missing = [name for name in (promise.name, promise.reference) if not timings.get(name)]
    if missing:
        return _failed(job, promise, f"{promise.script} measures no {' and no '.join(missing)}")
    times, reference = timings[promise.name], timings[promise.reference]
    ratio = ratio_of(times, reference)
    return Verdict(
        subject=job.subject,
        name=promise.name,
        state="kept" if ratio.median <= promise.max_ratio else "broken",
        reference=promise.reference,
        max_ratio=promise.max_ratio,
        ratio=ratio,
        seconds=spread(times),
        reference_seconds=spread(reference),
        samples=len(times),
        lane=job.lane,
        calls=measured.calls.get(promise.name),
        instructions=measured.instructions.get(promise.name),
        runs=_runs(measured, promise),
    )


def _runs(measured: Measured, promise: Bench) -> tuple[Run, ...]:
    """Pair processes in order: pyperf measures a benchmark and its reference in processes of their own."""
    both = zip(measured.runs[promise.name], measured.runs[promise.reference], strict=False)
    return tuple(Run(seconds=seconds, reference_seconds=reference) for seconds, reference in both)


def _failed(job: Job, promise: Bench, fault: str) -> Verdict:
    return Verdict(
        subject=job.subject,
        name=promise.name,
        state="failed",
        reference=promise.reference,
        max_ratio=promise.max_ratio,
        fault=fault,
    )
