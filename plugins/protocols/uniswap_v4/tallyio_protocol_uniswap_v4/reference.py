"""A V4 pool in Python integers: the specification of `hot`.

Source: `Pool.swap`, `SwapMath` and `ProtocolFeeLibrary` of v4-core 1.0.2, written from these alone; what
they share with V3, functions of prices and ticks, is the core's. Amounts are signed from the pool's
caller, as V4 has them: an `amount_specified` below zero is exact input, above it exact output.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tallyio.market.concentrated import reference as concentrated
from tallyio.market.concentrated.reference import next_initialized_tick_within_one_word
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MAX_TICK,
    MIN_TICK,
    PIPS,
    amount_in_between,
    amount_out_between,
    ceil_div,
    get_next_sqrt_price_from_input,
    get_next_sqrt_price_from_output,
    get_sqrt_ratio_at_tick,
)
from tallyio_protocol_uniswap_v4.own import Own

MAX_AMOUNT: Final = (1 << 127) - 1
"""A caller's balances in an unlocked manager are int128, and what `settle` books is one of them."""

_DIRECTION_BITS: Final = 12
_DIRECTION_MASK: Final = (1 << _DIRECTION_BITS) - 1


class PoolReverted(Exception):
    """The contract reverts; the message is the name of its error."""


@dataclass(slots=True)
class Pool(concentrated.Pool):
    """A pool's state, as far as it decides amounts; `fees_pips` is what swaps take in all."""

    own: Own = field(default_factory=Own)

    def set_fees(self, *, lp_fee: int | None = None, protocol_fee: int | None = None) -> None:
        """Change one part of the fee, as `setLPFee` and `setProtocolFee` do."""
        lp_fee = self.own.lp_fee if lp_fee is None else lp_fee
        packed = self.own.protocol_fee if protocol_fee is None else protocol_fee
        self.own = Own(lp_fee=lp_fee, protocol_fee=packed)
        self.fees_pips = swap_fees(packed, lp_fee)


def new_pool(*, lp_fee: int, tick_spacing: int, protocol_fee: int = 0) -> Pool:
    """Return a pool that is not initialised. `protocol_fee` is packed as slot 0 has it."""
    own = Own(lp_fee=lp_fee, protocol_fee=protocol_fee)
    return Pool(swap_fees(protocol_fee, lp_fee), tick_spacing, own=own)


def swap_fees(protocol_fee: int, lp_fee: int) -> tuple[int, int]:
    """Return what swaps take of their input, selling token0 and selling token1: pips, up to all of it.

    `protocol_fee` has 12 bits for token0 in, then 12 for token1 in.
    """
    down, up = protocol_fee & _DIRECTION_MASK, protocol_fee >> _DIRECTION_BITS
    return calculate_swap_fee(down, lp_fee), calculate_swap_fee(up, lp_fee)


def calculate_swap_fee(protocol_fee: int, lp_fee: int) -> int:
    """Return `ProtocolFeeLibrary.calculateSwapFee`: the liquidity's fee is taken after the protocol's."""
    return protocol_fee + lp_fee - protocol_fee * lp_fee // PIPS


def compute_swap_step(
    price: int, target: int, liquidity: int, amount_remaining: int, fee_pips: int
) -> tuple[int, int, int, int]:
    """Return `SwapMath.computeSwapStep`: the price reached, input, output and fee."""
    down = price >= target
    if amount_remaining < 0:
        less_fee = -amount_remaining * (PIPS - fee_pips) // PIPS
        amount_in = amount_in_between(price, target, liquidity, zero_for_one=down)
        if less_fee >= amount_in:
            reached = target
            fee = amount_in if fee_pips == PIPS else ceil_div(amount_in * fee_pips, PIPS - fee_pips)
        else:
            reached = get_next_sqrt_price_from_input(price, liquidity, less_fee, zero_for_one=down)
            amount_in, fee = less_fee, -amount_remaining - less_fee
        return reached, amount_in, amount_out_between(price, reached, liquidity, zero_for_one=down), fee
    amount_out, reached = amount_out_between(price, target, liquidity, zero_for_one=down), target
    if amount_remaining < amount_out:
        amount_out = amount_remaining
        reached = get_next_sqrt_price_from_output(price, liquidity, amount_out, zero_for_one=down)
    amount_in = amount_in_between(price, reached, liquidity, zero_for_one=down)
    return reached, amount_in, amount_out, ceil_div(amount_in * fee_pips, PIPS - fee_pips)


@dataclass(frozen=True, slots=True)
class Swapped:
    """What a swap did. `amount_remaining` is the part of what was specified that the pool left."""

    amount_in: int
    amount_out: int
    amount_remaining: int
    ticks_crossed: int
    stops: int


def swap(pool: Pool, amount_specified: int, *, zero_for_one: bool, limit_x96: int | None = None) -> Swapped:
    """Return the outcome of `PoolManager.swap`; the pool is not changed.

    `limit_x96` defaults to the furthest price that the pool allows.
    Raises: PoolReverted: the contract does.
    """
    limit = limit_x96 or (LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT)
    fee_pips = pool.fees_pips[0 if zero_for_one else 1]
    _check(pool, amount_specified, fee_pips, limit, zero_for_one=zero_for_one)
    price, tick, liquidity, remaining = pool.sqrt_price_x96, pool.tick, pool.liquidity, amount_specified
    taken = paid = crossed = stops = 0
    while remaining != 0 and price != limit:
        stop = next_initialized_tick_within_one_word(pool, tick, lte=zero_for_one)
        stop = min(max(stop, MIN_TICK), MAX_TICK)
        stop_price = get_sqrt_ratio_at_tick(stop)
        target = max(stop_price, limit) if zero_for_one else min(stop_price, limit)
        price, step_in, step_out, fee = compute_swap_step(price, target, liquidity, remaining, fee_pips)
        taken, paid = taken + step_in + fee, paid + step_out
        remaining += step_in + fee if amount_specified < 0 else -step_out
        if price == stop_price:
            stops += 1
            if stop in pool.ticks:
                net = pool.ticks[stop].liquidity_net
                liquidity += -net if zero_for_one else net
                crossed += 1
            tick = stop - 1 if zero_for_one else stop
    # Both deltas are int128; the one of the input is negative, so one more fits.
    if taken > MAX_AMOUNT + 1 or paid > MAX_AMOUNT:
        raise PoolReverted("SafeCastOverflow")
    return Swapped(taken, paid, remaining, crossed, stops)


def _check(pool: Pool, amount_specified: int, fee_pips: int, limit: int, *, zero_for_one: bool) -> None:
    if amount_specified == 0:
        raise PoolReverted("SwapAmountCannotBeZero")
    if pool.sqrt_price_x96 == 0:
        raise PoolReverted("PoolNotInitialized")
    if fee_pips >= PIPS and amount_specified > 0:
        raise PoolReverted("InvalidFeeForExactOut")
    if not (limit < pool.sqrt_price_x96 if zero_for_one else limit > pool.sqrt_price_x96):
        raise PoolReverted("PriceLimitAlreadyExceeded")


def quote(pool: Pool, amount_in: int, *, zero_for_one: bool) -> int:
    """Return what selling all of `amount_in` pays.

    0 where the contract reverts, pays nothing, or cannot take it all: its price limit would end the
    swap. An input beyond `MAX_AMOUNT` cannot be settled.
    """
    return 0 if amount_in > MAX_AMOUNT else _complete(pool, -amount_in, zero_for_one=zero_for_one)[1]


def quote_exact_out(pool: Pool, amount_out: int, *, zero_for_one: bool) -> int:
    """Return what the pool takes for exactly `amount_out`.

    0 where the contract reverts, has less than that to pay, or takes more than can be settled.
    """
    amount_in, _ = _complete(pool, min(amount_out, MAX_AMOUNT + 1), zero_for_one=zero_for_one)
    return 0 if amount_in > MAX_AMOUNT else amount_in


def _complete(pool: Pool, amount_specified: int, *, zero_for_one: bool) -> tuple[int, int]:
    try:
        outcome = swap(pool, amount_specified, zero_for_one=zero_for_one)
    except PoolReverted:
        return 0, 0
    return (0, 0) if outcome.amount_remaining else (outcome.amount_in, outcome.amount_out)
