"""Swap mathematics of weighted pools in Python integers: the specification of `hot_weighted`.

Source: `WeightedMath` of pool-weighted (balancer-v2-monorepo). Balances and amounts have 18 decimals
whatever their token's are; weights are fixed numbers whose sum is one.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.fixed.reference import (
    ONE,
    checked,
    complement,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
    pow_up,
    require,
)

MAX_RATIO: Final = 3 * 10**17
"""Of its token's balance, the most that one swap may add or take: `_MAX_IN_RATIO`, `_MAX_OUT_RATIO`."""

Side = tuple[int, int]
"""Balance and weight of one token."""


def out_given_in(sold: Side, bought: Side, amount_in: int, *, has_powers: bool) -> int:
    """Return the output, rounded down: `_calcOutGivenIn`. Raises: Revert."""
    (balance_in, weight_in), (balance_out, weight_out) = sold, bought
    require(amount_in <= fixed_mul_down(balance_in, MAX_RATIO))
    base = fixed_div_up(balance_in, checked(balance_in + amount_in))
    power = pow_up(base, fixed_div_down(weight_in, weight_out), has_powers=has_powers)
    return fixed_mul_down(balance_out, complement(power))


def in_given_out(sold: Side, bought: Side, amount_out: int, *, has_powers: bool) -> int:
    """Return the input, rounded up: `_calcInGivenOut`. Raises: Revert."""
    (balance_in, weight_in), (balance_out, weight_out) = sold, bought
    require(amount_out <= fixed_mul_down(balance_out, MAX_RATIO))
    base = fixed_div_up(balance_out, balance_out - amount_out)
    power = pow_up(base, fixed_div_up(weight_out, weight_in), has_powers=has_powers)
    return fixed_mul_up(balance_in, checked(power - ONE))
