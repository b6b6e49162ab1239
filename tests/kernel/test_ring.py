"""Rings carry every word once and in order, whoever waits and however."""

from __future__ import annotations

import os
import threading
from collections import deque
from itertools import product

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tallyio.kernel.ring import (
    MAX_CAPACITY,
    POLL_CYCLES,
    LatencyRing,
    publish_and_ring,
    release_and_ring,
    ring_pop,
    ring_push,
    wait_filled,
    wait_free,
    wait_pop,
    wait_push,
)
from tallyio.kernel.ring_cells import CELL_WORDS, filled_cell, free_cell
from tallyio.native.atomics import load, pause, store
from tallyio.native.jit import hot, warm_all
from tallyio.native.memory import Region

INT64 = st.integers(-(2**63), 2**63 - 1)
ALLOWED = sorted(os.sched_getaffinity(0))


@hot("int64(int64)", inline=True)
def next_random(seed: int) -> int:
    """Return the next number of a 31-bit linear congruence: below 2**31 * 2**31, so no overflow."""
    return (seed * 1_103_515_245 + 12_345) & 0x7FFF_FFFF


@hot("void(int64, int64)", inline=True)
def dawdle(random: int, most: int) -> None:
    """Pause up to `most` times, and most often not at all."""
    for _ in range(random % most if random & 0x700 == 0 else 0):
        pause()


@hot("int64(int64, int64, int64, int64)")
def produce(ring: int, count: int, spin_cycles: int, seed: int) -> int:
    """Push 0, 1, ... with pauses by chance; return how many went in."""
    for word in range(count):
        seed = next_random(seed)
        dawdle(seed, 2_000)
        if not wait_push(ring, word, spin_cycles):
            return word
    return count


@hot("int64(int64, int64, int64, int64)")
def consume(ring: int, out: int, spin_cycles: int, seed: int) -> int:
    """Pop until the ring is closed; return how many came in order, or -1 at the first that did not."""
    count = 0
    while wait_pop(ring, out, spin_cycles):
        if load(out, 0) != count:
            return -1
        count += 1
        seed = next_random(seed)
        dawdle(seed, 2_000)
    return count


@hot("int64(int64, int64)")
def produce_cells(ring: int, count: int) -> int:
    """Send messages of seven words n, n + 1, ..., n + 6."""
    for n in range(count):
        cell = wait_free(ring, 0)
        for word in range(CELL_WORDS):
            store(cell, word, n + word)
        publish_and_ring(ring)
    return count


@hot("int64(int64)")
def consume_cells(ring: int) -> int:
    """Return how many whole messages came in order, or -1."""
    count = 0
    while True:
        cell = wait_filled(ring, 0)
        if cell == 0:
            return count
        for word in range(CELL_WORDS):
            if load(cell, word) != count + word:
                return -1
        release_and_ring(ring)
        count += 1


class Pair:
    """A producer and a consumer thread on given PUs; the ring is closed when the producer has ended."""

    def __init__(self, ring: LatencyRing, pus: tuple[int, int]) -> None:
        self.ring = ring
        self.pus = pus
        self.results = [0, 0]

    def run(self, produce: object, consume: object) -> list[int]:
        """Run both to their end and return their results."""
        threads = [
            threading.Thread(target=self._work, args=(side, work))
            for side, work in enumerate((produce, consume))
        ]
        for thread in threads:
            thread.start()
        threads[0].join()
        self.ring.close()
        threads[1].join()
        return self.results

    def _work(self, side: int, work: object) -> None:
        os.sched_setaffinity(0, {self.pus[side]})
        assert callable(work)
        self.results[side] = work()


@pytest.mark.parametrize("capacity", [-1, 0, 1, 3, 100, 2 * MAX_CAPACITY])
def test_a_capacity_must_be_a_power_of_two(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"must be a power of two from 2 to .*, was {capacity}"):
        LatencyRing(capacity)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([2, 4, 8]), st.lists(st.one_of(st.none(), INT64), max_size=60))
def test_a_ring_is_a_bounded_queue(capacity: int, steps: list[int | None]) -> None:
    """None pops, a number pushes; a deque says what must come out."""
    ring, model = LatencyRing(capacity), deque[int]()
    for word in steps:
        assert ring.is_empty == (not model)
        assert ring.is_full == (len(model) == capacity)
        if word is None and model:
            assert ring.pop_nowait() == model.popleft()
        elif word is None or len(model) == capacity:
            with pytest.raises(trio.WouldBlock):
                ring.pop_nowait() if word is None else ring.push_nowait(word)
        else:
            ring.push_nowait(word)
            model.append(word)
    assert ring.statistics().length == len(model)


def test_words_must_fit() -> None:
    ring = LatencyRing(2)
    with pytest.raises(OverflowError):
        ring.push_nowait(2**63)
    assert ring.is_empty


@given(st.lists(st.lists(INT64, min_size=1, max_size=CELL_WORDS), max_size=6))
@settings(deadline=None)
def test_messages_of_several_words_come_back_as_sent(messages: list[list[int]]) -> None:
    ring = LatencyRing(8)
    for message in messages:
        ring.push_nowait(*message)
    assert [list(ring.pop_cell_nowait())[: len(message)] for message in messages] == messages
    with pytest.raises(trio.WouldBlock):
        ring.pop_cell_nowait()
    ring.close()
    with pytest.raises(trio.EndOfChannel):
        ring.pop_cell_nowait()


def test_a_message_that_is_too_long_is_refused() -> None:
    ring = LatencyRing(2)
    with pytest.raises(ValueError, match="at most 7 words, was 8"):
        ring.push_nowait(*range(8))
    assert ring.is_empty


def test_a_refused_message_changes_nothing() -> None:
    ring = LatencyRing(2)
    ring.push_nowait(1, 2, 3)
    ring.push_nowait(4, 5, 6)
    with pytest.raises(trio.WouldBlock):
        ring.push_nowait(7, 8, 9)
    assert [ring.pop_cell_nowait()[:3] for _ in range(2)] == [(1, 2, 3), (4, 5, 6)]


def test_a_closed_ring_gives_what_is_inside_and_takes_no_more() -> None:
    ring = LatencyRing(4)
    ring.push_nowait(1)
    ring.close()
    with pytest.raises(trio.ClosedResourceError):
        ring.push_nowait(2)
    assert ring.pop_nowait() == 1
    with pytest.raises(trio.EndOfChannel):
        ring.pop_nowait()
    assert ring.statistics().closed


def test_waiting_on_a_closed_ring_ends_at_once() -> None:
    ring, out = LatencyRing(4), Region(8)
    ring.push_nowait(5)
    ring.close()
    assert wait_pop(ring.address, out.address, POLL_CYCLES)
    assert out.view("i8", 1)[0] == 5
    assert not wait_pop(ring.address, out.address, POLL_CYCLES)
    assert not wait_push(ring.address, 1, POLL_CYCLES)


def test_statistics_count_what_happened() -> None:
    ring = LatencyRing(2)
    ring.push_nowait(1)
    ring.push_nowait(2)
    with pytest.raises(trio.WouldBlock):
        ring.push_nowait(3)
    ring.pop_nowait()
    statistics = ring.statistics()
    assert (statistics.pushed, statistics.popped, statistics.refused, statistics.length) == (2, 1, 1, 1)
    assert (statistics.consumer_woken, statistics.producer_woken) == (0, 0)


def test_cells_are_used_in_place() -> None:
    ring, out = LatencyRing(2), Region(8)
    assert filled_cell(ring.address) == 0
    assert ring_push(ring.address, 8)
    assert ring_push(ring.address, 9)
    assert free_cell(ring.address) == 0
    assert not ring_push(ring.address, 10)
    assert filled_cell(ring.address) % 64 == 8
    assert ring_pop(ring.address, out.address)
    assert out.view("i8", 1)[0] == 8
    assert free_cell(ring.address) != 0


WAITS = {"park": 0, "hybrid": 20_000, "poll": POLL_CYCLES}
PLACES = {"one_pu": (ALLOWED[0], ALLOWED[0]), "two_pus": (ALLOWED[0], ALLOWED[-1])}


@pytest.mark.parametrize(
    ("producer", "consumer", "place"),
    [
        # Both polling on one PU makes progress too, but only once per time slice of the OS.
        (a, b, place)
        for a, b, place in product(WAITS, WAITS, PLACES)
        if (a, b, place) != ("poll", "poll", "one_pu")
    ],
)
def test_no_word_and_no_wake_up_is_lost(producer: str, consumer: str, place: str) -> None:
    """A small ring and pauses by chance bring both sides to sleep often; a lost wake-up would hang."""
    count = 20_000 if "poll" not in (producer, consumer) else 4_000
    ring, out = LatencyRing(4), Region(8)
    warm_all([produce, consume])
    results = Pair(ring, PLACES[place]).run(
        lambda: produce(ring.address, count, WAITS[producer], 7),
        lambda: consume(ring.address, out.address, WAITS[consumer], 8),
    )
    assert results == [count, count]
    statistics = ring.statistics()
    assert (statistics.pushed, statistics.popped) == (count, count)
    # Who polls never sleeps, and who never slept was never woken.
    assert producer != "poll" or statistics.producer_slept == statistics.producer_woken == 0
    assert consumer != "poll" or statistics.consumer_slept == statistics.consumer_woken == 0


def test_messages_of_seven_words_arrive_whole() -> None:
    ring = LatencyRing(2)
    warm_all([produce_cells, consume_cells])
    results = Pair(ring, PLACES["two_pus"]).run(
        lambda: produce_cells(ring.address, 10_000), lambda: consume_cells(ring.address)
    )
    assert results == [10_000, 10_000]


def test_closing_wakes_a_sleeping_producer_and_a_sleeping_consumer() -> None:
    full, empty, out = LatencyRing(2), LatencyRing(2), Region(8)
    warm_all([produce, consume])
    ended: list[int] = []
    threads = [
        threading.Thread(target=lambda: ended.append(produce(full.address, 10, 0, 1))),
        threading.Thread(target=lambda: ended.append(10 + consume(empty.address, out.address, 0, 1))),
    ]
    for thread in threads:
        thread.start()
    while full.statistics().producer_slept == 0 or empty.statistics().consumer_slept == 0:
        threading.Event().wait(0.001)
    full.close()
    empty.close()
    for thread in threads:
        thread.join()
    assert sorted(ended) == [2, 10]
