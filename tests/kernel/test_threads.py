"""Threads run where they were put, under the name they were given."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trio

from tallyio.kernel.threads import (
    PinError,
    name_current_thread,
    pin_current_thread,
    pin_trio_thread,
    reset_scheduling,
    run_in_worker,
    shorten_switch_interval,
)

ALLOWED = frozenset(os.sched_getaffinity(0))
FIRST = frozenset({min(ALLOWED)})
LAST = frozenset({max(ALLOWED)})


@pytest.fixture(autouse=True)
def affinity() -> Iterator[None]:
    """Put the test's thread back to all PUs."""
    yield
    os.sched_setaffinity(0, ALLOWED)


def in_thread[T](function: Callable[[], T]) -> T:
    """Return what `function` returns in a new thread."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_a_pinned_thread_runs_there_only() -> None:
    def pinned() -> frozenset[int]:
        pin_current_thread(FIRST)
        return frozenset(os.sched_getaffinity(0))

    assert in_thread(pinned) == FIRST
    assert os.sched_getaffinity(0) == ALLOWED


@pytest.mark.parametrize(
    "pus", [frozenset[int](), frozenset({-1}), frozenset({8_000}), FIRST | {8_000}, {10**30}]
)
def test_pus_that_cannot_be_had_are_refused(pus: frozenset[int]) -> None:
    with pytest.raises(PinError, match=r"cannot be pinned to PUs .*; choose PUs that"):
        pin_current_thread(pus)
    assert os.sched_getaffinity(0) == ALLOWED


def test_the_os_shows_the_name() -> None:
    def named() -> str:
        name_current_thread("market-è")
        return Path(f"/proc/self/task/{threading.get_native_id()}/comm").read_text(encoding="utf-8").strip()

    assert in_thread(named) == "market-è"


def test_a_name_is_measured_in_bytes() -> None:
    with pytest.raises(ValueError, match="1 to 15 bytes"):
        name_current_thread("è" * 8)


def test_an_inherited_policy_is_reset() -> None:
    def inherited() -> tuple[int, int]:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        before = os.sched_getscheduler(0)
        reset_scheduling()
        return before, os.sched_getscheduler(0)

    assert in_thread(inherited) == (os.SCHED_BATCH, os.SCHED_OTHER)


async def test_a_worker_runs_on_its_own_pus_though_trio_is_pinned() -> None:
    pin_trio_thread(FIRST)
    assert await run_in_worker(os.sched_getaffinity, 0, pus=LAST) == LAST
    assert os.sched_getaffinity(0) == FIRST


async def test_a_worker_is_put_back_after_its_job() -> None:
    def where() -> tuple[int, frozenset[int]]:
        return threading.get_native_id(), frozenset(os.sched_getaffinity(0))

    worker, before = await trio.to_thread.run_sync(where)
    assert await run_in_worker(where, pus=LAST) == (worker, LAST)
    assert await run_in_worker(where, pus=FIRST) == (worker, FIRST)
    assert await trio.to_thread.run_sync(where) == (worker, before)


async def test_a_worker_that_fails_is_put_back_too() -> None:
    before = await trio.to_thread.run_sync(os.sched_getaffinity, 0)
    for pus in (FIRST, LAST):
        with pytest.raises(ZeroDivisionError):
            await run_in_worker(divmod, 1, 0, pus=pus)
    assert await trio.to_thread.run_sync(os.sched_getaffinity, 0) == before


def test_only_trios_thread_is_pinned_as_such() -> None:
    with pytest.raises(RuntimeError):
        pin_trio_thread(FIRST)


def test_the_switch_interval_is_shortened() -> None:
    before = sys.getswitchinterval()
    try:
        shorten_switch_interval()
        assert sys.getswitchinterval() == pytest.approx(1e-4)
    finally:
        sys.setswitchinterval(before)
