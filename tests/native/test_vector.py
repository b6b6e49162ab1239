"""Lanes of float32 against numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.vector import (
    load_f32,
    lowest_bit,
    not_above_f64_32,
    raise_16,
    store_f32,
    sums_above_16,
    sums_above_64,
)

LANES = 256


@hot("int64(int64, int64, int64, float64)")
def above_64(one: int, other: int, start: int, threshold: float) -> int:
    """Call the primitive."""
    return sums_above_64(one, other, start, threshold)


@hot("int64(int64, int64, int64, float64)")
def above_16(one: int, other: int, start: int, threshold: float) -> int:
    """Call the primitive."""
    return sums_above_16(one, other, start, threshold)


@hot("int64(int64, int64, int64, float64)")
def raise_lanes(target: int, source: int, start: int, more: float) -> int:
    """Call the primitive."""
    return raise_16(target, source, start, more)


@hot("int64(int64, int64, int64)")
def not_above(one: int, other: int, start: int) -> int:
    """Call the primitive."""
    return not_above_f64_32(one, other, start)


@hot("int64(int64)")
def lowest(mask: int) -> int:
    """Call the primitive."""
    return lowest_bit(mask)


@hot("float64(int64, int64, int64, float64)")
def move(row: int, source: int, target: int, more: float) -> float:
    """Copy a lane and return what was read."""
    value = load_f32(row, source)
    store_f32(row, target, value + more)
    return value


class Rows:
    """Two rows of random lanes."""

    def __init__(self) -> None:
        self.memory = Region(8 * LANES)
        self.one, self.other = (self.memory.view("f4", LANES, 4 * LANES * k) for k in range(2))
        draw = np.random.default_rng(5)
        self.one[:], self.other[:] = draw.normal(size=LANES), draw.normal(size=LANES)
        self.addresses = self.memory.address, self.memory.address + 4 * LANES


@pytest.fixture
def rows() -> Iterator[Rows]:
    made = Rows()
    yield made
    made.memory.close()


def bits(lanes: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    return sum(1 << lane for lane in np.flatnonzero(lanes).tolist())


@pytest.mark.parametrize("start", [0, 64, 192])
def test_sums_above_a_threshold_are_found_sixty_four_at_a_time(rows: Rows, start: int) -> None:
    wanted = bits((rows.one + rows.other > np.float32(0.5))[start : start + 64])
    assert above_64(*rows.addresses, start, 0.5) % 2**64 == wanted > 0


@pytest.mark.parametrize("start", [0, 16, 240])
def test_sums_above_a_threshold_are_found_sixteen_at_a_time(rows: Rows, start: int) -> None:
    wanted = bits((rows.one + rows.other > np.float32(-0.5))[start : start + 16])
    assert above_16(*rows.addresses, start, -0.5) == wanted > 0


def test_lanes_are_raised_and_never_lowered(rows: Rows) -> None:
    before, offered = rows.one.copy(), rows.other + np.float32(0.25)
    raised = raise_lanes(*rows.addresses, 32, 0.25)
    assert raised == bits((offered > before)[32:48]) > 0
    assert np.array_equal(rows.one[32:48], np.maximum(before, offered)[32:48])
    rows.one[32:48] = before[32:48]
    assert np.array_equal(rows.one, before)


def test_a_lane_is_read_and_written_alone(rows: Rows) -> None:
    before = rows.one.copy()
    assert move(rows.addresses[0], 3, 9, 0.5) == before[3]
    assert rows.one[9] == np.float32(float(before[3]) + 0.5)
    rows.one[9] = before[9]
    assert np.array_equal(rows.one, before)


def test_the_lowest_bit_is_counted_from_below() -> None:
    assert [lowest(mask) for mask in (1, 8, 24, -(2**63), 0)] == [0, 3, 3, 63, 64]


def test_lanes_of_float64_that_are_not_above_others_are_told_and_so_are_those_that_are_no_number() -> None:
    draw = np.random.default_rng(3)
    with Region(2_048) as memory:
        one, other = memory.view("f8", 96), memory.view("f8", 96, 1_024)
        one[:], other[:] = draw.integers(0, 3, 96), draw.integers(0, 3, 96)
        one[[1, 40]], other[[2, 41]], one[3], other[4] = np.nan, np.nan, np.inf, np.inf
        expected = ~(one > other)
        for start in (0, 7, 32, 64):
            mask = not_above(memory.address, memory.address + 1_024, start)
            assert [bool(mask >> lane & 1) for lane in range(32)] == expected[start : start + 32].tolist()
            assert mask >> 32 == 0
        del one, other
