"""The watchdog of the loop names the task that stalls it, and the meter measures all."""

from __future__ import annotations

import ctypes
import json
import sys
import threading
from functools import partial
from types import SimpleNamespace

import pytest
import trio

from tallyio.kernel import loop_meter
from tallyio.kernel.loop_meter import LoopMeter
from tallyio.kernel.loop_watch import LoopStall, blame, watch_loop

LIMIT_S = 0.02


async def test_a_task_that_keeps_the_loop_is_named_with_its_code() -> None:
    stalls: list[LoopStall] = []

    async def greedy() -> None:
        while not any(stall.task == "greedy plugin" for stall in stalls):
            json.loads(json.dumps(list(range(1_000))))  # most of the time is spent in Python's own code

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(watch_loop, stalls.append, limit_s=LIMIT_S))
        async with trio.open_nursery() as inner:
            inner.start_soon(greedy, name="greedy plugin")
        nursery.cancel_scope.cancel()
    start, end = (stall for stall in stalls if stall.task == "greedy plugin")
    assert (start.over, end.over) == (False, True)
    assert start.where.startswith(f"{__name__}:test_a_task_that_keeps_the_loop_is_named_with_its_code")
    assert LIMIT_S <= start.busy_s <= end.busy_s


async def test_a_library_that_keeps_the_gil_is_told_afterwards() -> None:
    stalls: list[LoopStall] = []
    with_gil = ctypes.PyDLL(None)

    async def stubborn() -> None:
        with_gil.usleep(int(2e6 * LIMIT_S))

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(watch_loop, stalls.append, limit_s=LIMIT_S))
        async with trio.open_nursery() as inner:
            inner.start_soon(stubborn, name="stubborn library")
        nursery.cancel_scope.cancel()
    over = next(stall for stall in reversed(stalls) if stall.task == "stubborn library")
    assert over.over
    assert over.busy_s >= 2 * LIMIT_S


async def test_a_loop_that_gets_on_is_left_alone() -> None:
    stalls: list[LoopStall] = []
    async with trio.open_nursery() as nursery:
        meter = await nursery.start(partial(watch_loop, stalls.append, limit_s=60.0))
        for _ in range(100):
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    statistics = meter.statistics()
    assert not stalls
    assert statistics.steps >= 100
    assert 0 < statistics.step.p50_ns <= statistics.step.p99_ns <= statistics.step.most_ns
    assert 0 < statistics.delay.p50_ns <= statistics.delay.most_ns
    assert "loop-watch" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize(("asked_s", "late_ns"), [(0.001, 7_000), (0.0, 0)])
def test_late_waking_is_measured_where_a_time_was_asked_for(
    asked_s: float, late_ns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter((5_000, 5_000 + int(asked_s * 1e9) + 7_000))
    monkeypatch.setattr(loop_meter, "time", SimpleNamespace(perf_counter_ns=lambda: next(clock)))
    meter = LoopMeter()
    meter.before_io_wait(asked_s)
    meter.after_io_wait(asked_s)
    assert meter.late_by_ns == late_ns
    assert meter.statistics().lateness.most_ns == late_ns


@pytest.mark.parametrize("frame", [None, sys._getframe()])
def test_blame_says_what_it_can(frame: object) -> None:
    where = blame(frame)  # type: ignore[arg-type]  # of this module, while it is imported
    assert where == "" if frame is None else where.startswith(f"{__name__}:<module>:")
