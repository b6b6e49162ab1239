"""How the latencies of rings and doorbells are spread, beside that between the two cores they connect.

    python perf/bench_rings.py [--pus A,B] [--messages N] [--wake-ups N] [--gap-us N]

One-way latencies are half of a round trip. All times come from the cycle counter, which agrees
between the cores of one machine. Lanes are pinned to PU A (and Trio), and to PU B.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import trio

from perf.kernel_programs import (
    PROGRAMS,
    bell_ping,
    bell_pong,
    core_ping,
    core_pong,
    push_pop,
    ring_ping,
    ring_pong,
    tick,
)
from tallyio.kernel.bridge import PARK, POLL, RingReader, SpinBudget, hybrid
from tallyio.kernel.lane import Lane, serve_lane
from tallyio.kernel.lane_program import LaneContext
from tallyio.kernel.ring import LatencyRing
from tallyio.kernel.threads import pin_current_thread
from tallyio.native.clock import cycles_to_ns, read_cycles
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

_CAPACITY = 1024
_WARM_UP = 1_000
_DISTURBED = 0.02


def quantiles(name: str, cycles: npt.ArrayLike, *, unit: str = "ns", share: float = 1.0) -> None:
    """Print the quantiles of samples in cycles; `share` is the part of a sample that counts."""
    scale = share * cycles_to_ns(1) / (1_000 if unit == "us" else 1)
    p50, p99, p999 = (float(x) * scale for x in np.percentile(np.asarray(cycles), (50, 99, 99.9)))
    print(f"  {name:<44} p50 {p50:9.1f}   p99 {p99:9.1f}   p99.9 {p999:9.1f} {unit}")


def on_two(pus: tuple[int, int], first: Callable[[], object], second: Callable[[], object]) -> None:
    """Run one function on each of the two PUs, at the same time."""

    def work(pu: int, function: Callable[[], object]) -> None:
        pin_current_thread(frozenset({pu}))
        function()

    threads = [threading.Thread(target=work, args=pair) for pair in zip(pus, (first, second), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure_core(pus: tuple[int, int], count: int) -> None:
    """Print the latency of the silicon: what no ring can beat."""
    line, samples = Region(64), Region(8 * count)
    on_two(
        pus,
        lambda: core_ping(line.address, samples.address, count),
        lambda: core_pong(line.address, count),
    )
    quantiles("core to core, one cache line", samples.view("i8", count)[_WARM_UP:], share=0.5)


def measure_ring(pus: tuple[int, int], count: int) -> None:
    """Print the latency of the ring where both sides poll."""
    there, back = LatencyRing(_CAPACITY), LatencyRing(_CAPACITY)
    samples, out = Region(8 * count), Region(64)
    on_two(
        pus,
        lambda: ring_ping(there.address, back.address, samples.address, count, 1),
        lambda: ring_pong(there.address, back.address, out.address, count, 1),
    )
    quantiles("ring_push / ring_pop", samples.view("i8", count)[_WARM_UP:], share=0.5)


def measure_bell(pus: tuple[int, int], count: int, wait: SpinBudget, name: str) -> None:
    """Print the latency of the ring where the sides wait by doorbell."""
    there, back = LatencyRing(_CAPACITY), LatencyRing(_CAPACITY)
    samples, out, spin = Region(8 * count), Region(64), wait.spin_cycles
    on_two(
        pus,
        lambda: bell_ping(there.address, back.address, samples.address, count, spin),
        lambda: bell_pong(there.address, back.address, out.address, count, spin),
    )
    quantiles(f"wait_push / wait_pop, {name}", samples.view("i8", count)[_WARM_UP // 10 :], share=0.5)


def measure_one_thread(pu: int, count: int) -> None:
    """Print what a push and a pop cost where no line moves, and what a push costs from Python."""
    pin_current_thread(frozenset({pu}))
    ring, out = LatencyRing(_CAPACITY), Region(64)
    best = min(push_pop(ring.address, out.address, count) for _ in range(5))
    print(f"  {'push and pop in one thread':<44} {cycles_to_ns(best) / count:13.2f} ns")
    start = time.perf_counter_ns()
    for word in range(_CAPACITY):
        ring.push_nowait(word)
    print(f"  {'push_nowait from Python':<44} {(time.perf_counter_ns() - start) / _CAPACITY:13.1f} ns")


async def measure_wake_up(pu: int, count: int, gap_ns: int, wait: SpinBudget) -> list[int]:
    """Return the cycles from a lane's push to the Trio task that has the word."""
    state, late = Region(64), list[int]()
    state.view("i8", 2)[:] = (gap_ns / cycles_to_ns(1), count)
    context = LaneContext(LatencyRing(2), LatencyRing(_CAPACITY), state=state.address, keeps=state)
    lane = Lane("tick", tick, context, frozenset({pu}))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_lane, lane))
        late.extend([read_cycles() - word async for word in RingReader(context.results, wait=wait)])
    return late


def measure_trio(
    pus: tuple[int, int], count: int, gap_ns: int, waits: Iterable[tuple[str, SpinBudget]]
) -> None:
    """Print how soon a Trio task has what a lane pushed."""
    pin_current_thread(frozenset({pus[0]}))
    for name, wait in waits:
        start_ns, delayed_ns = time.perf_counter_ns(), run_delay_ns()
        late = trio.run(measure_wake_up, pus[1], count, gap_ns, wait)
        quantiles(f"lane to Trio every {gap_ns // 1000} us, {name}", late[10:], unit="us")
        share = (run_delay_ns() - delayed_ns) / (time.perf_counter_ns() - start_ns)
        if share > _DISTURBED:
            print(f"    disturbed: Trio's thread waited {share:.0%} of the time for its PU")


def run_delay_ns() -> int:
    """Return how long the calling thread was ready to run and did not, because others did."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pus", default=f"{allowed[0]},{allowed[-1]}", help="two PUs by OS index")
    parser.add_argument("--messages", type=int, default=200_000)
    parser.add_argument("--wake-ups", type=int, default=2_000)
    parser.add_argument("--gap-us", type=int, default=300)
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    asked = arguments()
    first, second = map(int, asked.pus.split(","))
    pus = (first, second)
    warm_all(PROGRAMS)
    print(f"PU {first} to PU {second}, one way:")
    measure_core(pus, asked.messages)
    measure_ring(pus, asked.messages)
    for name, wait in (("poll", POLL), ("hybrid 20 us", hybrid(20_000)), ("park", PARK)):
        measure_bell(pus, asked.messages // (20 if wait == PARK else 1), wait, name)
    measure_core(pus, asked.messages)
    gap_ns = 1_000 * asked.gap_us
    waits = (("park", PARK), ("hybrid", hybrid(2 * gap_ns)), ("poll", POLL))
    measure_trio(pus, asked.wake_ups, gap_ns, waits)
    measure_one_thread(first, asked.messages)


if __name__ == "__main__":
    main()
