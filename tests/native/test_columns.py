"""Columns hold the bytes that compiled code loads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.native.columns import from_column, to_column
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import load256, load512, store256, store512, u256, u512

U256 = st.integers(0, 2**256 - 1)


@hot("void(int64, int64, int64)")
def double_all(source: int, target: int, count: int) -> None:
    for k in range(count):
        value = u512(load256(source + 32 * k))
        store512(target + 64 * k, value + value)


@hot("void(int64, int64, int64)")
def halve_all(source: int, target: int, count: int) -> None:
    for k in range(count):
        store256(target + 32 * k, u256(load512(source + 64 * k) >> 1))


@given(st.lists(U256, min_size=1, max_size=20))
def test_numbers_pass_through_columns_and_compiled_code(values: list[int]) -> None:
    count = len(values)
    with Region(96 * count) as memory:
        narrow, wide = (
            memory.view("<u8", 4 * count).reshape(count, 4),
            memory.view("<u8", 8 * count, 32 * count).reshape(count, 8),
        )
        narrow[:] = to_column(values)
        double_all(memory.address, memory.address + 32 * count, count)
        assert from_column(wide) == [2 * value for value in values]
        narrow[:] = 0
        halve_all(memory.address + 32 * count, memory.address, count)
        assert from_column(narrow) == values


@given(st.sampled_from((64, 128, 256, 512)), st.data())
def test_a_column_gives_back_its_numbers(bits: int, data: st.DataObject) -> None:
    values = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=9))
    column = to_column(values, bits)
    assert column.shape == (len(values), bits // 64)
    assert from_column(column) == values
    assert from_column(column[::2]) == values[::2]


def test_a_field_of_a_record_is_a_column() -> None:
    record = np.zeros(2, [("kind", "i8"), ("amounts", "<u8", (3, 4))])
    record["amounts"][1] = to_column([1, 2**255, 3])
    assert from_column(record["amounts"]) == [0, 0, 0, 1, 2**255, 3]


def test_a_column_may_be_written() -> None:
    column = to_column([5, 6])
    column[0] = to_column([2**200])[0]
    assert from_column(column) == [2**200, 6]


@pytest.mark.parametrize("value", [-1, 2**256])
def test_a_number_that_does_not_fit_is_refused(value: int) -> None:
    with pytest.raises(OverflowError):
        to_column([value])


@pytest.mark.parametrize("bits", [0, -64, 100])
def test_a_width_that_is_none_is_refused(bits: int) -> None:
    with pytest.raises(ValueError, match="positive multiple of 64 bits"):
        to_column([1], bits)


@pytest.mark.parametrize("column", [np.zeros((2, 4), "i8"), np.zeros((2, 0), "u8"), np.array(1, "u8")])
def test_an_array_that_is_no_column_is_refused(
    column: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> None:
    with pytest.raises(ValueError, match="uint64 limbs on its last axis"):
        from_column(column)
