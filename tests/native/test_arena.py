"""An arena gives what a model in Python gives, stays inside its memory, and counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.native.arena import MAX_ALIGNMENT, Arena, arena_allocate, arena_mark, arena_reset, arena_rewind
from tallyio.native.atomics import load, store
from tallyio.native.jit import hot


class Model:
    """The same on Python integers, beside the arena that it predicts."""

    def __init__(self, arena: Arena) -> None:
        self.start = arena_mark(arena.address)
        self.next, self.end = self.start, self.start + arena.statistics().size
        self.highest, self.refused = 0, 0

    def allocate(self, size: int, alignment: int) -> int:
        """Return the lowest aligned address with so much room after it."""
        start = -(-self.next // alignment) * alignment
        if size < 0 or start + size > self.end:
            self.refused += 1
            return 0
        self.next = start + size
        self.highest = max(self.highest, self.next - self.start)
        return start


SIZES = st.one_of(st.integers(0, 300), st.integers(-(2**63), 2**63 - 1))
ALIGNMENTS = st.integers(0, MAX_ALIGNMENT.bit_length() - 1).map(lambda bits: 1 << bits)


@given(st.lists(st.one_of(st.tuples(SIZES, ALIGNMENTS), st.none()), max_size=60))
def test_an_arena_gives_what_the_model_gives(steps: list[tuple[int, int] | None]) -> None:
    """None stands for a reset."""
    with Arena(9_000) as arena:
        model = Model(arena)
        for step in steps:
            if step is None:
                arena_reset(arena.address)
                model.next = model.start
            else:
                assert arena_allocate(arena.address, *step) == model.allocate(*step)
        found = arena.statistics()
        assert (found.used, found.highest) == (model.next - model.start, model.highest)
        assert (found.refused, found.size) == (model.refused, model.end - model.start)


def test_the_last_byte_can_be_had_and_not_one_more() -> None:
    with Arena(5_000) as arena:
        size = arena.statistics().size
        assert size >= 5_000
        assert arena_allocate(arena.address, size, 1)
        assert arena_allocate(arena.address, 1, 1) == 0
        assert arena_allocate(arena.address, 0, 1)


def test_a_rewind_gives_back_what_came_after_the_mark() -> None:
    with Arena(1_000) as arena:
        kept = arena_allocate(arena.address, 64, 64)
        mark = arena_mark(arena.address)
        first = arena_allocate(arena.address, 32, 8)
        assert arena_rewind(arena.address, mark)
        assert arena_allocate(arena.address, 8, 8) == first > kept
        assert arena.statistics().highest == mark + 32 - kept + kept % 64


@pytest.mark.parametrize("wrong", [lambda mark: mark + 1, lambda _: 0, lambda mark: mark - 4096])
def test_a_mark_that_is_none_changes_nothing(wrong: Callable[[int], int]) -> None:
    with Arena(1_000) as arena:
        arena_allocate(arena.address, 100, 8)
        before = arena.statistics()
        assert not arena_rewind(arena.address, wrong(arena_mark(arena.address)))
        assert arena.statistics() == before


@hot("int64(int64, int64)")
def fill_and_sum(arena: int, count: int) -> int:
    """Write numbers into pieces of their own, then add them up."""
    first = arena_allocate(arena, 8 * count, 8)
    for k in range(count):
        piece = arena_allocate(arena, 24, 8)
        store(piece, 0, k)
        store(piece, 2, -k)
        store(first, k, piece)
    total = 0
    for k in range(count):
        total += load(load(first, k), 0) - load(load(first, k), 2)
    arena_reset(arena)
    return total


def test_pieces_do_not_overlap_in_compiled_code() -> None:
    with Arena(100_000) as arena:
        assert fill_and_sum(arena.address, 1_000) == 999_000
        assert arena.statistics().used == 0
        assert arena.statistics().highest == 32_000


def test_an_arena_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 byte, not 0"):
        Arena(0)


def test_a_closed_arena_says_so() -> None:
    arena = Arena(1)
    arena.close()
    with pytest.raises(ValueError, match="the region is closed"):
        arena.statistics()
