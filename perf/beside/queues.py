"""Handing words over: our rings beside what Python programs use, a C++ ring and the LMAX Disruptor."""

from __future__ import annotations

import math
import os
import queue
import statistics
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np
import trio

from perf.kernel_programs import PROGRAMS
from perf.kernel_rounds import Bench, from_thread_us, lamport_ns, ring_ns, wake_ups_us
from perf.market.row import Case, row
from perf.peers.peers import Disruptor, LamportLibrary
from perf.peers.session import Peers
from tallyio.bench.rounds import Timer, timed
from tallyio.kernel.bridge import PARK
from tallyio.kernel.ring import LatencyRing
from tallyio.kernel.stream_ring import StreamRing
from tallyio.kernel.threads import pin_current_thread
from tallyio.native.jit import warm_all

CAPACITY: Final = 1_024
BATCH: Final = 256
OFTEN: Final = 20
ROUND_TRIPS: Final = 100
MESSAGES: Final = 5_000
LAMPORT: Final = "Lamport ring in C++ -O3"
DISRUPTOR: Final = "LMAX Disruptor"
SIMPLE_QUEUE: Final = "queue.SimpleQueue"
ONE_PU: Final = "two lanes need two PUs, and this process may use only one"
DEQUE: Final = "collections.deque"
CHANNEL: Final = "trio memory channel"


@row("ring.single_from_python")
def singles(_: Peers) -> Case:
    """One word in and out again, by two calls from Python on one thread."""
    ring = LatencyRing(CAPACITY)
    line: deque[int] = deque()
    simple: queue.SimpleQueue[int] = queue.SimpleQueue()
    send, receive = trio.open_memory_channel[int](CAPACITY)
    return Case(
        ours=_passed(ring.push_nowait, ring.pop_nowait),
        peers={
            DEQUE: _passed(line.append, line.popleft),
            SIMPLE_QUEUE: _passed(simple.put, simple.get_nowait),
            CHANNEL: _in_trio(send.send_nowait, receive.receive_nowait),
        },
        keeps=(ring, send, receive),
    )


@row("ring.batch_from_python")
def batches(_: Peers) -> Case:
    """256 words in and out again, by two calls from Python on one thread; time for each word."""
    ring, words = StreamRing(CAPACITY), np.arange(BATCH)
    plain, line = list(range(BATCH)), deque[int]()

    def ours() -> None:
        ring.push_many_nowait(words)
        ring.pop_many_nowait()

    def theirs() -> None:
        line.extend(plain)
        for _ in plain:
            line.popleft()

    return Case(
        ours=timed(_often, ours, operations=OFTEN * BATCH),
        peers={f"{DEQUE}, extend and popleft": timed(_often, theirs, operations=OFTEN * BATCH)},
        keeps=ring,
    )


@row("ring.one_way")
def one_way(_: Peers) -> Case:
    """One word from one core to another, where both sides look for it all the time."""
    bench = _bench()
    if bench is None:
        return Case(ours=lambda: math.nan, absent=dict.fromkeys((LAMPORT, DISRUPTOR), ONE_PU))
    peers: dict[str, Timer] = {SIMPLE_QUEUE: lambda: _simple_queue_ns(bench)}
    absent: dict[str, str] = {}
    if bench.library is None:
        absent[LAMPORT] = LamportLibrary.absent()
    else:
        peers[LAMPORT] = lambda: min(lamport_ns(bench, politely=politely) for politely in (False, True))
    if (disruptor := bench.disruptor) is None:
        absent[DISRUPTOR] = Disruptor.absent()
    else:
        peers[DISRUPTOR] = lambda: disruptor.one_way_ns(MESSAGES)
    return Case(
        ours=lambda: min(ring_ns(bench, politely=politely) for politely in (False, True)),
        peers=peers,
        absent=absent,
        keeps=bench,
    )


@row("trio.wake_up")
def wake_ups(_: Peers) -> Case:
    """From a thread of its own to a Trio task that sleeps until then."""
    bench = _bench()
    name = "trio.from_thread.run_sync"
    if bench is None:
        return Case(ours=lambda: math.nan, absent={name: ONE_PU})
    return Case(
        ours=lambda: 1_000 * trio.run(wake_ups_us, bench, PARK),
        peers={name: lambda: 1_000 * trio.run(from_thread_us, bench)},
        keeps=bench,
    )


@cache
def _bench() -> Bench | None:
    allowed = sorted(os.sched_getaffinity(0))
    if allowed[0] == allowed[-1]:
        return None
    warm_all(PROGRAMS)
    pus = allowed[0], allowed[-1]
    disruptor = None if Disruptor.absent() else Disruptor(pus)
    if disruptor is not None:
        disruptor.__enter__()
        for _ in range(2):
            disruptor.one_way_ns(MESSAGES)  # the first rounds are interpreted
    return Bench(
        pus=pus,
        messages=MESSAGES,
        wake_ups=60,
        gap_ns=300_000,
        library=None if LamportLibrary.absent() else LamportLibrary(),
        disruptor=disruptor,
    )


def _passed(put: Callable[[int], object], get: Callable[[], object]) -> Timer:
    """Return a timer of one `put` and one `get`."""

    def passing() -> None:
        for word in range(CAPACITY):
            put(word)
        for _ in range(CAPACITY):
            get()

    return timed(passing, operations=CAPACITY)


def _in_trio(put: Callable[[int], object], get: Callable[[], object]) -> Timer:
    """Return the same, for what works inside Trio only."""
    timer = _passed(put, get)

    async def inside() -> float:
        return timer()

    return lambda: trio.run(inside)


def _often(work: Callable[[], object]) -> None:
    for _ in range(OFTEN):
        work()


def _simple_queue_ns(bench: Bench) -> float:
    """Return the median one-way latency between two Python threads that sleep until a word comes."""
    there: queue.SimpleQueue[int] = queue.SimpleQueue()
    back: queue.SimpleQueue[int] = queue.SimpleQueue()

    def answer() -> None:
        pin_current_thread(frozenset({bench.pus[1]}))
        for _ in range(ROUND_TRIPS):
            back.put(there.get())

    def ask() -> None:
        pin_current_thread(frozenset({bench.pus[0]}))
        for word in range(ROUND_TRIPS):
            start = time.perf_counter_ns()
            there.put(word)
            back.get()
            trips.append(time.perf_counter_ns() - start)

    trips: list[int] = []
    threads = [threading.Thread(target=work) for work in (answer, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(trips) / 2
