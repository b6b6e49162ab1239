"""Lanes run compiled programs on threads of their own, and stop when asked."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import trio

from tallyio.kernel.bridge import PARK, POLL, RingReader, RingWriter, SpinBudget, hybrid
from tallyio.kernel.lane import Lane, LaneFailed, LaneState, serve_lane
from tallyio.kernel.lane_program import (
    LaneContext,
    lane_answer,
    lane_enter,
    lane_is_asked_to_stop,
    lane_next,
    lane_state,
    lane_word,
)
from tallyio.kernel.lane_watch import LaneStall, watch_lanes
from tallyio.kernel.lane_wishes import LaneWishes
from tallyio.kernel.placement import LanePlacement, Placement
from tallyio.kernel.ring import LatencyRing
from tallyio.kernel.ring_layout import Lag
from tallyio.kernel.supervisor import Supervisor
from tallyio.kernel.supervisor_policy import Service
from tallyio.kernel.threads import PinError
from tallyio.native.atomics import load_acquire, pause, store_release
from tallyio.native.jit import hot
from tallyio.native.memory import Region

ONE_PU = frozenset({min(os.sched_getaffinity(0))})


@hot("int64(int64)")
def adding(context: int) -> int:
    """Answer each word plus the number in the state; return how many there were."""
    count = 0
    while lane_next(context):
        if not lane_answer(context, lane_word(context, 0) + load_acquire(lane_state(context), 0)):
            break
        count += 1
    return count


@hot("int64(int64)")
def reporting(context: int) -> int:
    """For the first command, wait until the state is not 0; then end with 7."""
    if lane_next(context):
        lane_enter(context, lane_word(context, 0))
        store_release(lane_state(context), 1, 1)
        while load_acquire(lane_state(context), 0) == 0:
            pause()
    return 7


@hot("int64(int64)")
def polling(context: int) -> int:
    """Work on nothing until asked to stop."""
    while not lane_is_asked_to_stop(context):
        pause()
    return 3


@hot("int64(int64)")
def raising(context: int) -> int:
    """Fail at the first command."""
    lane_next(context)
    raise ValueError("bad luck")


STUCK = """
from tallyio.kernel.lane import Lane
from tallyio.kernel.lane_program import LaneContext, lane_state
from tallyio.kernel.lane_watch import LaneStall, watch_lanes
from tallyio.kernel.lane_wishes import LaneWishes
from tallyio.kernel.placement import LanePlacement, Placement
from tallyio.kernel.ring import LatencyRing
from tallyio.native.atomics import load_acquire
from tallyio.native.jit import hot
from tallyio.native.memory import Region

@hot("int64(int64)")
def stuck(context):
    while load_acquire(lane_state(context), 0) == 0:
        pass
    return 0

def start():
    state = Region(64)
    context = LaneContext(LatencyRing(2), LatencyRing(2), state=state.address, keeps=state)
    Lane("stuck", stuck, context).start()

start()
print("main ends")
"""


def make_context(state: Region, wait: SpinBudget | None = None, capacity: int = 64) -> LaneContext:
    rings = LatencyRing(capacity), LatencyRing(capacity)
    return LaneContext(*rings, state=state.address, keeps=state, wait=wait or hybrid(5_000))


def make_placement(lane: str, *, is_this_system: bool) -> Placement:
    """Return a placement of one lane on one PU."""
    place = LanePlacement(
        lane=lane,
        role="hot",
        level="shared",
        cpuset=tuple(ONE_PU),
        idle_siblings=(),
        domain="L3#0",
        memory_nodes=(0,),
        memory="local",
        huge_pages=False,
        wait="park",
        wait_budget_us=0,
        scheduling="normal",
        priority=0,
        degraded=False,
        reasons=(),
        choices=(),
    )
    return Placement(
        machine="a drawing",
        topology_hash="",
        is_this_system=is_this_system,
        profile="p",
        lanes=(place,),
        rings=(),
        free=(),
        reasons=(),
        cost=0.0,
        measured=False,
    )


def wait_for_work(words: npt.NDArray[np.int64]) -> None:
    """Return when `reporting` has taken its command."""
    while words[1] == 0:
        threading.Event().wait(0.001)


@pytest.fixture
def state() -> Region:
    return Region(64)


def test_a_lane_answers_its_commands_in_order(state: Region) -> None:
    state.view("i8", 1)[0] = 100
    context = make_context(state)
    lane = Lane("adder", adding, context, ONE_PU)
    lane.start()
    for word in range(50):
        context.commands.push_nowait(word)
    assert lane.stop(within_s=10) == 50
    assert [context.results.pop_nowait() for _ in range(50)] == list(range(100, 150))
    assert lane.statistics().state is LaneState.ENDED
    assert lane.statistics().heartbeat == 100


def test_the_thread_has_its_name_and_its_cpuset(state: Region) -> None:
    context = make_context(state)
    lane = Lane("fifteen-bytes-x", polling, context, ONE_PU)
    before = set(Path("/proc/self/task").iterdir())
    lane.start()
    (thread,) = set(Path("/proc/self/task").iterdir()) - before
    assert (thread / "comm").read_text().strip() == "fifteen-bytes-x"
    assert os.sched_getaffinity(int(thread.name)) == ONE_PU
    assert os.sched_getscheduler(int(thread.name)) == os.SCHED_OTHER
    status = dict(line.split(":\t") for line in (thread / "status").read_text().splitlines())
    blocked = int(status["SigBlk"], 16)
    assert blocked >> (signal.SIGINT - 1) & 1
    assert not blocked >> (signal.SIGSEGV - 1) & 1
    assert lane.stop(within_s=10) == 3


def test_a_lane_goes_through_its_life(state: Region) -> None:
    context = make_context(state)
    lane = Lane("alive", reporting, context)
    seen = [lane.state]
    lane.prepare()
    seen.append(lane.state)
    lane.start(on_end=lambda: seen.append(lane.state))
    seen.append(lane.state)
    words = state.view("i8", 2)
    context.commands.push_nowait(1)
    wait_for_work(words)
    lane.drain()
    seen.append(lane.state)
    words[0] = 1
    lane.join(10)
    assert [*map(str, seen)] == ["new", "prepared", "running", "draining", "ended"]


def test_a_second_start_is_refused_and_changes_nothing(state: Region) -> None:
    ends: list[str] = []
    lane = Lane("once", polling, make_context(state))
    lane.start(on_end=lambda: ends.append("first"))
    with pytest.raises(RuntimeError, match="lane 'once' can be started only once"):
        lane.start(on_end=lambda: ends.append("second"))
    assert lane.is_running
    assert lane.stop(within_s=10) == 3
    assert ends == ["first"]
    with pytest.raises(RuntimeError, match="only once"):
        lane.start()
    assert lane.state is LaneState.ENDED


def test_a_lane_that_has_ended_is_kept_by_nobody(state: Region) -> None:
    lane = Lane("gone", polling, make_context(state))
    lane.start()
    lane.stop(within_s=10)
    left = weakref.ref(lane)
    del lane
    gc.collect()
    assert left() is None


def test_a_lane_counts_what_it_does(state: Region) -> None:
    context = make_context(state, PARK)
    lane = Lane("counted", adding, context, ONE_PU)
    lane.start()
    for word in range(5):
        context.commands.push_nowait(word)
        while context.results.is_empty:
            threading.Event().wait(0.001)
        context.results.pop_nowait()
    lane.stop(within_s=10)
    counts = lane.statistics().counts
    assert counts is not None
    assert counts.commands == 5
    assert 0 < counts.busy_ns < counts.waited_ns
    assert counts.parks >= 4
    assert 0 < counts.work.p50_ns <= counts.work.p99_ns <= counts.work.p999_ns <= counts.work.most_ns
    # A percentile is at most one part in 64 too high; the first wait began before the first command.
    assert counts.wait.most_ns <= counts.waited_ns


def test_a_lane_that_loses_its_answers_goes_on(state: Region) -> None:
    """Its results fail instead of blocking, and say how many were lost."""
    results = LatencyRing(4, lag=Lag.FAIL)
    context = LaneContext(LatencyRing(64), results, state=state.address, keeps=state)
    lane = Lane("losing", adding, context)
    lane.start()
    for word in range(20):
        context.commands.push_nowait(word)
    assert lane.stop(within_s=10) == 20
    assert (results.statistics().pushed, results.statistics().refused) == (4, 16)


@pytest.mark.parametrize("wait", [POLL, hybrid(10**9)])
def test_several_lanes_on_one_pu_park_and_make_progress(wait: SpinBudget) -> None:
    states = [Region(64) for _ in range(3)]
    contexts = [make_context(state, wait) for state in states]
    lanes = [Lane(f"crowd-{n}", adding, context, ONE_PU) for n, context in enumerate(contexts)]
    for lane in lanes:
        lane.start()
    assert all(context.is_parking for context in contexts)
    assert lanes[0].statistics().parks_for == ("crowd-1", "crowd-2")
    for word in range(200):
        for context in contexts:
            context.commands.push_nowait(word)
            while context.results.is_empty:
                threading.Event().wait(0)
            assert context.results.pop_nowait() == word
    assert [lane.stop(within_s=10) for lane in lanes[:2]] == [200, 200]
    assert not contexts[2].is_parking
    assert lanes[2].stop(within_s=10) == 200


@pytest.mark.parametrize(("stage", "name"), [(0, ""), (2, "second plugin"), (3, "3")])
async def test_a_stalled_lane_says_in_which_part(state: Region, stage: int, name: str) -> None:
    context = LaneContext(
        LatencyRing(2),
        LatencyRing(2),
        state=state.address,
        keeps=state,
        stages=("first plugin", "second plugin"),
    )
    lane, words, stalls = Lane("stuck", reporting, context), state.view("i8", 2), list[LaneStall]()
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_lane, lane))
        context.commands.push_nowait(stage)

        def note(stall: LaneStall) -> None:
            stalls.append(stall)
            words[0] = 1
            nursery.cancel_scope.cancel()

        nursery.start_soon(partial(watch_lanes, [lane], note, limit_s=0.02))
    assert [(stall.lane, stall.stage) for stall in stalls] == [("stuck", name)]


def test_a_failed_set_up_reaches_the_parent(state: Region) -> None:
    context = make_context(state)
    lane = Lane("lost", adding, context, frozenset({8_000}))
    with pytest.raises(LaneFailed, match="lane 'lost' failed: this thread cannot be pinned to PUs 8000"):
        lane.start()
    assert lane.statistics().state is LaneState.FAILED
    assert context.commands.closed


def test_an_exception_of_the_program_reaches_who_joins(state: Region) -> None:
    context = make_context(state)
    lane = Lane("unlucky", raising, context)
    lane.start()
    with pytest.raises(LaneFailed, match="lane 'unlucky' failed: bad luck"):
        lane.stop(within_s=10)
    assert context.results.closed


def test_the_heartbeat_tells_work_from_waiting(state: Region) -> None:
    context = make_context(state)
    lane = Lane("busy", reporting, context)
    lane.start()
    assert not lane.statistics().busy
    context.commands.push_nowait(1)
    words = state.view("i8", 2)
    wait_for_work(words)
    assert lane.statistics().busy
    with pytest.raises(LaneFailed, match=r"'busy' still works on a command 0\.01 s after"):
        lane.stop(within_s=0.01)
    words[0] = 1
    assert lane.join(10) == 7


def test_a_lane_without_a_listener_ends_when_its_rings_are_closed(state: Region) -> None:
    context = make_context(state, capacity=2)
    lane = Lane("unheard", adding, context)
    lane.start()
    for _ in range(4):
        while context.commands.is_full:
            threading.Event().wait(0.001)
        context.commands.push_nowait(0)
    with pytest.raises(LaneFailed, match="still works on a command"):
        lane.stop(within_s=0.05)
    context.close()
    assert lane.join(10) == 2


def test_a_cpuset_of_another_machine_is_refused(state: Region) -> None:
    """Binding there would succeed and do nothing, or bind to the wrong PUs here."""
    described = make_placement("adder", is_this_system=False)
    with pytest.raises(PinError, match="lane 'adder' was placed on 'a drawing', which is not this system"):
        Lane.placed(described, "adder", adding, make_context(state))


def test_a_placed_lane_has_its_cpuset(state: Region) -> None:
    lane = Lane.placed(make_placement("adder", is_this_system=True), "adder", adding, make_context(state))
    assert lane.cpuset == ONE_PU
    assert lane.wishes == LaneWishes(memory_nodes=(0,))


@pytest.mark.parametrize("name", ["", "sixteen-bytes-xx", "na\0me"])
def test_a_name_that_the_os_cannot_show_is_refused(state: Region, name: str) -> None:
    with pytest.raises(ValueError, match="must have 1 to 15 bytes"):
        Lane(name, adding, make_context(state))


def test_only_a_program_is_run(state: Region) -> None:
    with pytest.raises(ValueError, match=r"must be a hot function int64\(int64\)"):
        Lane("wrong", len, make_context(state))  # type: ignore[arg-type]


@pytest.mark.parametrize("wait", [hybrid(0), hybrid(20_000), POLL])
async def test_a_served_lane_works_for_trio_tasks(state: Region, wait: SpinBudget) -> None:
    """Every word comes back, in order, with both sides on one PU or on two, however they wait."""
    context = make_context(state, wait, capacity=8)
    lane = Lane("served", adding, context, ONE_PU)
    received: list[int] = []

    async def listen() -> None:
        received.extend([word async for word in RingReader(context.results, wait=wait)])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(listen)
        await nursery.start(partial(serve_lane, lane))
        writer = RingWriter(context.commands, wait=wait)
        for word in range(1_000):
            await writer.send(word)
        context.ask_to_stop()
    assert received == list(range(1_000))
    assert lane.join(0) == 1_000


def test_a_process_ends_although_a_lane_does_not_react(tmp_path: Path) -> None:
    """The lane spins for ever; its memory must outlive the interpreter's end."""
    script = tmp_path / "script.py"
    script.write_text(STUCK)
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "main ends\n", "")


async def test_cancellation_reaches_the_lane(state: Region) -> None:
    lane = Lane("cancelled", polling, make_context(state))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_lane, lane))
        assert lane.is_running
        nursery.cancel_scope.cancel()
    assert lane.statistics().state is LaneState.ENDED


async def test_a_lane_that_does_not_stop_is_named(state: Region) -> None:
    context = make_context(state)
    lane = Lane("stubborn", reporting, context)
    words = state.view("i8", 2)
    with pytest.RaisesGroup(pytest.RaisesExc(LaneFailed, match="'stubborn' still works on a command")):
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_lane, lane, stop_within_s=0.01))
            context.commands.push_nowait(1)
            await trio.to_thread.run_sync(wait_for_work, words)
            nursery.cancel_scope.cancel()
    words[0] = 1
    assert lane.join(10) == 7


async def test_a_lane_is_a_service(state: Region) -> None:
    lane = Lane("service", polling, make_context(state))
    supervisor = Supervisor([Service(name="service", run=partial(serve_lane, lane))])
    async with trio.open_nursery() as nursery:
        await supervisor.start(nursery)
        assert lane.is_running
        await supervisor.stop()
    assert lane.join(0) == 3
