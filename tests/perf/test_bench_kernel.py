"""The benchmark of lanes and rings judges what it measured, and its programs check what they carry."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from perf.bench_kernel import GOALS, Goal, Round, Row, line
from perf.kernel_rounds import Bench, Pair, push_pop, stream_copied, stream_in_place
from tallyio.bench.records import Goal as Outcome
from tallyio.bench.records import Spread

type Measured = tuple[float, float, float]
"""Ours, the peer's, disturbed."""


def row(*rounds: Measured, most_ratio: float | None = None, most: float | None = None) -> Row:
    """Return a row of rounds."""
    goal = Goal(
        name="a.goal", unit="ns", measure=lambda _: (0, 0), peer="peer", most_ratio=most_ratio, most=most
    )
    measured = [
        Round(ours=ours, peer=peer, core_to_core=30.0, disturbed=disturbed)
        for ours, peer, disturbed in rounds
    ]
    return Row(goal=goal, all_rounds=measured)


@pytest.mark.parametrize(
    ("rounds", "most_ratio", "most", "verdict"),
    [
        ([(8, 10, 0), (7, 10, 0), (20, 10, 0)], 0.8, None, "met"),
        ([(9, 10, 0), (7, 10, 0), (20, 10, 0)], 0.8, None, "missed"),
        ([(20, 10, 0)], 0.8, 25, "met"),
        ([(20, math.nan, 0)], 0.8, None, "absent"),
        ([(20, math.nan, 0)], None, 10, "missed"),
        ([(20, 10, 0)], None, None, "shown"),
    ],
)
def test_a_goal_is_judged_by_the_median_of_ratios_or_by_its_value(
    rounds: list[Measured], most_ratio: float | None, most: float | None, verdict: str
) -> None:
    assert row(*rounds, most_ratio=most_ratio, most=most).verdict == verdict


def test_rounds_that_others_disturbed_do_not_count_beside_calm_ones() -> None:
    assert row((8, 10, 0), (90, 10, 0.5), most_ratio=0.8).verdict == "met"
    assert row((90, 10, 0.5), most_ratio=0.8).verdict == "missed"


def test_a_row_is_shown_with_its_peer_and_the_silicon() -> None:
    text = line(row((8, 10, 0), (7, 10, 0), most_ratio=0.8))
    assert "0.75x [0.70 .. 0.80] of peer 10.00   <= 0.8x: met" in text
    assert "core to core 30 ns, 2 of 2 rounds calm" in text
    assert "not measured: peer is not there" in line(row())


def test_a_missed_goal_says_which_part_of_it_is_not_ours() -> None:
    goal = Goal(
        name="a.goal", unit="ns", measure=lambda _: (0, 0), peer="a call", most=5, why="the rest is ours"
    )
    measured = Round(ours=10, peer=8, core_to_core=30.0, disturbed=0)
    missed = Row(goal=goal, all_rounds=[measured])
    assert missed.figure().state == "missed"
    assert line(missed).endswith("a call takes 80% of it alone; the rest is ours")
    assert Row(goal=replace(goal, most=20), all_rounds=[measured]).figure().goal == Outcome(
        aim="<= 20 ns",
        verdict="met",
        values=Spread(median=10, low=10, high=10),
        ratios=Spread(median=1.25, low=1.25, high=1.25),
        core_to_core_ns=30.0,
        calm="1 of 1 rounds calm",
    )


def test_a_goal_missed_beside_others_says_so() -> None:
    assert row((9, 10, 0.5), most_ratio=0.8).why.startswith("others used these PUs")
    assert row((9, 10, 0), most_ratio=0.8).why.startswith("measured in peace")


def test_every_goal_has_its_own_name() -> None:
    assert len({goal.name for goal in GOALS}) == len(GOALS)


def test_the_programs_carry_what_they_should() -> None:
    """Each raises if a word is lost or changed; no peer is needed."""
    pus = sorted(os.sched_getaffinity(0))
    bench = Bench(pus=(pus[0], pus[-1]), messages=6_400, wake_ups=1, gap_ns=1, library=None, disruptor=None)
    measures: list[Callable[[Bench], Pair]] = [push_pop]
    if len(pus) > 1:
        measures += [partial(stream_copied, batch=64), partial(stream_in_place, batch=64)]
    try:
        pairs = [measure(bench) for measure in measures]
    finally:
        os.sched_setaffinity(0, pus)
    assert all(ours > 0 and math.isnan(peer) for ours, peer in pairs)
