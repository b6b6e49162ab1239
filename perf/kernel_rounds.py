"""What `bench_kernel.py` measures in one round: each function returns ours and the peer's, in one unit.

One-way latencies are half of a round trip, at the median. A peer that is absent is NaN.
"""

from __future__ import annotations

import math
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import trio

from perf import kernel_programs as programs
from tallyio.kernel.bridge import PARK, POLL, RingReader, SpinBudget
from tallyio.kernel.lane import Lane, serve_lane
from tallyio.kernel.lane_program import LaneContext
from tallyio.kernel.placement import place
from tallyio.kernel.profile import load_profile
from tallyio.kernel.ring import LatencyRing, ring_pop
from tallyio.kernel.stream_ring import StreamRing
from tallyio.kernel.threads import pin_current_thread
from tallyio.native.clock import cycles_to_ns, read_cycles
from tallyio.native.jit import entry
from tallyio.native.memory import Region

if TYPE_CHECKING:
    from collections.abc import Iterator

    from perf.peers.peers import Disruptor, LamportLibrary

CAPACITY: Final = 1_024
WARM_UP: Final = 1_000
STREAM_CAPACITY: Final = 1 << 14
ABSENT: Final = math.nan
FORTY_LANES: Final = {
    "hot": 8,
    "control": 1,
    "feeds": 8,
    "risk": 4,
    "network": 4,
    "simulation": 2,
    "analytics": 4,
}
"""And nine of the role that is left."""

type Pair = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and how much is measured, and with which peers."""

    pus: tuple[int, int]
    messages: int
    wake_ups: int
    gap_ns: int
    library: LamportLibrary | None
    disruptor: Disruptor | None


class Disturbance:
    """How long the threads that measure were ready to run and did not, because others did."""

    waited_ns = 0


def run_delay_ns() -> int:
    """Return that time of the calling thread since it was started."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1])


@contextmanager
def watched() -> Iterator[None]:
    """Add what the calling thread waited in the block."""
    before = run_delay_ns()
    yield
    Disturbance.waited_ns += run_delay_ns() - before


def on_two(bench: Bench, first: Callable[[], object], second: Callable[[], object]) -> object:
    """Run one function on each of the two PUs, at the same time; return the second one's result."""
    results: dict[int, object] = {}

    def work(pu: int, function: Callable[[], object]) -> None:
        pin_current_thread(frozenset({pu}))
        with watched():
            results[pu] = function()

    halves = zip(bench.pus, (first, second), strict=True)
    threads = [threading.Thread(target=work, args=half) for half in halves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results[bench.pus[1]]


def median_ns(samples: Region, count: int) -> float:
    """Return the median of one-way latencies from round trips in cycles, without the warm-up."""
    cycles = samples.view("i8", count)[min(WARM_UP, count // 10) :]
    if (cycles < 0).any():
        raise RuntimeError("a message was lost")
    return float(np.median(cycles)) * cycles_to_ns(1) / 2


def core_to_core(bench: Bench) -> float:
    """Return the one-way latency of the silicon: one cache line between the two PUs."""
    count = bench.messages // 4
    with Region(64) as line, Region(8 * count) as samples:
        on_two(
            bench,
            lambda: programs.core_ping(line.address, samples.address, count),
            lambda: programs.core_pong(line.address, count),
        )
        return median_ns(samples, count)


def ring_ns(bench: Bench, *, politely: bool) -> float:
    """Return the latency of the latency ring where both sides poll."""
    there, back, count = LatencyRing(CAPACITY), LatencyRing(CAPACITY), bench.messages
    with Region(8 * count) as samples, Region(64) as out:
        on_two(
            bench,
            lambda: programs.ring_ping(there.address, back.address, samples.address, count, politely),
            lambda: programs.ring_pong(there.address, back.address, out.address, count, politely),
        )
        return median_ns(samples, count)


def bell_ns(bench: Bench, wait: SpinBudget) -> float:
    """Return the latency of the latency ring with doorbells."""
    there, back, spin = LatencyRing(CAPACITY), LatencyRing(CAPACITY), wait.spin_cycles
    count = bench.messages if wait is POLL else bench.messages // 20
    with Region(8 * count) as samples, Region(64) as out:
        on_two(
            bench,
            lambda: programs.bell_ping(there.address, back.address, samples.address, count, spin),
            lambda: programs.bell_pong(there.address, back.address, out.address, count, spin),
        )
        return median_ns(samples, count)


@contextmanager
def lamport(bench: Bench, how_many: int, capacity: int = CAPACITY) -> Iterator[list[int]]:
    """Open rings of the C++ library."""
    if bench.library is None:
        raise RuntimeError("the C++ library is not there")
    functions = bench.library.functions
    rings = [functions.ring_open(capacity) for _ in range(how_many)]
    yield rings
    for ring in rings:
        functions.ring_free(ring)


def lamport_ns(bench: Bench, *, politely: bool) -> float:
    """Return the latency of the C++ ring."""
    if bench.library is None:
        return ABSENT
    functions, count = bench.library.functions, bench.messages
    with Region(8 * count) as samples, lamport(bench, 2) as (there, back):
        on_two(
            bench,
            lambda: functions.ring_ping(there, back, samples.address, count, politely),
            lambda: functions.ring_pong(there, back, count, politely),
        )
        return median_ns(samples, count)


def latency(bench: Bench) -> Pair:
    """Latency ring beside the C++ ring, each with the better of its two waiting loops."""
    ours = min(ring_ns(bench, politely=politely) for politely in (False, True))
    return ours, min(lamport_ns(bench, politely=politely) for politely in (False, True))


def latency_with_bells(bench: Bench) -> Pair:
    """Latency ring with doorbells that nobody sleeps on, beside the bare C++ ring."""
    return bell_ns(bench, POLL), min(lamport_ns(bench, politely=politely) for politely in (False, True))


def latency_disruptor(bench: Bench) -> Pair:
    """Latency ring beside the Disruptor, in its own process on the same PUs."""
    if bench.disruptor is None:
        return ABSENT, ABSENT
    ours = min(ring_ns(bench, politely=politely) for politely in (False, True))
    return ours, bench.disruptor.one_way_ns(bench.messages)


def stream_in_place(bench: Bench, batch: int) -> Pair:
    """Nanoseconds per message of the stream ring, published in batches, beside the C++ ring one at a time."""
    ring, count = StreamRing(STREAM_CAPACITY), bench.messages * 10 // batch * batch
    taken = on_two(
        bench,
        lambda: programs.stream_produce_in_place(ring.address, count, batch),
        lambda: programs.stream_drain_in_place(ring.address, count),
    )
    return cycles_to_ns(checked(taken)) / count, lamport_stream_ns(bench, count)


def stream_copied(bench: Bench, batch: int) -> Pair:
    """The same, where batches are copied in and out."""
    ring, count = StreamRing(STREAM_CAPACITY), bench.messages * 10 // batch * batch
    with Region(8 * batch) as source, Region(8 * batch) as target:
        taken = on_two(
            bench,
            lambda: programs.stream_produce(ring.address, source.address, count, batch),
            lambda: programs.stream_consume(ring.address, target.address, count, batch),
        )
    return cycles_to_ns(checked(taken)) / count, lamport_stream_ns(bench, count)


def lamport_stream_ns(bench: Bench, count: int) -> float:
    """Return the nanoseconds per message of the C++ ring, one at a time."""
    if bench.library is None:
        return ABSENT
    functions = bench.library.functions
    with lamport(bench, 1, STREAM_CAPACITY) as (peer,):
        taken = on_two(
            bench, lambda: functions.ring_produce(peer, count), lambda: functions.ring_consume(peer, count)
        )
    return cycles_to_ns(checked(taken)) / count


def checked(cycles: object) -> int:
    """Return the cycles that a program counted. Raises: RuntimeError: it found a wrong word."""
    if not isinstance(cycles, int) or cycles < 0:
        raise RuntimeError("a message was lost or changed")
    return cycles


def push_pop(bench: Bench) -> Pair:
    """A push and a pop in one thread, beside a store and a load of what was stored."""
    ours = _push_pop_ns(bench)
    if bench.library is None:
        return ours, ABSENT
    with Region(64) as line:
        silicon = min(
            checked(bench.library.functions.store_load(line.address, bench.messages)) for _ in range(5)
        )
    return ours, cycles_to_ns(silicon) / bench.messages


def push_pop_lamport(bench: Bench) -> Pair:
    """A push and a pop in one thread, beside the C++ ring's."""
    ours = _push_pop_ns(bench)
    if bench.library is None:
        return ours, ABSENT
    with lamport(bench, 1, 64) as (peer,):
        theirs = min(checked(bench.library.functions.ring_push_pop(peer, bench.messages)) for _ in range(5))
    return ours, cycles_to_ns(theirs) / bench.messages


def _push_pop_ns(bench: Bench) -> float:
    pin_current_thread(frozenset({bench.pus[1]}))
    ring, count = LatencyRing(64), bench.messages
    with Region(64) as out:
        return (
            cycles_to_ns(min(checked(programs.push_pop(ring.address, out.address, count)) for _ in range(5)))
            / count
        )


async def wake_ups_us(bench: Bench, wait: SpinBudget) -> float:
    """Return the median of the microseconds from a lane's push to the Trio task that waits for it."""
    state, late = Region(64), list[int]()
    state.view("i8", 2)[:] = (bench.gap_ns / cycles_to_ns(1), bench.wake_ups)
    context = LaneContext(LatencyRing(2), LatencyRing(CAPACITY), state=state.address, keeps=state)
    lane = Lane("tick", programs.tick, context, frozenset({bench.pus[1]}))
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(serve_lane, lane))
        late.extend([read_cycles() - word async for word in RingReader(context.results, wait=wait)])
    return cycles_to_ns(statistics.median(late[10:])) / 1_000


async def from_thread_us(bench: Bench) -> float:
    """Return the same where a Python thread tells Trio by `trio.from_thread.run_sync`."""
    late: list[int] = []

    def tell(start: int) -> None:
        late.append(read_cycles() - start)

    def work() -> None:
        pin_current_thread(frozenset({bench.pus[1]}))
        for _ in range(bench.wake_ups):
            due = time.perf_counter_ns() + bench.gap_ns
            time.sleep(bench.gap_ns / 1e9)  # without the GIL, which Trio's thread needs
            while time.perf_counter_ns() < due:
                pass
            trio.from_thread.run_sync(tell, read_cycles())

    await trio.to_thread.run_sync(work)
    return cycles_to_ns(statistics.median(late[10:])) / 1_000


def lane_to_trio_parked(bench: Bench) -> Pair:
    """Microseconds from a lane's push to the Trio task, parked, beside trio.from_thread.run_sync."""
    pin_current_thread(frozenset({bench.pus[0]}))
    return trio.run(wake_ups_us, bench, PARK), trio.run(from_thread_us, bench)


def lane_to_trio_polled(bench: Bench) -> Pair:
    """Microseconds from a lane's push to the Trio task that looks at every step, beside a bare step."""
    pin_current_thread(frozenset({bench.pus[0]}))
    return trio.run(wake_ups_us, bench, POLL), trio.run(_bare_step_us)


async def _bare_step_us() -> float:
    steps = []
    for _ in range(1_000):
        start = time.perf_counter_ns()
        for _ in range(10):
            await trio.lowlevel.checkpoint()
        steps.append((time.perf_counter_ns() - start) / 10_000)
    return statistics.median(steps)


class _Idle:
    """Calls compiled code as a ring does, to do nothing."""

    def __init__(self) -> None:
        self.address = 0
        self._nothing = entry(programs.nothing)

    def call(self, word: int) -> None:
        self._nothing(self.address, word)


def trio_to_lane(bench: Bench) -> Pair:
    """Nanoseconds of one push from Python, beside a call that does nothing."""
    pin_current_thread(frozenset({bench.pus[0]}))
    pushes, calls, ring, idle = [], [], LatencyRing(CAPACITY), _Idle()
    with Region(64) as out:
        for _ in range(20):
            start = time.perf_counter_ns()
            for word in range(CAPACITY):
                ring.push_nowait(word)
            between = time.perf_counter_ns()
            for word in range(CAPACITY):
                idle.call(word)
            pushes.append((between - start) / CAPACITY)
            calls.append((time.perf_counter_ns() - between) / CAPACITY)
            for _ in range(CAPACITY):
                ring_pop(ring.address, out.address)
    return statistics.median(pushes), statistics.median(calls)


def trio_to_lane_batch(bench: Bench) -> Pair:
    """Nanoseconds per message of a push of 256 from Python, beside a copy of them and an empty call."""
    pin_current_thread(frozenset({bench.pus[0]}))
    ring, batch, idle = StreamRing(CAPACITY), np.arange(256), _Idle()
    pushes, copies, target = [], [], np.empty(CAPACITY, np.int64)
    for _ in range(200):
        start = time.perf_counter_ns()
        ring.push_many_nowait(batch)
        ring.push_many_nowait(batch)
        between = time.perf_counter_ns()
        for _ in range(2):
            target[:256] = batch
            idle.call(256)
        pushes.append((between - start) / 512)
        copies.append((time.perf_counter_ns() - between) / 512)
        ring.pop_many_nowait()
    return statistics.median(pushes), statistics.median(copies)


def jitter(bench: Bench) -> Pair:
    """p99 in nanoseconds of a lane's steps beside four busy Python threads, and without them."""
    stop = threading.Event()

    def burn() -> None:
        pin_current_thread(frozenset({bench.pus[0]}))
        total = 0
        while not stop.is_set():
            total += sum(range(100))

    alone = _steps_p99(bench)
    threads = [threading.Thread(target=burn) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        beside = _steps_p99(bench)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return beside, alone


def _steps_p99(bench: Bench) -> float:
    count, found = 20_000, list[float]()
    with Region(8 * 1_024) as scratch, Region(8 * count) as samples:

        def lane() -> None:
            pin_current_thread(frozenset({bench.pus[1]}))
            with watched():
                programs.work_steadily(scratch.address, samples.address, count, 5_000)
            found.append(cycles_to_ns(float(np.percentile(samples.view("i8", count), 99))))

        thread = threading.Thread(target=lane)
        thread.start()
        thread.join()
    return found[0]


def warm_load(_: Bench) -> Pair:
    """Milliseconds to load all compiled functions from the cache, beside those of the first one alone."""
    script = Path(__file__).with_name("kernel_load.py")
    # Where Python may not keep byte code, numba's own modules are translated anew at each start.
    where = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    loads = []
    for _again in range(4):  # the first one fills the caches, and others may disturb the rest
        ran = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=where)
        first, others, _count = map(float, ran.stdout.split())
        loads.append((1_000 * (first + others), 1_000 * first))
    return min(loads)


def placement(_: Bench) -> Pair:
    """Milliseconds to place 40 lanes on a 48-core machine of 8 L3 groups, described, not present."""
    epyc = load_profile("epyc_9454p")
    lanes = {
        role: msgspec.structs.replace(needs, count=FORTY_LANES.get(role, 9), cores=1, l3="share")
        for role, needs in epyc.lanes.items()
    }
    profile, machine = msgspec.structs.replace(epyc, lanes=lanes), epyc.machine.read()
    start = time.perf_counter_ns()
    placed = place(machine, profile)
    between = time.perf_counter_ns()
    for _lane in placed.lanes:
        _look_at_every_pair(len(machine.cores))
    looked = time.perf_counter_ns()
    if len(placed.lanes) != sum(needs.count for needs in lanes.values()):
        raise RuntimeError("a lane was lost")
    return (between - start) / 1e6, (looked - between) / 1e6


def _look_at_every_pair(cores: int) -> float:
    distance = [[abs(a - b) * 1.0 for b in range(cores)] for a in range(cores)]
    return sum(distance[a][b] for a in range(cores) for b in range(a))
