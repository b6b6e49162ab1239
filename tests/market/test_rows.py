"""Rows that grow, rows that age, rows whose events come from elsewhere, and rows read beside the writer."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Market
from tallyio.model.chain import Log
from tallyio.model.market import LogSource, PoolSpec
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

SINGLETON: Final = toys.address(7)
AGEING: Final = """
from tallyio.market.abi import ADVANCE_SIGNATURE
from tallyio.native.atomics import store

@hot(ADVANCE_SIGNATURE)
def advance(row, timestamp):
    if load(row, 5) == timestamp:
        return LOG_IGNORED
    store(row, 5, timestamp)
    return LOG_APPLIED
"""


def sync(pool: PoolSpec, *reserves: int) -> Log:
    return toys.event_log(pool, 0, *reserves)


def wide_row(fill: int, size: int) -> bytes:
    return toys.row(fill, fill).ljust(size, bytes([fill % 256]))


# --- growth --------------------------------------------------------------------------------------


def test_a_row_grows_at_a_reload_and_shrinks_when_that_is_undone(toy: Toy) -> None:
    pools = [toys.pool(number, 1, 2 + number) for number in range(3)]
    with toys.market(*toy, pools, [wide_row(k, 64) for k in range(3)]) as market:
        neighbours = market.row(0), market.row(2)
        block = toys.block(toys.GENESIS, [])
        market.apply(block)
        assert market.reload(1, wide_row(9, 640), block=block.head.hash)
        assert market.row(1) == wide_row(9, 640)
        assert (market.row(0), market.row(2)) == neighbours
        after = toys.block(market.head, [sync(pools[1], 4, 4)])
        market.apply(after)
        assert market.row(1)[64:] == wide_row(9, 640)[64:]
        market.roll_back(after.head.hash)
        assert market.row(1) == wide_row(9, 640)
        market.roll_back(block.head.hash)
        assert market.row(1) == wide_row(1, 64)


changes = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.integers(0, 3), st.integers(1, 9)),
        st.tuples(st.just("undo"), st.just(0), st.just(0)),
        st.tuples(st.just("grow"), st.integers(0, 3), st.integers(1, 40)),
    ),
    max_size=30,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes)
def test_any_mix_of_growth_blocks_and_undo_equals_a_stack_of_states(
    toy: Toy, done: list[tuple[str, int, int]]
) -> None:
    """The journal is as small as it may be, so it must grow with the rows."""
    pools = [toys.pool(number, 1, 2 + number) for number in range(4)]
    held = [
        toys.holding(
            msgspec.structs.replace(toy[1], event_bytes=(64,)), pools, [wide_row(k, 128) for k in range(4)]
        )
    ]
    with Market(toy[0], held, toys.GENESIS, journal_bytes=1) as market:
        stack = [(market.head, [market.row(k) for k in range(4)])]
        for label, (action, pool, number) in enumerate(done):
            head, rows = stack[-1]
            if action == "block":
                events = [sync(pools[k % 4], label, k) for k in range(pool, pool + number)]
                market.apply(toys.block(head, events, label))
                rows = list(rows)
                for k in range(pool, pool + number):
                    rows[k % 4] = toys.row(label, k)[:32] + rows[k % 4][32:]
                stack.append((market.head, rows))
            elif action == "undo" and len(stack) > 1 and market.statistics().blocks:
                market.roll_back(stack.pop()[0].hash)
            elif action == "grow":
                rows = list(rows)
                rows[pool] = wide_row(label, 64 * number)
                assert market.reload(pool, rows[pool], block=head.hash)
                stack[-1] = (head, rows)
            assert [market.row(k) for k in range(4)] == stack[-1][1]
            assert market.statistics().bytes_used <= market.statistics().bytes_all


def test_a_journal_saves_no_more_than_an_event_may_change(toy: Toy) -> None:
    def used(event_bytes: tuple[int, ...]) -> int:
        compiled = msgspec.structs.replace(toy[1], event_bytes=event_bytes)
        pool = toys.pool(0, 1, 2)
        with toys.market(toy[0], compiled, [pool], [wide_row(1, 6400)]) as market:
            market.apply(toys.block(toys.GENESIS, [sync(pool, 5, 5), sync(pool, 6, 6)]))
            return market.statistics().bytes_used

    assert used((64,)) == 64 + 64
    assert used(()) == 64 + 6400


# --- time ----------------------------------------------------------------------------------------


@pytest.fixture
def ageing(toy: Toy, tmp_path: Path) -> Iterator[Toy]:
    compiled = toys.Compiled(toys.write_module(tmp_path, toys.SOURCE.replace("{bonus}", "0") + AGEING))
    yield fuse([("toy", compiled)]), compiled
    fuse([("toy", toy[1])])


def test_a_pool_that_ages_is_brought_to_the_next_block_and_back(ageing: Toy) -> None:
    pools = [msgspec.structs.replace(toys.pool(0, 1, 2), ages=True), toys.pool(1, 1, 3)]
    with toys.market(*ageing, pools, [toys.row(1, 1), toys.row(2, 2)]) as market:
        before = market.row(0), market.row(1)
        block = toys.block(toys.GENESIS, [])
        assert market.apply(block, next_timestamp=500) == 1
        assert market.row(0) == toys.row(1, 1, gas=500)
        assert market.row(1) == before[1]
        assert market.reload(0, toys.row(3, 3), block=block.head.hash)
        assert market.row(0) == toys.row(3, 3, gas=500), "a fresh row is brought to the same time"
        market.roll_back(block.head.hash)
        assert (market.row(0), market.row(1)) == before


# --- where events come from ----------------------------------------------------------------------


def test_pools_of_a_singleton_get_the_logs_that_name_them(toy: Toy) -> None:
    ids = [bytes([number]) * 32 for number in range(3)]
    fee_source = LogSource(toys.address(8))
    pools = [
        msgspec.structs.replace(
            toys.pool(0, 1, 2 + number),
            address=SINGLETON,
            id=pool_id,
            log_sources=(LogSource(SINGLETON, pool_id), fee_source),
        )
        for number, pool_id in enumerate(ids)
    ]

    def told(source: LogSource, *reserves: int) -> Log:
        plain = sync(toys.pool(0, 1, 2), *reserves)
        topics = (*plain.topics, source.topic1) if source.topic1 else plain.topics
        return msgspec.structs.replace(plain, address=source.address, topics=topics)

    with toys.market(*toy, pools, [toys.row(k, k) for k in range(3)]) as market:
        market.apply(
            toys.block(
                toys.GENESIS,
                [
                    told(LogSource(SINGLETON, ids[1]), 5, 6),
                    told(LogSource(SINGLETON, bytes(32)[1:] + b"x"), 9, 9),
                ],
            )
        )
        assert [market.row(k) for k in range(3)] == [toys.row(0, 0), toys.row(5, 6), toys.row(2, 2)]
        market.apply(toys.block(market.head, [told(fee_source, 8, 8)]))
        assert [market.row(k) for k in range(3)] == [toys.row(8, 8)] * 3


# --- readers -------------------------------------------------------------------------------------


def test_a_reader_beside_the_writer_never_sees_a_row_of_two_blocks(toy: Toy) -> None:
    """The writer copies whole rows of one repeated byte; every row that is read has one byte only."""
    pool = toys.pool(0, 1, 2)
    size = 64 * 400
    with toys.market(*toy, [pool], [bytes(size)]) as market:
        block = toys.block(toys.GENESIS, [])
        market.apply(block)
        stop = threading.Event()
        seen: list[set[int]] = []
        started = threading.Barrier(2)

        def read() -> None:
            started.wait()
            while not stop.is_set():
                seen.append(set(market.row(0)))

        reader = threading.Thread(target=read)
        reader.start()
        started.wait()
        for fill in itertools.islice(itertools.cycle(range(1, 200)), 2000):
            assert market.reload(0, bytes([fill]) * size, block=block.head.hash)
        stop.set()
        reader.join()
        assert seen
        assert all(len(values) == 1 for values in seen)
