"""A pool of concentrated liquidity in Python integers: the specification of the compiled code.

Layer: market. Source: `UniswapV3Pool` of v3-core 1.0.1 (`swap`, `_modifyPosition`, `_updatePosition`) and
`TickBitmap.nextInitializedTickWithinOneWord`; `Pool` of v4-core pays the same. Only what decides amounts
is here: fees owed, oracle and protocol fees do not change what a swap pays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tallyio.market.concentrated.layout import pack_row
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MAX_TICK,
    MIN_TICK,
    PIPS,
    compute_swap_step,
    get_sqrt_ratio_at_tick,
)

MAX_AMOUNT: Final = (1 << 255) - 1
"""`amountSpecified` is an int256."""


@dataclass(slots=True)
class Tick:
    """An initialised tick. It stays one while `liquidity_gross` is positive, even if the net is 0."""

    liquidity_gross: int = 0
    liquidity_net: int = 0


@dataclass(slots=True)
class Pool:
    """A pool's state, as far as it decides amounts."""

    fees_pips: tuple[int, int]
    """What selling token0, and what selling token1 costs; 10**6 closes the direction."""
    tick_spacing: int
    sqrt_price_x96: int = 0
    tick: int = 0
    liquidity: int = 0
    ticks: dict[int, Tick] = field(default_factory=dict)

    def modify_liquidity(self, tick_lower: int, tick_upper: int, delta: int) -> None:
        """Add `delta` (negative: remove) to the position between two ticks, as Mint and Burn do."""
        for tick, net in ((tick_lower, delta), (tick_upper, -delta)):
            entry = self.ticks.setdefault(tick, Tick())
            entry.liquidity_gross += delta
            entry.liquidity_net += net
            if entry.liquidity_gross == 0:
                del self.ticks[tick]
        if tick_lower <= self.tick < tick_upper:
            self.liquidity += delta

    def row(
        self, *, gas: tuple[int, int, int] = (0, 0, 0), room: int | None = None, own: bytes = b""
    ) -> bytes:
        """Return the row from which compiled code goes on; `layout.pack_row` says what it lacks."""
        return pack_row(
            sqrt_price_x96=self.sqrt_price_x96,
            liquidity=self.liquidity,
            tick=self.tick,
            fees_pips=self.fees_pips,
            tick_spacing=self.tick_spacing,
            ticks={at: (tick.liquidity_gross, tick.liquidity_net) for at, tick in self.ticks.items()},
            gas=gas,
            room=room,
            own=own,
        )


def next_initialized_tick_within_one_word(pool: Pool, tick: int, *, lte: bool) -> int:
    """Return the next stop of a swap: an initialised tick, or the end of the 256-tick bitmap word."""
    spacing = pool.tick_spacing
    compressed = tick // spacing
    if lte:
        word_start = (compressed >> 8) * 256 * spacing
        return max((at for at in pool.ticks if word_start <= at <= tick), default=word_start)
    word_end = (((compressed + 1) >> 8) * 256 + 255) * spacing
    return min((at for at in pool.ticks if tick < at <= word_end), default=word_end)


@dataclass(frozen=True, slots=True)
class Swapped:
    """What a swap did."""

    amount_in: int
    """What the pool took, fee included."""
    amount_out: int
    amount_remaining: int
    """The input that the pool did not take; negative: the output that it did not pay."""
    sqrt_price_x96: int
    liquidity: int
    ticks_crossed: int
    stops: int


def swap(pool: Pool, amount: int, *, zero_for_one: bool, limit_x96: int | None = None) -> Swapped:
    """Return the outcome of a swap of an exact input, or, negative, of an exact output.

    The pool is not changed. `limit_x96` defaults to the furthest price that the pool allows.
    Raises: ValueError: the price is at or beyond the limit ("SPL" in the contract).
    """
    limit = limit_x96 or (LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT)
    if not (limit < pool.sqrt_price_x96 if zero_for_one else limit > pool.sqrt_price_x96):
        raise ValueError(f"price limit {limit} is already passed")
    fee_pips = pool.fees_pips[0 if zero_for_one else 1]
    price, tick, liquidity, remaining = pool.sqrt_price_x96, pool.tick, pool.liquidity, amount
    amount_in = amount_out = crossed = stops = 0
    while remaining != 0 and price != limit:
        stop = next_initialized_tick_within_one_word(pool, tick, lte=zero_for_one)
        stop = min(max(stop, MIN_TICK), MAX_TICK)
        stop_price = get_sqrt_ratio_at_tick(stop)
        target = max(stop_price, limit) if zero_for_one else min(stop_price, limit)
        step = compute_swap_step(price, target, liquidity, remaining, fee_pips)
        price = step.sqrt_price_x96
        remaining += -(step.amount_in + step.fee) if amount > 0 else step.amount_out
        amount_in, amount_out = amount_in + step.amount_in + step.fee, amount_out + step.amount_out
        if price == stop_price:
            stops += 1
            if stop in pool.ticks:
                net = pool.ticks[stop].liquidity_net
                liquidity += -net if zero_for_one else net
                crossed += 1
            tick = stop - 1 if zero_for_one else stop
    return Swapped(amount_in, amount_out, remaining, price, liquidity, crossed, stops)


def quote(pool: Pool, amount_in: int, *, zero_for_one: bool) -> int:
    """Return what selling all of `amount_in` pays.

    0 where the pool is not initialised or cannot take it all: its price limit would end the swap.
    """
    if not 0 < amount_in <= MAX_AMOUNT or not _is_open(pool, zero_for_one=zero_for_one):
        return 0
    outcome = swap(pool, amount_in, zero_for_one=zero_for_one)
    return 0 if outcome.amount_remaining else outcome.amount_out


def quote_exact_out(pool: Pool, amount_out: int, *, zero_for_one: bool) -> int:
    """Return the input, fee included, that the pool takes for exactly `amount_out`.

    0 where it is not initialised or cannot pay all of it.
    """
    if not 0 < amount_out <= MAX_AMOUNT or not _is_open(pool, zero_for_one=zero_for_one):
        return 0
    outcome = swap(pool, -amount_out, zero_for_one=zero_for_one)
    return 0 if outcome.amount_remaining else outcome.amount_in


def _is_open(pool: Pool, *, zero_for_one: bool) -> bool:
    if pool.sqrt_price_x96 == 0 or pool.fees_pips[0 if zero_for_one else 1] == PIPS:
        return False
    return pool.sqrt_price_x96 > LOWEST_LIMIT if zero_for_one else pool.sqrt_price_x96 < HIGHEST_LIMIT
