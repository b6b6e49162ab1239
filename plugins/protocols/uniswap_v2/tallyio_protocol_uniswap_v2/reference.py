"""What a pair pays and takes, in Python integers: the specification of `hot.quote` and `quote_exact_out`.

Sources: `UniswapV2Library.getAmountOut` and `getAmountIn` (v2-periphery) for the amounts,
`UniswapV2Pair.swap` and `_update` (v2-core) for what the pair accepts. Forks change the fee only:
`fee_numerator` of `fee_denominator` parts of the input trade (997 of 1000 in the original).
"""

from __future__ import annotations

from tallyio_protocol_uniswap_v2.layout import UINT112_MAX


def get_amount_out(
    amount_in: int, reserve_in: int, reserve_out: int, *, fee_numerator: int, fee_denominator: int
) -> int:
    """Return the output of selling `amount_in`, rounded down; 0 where the library would revert."""
    if amount_in <= 0 or reserve_in <= 0 or reserve_out <= 0:
        return 0
    amount_in_with_fee = amount_in * fee_numerator
    return amount_in_with_fee * reserve_out // (reserve_in * fee_denominator + amount_in_with_fee)


def get_amount_in(
    amount_out: int, reserve_in: int, reserve_out: int, *, fee_numerator: int, fee_denominator: int
) -> int:
    """Return the input that buys `amount_out`, rounded up; 0 where the library would revert.

    It is one unit more than needed where the division has no rest, as in the library.
    """
    if reserve_in <= 0 or not 0 < amount_out < reserve_out:
        return 0
    return reserve_in * amount_out * fee_denominator // ((reserve_out - amount_out) * fee_numerator) + 1


def pair_accepts(
    amount_in: int,
    amount_out: int,
    reserve_in: int,
    reserve_out: int,
    *,
    fee_numerator: int,
    fee_denominator: int,
) -> bool:
    """Return whether `UniswapV2Pair.swap` pays `amount_out` for `amount_in`.

    Its checks in order: output positive and below the reserve, K not decreased after the fee, and
    the new balance within uint112.
    """
    if not 0 < amount_out < reserve_out:
        return False
    balance_in = reserve_in + amount_in
    adjusted_in = balance_in * fee_denominator - amount_in * (fee_denominator - fee_numerator)
    adjusted_out = (reserve_out - amount_out) * fee_denominator
    keeps_k = adjusted_in * adjusted_out >= reserve_in * reserve_out * fee_denominator**2
    return keeps_k and balance_in <= UINT112_MAX


def quote(
    reserve_in: int, reserve_out: int, amount_in: int, *, fee_numerator: int, fee_denominator: int
) -> int:
    """Return what selling `amount_in` pays; 0 where the pair reverts or pays nothing."""
    fees = {"fee_numerator": fee_numerator, "fee_denominator": fee_denominator}
    amount_out = get_amount_out(amount_in, reserve_in, reserve_out, **fees)
    accepted = pair_accepts(amount_in, amount_out, reserve_in, reserve_out, **fees)
    return amount_out if accepted else 0


def quote_exact_out(
    reserve_in: int, reserve_out: int, amount_out: int, *, fee_numerator: int, fee_denominator: int
) -> int:
    """Return what buying exactly `amount_out` costs; 0 where the library or the pair reverts."""
    fees = {"fee_numerator": fee_numerator, "fee_denominator": fee_denominator}
    amount_in = get_amount_in(amount_out, reserve_in, reserve_out, **fees)
    accepted = pair_accepts(amount_in, amount_out, reserve_in, reserve_out, **fees)
    return amount_in if accepted else 0
