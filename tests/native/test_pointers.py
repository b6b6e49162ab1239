"""A compiled function is called by its address as by its name."""

from __future__ import annotations

import pytest

from tallyio.native.jit import SignatureError, hot
from tallyio.native.pointers import SIGNATURE, address_of, call


@hot(SIGNATURE)
def _weighted(one: int, other: int) -> int:
    return 10 * one - other


@hot("int64(int64, int64)")
def _summed(address: int, count: int) -> int:
    total = 0
    for k in range(count):
        total += call(address, k, 1)
    return total


@hot("int64(int64, float64)")
def _scaled(one: int, other: float) -> int:
    return int(one * other)


def test_what_is_called_by_address_answers_as_by_name() -> None:
    assert _summed(address_of(_weighted), 5) == sum(_weighted(k, 1) for k in range(5)) == 95


def test_a_function_of_another_signature_has_no_address_to_call() -> None:
    with pytest.raises(SignatureError, match="_scaled is int64"):
        address_of(_scaled)
