"""Promises are decided from measured times alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.bench.judge import failed, judge, ratio_of, refused, spread
from tallyio.bench.records import Job, Refused, Run
from tallyio.bench.script import Measured
from tallyio.hooks.contract import Bench

TIMES = st.lists(st.floats(1e-9, 1e3), min_size=1, max_size=30)
PROMISE = Bench(name="fast", script="bench.py", reference="slow", max_ratio=0.5)
JOB = Job(subject="protocol toy", script=Path("bench.py"), promises=(PROMISE,))


def once(**timings: list[float]) -> Measured:
    """What one process of each measured."""
    return Measured(runs={name: (tuple(values),) if values else () for name, values in timings.items()})


def test_the_ratio_is_that_of_the_medians() -> None:
    ratio = ratio_of([1.0, 2.0, 9.0], [4.0, 4.0, 4.0])
    assert (ratio.median, ratio.low, ratio.high) == (0.5, 0.25, 2.25)


def test_the_range_of_a_ratio_covers_every_pairing() -> None:
    ratio = ratio_of([1.0, 2.0], [1.0, 2.0])
    assert (ratio.low, ratio.median, ratio.high) == (0.5, 1.0, 2.0)


@given(TIMES)
def test_a_spread_lies_within_its_values_and_is_in_order(times: list[float]) -> None:
    found = spread(times)
    assert min(times) <= found.low <= found.median <= found.high <= max(times)


@given(TIMES, TIMES, st.floats(0.1, 10.0))
def test_a_ratio_does_not_depend_on_the_machines_speed(
    times: list[float], reference: list[float], speed: float
) -> None:
    here = ratio_of(times, reference)
    there = ratio_of([time * speed for time in times], [time * speed for time in reference])
    assert there.median == pytest.approx(here.median)


@pytest.mark.parametrize(("seconds", "state"), [(0.5, "kept"), (0.501, "broken")])
def test_a_promise_is_kept_up_to_its_ratio_and_broken_above(seconds: float, state: str) -> None:
    (verdict,) = judge(JOB, once(fast=[seconds], slow=[1.0]))
    assert verdict.state == state
    assert verdict.ratio is not None
    assert verdict.ratio.median == seconds


@pytest.mark.parametrize(
    ("timings", "missing"),
    [({"slow": [1.0]}, "fast"), ({"fast": [1.0]}, "slow"), ({"fast": [1.0], "slow": []}, "slow")],
)
def test_a_promise_without_its_measurements_has_failed(timings: dict[str, list[float]], missing: str) -> None:
    (verdict,) = judge(JOB, once(**timings))
    assert verdict.state == "failed"
    assert verdict.fault == f"bench.py measures no {missing}"


def test_a_script_that_failed_fails_each_of_its_promises() -> None:
    (verdict,) = failed(JOB, "it broke")
    assert (verdict.state, verdict.fault, verdict.max_ratio) == ("failed", "it broke", 0.5)


def test_a_plugin_that_cannot_be_read_has_failed() -> None:
    verdict = refused(Refused(subject="protocol toy", fault="has no contract"))
    assert (verdict.state, verdict.fault) == ("failed", "has no contract")


def test_the_values_of_each_process_are_kept_beside_those_of_its_reference() -> None:
    two = once(fast=[0.4, 0.5], slow=[1.0]) + once(fast=[0.3], slow=[1.1])
    (verdict,) = judge(JOB, two)
    assert verdict.samples == 3
    assert verdict.runs == (
        Run(seconds=(0.4, 0.5), reference_seconds=(1.0,)),
        Run(seconds=(0.3,), reference_seconds=(1.1,)),
    )
