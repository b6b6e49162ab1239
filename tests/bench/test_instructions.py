"""Instructions are counted in single steps where the processor's counter is out of reach."""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Callable, Iterator
from typing import Never

import pytest

from tallyio.bench import instructions
from tallyio.bench.instructions import FEW, count_steps, counter, instructions_each, open_counter
from tallyio.native.clock import multiply_chain
from tallyio.native.jit import entry

SOFTWARE, PAGE_FAULTS = 1, 2
PAGES = 64


def refuse(*_: object) -> Never:
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    counter.cache_clear()
    yield
    counter.cache_clear()


@pytest.fixture
def chain() -> Callable[[int], object]:
    compiled = entry(multiply_chain)
    return lambda count: compiled(8 * count, 1)


def test_each_link_of_a_chain_takes_as_many_steps_as_any_other(chain: Callable[[int], object]) -> None:
    many = 16 * FEW  # the interpreter around it takes some tens of steps more or less
    chain(many)
    try:
        few, twice, thrice = (count_steps(lambda times=times: chain(times * many)) for times in (1, 2, 3))  # type: ignore[misc]
    except OSError as fault:
        pytest.skip(f"processes may not be traced here: {fault}")
    assert thrice - twice == pytest.approx(twice - few, rel=0.02)
    assert twice - few > 8 * many


def test_the_kernel_counts_an_event_that_every_machine_has() -> None:
    try:
        count = open_counter(SOFTWARE, PAGE_FAULTS)
    except OSError as fault:
        pytest.skip(f"perf_event_open is not allowed here: {fault}")
    memory = mmap.mmap(-1, PAGES * mmap.PAGESIZE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    assert count(lambda: memory.write(bytes(PAGES * mmap.PAGESIZE))) >= PAGES
    assert count(lambda: None) < PAGES


def test_a_call_that_kills_the_child_is_an_error() -> None:
    try:
        count_steps(lambda: None)
    except OSError as fault:
        pytest.skip(f"processes may not be traced here: {fault}")
    with pytest.raises(ChildProcessError):
        count_steps(lambda: os._exit(1))


def test_a_machine_that_allows_nothing_says_so(
    monkeypatch: pytest.MonkeyPatch, chain: Callable[[int], object]
) -> None:
    monkeypatch.setattr(instructions, "open_counter", refuse)
    monkeypatch.setattr(instructions, "count_steps", refuse)
    assert instructions_each(chain) is None
    count, words = counter()
    assert count is None
    assert "does not let them be counted" in words
    assert words.count("Operation not permitted") == 2
