"""Kernels are measured in turns beside a ruler, and scaled by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tallyio.bench.calibrate import EXPECTED_STEP_NS, calibrated, chain_timer
from tallyio.bench.rounds import PASSES, Series, measure_in_turns, timed
from tallyio.native.clock import multiply_chain


def script(log: list[str], name: str, values: Iterator[float]) -> Callable[[], float]:
    """Return a timer that notes when it runs and returns what it is told."""

    def timer() -> float:
        log.append(name)
        return next(values)

    return timer


def test_every_round_runs_every_kernel_after_the_ruler_and_the_first_does_not_count() -> None:
    log: list[str] = []
    kernels = {name: script(log, name, iter((99.0, 1.0 + k, 2.0 + k))) for k, name in enumerate("ab")}
    series = measure_in_turns(kernels, script(log, "ruler", iter(range(1, 7))), rounds=2)
    assert log == ["ruler", "a", "ruler", "b"] * 3
    assert series["a"] == Series(ns=(1.0, 2.0), step_ns=(3, 5))
    assert series["b"] == Series(ns=(2.0, 3.0), step_ns=(4, 6))


def test_a_core_of_half_the_speed_has_the_same_calibrated_times() -> None:
    fast = Series(ns=(10.0, 12.0, 11.0), step_ns=(EXPECTED_STEP_NS,) * 3).timing
    slow = Series(ns=(20.0, 24.0, 22.0), step_ns=(2 * EXPECTED_STEP_NS,) * 3).timing
    assert (fast.minimum, fast.median) == (10.0, 11.0)
    assert (slow.minimum, slow.median) == (20.0, 22.0)
    assert (slow.calibrated_minimum, slow.calibrated_median) == pytest.approx((10.0, 11.0))
    assert slow.calibrated_spread.low == pytest.approx(fast.calibrated_spread.low) == 10.0
    assert slow.calibrated_spread.high == pytest.approx(fast.calibrated_spread.high) == 12.0


def test_a_ratio_is_taken_round_by_round() -> None:
    ours, theirs = (
        Series(ns=(1.0, 4.0, 3.0), step_ns=(1.0,) * 3),
        Series(ns=(2.0, 4.0, 12.0), step_ns=(1.0,) * 3),
    )
    ratio = ours.ratio_to(theirs)
    assert (ratio.low, ratio.median, ratio.high) == (0.25, 0.5, 1.0)


def test_a_time_is_scaled_by_the_chain() -> None:
    assert calibrated(9.0, 3 * EXPECTED_STEP_NS) == pytest.approx(3.0)


def test_a_timer_divides_by_the_operations() -> None:
    calls: list[int] = []
    assert 0.0 <= timed(calls.append, 5, operations=10**18)() < 1e-6
    assert calls == [5] * PASSES


def test_the_chain_takes_time_and_computes_what_it_says() -> None:
    assert chain_timer()() > 0.0
    expected = 7
    for _ in range(3):
        expected = (expected * 0x9E3779B97F4A7C15 % 2**64) ^ 0xD1B54A32D192ED03
    assert multiply_chain(3, 7) == expected
