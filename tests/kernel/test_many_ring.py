"""Any number of threads share a many-to-many ring, and every message arrives once."""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import partial

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tallyio.kernel.bridge import PARK, RingReader, RingWriter, SpinBudget, hybrid
from tallyio.kernel.doorbell import bell_ring
from tallyio.kernel.many_ring import (
    ManyRing,
    _give_filled,
    _give_free,
    _win_filled,
    _win_free,
    many_pop,
    many_push,
    many_put,
    many_take,
    send_many,
    wait_many,
)
from tallyio.kernel.ring import LatencyRing
from tallyio.kernel.ring_layout import Lag
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot, warm_all
from tallyio.native.memory import Region

ALLOWED = sorted(os.sched_getaffinity(0))
EVENT = np.dtype([("kind", "i8"), ("value", "f8")])


@hot("int64(int64, int64, int64, int64, int64)")
def produce(ring: int, message: int, start: int, count: int, spin_cycles: int) -> int:
    """Send (n, -n) for `count` numbers from `start`; return how many were sent."""
    sent = 0
    for n in range(start, start + count):
        store(message, 0, n)
        store(message, 1, -n)
        if send_many(ring, message, 2, spin_cycles) == 1:
            sent += 1
    return sent


@hot("int64(int64, int64, int64, int64, int64)")
def consume(ring: int, target: int, seen: int, producers: int, spin_cycles: int) -> int:
    """Count every number at `seen`; return how many came, or -1 if one is torn or out of order.

    The word at `seen` - 8 * (1 + p) holds the last number of producer p, which owns every
    `producers`-th block of 2**20 numbers.
    """
    count = 0
    while wait_many(ring, target, 2, spin_cycles):
        n, last = load(target, 0), -1 - (load(target, 0) >> 20)
        if load(target, 1) != -n or n < load(seen, last):
            return -1
        store(seen, last, n)
        count += 1
    return count


class Crowd:
    """Producers and consumers on one ring, each a thread."""

    def __init__(self, ring: ManyRing, wait: SpinBudget) -> None:
        self.ring, self.spin, self.sent, self.got = ring, wait.spin_cycles, dict[int, int](), dict[int, int]()

    def run(self, producers: int, consumers: int, count: int) -> None:
        """Run all to their end."""
        warm_all([produce, consume])
        makers = [threading.Thread(target=self._produce, args=(n, count)) for n in range(producers)]
        takers = [threading.Thread(target=self._consume, args=(n, producers)) for n in range(consumers)]
        for thread in [*takers, *makers]:
            thread.start()
        for thread in makers:
            thread.join()
        self.ring.close()
        for thread in takers:
            thread.join()

    def _produce(self, n: int, count: int) -> None:
        os.sched_setaffinity(0, {ALLOWED[n % len(ALLOWED)]})
        with Region(64) as message:
            self.sent[n] = produce(self.ring.address, message.address, n << 20, count, self.spin)

    def _consume(self, n: int, producers: int) -> None:
        os.sched_setaffinity(0, {ALLOWED[-1 - n % len(ALLOWED)]})
        with Region(64) as target, Region(8 * producers) as seen:
            end = seen.address + 8 * producers
            self.got[n] = consume(self.ring.address, target.address, end, producers, self.spin)


@given(st.sampled_from([2, 4]), st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)), max_size=40))
def test_alone_it_is_a_bounded_queue(capacity: int, steps: list[int | None]) -> None:
    ring, model, out = ManyRing(capacity), deque[int](), Region(8)
    for word in steps:
        if word is not None:
            assert many_push(ring.address, word) == (len(model) < capacity)
            model.extend([word] if len(model) < capacity else [])
        else:
            assert many_pop(ring.address, out.address) == bool(model)
            if model:
                assert out.view("i8", 1)[0] == model.popleft()
        assert (ring.is_empty, ring.is_full) == (not model, len(model) == capacity)
    assert ring.statistics().length == len(model)


@pytest.mark.parametrize("wait", [PARK, hybrid(20_000)])
@pytest.mark.parametrize(("producers", "consumers"), [(1, 1), (3, 1), (1, 3), (3, 3)])
def test_nothing_is_lost_doubled_or_torn(wait: SpinBudget, producers: int, consumers: int) -> None:
    """A small ring brings all sides to sleep often; a lost wake-up would hang."""
    ring = ManyRing(4)
    crowd = Crowd(ring, wait)
    crowd.run(producers, consumers, 3_000)
    assert list(crowd.sent.values()) == [3_000] * producers
    assert -1 not in crowd.got.values()
    assert sum(crowd.got.values()) == 3_000 * producers
    assert (ring.statistics().pushed, ring.statistics().popped) == (3_000 * producers,) * 2


def test_a_ring_that_drops_the_oldest_keeps_the_newest() -> None:
    ring = ManyRing(4, lag=Lag.DROP_OLDEST)
    for word in range(10):
        ring.push_nowait(word)
    assert [ring.pop_nowait() for _ in range(4)] == [6, 7, 8, 9]
    statistics = ring.statistics()
    assert (statistics.dropped, statistics.refused, statistics.waited) == (6, 0, 0)


def test_producers_that_drop_never_wait_and_every_message_is_accounted_for() -> None:
    ring = ManyRing(2, lag=Lag.DROP_OLDEST)
    crowd = Crowd(ring, PARK)
    crowd.run(2, 1, 5_000)
    assert list(crowd.sent.values()) == [5_000] * 2
    assert crowd.got[0] + ring.statistics().dropped == 10_000


@pytest.mark.parametrize("lag", [Lag.FAIL, Lag.BLOCK])
def test_a_full_ring_refuses_without_waiting(lag: Lag) -> None:
    ring = ManyRing(2, lag=lag)
    ring.push_nowait(1)
    ring.push_nowait(2)
    with pytest.raises(trio.WouldBlock):
        ring.push_nowait(3)
    assert ring.statistics().refused == 1


def test_compiled_code_fails_by_the_policy() -> None:
    ring, memory = ManyRing(2, lag=Lag.FAIL), Region(64)
    assert [send_many(ring.address, memory.address, 1, 0) for _ in range(3)] == [1, 1, 0]
    ring.close()
    assert send_many(ring.address, memory.address, 1, 0) == -1
    assert ring.statistics().refused == 1


def test_messages_of_several_words_and_records_come_back_as_sent() -> None:
    ring, memory = ManyRing(2, dtype=EVENT), Region(64)
    ring.push_nowait(1, 2, 3)
    assert ring.pop_cell_nowait() == (1, 2, 3, 0, 0, 0, 0)
    ring.push_record_nowait((7, 2.5))
    assert ring.pop_record_nowait() == np.array((7, 2.5), EVENT)
    memory.view("i8", 7)[:] = range(7)
    assert many_put(ring.address, memory.address, 7)
    assert many_take(ring.address, memory.address, 2)
    assert ring.is_empty
    with pytest.raises(ValueError, match="at most 7 words, was 8"):
        ring.push_nowait(*range(8))
    with pytest.raises(trio.WouldBlock):
        ring.pop_cell_nowait()


@pytest.mark.parametrize("kind", [LatencyRing, ManyRing])
def test_a_record_must_fit_into_a_cell(kind: type[LatencyRing | ManyRing]) -> None:
    with pytest.raises(ValueError, match="plain data of at most 56 bytes"):
        kind(2, dtype=np.dtype("V64"))


def test_a_latency_ring_carries_records() -> None:
    ring = LatencyRing(2, dtype=EVENT)
    ring.push_record_nowait((1, 0.5))
    ring.push_record_nowait(np.array((2, 1.5), EVENT)[()])
    with pytest.raises(trio.WouldBlock):
        ring.push_record_nowait((3, 3.5))
    assert [ring.pop_record_nowait().tolist() for _ in range(2)] == [(1, 0.5), (2, 1.5)]
    ring.close()
    with pytest.raises(trio.EndOfChannel):
        ring.pop_record_nowait()
    with pytest.raises(trio.ClosedResourceError):
        ring.push_record_nowait((3, 3.5))


def test_who_takes_a_message_wakes_another_consumer_for_the_next() -> None:
    """A producer is interrupted between winning a position and filling it, while two consumers sleep."""
    ring = ManyRing(4)
    bell = ring.filled
    bell.arm()
    bell.arm()
    late = _win_free(ring.address)
    ring.push_nowait(2)
    assert bell.answer()  # in vain: what comes before is not there
    assert ring.is_empty
    bell.arm()
    _give_filled(late)
    bell_ring(bell.address)
    assert bell.answer()
    ring.pop_nowait()
    assert bell.answer()  # the other one
    assert ring.pop_nowait() == 2
    assert bell.rung == 3


def test_who_finds_room_wakes_another_producer_for_what_is_left() -> None:
    """A consumer is interrupted between winning a message and giving its cell back; two producers sleep."""
    ring = ManyRing(2)
    bell = ring.free
    ring.push_nowait(1)
    ring.push_nowait(2)
    bell.arm()
    bell.arm()
    late = _win_filled(ring.address)
    assert ring.pop_nowait() == 2
    assert bell.answer()
    assert ring.is_full
    bell.arm()
    _give_free(ring.address, late)
    bell_ring(bell.address)
    assert bell.answer()
    ring.push_nowait(3)
    assert bell.answer()
    ring.push_nowait(4)
    assert bell.rung == 3


def test_closing_wakes_every_sleeper() -> None:
    ring, memory, ended = ManyRing(2), Region(64), list[bool]()
    warm_all([wait_many])
    threads = [
        threading.Thread(target=lambda: ended.append(wait_many(ring.address, memory.address, 1, 0)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    while ring.statistics().consumer_slept < 4:
        threading.Event().wait(0.001)
    ring.close()
    for thread in threads:
        thread.join()
    assert ended == [False] * 4


async def test_lanes_and_a_task_take_turns_at_one_ring() -> None:
    """A parked task beside a parked thread: whoever is woken, no message is lost."""
    ring, memory, by_task = ManyRing(4), Region(64), list[int]()
    crowd = Crowd(ring, PARK)
    warm_all([consume])

    async def read() -> None:
        async for word in RingReader(ring):
            by_task.append(word)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        nursery.start_soon(partial(trio.to_thread.run_sync, crowd._consume, 0, 1))
        writer = RingWriter(ring)
        for n in range(500):
            memory.view("i8", 2)[:] = (n, -n)
            await writer.send(n, -n)
        await trio.testing.wait_all_tasks_blocked(0.01)
        ring.close()
    assert sorted(by_task) == by_task
    assert len(by_task) + crowd.got[0] == 500


async def test_a_cancelled_reader_takes_its_announcement_back() -> None:
    ring = ManyRing(2)
    reader = RingReader(ring)
    for word in range(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reader.receive)
            await wait_all_tasks_blocked()
            if word % 2:
                nursery.cancel_scope.cancel()
            else:
                ring.push_nowait(word)
    ring.push_nowait(5)
    assert ring.statistics().consumer_woken == 10
    assert await reader.receive() == 5
