"""Carry hundreds of millions of messages through every ring and check each one: order and checksum.

    python perf/stress_rings.py [--messages N] [--pus A,B] [--wait park|hybrid|poll ...] [--ring NAME ...]

Messages are pseudo-random numbers that the consumer computes, too, so that a lost, doubled, swapped or
torn one is found where it happens. Small rings and pauses by chance make both sides meet full and
empty rings, and sleep. Exit code 1 if anything was wrong. A lost wake-up ends in the watchdog below.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from tallyio.kernel.bridge import PARK, POLL, SpinBudget, hybrid
from tallyio.kernel.many_ring import ManyRing, send_many, wait_many
from tallyio.kernel.ring import LatencyRing, publish_and_ring, release_and_ring, wait_filled, wait_free
from tallyio.kernel.ring_base import RingBase
from tallyio.kernel.ring_layout import Lag
from tallyio.kernel.stream_ring import StreamRing, wait_put, wait_take
from tallyio.kernel.threads import pin_current_thread
from tallyio.native.atomics import load, pause, store
from tallyio.native.jit import HotFunction, hot, warm_all
from tallyio.native.memory import Region

WAITS: Final = {"park": PARK, "hybrid": hybrid(5_000), "poll": POLL}
BATCH: Final = 64
OWN: Final = 40
"""Numbers of one producer of several: those with its own number above this bit."""
STUCK_S: Final = 60.0


@hot("int64(int64)", inline=True)
def mix(n: int) -> int:
    """Return a number that looks like chance, the same for the same n; wraps, which is wanted."""
    n = (n ^ (n >> 31)) * 0x5851F42D4C957F2D
    return n ^ (n >> 29)


@hot("void(int64)", inline=True)
def dawdle(random: int) -> None:
    """Pause for a while, once in a few thousand times."""
    if random & 0xFFF == 0:
        for _ in range(random >> 52 & 0x3FF):
            pause()


@hot("int64(int64, int64, int64)")
def produce_words(ring: int, count: int, spin_cycles: int) -> int:
    """Latency ring: messages of three words."""
    for n in range(count):
        random = mix(n)
        dawdle(random)
        cell = wait_free(ring, spin_cycles)
        store(cell, 0, n)
        store(cell, 1, random)
        store(cell, 2, ~random)
        publish_and_ring(ring)
    return count


@hot("int64(int64, int64)")
def consume_words(ring: int, spin_cycles: int) -> int:
    """Return how many came as they were sent, or -1 minus the position of the first that did not."""
    n = 0
    while True:
        cell = wait_filled(ring, spin_cycles)
        if cell == 0:
            return n
        random = mix(n)
        if load(cell, 0) != n or load(cell, 1) != random or load(cell, 2) != ~random:
            return -1 - n
        release_and_ring(ring)
        dawdle(random >> 12)
        n += 1


@hot("int64(int64, int64, int64, int64)")
def produce_stream(ring: int, source: int, count: int, spin_cycles: int) -> int:
    """Stream ring: batches of 1 to 64 words."""
    done = 0
    while done < count:
        random = mix(done)
        dawdle(random)
        batch = min(1 + (random & (BATCH - 1)), count - done)
        for k in range(batch):
            store(source, k, mix(done + k))
        if not wait_put(ring, source, batch, spin_cycles):
            return done
        done += batch
    return done


@hot("int64(int64, int64, int64)")
def consume_stream(ring: int, target: int, spin_cycles: int) -> int:
    """As `consume_words`, for what `produce_stream` sends."""
    n = 0
    while True:
        batch = wait_take(ring, target, 1 + (mix(n) >> 7 & (BATCH - 1)), spin_cycles)
        if batch == 0:
            return n
        for k in range(batch):
            if load(target, k) != mix(n + k):
                return -1 - (n + k)
        dawdle(mix(n) >> 12)
        n += batch


@hot("int64(int64, int64, int64, int64, int64)")
def produce_many(ring: int, message: int, first: int, count: int, spin_cycles: int) -> int:
    """Many-to-many ring: messages of two words, numbered from `first`."""
    for n in range(first, first + count):
        store(message, 0, n)
        store(message, 1, mix(n))
        dawdle(mix(n))
        if send_many(ring, message, 2, spin_cycles) != 1:
            return n - first
    return count


@hot("int64(int64, int64, int64, int64)")
def consume_many(ring: int, target: int, state: int, spin_cycles: int) -> int:
    """Return how many came whole, and in the order of their producer, or -1 minus that number.

    `state` holds the sum of all, then the next number of each producer that may come.
    """
    count = 0
    while wait_many(ring, target, 2, spin_cycles):
        n = load(target, 0)
        producer = 1 + (n >> OWN)
        if load(target, 1) != mix(n) or n < load(state, producer):
            return -1 - count
        store(state, producer, n + 1)
        store(state, 0, load(state, 0) + mix(n))
        dawdle(mix(n) >> 12)
        count += 1
    return count


@hot("int64(int64, int64)")
def sum_of(first: int, count: int) -> int:
    """Return the checksum of a producer's messages; wraps."""
    total = 0
    for n in range(first, first + count):
        total += mix(n)
    return total


PROGRAMS: Final[list[HotFunction[..., int]]] = [
    produce_words,
    consume_words,
    produce_stream,
    consume_stream,
    produce_many,
    consume_many,
    sum_of,
]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One ring under stress."""

    messages: int
    seconds: float
    fault: str


def run_all(ring: RingBase, work: list[Callable[[], int]], makers: int, pus: tuple[int, int]) -> list[int]:
    """Run every function in a thread, the first `makers` of them on one PU, the rest on the other.

    The ring is closed when the makers have ended. Exits the process if nothing moves for a minute.
    """
    results = [0] * len(work)

    def live(k: int) -> None:
        pin_current_thread(frozenset({pus[k >= makers]}))
        results[k] = work[k]()

    threads = [threading.Thread(target=live, args=(k,), daemon=True) for k in range(len(work))]
    for thread in threads:
        thread.start()
    for k, thread in enumerate(threads):
        before = -1
        while thread.is_alive():
            thread.join(STUCK_S)
            popped = ring.statistics().popped
            if thread.is_alive() and popped == before and not ring.closed:
                raise SystemExit(f"nothing moves any more after {popped:,} messages: a wake-up was lost")
            before = popped
        if k == makers - 1:
            ring.close()
    return results


def stress_latency(count: int, wait: SpinBudget, pus: tuple[int, int]) -> str:
    """Return what is wrong with the latency ring, or nothing."""
    ring, spin = LatencyRing(64), wait.spin_cycles
    _, got = run_all(
        ring,
        [lambda: produce_words(ring.address, count, spin), lambda: consume_words(ring.address, spin)],
        1,
        pus,
    )
    return "" if got == count else f"{got:,} of {count:,} (negative: the first wrong one)"


def stress_stream(count: int, wait: SpinBudget, pus: tuple[int, int]) -> str:
    """Return what is wrong with the stream ring, or nothing."""
    ring, spin = StreamRing(256), wait.spin_cycles
    with Region(8 * BATCH) as source, Region(8 * BATCH) as target:
        _, got = run_all(
            ring,
            [
                lambda: produce_stream(ring.address, source.address, count, spin),
                lambda: consume_stream(ring.address, target.address, spin),
            ],
            1,
            pus,
        )
    return "" if got == count else f"{got:,} of {count:,} (negative: the first wrong one)"


def stress_many(count: int, wait: SpinBudget, pus: tuple[int, int], lag: Lag = Lag.BLOCK) -> str:
    """Return what is wrong with the many-to-many ring, two producers and two consumers, or nothing."""
    ring, spin, each = ManyRing(64, lag=lag), wait.spin_cycles, count // 2
    regions = [Region(64) for _ in range(4)]
    states = [Region(64) for _ in range(2)]
    work: list[Callable[[], int]] = [
        *(lambda k=k: produce_many(ring.address, regions[k].address, k << OWN, each, spin) for k in range(2)),
        *(
            lambda k=k: consume_many(ring.address, regions[2 + k].address, states[k].address, spin)
            for k in range(2)
        ),
    ]
    results = run_all(ring, work, 2, pus)
    dropped = ring.statistics().dropped
    got = results[2] + results[3]
    if min(results) < 0 or got + dropped != 2 * each:
        return f"{results}, {dropped:,} dropped"
    wanted = (sum_of(0, each) + sum_of(1 << OWN, each)) & (2**64 - 1)
    found = sum(int(state.view("i8", 1)[0]) for state in states) & (2**64 - 1)
    return "" if dropped or found == wanted else "the checksum is wrong"


def stress_dropping(count: int, wait: SpinBudget, pus: tuple[int, int]) -> str:
    """As `stress_many`, where producers drop the oldest message."""
    return stress_many(count, wait, pus, Lag.DROP_OLDEST)


RINGS: Final = {
    "latency": stress_latency,
    "stream": stress_stream,
    "many": stress_many,
    "dropping": stress_dropping,
}
SLOWER: Final = {"park": 20, "hybrid": 4, "poll": 1}
"""A message that puts somebody to sleep takes that much longer: so many fewer are sent."""


def stress(asked: argparse.Namespace, pus: tuple[int, int]) -> Iterator[tuple[str, Outcome]]:
    """Yield the outcome of every ring and wait."""
    for name in asked.ring:
        for wait in asked.wait:
            # Two that poll on one PU get on once per time slice of the OS.
            if wait == "poll" and name in {"many", "dropping"}:
                continue
            count = asked.messages // SLOWER[wait]
            start = time.perf_counter()
            fault = RINGS[name](count, WAITS[wait], pus)
            seconds = time.perf_counter() - start
            yield f"{name} {wait}", Outcome(messages=count, seconds=seconds, fault=fault)


def main() -> None:
    """Run and print."""
    allowed = sorted(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=200_000_000)
    parser.add_argument("--pus", default=f"{allowed[0]},{allowed[-1]}", help="two PUs by OS index")
    parser.add_argument("--wait", nargs="*", default=list(WAITS), choices=list(WAITS))
    parser.add_argument("--ring", nargs="*", default=list(RINGS), choices=list(RINGS))
    asked = parser.parse_args()
    first, second = map(int, asked.pus.split(","))
    warm_all(PROGRAMS)
    wrong, total = False, 0
    for name, outcome in stress(asked, (first, second)):
        verdict = outcome.fault or "all as sent"
        wrong, total = wrong or bool(outcome.fault), total + outcome.messages
        took = f"{outcome.seconds:8.1f} s {outcome.messages / outcome.seconds / 1e6:7.2f} M/s"
        print(f"{name:<16} {outcome.messages:>13,} messages {took}  {verdict}", flush=True)
    print(f"{total:,} messages in all")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
