"""The cycle counter runs forward at one rate."""

import time

import pytest

from tallyio.native.clock import cycle_count, cycles_per_ns, cycles_to_ns, read_cycles
from tallyio.native.jit import hot


@hot("int64(int64)")
def spin(rounds: int) -> int:
    start = cycle_count()
    last = start
    for _ in range(rounds):
        now = cycle_count()
        if now < last:
            return -1
        last = now
    return last - start


def test_the_counter_never_runs_backwards() -> None:
    assert spin(10_000) > 0


def test_cycles_become_nanoseconds_at_the_measured_rate() -> None:
    assert cycles_per_ns() == cycles_per_ns() > 0
    assert cycles_to_ns(1_000 * cycles_per_ns()) == pytest.approx(1_000)


def test_the_counter_and_the_clock_enclose_each_other() -> None:
    """Cycles read outside of two clock readings cover at least the time between them."""
    outer = read_cycles()
    start = time.perf_counter_ns()
    while time.perf_counter_ns() - start < 1_000_000:
        pass
    inner = time.perf_counter_ns() - start
    assert cycles_to_ns(read_cycles() - outer) >= 0.98 * inner
