"""The specification in Python integers, as `VirtualReserves.vy` computes it."""

from __future__ import annotations

from typing import Final

MOST: Final = 2**112 - 1
FEE_NUMERATOR: Final = 997
FEE_DENOMINATOR: Final = 1_000


def quote(state: tuple[int, int, int, int], i: int, amount_in: int) -> int:
    """Return what selling `amount_in` of token `i` pays, rounded down; 0 where the pool reverts.

    `state` is reserve 0 and 1, virtual reserve 0 and 1. Source: `_quote`.
    """
    held, paid = state[i], state[1 - i]
    if amount_in > MOST - held:
        return 0
    kept = amount_in * FEE_NUMERATOR
    below = (held + state[2 + i]) * FEE_DENOMINATOR + kept
    if below == 0:
        return 0
    out = kept * (paid + state[3 - i]) // below
    return out if out <= paid else 0
