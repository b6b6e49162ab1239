"""Swap mathematics of weighted pools in Python integers: the specification of `hot_weighted`.

Source: `WeightedMath` of solidity-utils and `WeightedPool.onSwap` (balancer-v3-monorepo). The later version
of the pool counts one unit more of the token sold, and wants that a least balance is left.
"""

from __future__ import annotations

from typing import Final

from tallyio.market.fixed.reference import (
    complement,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
    pow_up,
    require,
)
from tallyio_protocol_balancer_v3.state import TokenState

MAX_RATIO: Final = 3 * 10**17
"""Of its token's balance, the most that one swap may add or take: `_MAX_IN_RATIO`, `_MAX_OUT_RATIO`."""


def out_given_in(sold: TokenState, bought: TokenState, amount_in: int, *, more: int) -> int:
    """Return the output of a scaled input. Raises: Revert."""
    balance_in = sold.live + more
    require(balance_in >= sold.least_live and amount_in <= fixed_mul_down(balance_in, MAX_RATIO))
    base = fixed_div_up(balance_in, balance_in + amount_in)
    power = pow_up(base, fixed_div_down(sold.weight, bought.weight), has_powers=True)
    amount_out = fixed_mul_down(bought.live, complement(power))
    require(bought.live - amount_out >= bought.least_live)
    return amount_out


def in_given_out(sold: TokenState, bought: TokenState, amount_out: int, *, more: int) -> int:
    """Return the input for a scaled output. Raises: Revert."""
    balance_in = sold.live + more
    require(balance_in >= sold.least_live and amount_out <= fixed_mul_down(bought.live, MAX_RATIO))
    base = fixed_div_up(bought.live, bought.live - amount_out)
    power = pow_up(base, fixed_div_up(bought.weight, sold.weight), has_powers=True)
    amount_in = fixed_mul_up(balance_in, power - 10**18)
    require(bought.live - amount_out >= bought.least_live)
    return amount_in
