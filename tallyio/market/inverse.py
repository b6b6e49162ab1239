"""The least input for an output, by search: exact output for pools whose contract has none.

Layer: market. `LEAST_INPUT` is the text of a compiled function that becomes part of the fused module,
since it asks the fused `quote`; `least_input_reference` is the same in Python.

`quote` grows with the input up to the largest that the pool takes, and is 0 beyond. So doubling finds an
input that pays enough, or one that is refused; between what pays too little and what is refused,
halving goes on looking for one that pays enough; and below one that pays enough, halving finds
the least. Where inputs of a power of two are all refused or pay nothing, the answer is 0 though a
number between might do: a refusal, never a wrong amount.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

BITS: Final = 256

LEAST_INPUT: Final = """ONE = const(1)

@hot("u256(int64, int64, int64, u256)", late=True)
def least_input(pool, i, j, amount_out):
    if amount_out == NOTHING:
        return NOTHING
    low, paid, high, refused = NOTHING, NOTHING, NOTHING, NOTHING
    trial = ONE
    while trial != NOTHING and high == NOTHING and refused == NOTHING:
        out = quote(pool, i, j, trial)
        if out >= amount_out:
            high = trial
        elif out < paid:
            refused = trial
        else:
            low, paid = trial, out
            trial = trial + trial
    while high == NOTHING and refused > low + ONE:
        trial = low + ((refused - low) >> 1)
        out = quote(pool, i, j, trial)
        if out >= amount_out:
            high = trial
        elif out < paid:
            refused = trial
        else:
            low, paid = trial, out
    while high > low + ONE:
        trial = low + ((high - low) >> 1)
        if quote(pool, i, j, trial) >= amount_out:
            high = trial
        else:
            low = trial
    return high"""


def least_input_reference(quote: Callable[[int], int], amount_out: int) -> int:
    """Return the least input for which `quote` reaches `amount_out`; 0 if the search finds none."""
    if amount_out == 0:
        return 0
    low, paid, high, refused = 0, 0, 0, 0
    trial = 1
    while trial < 1 << BITS and high == refused == 0:
        out = quote(trial)
        if out >= amount_out:
            high = trial
        elif out < paid:
            refused = trial
        else:
            low, paid = trial, out
            trial *= 2
    while high == 0 and refused > low + 1:
        trial = (low + refused) // 2
        out = quote(trial)
        if out >= amount_out:
            high = trial
        elif out < paid:
            refused = trial
        else:
            low, paid = trial, out
    while high > low + 1:
        trial = (low + high) // 2
        if quote(trial) >= amount_out:
            high = trial
        else:
            low = trial
    return high
