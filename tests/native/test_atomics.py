"""Compiled loads, stores and atomics do what their names say."""

import os
import threading
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.native.atomics import (
    c_read,
    c_write,
    compare_exchange,
    copy_bytes,
    exchange,
    fence,
    fetch_add,
    load,
    load_acquire,
    load_be256,
    load_f64,
    load_i32,
    load_relaxed,
    load_u8,
    pause,
    store,
    store_be256,
    store_f64,
    store_relaxed,
    store_release,
    store_seq_cst,
    store_u8,
)
from tallyio.native.jit import hot
from tallyio.native.memory import Region

INT64 = st.integers(-(2**63), 2**63 - 1)


@hot("void(int64)")
def write_words(address: int) -> None:
    store(address, 0, 10)
    store_relaxed(address, 1, 11)
    store_release(address, 2, 12)
    store_seq_cst(address, 3, 13)
    fence()
    pause()
    store_f64(address, 4, 1.5)
    store_u8(address + 40, 0x1FE)


@hot("UniTuple(int64, 6)(int64)")
def read_words(address: int) -> tuple[int, int, int, int, int, int]:
    return (
        load(address, 0),
        load_relaxed(address, 1),
        load_acquire(address, 2),
        load_u8(address + 40),
        load_i32(address, 12),
        load_i32(address, 13),
    )


@hot("float64(int64, int64)")
def read_float(address: int, word: int) -> float:
    return load_f64(address, word)


@hot("Tuple(int64, int64, boolean, boolean)(int64, int64, int64)")
def modify(address: int, value: int, other: int) -> tuple[int, int, bool, bool]:
    before = fetch_add(address, 0, value)
    then = exchange(address, 1, other)
    return (
        before,
        then,
        compare_exchange(address, 2, value, other),
        compare_exchange(address, 3, value, other),
    )


@hot("void(int64, int64)")
def count_up(address: int, times: int) -> None:
    for _ in range(times):
        fetch_add(address, 0, 1)
        while not compare_exchange(address, 8, 0, 1):
            pause()
        store(address, 16, load(address, 16) + 1)
        store_release(address, 8, 0)


@hot("int64(int64, int64, int64)")
def write_out(descriptor: int, address: int, count: int) -> int:
    return c_write(descriptor, address, count)


@hot("int64(int64, int64, int64)")
def read_in(descriptor: int, address: int, count: int) -> int:
    return c_read(descriptor, address, count)


@hot("u256(int64)")
def read_be(address: int) -> int:
    return load_be256(address)


@hot("void(int64, u256)")
def write_be(address: int, value: int) -> None:
    store_be256(address, value)


@hot("void(int64, int64, int64)")
def move(target: int, source: int, count: int) -> None:
    copy_bytes(target, source, count)


@pytest.fixture(name="region")
def _region() -> Iterator[Region]:
    with Region(4096) as region:
        yield region


def words(region: Region) -> npt.NDArray[np.int64]:
    return region.view(np.int64, 32)


def test_what_is_stored_is_loaded(region: Region) -> None:
    write_words(region.address)
    region.view(np.int32, 14)[12:] = (-5, 2**31 - 1)
    assert list(words(region)[:4]) == [10, 11, 12, 13]
    assert read_words(region.address) == (10, 11, 12, 0xFE, -5, 2**31 - 1)
    assert read_float(region.address, 4) == 1.5


@given(start=INT64, value=INT64, other=INT64)
def test_read_modify_write_returns_what_was_there(start: int, value: int, other: int) -> None:
    with Region(64) as region:
        memory = words(region)
        memory[:4] = (start, start, value, value ^ 1)
        assert modify(region.address, value, other) == (start, start, True, False)
        wrapped = (start + value + 2**63) % 2**64 - 2**63
        assert list(memory[:4]) == [wrapped, other, other, value ^ 1]


def test_threads_lose_no_update(region: Region) -> None:
    count_up(region.address, 0)
    threads = [threading.Thread(target=count_up, args=(region.address, 20_000)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (words(region)[0], words(region)[16]) == (60_000, 60_000)


def test_bytes_pass_through_a_pipe_without_python(region: Region) -> None:
    reader, writer = os.pipe()
    try:
        region.view(np.uint8, 5)[:] = list(b"block")
        assert write_out(writer, region.address, 5) == 5
        assert read_in(reader, region.address + 100, 64) == 5
        assert region.view(np.uint8, 5, 100).tobytes() == b"block"
    finally:
        os.close(reader)
        os.close(writer)
    assert write_out(writer, region.address, 5) == -1
    assert read_in(reader, region.address, 5) == -1


@given(value=st.integers(0, 2**256 - 1), offset=st.integers(0, 64))
def test_big_endian_words_are_read_and_written_at_any_alignment(value: int, offset: int) -> None:
    with Region(128) as region:
        memory = region.view(np.uint8, 32, offset)
        write_be(region.address + offset, value)
        assert memory.tobytes() == value.to_bytes(32, "big")
        assert read_be(region.address + offset) == value


@given(
    content=st.binary(min_size=64, max_size=64),
    source=st.integers(0, 32),
    target=st.integers(0, 32),
    count=st.integers(0, 32),
)
def test_bytes_are_copied_even_onto_themselves(content: bytes, source: int, target: int, count: int) -> None:
    with Region(64) as region:
        memory = region.view(np.uint8, 64)
        memory[:] = list(content)
        move(region.address + target, region.address + source, count)
        expected = bytearray(content)
        expected[target : target + count] = content[source : source + count]
        assert memory.tobytes() == bytes(expected)
