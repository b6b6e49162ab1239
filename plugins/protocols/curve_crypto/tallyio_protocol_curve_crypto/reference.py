"""What a pool pays, in Python integers: the specification of the compiled functions.

Sources: `exchange`, `get_dy`, `_A_gamma`, `_fee` and `reduction_coefficient` of the sources in `templates`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio_protocol_curve_crypto.reference_cubic import get_y
from tallyio_protocol_curve_crypto.reference_newton import PRECISION, newton_d, newton_y
from tallyio_protocol_curve_crypto.reference_words import Revert, div, fit, require
from tallyio_protocol_curve_crypto.templates import Template

FEE_DENOMINATOR: Final = 10**10


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """The state of a pool as an exchange at one moment reads it; amounts in smallest units."""

    template: Template
    balances: tuple[int, ...]
    price_scale: tuple[int, ...]
    """Of each coin but the first, in the first, of 10**18."""
    precisions: tuple[int, ...]
    """10**(18 - decimals)."""
    ann: int
    """A * N**N * `A_MULTIPLIER`, at this moment."""
    gamma: int
    d: int | None
    """The invariant as the pool keeps it; None while A or gamma move, and it is computed anew."""
    mid_fee: int
    """In balance, of `FEE_DENOMINATOR`."""
    out_fee: int
    """Out of balance."""
    fee_gamma: int


def scaled(pool: Pool, balances: Sequence[int]) -> list[int]:
    """Return `xp`. Raises: Revert."""
    values = [fit(balance * precision) for balance, precision in zip(balances, pool.precisions, strict=True)]
    prices = (PRECISION, *pool.price_scale)
    return [fit(value * price) // PRECISION for value, price in zip(values, prices, strict=True)]


def invariant(pool: Pool) -> int:
    """Return D at this moment. Raises: Revert."""
    if pool.d is not None:
        return pool.d
    return newton_d(pool.template, pool.ann, pool.gamma, scaled(pool, pool.balances))


def fee_of(pool: Pool, xp: Sequence[int]) -> int:
    """Return the fee at these balances, of `FEE_DENOMINATOR`. Raises: Revert."""
    total = fit(sum(xp))
    if len(xp) == 2:  # noqa: PLR2004 - the contract of two coins
        k = fit(div(fit(4 * PRECISION * xp[0]), total) * xp[1]) // total
    else:
        k = PRECISION
        for x in xp:
            k = div(fit(k * 3 * x), total)
    if pool.fee_gamma > 0 or len(xp) == 2:  # noqa: PLR2004 - as above
        k = div(pool.fee_gamma * PRECISION, pool.fee_gamma + PRECISION - k)
    return (pool.mid_fee * k + pool.out_fee * (PRECISION - k)) // PRECISION


def exchange(pool: Pool, i: int, j: int, amount_in: int, *, d: int | None = None) -> int:
    """Return what `exchange(i, j, amount_in, 0)` pays; `d` is the pool's invariant if it is known.

    Without what an exchange does afterwards to the price scale: see the README for when that reverts.
    Raises: Revert: where the contract does before.
    """
    n = pool.template.coins
    require(0 <= i < n and 0 <= j < n and i != j, "no such direction")
    require(amount_in > 0, "nothing to exchange")
    balances = list(pool.balances)
    balances[i] = fit(balances[i] + amount_in)
    xp = scaled(pool, balances)
    solve = get_y if pool.template.ng else newton_y
    y = solve(pool.template, pool.ann, pool.gamma, xp, invariant(pool) if d is None else d, j)
    dy = fit(fit(xp[j] - y) - 1)
    xp[j] = y
    if j > 0:
        dy = div(fit(dy * PRECISION), pool.price_scale[j - 1])
    dy //= pool.precisions[j]
    paid = dy - fit(fee_of(pool, xp) * dy) // FEE_DENOMINATOR
    fit(balances[j] - paid)
    return paid


def quote(pool: Pool, i: int, j: int, amount_in: int, *, d: int | None = None) -> int:
    """Return what an exchange pays; 0 where it reverts."""
    try:
        return exchange(pool, i, j, amount_in, d=d)
    except Revert:
        return 0


def interpolated(initial: int, future: int, started: int, ends: int, now: int) -> int:
    """Return A or gamma at time `now`, as `_A_gamma`: from `initial` at `started` to `future` at `ends`."""
    if now >= ends:
        return future
    return (initial * (ends - now) + future * (now - started)) // (ends - started)


def is_moving(template: Template, ends: int, now: int) -> bool:
    """Return whether an exchange computes D anew: NG in the ramp, old pools until one came after it."""
    return ends > now if template.ng else ends > 0
