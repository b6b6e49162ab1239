"""Swap mathematics of stable pools in Python integers: the specification of `hot_stable`.

Source: `StableMath` of pool-stable (balancer-v2-monorepo), in its two versions: the older one rounds
the invariant up while it iterates, the newer one truncates everywhere, as Curve does. Balances and
amounts have 18 decimals, and a token's rate is part of its scaling. `amp` is A n**(n-1) times 1000.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tallyio.market.fixed.reference import Revert, checked, div_down, div_up, require

AMP_PRECISION: Final = 1000
MAX_ROUNDS: Final = 255


def invariant_rounded_up(amp: int, balances: Sequence[int]) -> int:
    """Return the invariant as the older version does, with `roundUp`. Raises: Revert."""
    total, count = checked(sum(balances)), len(balances)
    invariant, ann = total, amp * count
    if total == 0:
        return 0
    for _ in range(MAX_ROUNDS):
        product = checked(balances[0] * count)
        for balance in balances[1:]:
            product = div_up(checked(checked(product * balance) * count), invariant)
        before = invariant
        weighted = div_up(checked(checked(ann * total) * product), AMP_PRECISION)
        numerator = checked(checked(checked(count * invariant) * invariant) + weighted)
        lessened = div_down(checked((ann - AMP_PRECISION) * product), AMP_PRECISION)
        invariant = div_up(numerator, checked(checked((count + 1) * invariant) + lessened))
        if abs(invariant - before) <= 1:
            return invariant
    raise Revert


def invariant_truncated(amp: int, balances: Sequence[int]) -> int:
    """Return the invariant as the newer version does. Raises: Revert."""
    total, count = checked(sum(balances)), len(balances)
    invariant, ann = total, amp * count
    if total == 0:
        return 0
    for _ in range(MAX_ROUNDS):
        product = invariant
        for balance in balances:
            product = div_down(checked(product * invariant), checked(balance * count))
        before = invariant
        weighted = checked(ann * total) // AMP_PRECISION
        numerator = checked(checked(weighted + checked(product * count)) * invariant)
        lessened = checked((ann - AMP_PRECISION) * invariant) // AMP_PRECISION
        invariant = div_down(numerator, checked(lessened + checked((count + 1) * product)))
        if abs(invariant - before) <= 1:
            return invariant
    raise Revert


def token_balance(amp: int, balances: Sequence[int], invariant: int, index: int) -> int:
    """Return the balance of token `index` that gives `invariant`, all others being as they are.

    Rounded up: `_getTokenBalanceGivenInvariantAndAllOtherBalances`. Raises: Revert.
    """
    count = len(balances)
    ann = amp * count
    product = checked(balances[0] * count)
    for balance in balances[1:]:
        product = div_down(checked(checked(product * balance) * count), invariant)
    others = checked(sum(balances)) - balances[index]
    square = checked(invariant * invariant)
    c = checked(checked(div_up(square, checked(ann * product)) * AMP_PRECISION) * balances[index])
    b = checked(others + checked(invariant // ann * AMP_PRECISION))
    y = div_up(checked(square + c), checked(invariant + b))
    for _ in range(MAX_ROUNDS):
        before = y
        y = div_up(checked(checked(y * y) + c), checked(checked(2 * y + b) - invariant))
        if abs(y - before) <= 1:
            return y
    raise Revert


def out_given_in(amp: int, balances: Sequence[int], invariant: int, *, i: int, j: int, amount_in: int) -> int:
    """Return the output, rounded down: `_calcOutGivenIn`. Raises: Revert."""
    after = list(balances)
    after[i] = checked(after[i] + amount_in)
    return checked(balances[j] - token_balance(amp, after, invariant, j) - 1)


def in_given_out(
    amp: int, balances: Sequence[int], invariant: int, *, i: int, j: int, amount_out: int
) -> int:
    """Return the input, rounded up: `_calcInGivenOut`. Raises: Revert."""
    after = list(balances)
    after[j] = checked(after[j] - amount_out)
    return checked(token_balance(amp, after, invariant, i) - balances[i]) + 1


INVARIANTS: Final = (invariant_rounded_up, invariant_truncated)
__all__ = [
    "AMP_PRECISION",
    "INVARIANTS",
    "MAX_ROUNDS",
    "in_given_out",
    "invariant_rounded_up",
    "invariant_truncated",
    "out_given_in",
    "require",
    "token_balance",
]
