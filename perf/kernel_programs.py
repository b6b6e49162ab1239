"""The compiled halves of `bench_kernel.py`: what runs on the two PUs while something is measured.

Samples are in cycles of `tallyio.native.clock`. Where one program waits for another, `politely` says
whether its loop tells the processor that it waits.
"""

from __future__ import annotations

from tallyio.kernel.lane_program import lane_is_asked_to_stop, lane_results, lane_state
from tallyio.kernel.ring import push_and_ring, ring_pop, ring_push, wait_pop, wait_push
from tallyio.kernel.stream_ring import (
    stream_filled,
    stream_item,
    stream_publish,
    stream_put,
    stream_release,
    stream_room,
    stream_slot,
    stream_take,
)
from tallyio.native.atomics import load, load_acquire, pause, store, store_release
from tallyio.native.clock import cycle_count
from tallyio.native.jit import hot


@hot("void(int64)", inline=True)
def relax(politely: int) -> None:
    """Wait a moment, or not."""
    if politely:
        pause()


@hot("int64(int64, int64, int64)")
def core_ping(line: int, samples: int, count: int) -> int:
    """Bounce one cache line `count` times; sample each round trip."""
    for i in range(count):
        start = cycle_count()
        store_release(line, 0, 2 * i + 1)
        while load_acquire(line, 0) != 2 * i + 2:
            pause()
        store(samples, i, cycle_count() - start)
    return count


@hot("int64(int64, int64)")
def core_pong(line: int, count: int) -> int:
    """Answer `core_ping`."""
    for i in range(count):
        while load_acquire(line, 0) != 2 * i + 1:
            pause()
        store_release(line, 0, 2 * i + 2)
    return count


@hot("int64(int64, int64, int64, int64, int64)")
def ring_ping(there: int, back: int, samples: int, count: int, politely: int) -> int:
    """Send a word there and wait for it to come back; sample each round trip, -1 if it is another."""
    for i in range(count):
        start = cycle_count()
        while not ring_push(there, i):
            relax(politely)
        while not ring_pop(back, samples + 8 * i):
            relax(politely)
        store(samples, i, cycle_count() - start if load(samples, i) == i else -1)
    return count


@hot("int64(int64, int64, int64, int64, int64)")
def ring_pong(there: int, back: int, out: int, count: int, politely: int) -> int:
    """Answer `ring_ping`."""
    for _ in range(count):
        while not ring_pop(there, out):
            relax(politely)
        while not ring_push(back, load(out, 0)):
            relax(politely)
    return count


@hot("int64(int64, int64, int64, int64, int64)")
def bell_ping(there: int, back: int, samples: int, count: int, spin_cycles: int) -> int:
    """As `ring_ping`, with doorbells."""
    for i in range(count):
        start = cycle_count()
        wait_push(there, i, spin_cycles)
        wait_pop(back, samples + 8 * i, spin_cycles)
        store(samples, i, cycle_count() - start)
    return count


@hot("int64(int64, int64, int64, int64, int64)")
def bell_pong(there: int, back: int, out: int, count: int, spin_cycles: int) -> int:
    """Answer `bell_ping`."""
    for _ in range(count):
        wait_pop(there, out, spin_cycles)
        wait_push(back, load(out, 0), spin_cycles)
    return count


@hot("int64(int64, int64, int64)")
def push_pop(ring: int, out: int, count: int) -> int:
    """Return the cycles of `count` pushes and pops in one thread, or -1 if a word was wrong."""
    wrong = 0
    start = cycle_count()
    for i in range(count):
        ring_push(ring, i)
        ring_pop(ring, out)
        if load(out, 0) != i:
            wrong += 1
    taken = cycle_count() - start
    return -1 if wrong else taken


@hot("int64(int64, int64)")
def nothing(address: int, word: int) -> int:
    """Return: what a call from Python costs when there is nothing to do."""
    return address + word


@hot("int64(int64, int64, int64, int64)")
def stream_produce(ring: int, source: int, count: int, batch: int) -> int:
    """Put 0, 1, ... in batches; `count` is a multiple of `batch`."""
    for first in range(0, count, batch):
        for k in range(batch):
            store(source, k, first + k)
        done = stream_put(ring, source, batch)
        while done < batch:
            pause()
            done += stream_put(ring, source + 8 * done, batch - done)
    return count


@hot("int64(int64, int64, int64, int64)")
def stream_consume(ring: int, target: int, count: int, batch: int) -> int:
    """Take `count` words, at most `batch` at a time; return the cycles from the first on, -1 if wrong."""
    done, wrong = stream_take(ring, target, batch), 0
    while done == 0:
        done = stream_take(ring, target, batch)
    start = cycle_count()
    while done < count:
        taken = stream_take(ring, target, batch)
        for k in range(taken):
            if load(target, k) != done + k:
                wrong += 1
        done += taken
        if taken == 0:
            pause()
    return -1 if wrong else cycle_count() - start


@hot("int64(int64, int64, int64)")
def stream_produce_in_place(ring: int, count: int, batch: int) -> int:
    """As `stream_produce`, written where the ring keeps them."""
    for first in range(0, count, batch):
        while stream_room(ring) < batch:
            pause()
        for k in range(batch):
            store(stream_slot(ring, k), 0, first + k)
        stream_publish(ring, batch)
    return count


@hot("int64(int64, int64)")
def stream_drain_in_place(ring: int, count: int) -> int:
    """As `stream_consume`, read where they lie, all that there are."""
    done, wrong, start = 0, 0, 0
    while done < count:
        filled = stream_filled(ring)
        if done == 0:
            start = cycle_count()
        for k in range(filled):
            if load(stream_item(ring, k), 0) != done + k:
                wrong += 1
        if filled:
            stream_release(ring, filled)
        else:
            pause()
        done += filled
    return -1 if wrong else cycle_count() - start


@hot("int64(int64)")
def tick(context: int) -> int:
    """A lane that pushes the time as often as its state says: gap in cycles, count."""
    gap, count = load(lane_state(context), 0), load(lane_state(context), 1)
    for _ in range(count):
        due = cycle_count() + gap
        while cycle_count() < due:
            pause()
        if lane_is_asked_to_stop(context) or not push_and_ring(lane_results(context), cycle_count()):
            return 1
    return 0


@hot("int64(int64, int64, int64, int64)")
def work_steadily(scratch: int, samples: int, count: int, rounds: int) -> int:
    """Do the same small work `count` times; sample how long each took."""
    for i in range(count):
        start = cycle_count()
        for k in range(rounds):
            store(scratch, k & 1_023, load(scratch, (7 * k) & 1_023) + k)
        store(samples, i, cycle_count() - start)
    return count


PROGRAMS = (
    nothing,
    core_ping,
    core_pong,
    ring_ping,
    ring_pong,
    bell_ping,
    bell_pong,
    push_pop,
    stream_produce,
    stream_consume,
    stream_produce_in_place,
    stream_drain_in_place,
    tick,
    work_steadily,
)
