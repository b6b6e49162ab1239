"""The market's state: identities, blocks, undo, reloads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyio.market.fusion import Fused, fuse
from tallyio.market.market import Head, Market, OutOfOrder, UndoLost
from tallyio.market.shape import Shape
from tallyio.model.chain import Block, Log
from tallyio.model.errors import PluginError
from tallyio.model.units import Hash
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

POOLS = tuple(toys.pool(number, 1 + number % 2, 3 + number) for number in range(6))
ROWS = tuple(toys.row(1000 + number, 2000 + number) for number in range(6))


@pytest.fixture
def market(toy: Toy) -> Iterator[Market]:
    with toys.market(*toy, POOLS, ROWS) as made:
        yield made


def state_of(market: Market) -> tuple[Head, tuple[tuple[bytes, bool], ...]]:
    return market.head, tuple((market.row(pool), market.is_enabled(pool)) for pool in range(len(POOLS)))


def sync(pool: int, *reserves: int) -> Log:
    return toys.event_log(POOLS[pool], 0, *reserves)


def test_ids_are_dense_and_in_order(market: Market) -> None:
    assert market.shape.pool_ids == {pool.identity: number for number, pool in enumerate(POOLS)}
    assert market.shape.pool_tokens[0] == (0, 1)
    assert market.shape.pool_tokens[1] == (2, 3)
    assert market.shape.tokens[2] == toys.address(2)
    assert [market.row(pool) for pool in range(6)] == list(ROWS)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [((1,), "with 1 tokens"), (tuple(range(9)), "with 9 tokens"), ((1, 1), "names a token twice")],
)
def test_an_impossible_pool_is_refused(toy: Toy, tokens: tuple[int, ...], message: str) -> None:
    with pytest.raises(PluginError, match=message):
        Shape([toys.holding(toy[1], [toys.pool(0, *tokens)], [ROWS[0]])])


def test_a_pool_of_two_protocols_is_refused(toy: Toy) -> None:
    held = [toys.holding(toy[1], [POOLS[0]], [ROWS[0]], name) for name in ("one", "two")]
    with pytest.raises(PluginError, match="which 'one' holds already"):
        Shape(held)


def test_a_row_of_the_wrong_size_is_refused(toy: Toy, market: Market) -> None:
    with pytest.raises(PluginError, match="loaded a row of 63 bytes"):
        toys.market(*toy, [POOLS[0]], [ROWS[0][:-1]])
    with pytest.raises(PluginError, match="must be a multiple of 64"):
        market.reload(0, b"", block=market.head.hash)


def test_a_window_below_64_blocks_is_refused(toy: Toy) -> None:
    with pytest.raises(ValueError, match="at least 64 blocks, was 63"):
        Market(toy[0], [], toys.GENESIS, window=63)


def test_logs_change_rows_in_order_and_mark_pools_dirty_once(market: Market) -> None:
    logs = [sync(2, 5, 6), sync(0, 1, 2), sync(2, 7, 8)]
    block = toys.block(toys.GENESIS, logs)
    assert market.apply(block) == 2
    assert list(market.dirty) == [2, 0]
    assert market.row(2) == toys.row(7, 8)
    assert market.row(0) == toys.row(1, 2)
    assert market.head == Head(block.head.hash, 1)
    market.settle()
    assert not market.dirty


def test_other_logs_change_nothing(market: Market) -> None:
    stranger = toys.event_log(toys.pool(99, 1, 2), 0, 1, 2)
    ignored = toys.event_log(POOLS[1], 1)
    before = state_of(market)[1]
    assert market.apply(toys.block(toys.GENESIS, [stranger, ignored])) == 0
    assert state_of(market)[1] == before


def test_a_large_block_needs_no_limit(market: Market) -> None:
    logs = [sync(number % 6, number, number) for number in range(2000)]
    assert market.apply(toys.block(toys.GENESIS, logs)) == 6
    assert market.row(1999 % 6) == toys.row(1999, 1999)


def test_an_older_block_never_overwrites_a_newer_one(market: Market) -> None:
    first = toys.block(toys.GENESIS, [sync(0, 1, 1)])
    sibling = toys.block(toys.GENESIS, [sync(0, 9, 9)], "sibling")
    market.apply(first)
    before = state_of(market)
    for late in (first, sibling):
        with pytest.raises(OutOfOrder):
            market.apply(late)
    assert state_of(market) == before


def test_a_block_that_skips_a_number_is_refused(market: Market) -> None:
    wrong = toys.block(Head(toys.GENESIS.hash, 5), [])
    with pytest.raises(OutOfOrder, match=r"block 6 .* head 0"):
        market.apply(wrong)


def test_a_void_row_disables_the_pool_until_it_is_reloaded(market: Market) -> None:
    void = toys.block(toys.GENESIS, [toys.event_log(POOLS[3], 2), sync(3, 5, 5)])
    market.apply(void)
    assert list(market.waiting) == [3]
    assert market.row(3) == ROWS[3]
    assert not market.reload(3, toys.row(8, 8), block=toys.GENESIS.hash)
    assert market.reload(3, toys.row(8, 8), block=void.head.hash)
    assert not market.waiting
    market.roll_back(void.head.hash)
    assert market.is_enabled(3)
    assert market.row(3) == ROWS[3]


def test_a_reload_in_a_later_block_is_undone_to_a_pool_that_waits_again(market: Market) -> None:
    void = toys.block(toys.GENESIS, [toys.event_log(POOLS[3], 2)])
    market.apply(void)
    later = toys.block(market.head, [])
    market.apply(later)
    market.settle()
    assert market.reload(3, toys.row(8, 8), block=later.head.hash)
    market.roll_back(later.head.hash)
    assert list(market.waiting) == [3]
    market.roll_back(void.head.hash)
    assert not market.waiting
    assert market.row(3) == ROWS[3]


def test_rows_saved_by_two_blocks_and_a_reload_come_back_one_by_one(market: Market) -> None:
    """After the second block is undone, a reload under the first must not save the row again."""
    first = toys.block(toys.GENESIS, [sync(0, 1, 1)])
    market.apply(first)
    second = toys.block(market.head, [sync(0, 2, 2)])
    market.apply(second)
    market.roll_back(second.head.hash)
    assert market.row(0) == toys.row(1, 1)
    market.reload(0, toys.row(3, 3), block=first.head.hash)
    market.roll_back(first.head.hash)
    assert market.row(0) == ROWS[0]


def test_only_the_newest_block_can_be_undone(market: Market) -> None:
    first = toys.block(toys.GENESIS, [sync(0, 1, 1)])
    market.apply(first)
    market.apply(toys.block(market.head, []))
    with pytest.raises(UndoLost, match="build the market afresh"):
        market.roll_back(first.head.hash)
    with pytest.raises(UndoLost):
        market.roll_back(toys.GENESIS.hash)


def test_the_window_is_at_least_as_deep_as_asked(toy: Toy) -> None:
    with Market(*toy[:1], [toys.holding(toy[1], POOLS, ROWS)], toys.GENESIS, window=64) as market:
        states = [state_of(market)]
        for number in range(100):
            market.apply(toys.block(market.head, [sync(number % 6, number, number), sync(5, number, 1)]))
            states.append(state_of(market))
        assert market.statistics().blocks == 64
        for expected in states[-2:-66:-1]:
            market.roll_back(market.head.hash)
            assert state_of(market) == expected
        with pytest.raises(UndoLost):
            market.roll_back(market.head.hash)


def test_a_journal_full_of_rows_forgets_its_oldest_blocks_first(toy: Toy) -> None:
    held = [toys.holding(toy[1], POOLS, ROWS)]
    with Market(toy[0], held, toys.GENESIS, journal_bytes=1) as market:
        states = [state_of(market)]
        for number in range(40):
            market.apply(toys.block(market.head, [sync(pool, number, pool) for pool in range(6)]))
            states.append(state_of(market))
        statistics = market.statistics()
        assert 1 <= statistics.blocks <= 2
        assert statistics.bytes_used <= statistics.bytes_all
        market.roll_back(market.head.hash)
        assert state_of(market) == states[-2]


def test_rows_of_many_sizes_wrap_around_the_end_of_the_journal(toy: Toy) -> None:
    fused = fuse([("narrow", toy[1]), ("wide", toy[1])])
    wide_rows = [row.ljust(320, b"w") for row in ROWS[3:]]
    held = [
        toys.holding(toy[1], POOLS[:3], ROWS[:3], "narrow"),
        toys.holding(toy[1], POOLS[3:], wide_rows, "wide"),
    ]
    with Market(fused, held, toys.GENESIS, journal_bytes=1) as market:
        for number in range(1, 60):
            before = state_of(market)
            pools = [(number + step) % 6 for step in range(number % 4)]
            block = toys.block(market.head, [sync(pool, number, number) for pool in pools], number)
            market.apply(block)
            after = state_of(market)
            assert not market.waiting
            market.roll_back(block.head.hash)
            assert state_of(market) == before
            market.apply(block)
            assert state_of(market) == after
    fuse([("toy", toy[1])])  # what the other tests go on with


actions = st.lists(
    st.one_of(
        st.tuples(st.just("block"), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=8)),
        st.tuples(st.just("undo"), st.just([])),
        st.tuples(st.just("reload"), st.lists(st.tuples(st.integers(0, 5), st.just(0)), max_size=2)),
    ),
    max_size=40,
)


class Model:
    """The market as plain Python: a stack of states."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.stack = [state_of(market)]

    def block(self, events: list[tuple[int, int]], label: int) -> None:
        """Apply a block of events to both."""
        head, state = self.stack[-1]
        logs = [toys.event_log(POOLS[pool], event, label, pool) for pool, event in events]
        block = toys.block(head, logs, label)
        rows = list(state)
        for pool, event in events:
            if rows[pool][1]:
                changed = {0: (toys.row(label, pool), True), 2: (rows[pool][0], False)}
                rows[pool] = changed.get(event, rows[pool])
        self.market.apply(block)
        self.stack.append((Head(block.head.hash, block.head.number), tuple(rows)))

    def undo(self) -> None:
        """Undo the newest block in both, if there is one."""
        if len(self.stack) > 1:
            self.market.roll_back(self.stack.pop()[0].hash)

    def reload(self, pools: list[int], label: int) -> None:
        """Reload pools in both."""
        head, state = self.stack[-1]
        rows = list(state)
        for pool in pools:
            rows[pool] = (toys.row(label, label), True)
            assert self.market.reload(pool, rows[pool][0], block=head.hash)
        self.stack[-1] = (head, tuple(rows))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions)
def test_blocks_rollbacks_and_reloads_equal_a_stack_of_states(
    toy: Toy, done: list[tuple[str, list[tuple[int, int]]]]
) -> None:
    with toys.market(*toy, POOLS, ROWS) as market:
        model = Model(market)
        for label, (action, events) in enumerate(done):
            if action == "block":
                model.block(events, label)
            elif action == "undo":
                model.undo()
            else:
                model.reload([pool for pool, _ in events], label)
            assert state_of(market) == model.stack[-1]
        while len(model.stack) > 1:
            model.undo()
            assert state_of(market) == model.stack[-1]


def test_a_block_may_be_applied_again_after_it_was_undone(market: Market) -> None:
    block: Block = toys.block(toys.GENESIS, [sync(0, 1, 1)])
    for _ in range(3):
        market.apply(block)
        assert market.row(0) == toys.row(1, 1)
        market.roll_back(Hash(block.head.hash))
        assert market.row(0) == ROWS[0]
