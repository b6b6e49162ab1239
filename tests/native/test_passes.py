"""What numba's own pipeline rewrites and that of hot functions does not is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numba import literal_unroll
from numba.core.errors import NumbaError

from tallyio.native.jit import check_compiles, hot


def with_a_function_inside(x: int) -> int:
    def inner(y: int) -> int:
        return y + x

    return inner(1)


def with_a_generator(x: int) -> int:
    return sum(y for y in range(x))


def with_a_context(x: int) -> int:
    with contextlib.nullcontext():
        return x


def with_a_loop_over_types(x: int) -> int:
    for y in literal_unroll((1, 2.0)):
        x += int(y)
    return x


def with_an_error_of_its_value(x: int) -> int:
    if x > 1:
        raise ValueError(x)
    return x


@pytest.mark.parametrize(
    "function",
    [
        with_a_function_inside,
        with_a_generator,
        with_a_context,
        with_a_loop_over_types,
        with_an_error_of_its_value,
    ],
    ids=lambda function: function.__name__,
)
def test_what_no_pass_rewrites_does_not_compile(function: Callable[[int], int]) -> None:
    with pytest.raises(NumbaError, match=Path(__file__).name):
        check_compiles(hot("int64(int64)")(function))


@hot("int64(int64)")
def at_a_constant_place(x: int) -> int:
    pair = x, 2.5
    return pair[0] if NOTHING is None else int(pair[1])


NOTHING: Any = None


def test_constants_are_known_before_types_are() -> None:
    assert at_a_constant_place(7) == 7
