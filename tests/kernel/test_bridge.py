"""Trio tasks wait on rings without losing a word or a wake-up."""

from __future__ import annotations

import random

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from tallyio.kernel.bridge import PARK, POLL, RingReader, RingWriter, SpinBudget, hybrid, spin_budget
from tallyio.kernel.ring import POLL_CYCLES, LatencyRing

WAITS = [PARK, hybrid(50_000), POLL]


def test_a_wait_is_told_in_cycles_to_compiled_code() -> None:
    assert PARK.spin_cycles == 0
    assert POLL.spin_cycles == POLL_CYCLES
    assert 0 < hybrid(1_000).spin_cycles < hybrid(10**9).spin_cycles < POLL_CYCLES
    with pytest.raises(ValueError, match="must be >= 0 ns"):
        hybrid(-1)


def test_a_placement_names_how_to_wait() -> None:
    assert [spin_budget(name, 50) for name in ("park", "hybrid", "poll")] == [PARK, hybrid(50_000), POLL]


@pytest.mark.parametrize("wait", WAITS)
async def test_words_pass_in_order_through_a_small_ring(wait: SpinBudget) -> None:
    """Both sides wait for each other all the time, and yield by chance."""
    ring, chance = LatencyRing(2), random.Random(5)
    received: list[int] = []

    async def send() -> None:
        writer = RingWriter(ring, wait=wait)
        for word in range(500):
            await writer.send(word)
            for _ in range(chance.randrange(3)):
                await trio.lowlevel.checkpoint()
        ring.close()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(send)
        async for word in RingReader(ring, wait=wait):
            received.append(word)
            for _ in range(chance.randrange(3)):
                await trio.lowlevel.checkpoint()
    assert received == list(range(500))


async def test_closing_ends_a_parked_reader() -> None:
    ring = LatencyRing(2)

    async def read() -> None:
        with pytest.raises(trio.EndOfChannel):
            await RingReader(ring).receive()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await wait_all_tasks_blocked()
        ring.close()


async def test_closing_ends_a_parked_writer() -> None:
    ring = LatencyRing(2)
    writer = RingWriter(ring)
    writer.send_nowait(1)
    writer.send_nowait(2)

    async def write() -> None:
        with pytest.raises(trio.ClosedResourceError):
            await writer.send(3)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await wait_all_tasks_blocked()
        ring.close()
    assert [ring.pop_nowait(), ring.pop_nowait()] == [1, 2]


async def test_cancellation_loses_no_word() -> None:
    ring = LatencyRing(4)
    reader = RingReader(ring)
    for word in range(50):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(reader.receive)
                await wait_all_tasks_blocked()
                scope.cancel()
        ring.push_nowait(word)
        assert await reader.receive() == word


async def test_receiving_is_always_a_checkpoint() -> None:
    ring = LatencyRing(2)
    ring.push_nowait(9)
    with trio.testing.assert_checkpoints():
        assert await RingReader(ring).receive() == 9
    with trio.testing.assert_checkpoints():
        await RingWriter(ring).send(1)


async def test_messages_of_several_words_pass() -> None:
    ring = LatencyRing(2)
    await RingWriter(ring).send(1, 2, 3)
    RingWriter(ring).send_nowait(4, 5)
    reader = RingReader(ring)
    assert (await reader.receive_cell())[:3] == (1, 2, 3)
    assert (await reader.receive_cell())[:2] == (4, 5)


async def test_two_tasks_at_one_end_are_refused() -> None:
    ring = LatencyRing(2)
    reader = RingReader(ring)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(reader.receive)
        await wait_all_tasks_blocked()
        with pytest.raises(trio.BusyResourceError):
            await reader.receive()
        ring.push_nowait(1)


async def test_a_full_ring_would_block() -> None:
    writer = RingWriter(LatencyRing(2))
    writer.send_nowait(1)
    writer.send_nowait(2)
    with pytest.raises(trio.WouldBlock):
        writer.send_nowait(3)


async def test_other_tasks_go_on_while_a_reader_polls() -> None:
    ring = LatencyRing(2)
    turns = 0
    async with trio.open_nursery() as nursery:
        nursery.start_soon(RingReader(ring, wait=POLL).receive)
        for _ in range(100):
            await trio.lowlevel.checkpoint()
            turns += 1
        ring.push_nowait(1)
    assert turns == 100
    assert ring.statistics().consumer_slept == 0
