"""The stream ring carries batches in order, in compiled code, in Python and between Trio tasks."""

from __future__ import annotations

import os
import threading
from collections import deque

import numpy as np
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from tallyio.kernel.bridge import PARK, POLL, SpinBudget, hybrid
from tallyio.kernel.ring_layout import Lag, field_word
from tallyio.kernel.stream_bridge import StreamReader, StreamWriter
from tallyio.kernel.stream_ring import (
    StreamRing,
    put_and_ring,
    stream_filled,
    stream_item,
    stream_pop,
    stream_publish,
    stream_push,
    stream_put,
    stream_release,
    stream_room,
    stream_slot,
    stream_take,
    take_and_ring,
    wait_put,
    wait_take,
)
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot, warm_all
from tallyio.native.memory import Region

ALLOWED = sorted(os.sched_getaffinity(0))
QUOTE = np.dtype([("pool", "i8"), ("price", "f8"), ("block", "i8")])


@hot("int64(int64, int64, int64, int64)")
def produce(ring: int, source: int, count: int, spin_cycles: int) -> int:
    """Put 0, 1, ... in batches of 1 to 7; return how many went in."""
    done = 0
    while done < count:
        batch = min(1 + done % 7, count - done)
        for k in range(batch):
            store(source, k, done + k)
        if not wait_put(ring, source, batch, spin_cycles):
            return done
        done += batch
    return done


@hot("int64(int64, int64, int64)")
def consume(ring: int, target: int, spin_cycles: int) -> int:
    """Take up to 5 at a time until the ring is closed; return how many came in order, or -1."""
    count = 0
    while True:
        batch = wait_take(ring, target, 5, spin_cycles)
        if batch == 0:
            return count
        for k in range(batch):
            if load(target, k) != count + k:
                return -1
        count += batch


@given(st.sampled_from([2, 4, 8]), st.lists(st.integers(-6, 6), max_size=40))
def test_a_stream_is_a_bounded_queue(capacity: int, steps: list[int]) -> None:
    """N puts n messages, -n takes up to n; a deque says what must come out."""
    ring, model, memory, sent = StreamRing(capacity), deque[int](), Region(64), 0
    words = memory.view("i8", 8)
    for step in steps:
        if step >= 0:
            words[:step] = np.arange(sent, sent + step)
            done = stream_put(ring.address, memory.address, step)
            assert done == min(step, capacity - len(model))
            model.extend(range(sent, sent + done))
            sent += done
        else:
            done = stream_take(ring.address, memory.address, -step)
            assert list(words[:done]) == [model.popleft() for _ in range(min(-step, len(model)))]
        assert ring.is_empty == (not model)
        assert ring.is_full == (len(model) == capacity)
    assert ring.statistics().length == len(model)


@given(st.sampled_from([2, 8]), st.lists(st.integers(-9, 9).filter(bool), max_size=40))
def test_python_pushes_and_pops_arrays(capacity: int, steps: list[int]) -> None:
    ring, model, sent, refused = StreamRing(capacity), deque[int](), 0, 0
    for step in steps:
        if step > 0 and len(model) == capacity:
            refused += 1
            with pytest.raises(trio.WouldBlock):
                ring.push_many_nowait(np.arange(step))
        elif step > 0:
            done = ring.push_many_nowait(np.arange(sent, sent + step))
            assert done == min(step, capacity - len(model))
            model.extend(range(sent, sent + done))
            sent += done
        elif not model:
            with pytest.raises(trio.WouldBlock):
                ring.pop_many_nowait(-step)
        else:
            assert list(ring.pop_many_nowait(-step)) == [
                model.popleft() for _ in range(min(-step, len(model)))
            ]
    assert (ring.statistics().refused, ring.statistics().pushed) == (refused, sent)


def test_single_words_pass_too() -> None:
    ring, out = StreamRing(2), Region(8)
    assert not stream_pop(ring.address, out.address)
    for turn in range(5):
        assert stream_push(ring.address, turn)
        assert stream_push(ring.address, -turn)
        assert not stream_push(ring.address, 9)
        for word in (turn, -turn):
            assert stream_pop(ring.address, out.address)
            assert out.view("i8", 1)[0] == word


def test_records_pass_whole() -> None:
    ring = StreamRing(4, dtype=QUOTE)
    quotes = np.array([(n, n / 2, -n) for n in range(3)], QUOTE)
    for _ in range(3):
        assert ring.push_many_nowait(quotes) == 3
        assert (ring.pop_many_nowait() == quotes).all()


BLOCK = field_word(QUOTE, "block")


@hot("int64(int64, int64)")
def pass_in_place(ring: int, turn: int) -> int:
    """Write three blocks and sum them up where they lie."""
    total = stream_room(ring)
    for k in range(3):
        store(stream_slot(ring, k), BLOCK, 10 * turn + k)
    stream_publish(ring, 3)
    filled = stream_filled(ring)
    for k in range(filled):
        total += load(stream_item(ring, k), BLOCK)
    stream_release(ring, filled)
    return total


def test_messages_are_written_and_read_in_place() -> None:
    ring = StreamRing(4, dtype=QUOTE)
    assert [pass_in_place(ring.address, turn) for turn in range(3)] == [7, 37, 67]


@pytest.mark.parametrize("dtype", ["i4", "V12", "O", "V0"])
def test_a_message_must_be_plain_words(dtype: str) -> None:
    with pytest.raises(ValueError, match="plain data of a multiple of 8 bytes"):
        StreamRing(4, dtype=dtype)


def test_a_field_must_be_a_word() -> None:
    with pytest.raises(ValueError, match="no field 'gas'; it has pool, price, block"):
        field_word(QUOTE, "gas")
    with pytest.raises(ValueError, match="field 'b' must be 8 bytes at a multiple of 8"):
        field_word(np.dtype([("a", "i4"), ("b", "i8")]), "b")


def test_one_consumer_cannot_drop_the_oldest() -> None:
    with pytest.raises(ValueError, match="take a ManyRing"):
        StreamRing(4, lag=Lag.DROP_OLDEST)


def test_fewer_than_no_messages_are_not_popped() -> None:
    ring = StreamRing(4)
    ring.push_many_nowait(np.arange(3))
    with pytest.raises(ValueError, match="must be >= 0, was -1"):
        ring.pop_many_nowait(-1)
    assert list(ring.pop_many_nowait()) == [0, 1, 2]


def test_a_refusal_and_a_wait_are_counted() -> None:
    ring, memory = StreamRing(2), Region(64)
    assert [put_and_ring(ring.address, memory.address, 3) for _ in range(2)] == [2, 0]
    assert ring.statistics().refused == 1
    threading.Timer(0.01, lambda: take_and_ring(ring.address, memory.address + 32, 2)).start()
    assert wait_put(ring.address, memory.address, 1, 0)
    assert (ring.statistics().waited, ring.statistics().pushed) == (1, 3)


@pytest.mark.parametrize("wait", [PARK, hybrid(20_000)])
@pytest.mark.parametrize("pus", [(ALLOWED[0], ALLOWED[0]), (ALLOWED[0], ALLOWED[-1])])
def test_no_message_and_no_wake_up_is_lost(wait: SpinBudget, pus: tuple[int, int]) -> None:
    """A small ring brings both sides to sleep often; a lost wake-up would hang."""
    count, ring, memory, ends = 20_000, StreamRing(8), Region(128), [0, 0]
    warm_all([produce, consume])

    def work(side: int) -> None:
        os.sched_setaffinity(0, {pus[side]})
        if side == 0:
            ends[0] = produce(ring.address, memory.address, count, wait.spin_cycles)
            ring.close()
        else:
            ends[1] = consume(ring.address, memory.address + 64, wait.spin_cycles)

    threads = [threading.Thread(target=work, args=(side,)) for side in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == [count, count]


def test_waiting_on_a_closed_stream_ends() -> None:
    ring, memory = StreamRing(2), Region(64)
    assert ring.push_many_nowait(np.array([5])) == 1
    ring.close()
    with pytest.raises(trio.ClosedResourceError):
        ring.push_many_nowait(np.array([6]))
    assert not wait_put(ring.address, memory.address, 1, 0)
    assert wait_take(ring.address, memory.address, 8, 0) == 1
    assert wait_take(ring.address, memory.address, 8, 0) == 0
    with pytest.raises(trio.EndOfChannel):
        ring.pop_many_nowait()


@pytest.mark.parametrize("wait", [PARK, hybrid(50_000), POLL])
async def test_tasks_send_and_receive_batches(wait: SpinBudget) -> None:
    ring, received = StreamRing(4), list[int]()

    async def send() -> None:
        writer = StreamWriter(ring, wait=wait)
        for start in range(0, 100, 10):
            await writer.send_all(np.arange(start, start + 10))
        ring.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        async for batch in StreamReader(ring, wait=wait):
            received.extend(batch.tolist())
    assert received == list(range(100))


async def test_a_ring_that_fails_does_not_let_its_writer_wait() -> None:
    ring = StreamRing(2, lag=Lag.FAIL)
    writer = StreamWriter(ring)
    with pytest.raises(trio.WouldBlock):
        await writer.send_all(np.arange(3))
    assert (ring.statistics().pushed, ring.statistics().refused) == (2, 1)
    assert list(await StreamReader(ring).receive_many()) == [0, 1]


async def test_a_blocking_writer_is_counted_once_per_wait() -> None:
    ring = StreamRing(2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(StreamWriter(ring).send_all, np.arange(4))
        await wait_all_tasks_blocked()
        assert (ring.statistics().waited, ring.statistics().refused) == (1, 0)
        assert list(await StreamReader(ring).receive_many()) == [0, 1]
        await wait_all_tasks_blocked()
    assert list(ring.pop_many_nowait()) == [2, 3]
