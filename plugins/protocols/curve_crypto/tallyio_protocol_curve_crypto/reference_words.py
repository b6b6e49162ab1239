"""Vyper's arithmetic on Python integers: checked as in the contracts, or wrapping where they say `unsafe`."""

from __future__ import annotations

from typing import Final

_WORD: Final = 2**256
_HALF: Final = 2**255


class Revert(ArithmeticError):
    """The contract reverts here."""


def require(condition: bool, what: str) -> None:  # noqa: FBT001 - reads as the contract's `assert`
    """Do nothing where `condition` holds. Raises: Revert."""
    if not condition:
        raise Revert(what)


def fit(value: int) -> int:
    """Return `value` as uint256. Raises: Revert: it is none."""
    require(0 <= value < _WORD, "overflow")
    return value


def div(a: int, b: int) -> int:
    """Return a / b of uint256, rounded down. Raises: Revert: b is 0."""
    require(b != 0, "division by zero")
    return a // b


def int_fit(value: int) -> int:
    """Return `value` as int256. Raises: Revert: it is none."""
    require(-_HALF < value < _HALF, "overflow")
    return value


def int_div(a: int, b: int) -> int:
    """Return a / b of int256, rounded towards 0. Raises: Revert: b is 0."""
    require(b != 0, "division by zero")
    return unsafe_int_div(a, b)


def unsafe_int_div(a: int, b: int) -> int:
    """Return a / b of int256, rounded towards 0; 0 where b is 0."""
    if b == 0:
        return 0
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def unsafe_int(value: int) -> int:
    """Return `value` modulo 2**256, as int256."""
    return (value + _HALF) % _WORD - _HALF


def unsafe(value: int) -> int:
    """Return `value` modulo 2**256, as uint256."""
    return value % _WORD


def unsafe_div(a: int, b: int) -> int:
    """Return a / b of uint256, rounded down; 0 where b is 0."""
    return a // b if b else 0
