"""What both strategies look for: sell in one pool, buy back in another, and keep the difference.

A trip is two different pools of the same two tokens, one of them the base token. Both try the same ladder
of amounts, so their answers are equal and only their speed differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

LEAST: Final = 10**15
"""The smallest amount tried, in smallest units of the base token."""
RUNGS: Final = 16
"""Each further amount is twice the one before: up to 32 units of a token with 18 decimals."""
_PAIR: Final = 2


class Trip(NamedTuple):
    """Pool ids, and the position of the base token and of the other one in each."""

    first: int
    first_base: int
    second: int
    second_base: int


class Found(NamedTuple):
    """The best trip of a block."""

    first: int
    second: int
    amount_in: int
    amount_out: int


def trips_of(pool_tokens: Sequence[tuple[int, ...]], base: int) -> list[Trip]:
    """Return every trip that starts and ends with token `base`, by token id as `pool_tokens` has them."""
    pairs = [
        (pool, tokens) for pool, tokens in enumerate(pool_tokens) if len(tokens) == _PAIR and base in tokens
    ]
    return [
        Trip(first, tokens.index(base), second, others.index(base))
        for first, tokens in pairs
        for second, others in pairs
        if first != second and set(tokens) == set(others)
    ]
