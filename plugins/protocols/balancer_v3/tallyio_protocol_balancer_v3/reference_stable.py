"""Swap mathematics of stable pools in Python integers: the specification of `hot_stable`.

Source: `StableMath` of solidity-utils and `StablePool.onSwap` (balancer-v3-monorepo). Amounts and balances
have 18 decimals and include rates; amp is A n**(n-1) times `AMP_PRECISION`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.market.fixed.reference import Revert, checked, div_down, div_up, require

AMP_PRECISION: Final = 1_000
MAX_ROUNDS: Final = 255
MAX_IMBALANCE: Final = 10_000
"""The largest balance is less than so many times the smallest, before and after a swap."""


def invariant(amp: int, balances: Sequence[int]) -> int:
    """Return the invariant: `computeInvariant`. Raises: Revert."""
    total, n = sum(balances), len(balances)
    if total == 0:
        return 0
    ann, found = amp * n, total
    for _ in range(MAX_ROUNDS):
        product = found
        for balance in balances:
            product = div_down(checked(product * found), balance * n)
        before = found
        numerator = checked(checked(checked(ann * total) // AMP_PRECISION + checked(product * n)) * found)
        lessened = checked((ann - AMP_PRECISION) * found) // AMP_PRECISION
        found = div_down(numerator, checked(lessened + checked((n + 1) * product)))
        if abs(found - before) <= 1:
            return found
    raise Revert


def token_balance(amp: int, balances: Sequence[int], at: int, index: int) -> int:
    """Return the balance of `index` for which the invariant is `at`: `computeBalance`. Raises: Revert."""
    n = len(balances)
    ann, total = amp * n, sum(balances)
    product = checked(balances[0] * n)
    for balance in balances[1:]:
        product = div_down(checked(checked(product * balance) * n), at)
    others, square = total - balances[index], checked(at * at)
    c = checked(div_up(checked(square * AMP_PRECISION), checked(ann * product)) * balances[index])
    b = others + checked(at * AMP_PRECISION) // ann
    found = div_up(checked(square + c), at + b)
    for _ in range(MAX_ROUNDS):
        before = found
        divisor = 2 * found + b - at
        require(divisor > 0)
        found = div_up(checked(checked(found * found) + c), divisor)
        if abs(found - before) <= 1:
            return found
    raise Revert


def out_given_in(amp: int, balances: Sequence[int], i: int, j: int, amount_in: int) -> int:
    """Return the output of a scaled input. Raises: Revert."""
    at, changed = invariant(amp, balances), list(balances)
    changed[i] += amount_in
    amount_out = balances[j] - token_balance(amp, changed, at, j) - 1
    require(amount_out >= 0)
    _check_balance(balances, changed[i], balances[j] - amount_out)
    return amount_out


def in_given_out(amp: int, balances: Sequence[int], i: int, j: int, amount_out: int) -> int:
    """Return the input for a scaled output. Raises: Revert."""
    require(amount_out <= balances[j])
    at, changed = invariant(amp, balances), list(balances)
    changed[j] -= amount_out
    amount_in = token_balance(amp, changed, at, i) - balances[i] + 1
    require(amount_in > 0)
    _check_balance(balances, balances[i] + amount_in, changed[j])
    return amount_in


def _check_balance(balances: Sequence[int], new_in: int, new_out: int) -> None:
    smallest, largest = min(*balances, new_out), max(*balances, new_in)
    require(div_down(largest, smallest) < MAX_IMBALANCE)
