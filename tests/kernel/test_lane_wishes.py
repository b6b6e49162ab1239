"""Wishes are granted or refused in words, and a lane runs either way."""

from __future__ import annotations

import errno
import os
import platform
import threading
from collections.abc import Iterator
from typing import Never

import pytest

from tallyio.kernel import os_memory
from tallyio.kernel.lane import Lane
from tallyio.kernel.lane_program import LaneContext, lane_is_asked_to_stop
from tallyio.kernel.lane_seats import Seats
from tallyio.kernel.lane_wishes import LaneWishes, Outcome, grant_fifo, grant_memory
from tallyio.kernel.ring import LatencyRing
from tallyio.native.atomics import pause
from tallyio.native.jit import hot
from tallyio.native.memory import Region

ONE_PU = frozenset({max(os.sched_getaffinity(0))})
NO_FIFO = "SCHED_FIFO at 10: refused (Operation not permitted)"
NO_PU = "SCHED_FIFO at 10: refused (the thread that started it has no other PU, and would not run)"
ALL = LaneWishes(fifo_priority=10, lock_memory=True, huge_pages=True, memory_nodes=(0,))


@hot("int64(int64)")
def polling(context: int) -> int:
    """Work on nothing until asked to stop."""
    while not lane_is_asked_to_stop(context):
        pause()
    return 3


@pytest.fixture
def context() -> Iterator[LaneContext]:
    """Return a context with a ring larger than a huge page; its lane ends with the test."""
    context = LaneContext(LatencyRing(1 << 16), LatencyRing(2))
    yield context
    context.close()


def test_a_lane_without_any_permission_runs(context: LaneContext, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> Never:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    for name in ("lock_memory", "want_huge_pages", "bind_memory", "prefer_nodes"):
        monkeypatch.setattr(os_memory, name, refuse)
    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    lane = Lane("poor", polling, context, ONE_PU, ALL)
    lane.start()
    assert [str(outcome) for outcome in lane.statistics().outcomes] == [
        "memory on NUMA node 0 (local): refused (Operation not permitted)",
        "huge pages: refused (Operation not permitted)",
        "4108 KiB of memory locked: refused (Operation not permitted)",
        NO_FIFO if os.sched_getaffinity(0) > ONE_PU else NO_PU,
    ]
    assert lane.stop(within_s=10) == 3


@pytest.mark.skipif(len(os.sched_getaffinity(0)) == 1, reason="real time needs a second PU for the others")
def test_every_wish_has_an_outcome_with_a_reason(context: LaneContext) -> None:
    """Whatever this machine grants."""
    lane = Lane("rich", polling, context, ONE_PU, ALL)
    lane.start()
    outcomes = lane.statistics().outcomes
    assert [outcome.wish.split()[0] for outcome in outcomes] == ["memory", "huge", "4108", "SCHED_FIFO"]
    assert all(outcome.why for outcome in outcomes)
    thread = next(each.native_id for each in threading.enumerate() if each.name == "rich")
    assert thread
    granted = outcomes[3].granted
    assert os.sched_getscheduler(thread) == (os.SCHED_FIFO if granted else os.SCHED_OTHER)
    assert lane.stop(within_s=10) == 3


def test_nothing_is_wished_for_by_default(context: LaneContext) -> None:
    lane = Lane("modest", polling, context)
    lane.start()
    assert lane.outcomes == ()
    assert lane.stop(within_s=10) == 3


def test_real_time_is_not_tried_where_it_would_stop_others(context: LaneContext) -> None:
    lane = Lane("anywhere", polling, context, wishes=LaneWishes(fifo_priority=1))
    lane.start()
    (outcome,) = lane.outcomes
    assert (outcome.granted, outcome.why) == (False, "a lane without a cpuset would stop others anywhere")
    other = Lane(
        "second", polling, LaneContext(LatencyRing(2), LatencyRing(2)), ONE_PU, LaneWishes(fifo_priority=1)
    )
    first = Lane("first", polling, LaneContext(LatencyRing(2), LatencyRing(2)), ONE_PU)
    first.start()
    other.start()
    assert other.outcomes[0].why == "it shares its PUs with first, who would not run"
    assert [each.stop(within_s=10) for each in (lane, first, other)] == [3, 3, 3]


def test_real_time_is_not_tried_where_nobody_else_has_a_pu(context: LaneContext) -> None:
    everywhere = frozenset(os.sched_getaffinity(0))
    lane = Lane("everywhere", polling, context, everywhere, LaneWishes(fifo_priority=1))
    lane.start()
    assert lane.outcomes[0].why == "the thread that started it has no other PU, and would not run"
    assert lane.stop(within_s=10) == 3


def test_small_rings_have_no_use_for_huge_pages() -> None:
    with Region(4096) as region:
        (outcome,) = grant_memory(LaneWishes(huge_pages=True), [(region.address, region.size)])
    assert outcome == Outcome(wish="huge pages", granted=False, why="its rings are smaller than one")


def test_a_node_that_is_not_there_is_refused() -> None:
    with Region(4096) as region:
        wishes = LaneWishes(memory_nodes=(900,), memory_policy="bind")
        (outcome,) = grant_memory(wishes, [(region.address, region.size)])
    assert not outcome.granted
    assert outcome.wish == "memory on NUMA node 900 (bind)"


def test_a_thread_that_is_gone_is_refused() -> None:
    assert not grant_fifo(1, 2**22 - 1, refusal="").granted


def test_a_processor_without_known_calls_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    (outcome,) = grant_memory(LaneWishes(memory_nodes=(0,)), [])
    assert outcome.why == "set_mempolicy has no known number on riscv64"


class Guest:
    """A lane that only sits."""

    def __init__(self, name: str, *pus: int) -> None:
        self.name, self.cpuset, self.crowded = name, frozenset(pus) or None, False

    def share_pus(self, *, crowded: bool) -> None:
        """Note it."""
        self.crowded = crowded


def test_lanes_are_crowded_while_they_are_more_than_their_pus() -> None:
    seats = Seats()
    alone, one, two, three, free = (
        Guest("a", 9),
        Guest("b", 1, 2),
        Guest("c", 1, 2),
        Guest("d", 2),
        Guest("e"),
    )
    guests = [alone, one, two, three, free]
    for guest in (alone, one, two, free):
        seats.take(guest)
    assert not any(guest.crowded for guest in guests)
    seats.take(three)
    assert [guest.crowded for guest in guests] == [False, True, True, True, False]
    assert seats.company(three) == ("b", "c")
    seats.leave(two)
    assert not any(guest.crowded for guest in (alone, one, three, free))


def test_a_lane_that_may_also_run_elsewhere_leaves_the_others_crowded() -> None:
    seats = Seats()
    one, two, wide = Guest("a", 0), Guest("b", 0), Guest("w", 0, 1, 2)
    for guest in (one, two, wide):
        seats.take(guest)
    assert [guest.crowded for guest in (one, two, wide)] == [True, True, False]
    assert seats.company(one) == ("b",)
    seats.take(Guest("c", 1, 2))
    assert wide.crowded
    assert seats.company(one) == ("b", "w", "c")


def test_lanes_that_are_apart_are_crowded_by_one_that_needs_the_pus_of_both() -> None:
    seats = Seats()
    guests = [Guest("a", 0), Guest("b", 1), Guest("c", 0, 1)]
    for guest in guests:
        seats.take(guest)
    assert all(guest.crowded for guest in guests)
