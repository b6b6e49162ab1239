"""Stages follow each other with no gap."""

from __future__ import annotations

import pytest

from tallyio.engine.trace import TO_SIGNED, TOTAL, StageTimes, Trace
from tallyio.model.stages import Stage

AFTER_DETECTION = list(Stage)[3:]


def complete() -> Trace:
    trace = Trace(bytes_in_ns=100, decoded_ns=200, detected_ns=400)
    for stage in AFTER_DETECTION:
        trace.reach(stage)
    return trace


def test_the_stages_add_up_to_the_total() -> None:
    trace = complete()
    assert sum(trace.durations_ns().values()) == trace.elapsed_ns(Stage.INCLUDED)
    assert trace.durations_ns()[Stage.DETECTED] == 200


def test_a_stage_cannot_be_left_out_or_repeated() -> None:
    trace = Trace(bytes_in_ns=1, decoded_ns=2, detected_ns=3)
    with pytest.raises(ValueError, match="stage signed follows detected; risk is next"):
        trace.reach(Stage.SIGNED)
    trace.reach(Stage.RISK)
    with pytest.raises(ValueError, match="simulated is next"):
        trace.reach(Stage.RISK)


def test_an_opportunity_that_died_counts_for_the_stages_it_reached() -> None:
    times = StageTimes()
    times.add(complete())
    times.add(Trace(bytes_in_ns=1, decoded_ns=2, detected_ns=3))
    summary = times.summary_us()
    assert summary["detected"]["count"] == 2
    assert summary["signed"]["count"] == summary[TO_SIGNED]["count"] == summary[TOTAL]["count"] == 1


def test_what_was_not_reached_has_no_time() -> None:
    assert Trace(bytes_in_ns=1, decoded_ns=2, detected_ns=3).elapsed_ns(Stage.SIGNED) is None
    assert StageTimes().summary_us() == {}
