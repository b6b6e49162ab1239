"""What the Vault pays and takes for a swap, in Python integers: the specification of `hot`.

Source: `Vault.swap` and `_swap`, `ScalingHelpers` (balancer-v3-monorepo), for pools whose hooks take no part
in swaps. Where the Vault or the pool reverts the answer is 0, and also outside of the domain: amounts, and
balances after the swap, are below 2**128, which the Vault wants of balances. What it keeps of the fee is not
counted for that, so the domain ends a little before the Vault's.
"""

from __future__ import annotations

from tallyio.market.fixed.reference import (
    ONE,
    Revert,
    checked,
    complement,
    div_up,
    fixed_div_down,
    fixed_div_up,
    fixed_mul_down,
    fixed_mul_up,
    require,
)
from tallyio_protocol_balancer_v3 import reference_stable, reference_weighted
from tallyio_protocol_balancer_v3.state import MOST, PoolState, TokenState


def quote(pool: PoolState, i: int, j: int, amount_in: int) -> int:
    """Return what selling `amount_in` of token `i` pays of token `j`; 0 where it reverts."""
    try:
        return _quote(pool, i, j, amount_in)
    except Revert:
        return 0


def quote_exact_out(pool: PoolState, i: int, j: int, amount_out: int) -> int:
    """Return what buying `amount_out` of token `j` takes of token `i`; 0 where it reverts, and for 0."""
    try:
        return _quote_exact_out(pool, i, j, amount_out)
    except Revert:
        return 0


def rate_up(rate: int) -> int:
    """Return the rate rounded up: `computeRateRoundUp`."""
    return rate if rate % ONE == 0 else rate + 1


def _quote(pool: PoolState, i: int, j: int, amount_in: int) -> int:
    sold, bought = pool.tokens[i], pool.tokens[j]
    require(0 < amount_in <= MOST)
    given = fixed_mul_down(checked(amount_in * sold.scaling), sold.rate)
    given -= fixed_mul_up(given, pool.fee)
    require(given >= pool.least)
    scaled = _swap(pool, i, j, given, is_exact_in=True)
    require(scaled >= pool.least)
    amount_out = fixed_div_down(scaled, bought.scaling * rate_up(bought.rate))
    _check_after(sold, bought, amount_in, amount_out)
    return amount_out


def _quote_exact_out(pool: PoolState, i: int, j: int, amount_out: int) -> int:
    sold, bought = pool.tokens[i], pool.tokens[j]
    require(0 < amount_out <= MOST)
    given = fixed_mul_up(checked(amount_out * bought.scaling), rate_up(bought.rate))
    require(pool.least <= given <= bought.live)
    scaled = _swap(pool, i, j, given, is_exact_in=False)
    require(pool.least <= scaled <= MOST)
    scaled = checked(scaled + div_up(checked(scaled * pool.fee), complement(pool.fee)))
    amount_in = fixed_div_up(scaled, sold.scaling * sold.rate)
    _check_after(sold, bought, amount_in, amount_out)
    return amount_in


def _swap(pool: PoolState, i: int, j: int, given: int, *, is_exact_in: bool) -> int:
    if pool.amp:
        stable = reference_stable.out_given_in if is_exact_in else reference_stable.in_given_out
        return stable(pool.amp, pool.balances, i, j, given)
    weighted = reference_weighted.out_given_in if is_exact_in else reference_weighted.in_given_out
    return weighted(pool.tokens[i], pool.tokens[j], given, more=pool.more)


def _check_after(sold: TokenState, bought: TokenState, amount_in: int, amount_out: int) -> None:
    raw = sold.raw + amount_in
    require(raw <= MOST and checked(raw * sold.scaling * sold.rate) // ONE <= MOST)
    require(amount_out <= bought.raw)
