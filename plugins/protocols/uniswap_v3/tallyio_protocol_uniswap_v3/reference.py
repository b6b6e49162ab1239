"""A V3 pool in Python integers: the specification of `hot.quote` and `hot.apply_log`.

Source: `UniswapV3Pool` of v3-core 1.0.1 (`swap`, `_modifyPosition`, `_updatePosition`) and
`TickBitmap.nextInitializedTickWithinOneWord`. Only what decides amounts is here: fees owed,
oracle and protocol fees do not change what a swap pays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tallyio_protocol_uniswap_v3.layout import pack_row
from tallyio_protocol_uniswap_v3.reference_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    compute_swap_step,
    get_sqrt_ratio_at_tick,
)

MAX_AMOUNT: Final = (1 << 255) - 1
"""`amountSpecified` is an int256; a larger number would mean exact output."""

LOWEST_LIMIT: Final = MIN_SQRT_RATIO + 1
HIGHEST_LIMIT: Final = MAX_SQRT_RATIO - 1
"""The furthest price limits that `swap` accepts."""


@dataclass(slots=True)
class Tick:
    """An initialised tick. It stays one while `liquidity_gross` is positive, even if the net is 0."""

    liquidity_gross: int = 0
    liquidity_net: int = 0


@dataclass(slots=True)
class Pool:
    """A pool's state, as far as it decides amounts."""

    fee_pips: int
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

    def row(self, *, tick_capacity: int, gas: tuple[int, int, int] = (0, 0, 0)) -> bytes:
        """Return the row from which compiled code goes on; `layout.pack_row` says what it lacks."""
        return pack_row(
            sqrt_price_x96=self.sqrt_price_x96,
            liquidity=self.liquidity,
            tick=self.tick,
            fee_pips=self.fee_pips,
            tick_spacing=self.tick_spacing,
            ticks={at: (tick.liquidity_gross, tick.liquidity_net) for at, tick in self.ticks.items()},
            tick_capacity=tick_capacity,
            gas=gas,
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
    """What a swap did. `amount_remaining` is the input that the pool did not take."""

    amount_out: int
    amount_remaining: int
    sqrt_price_x96: int
    liquidity: int
    ticks_crossed: int
    stops: int


def swap(pool: Pool, amount_in: int, *, zero_for_one: bool, limit_x96: int | None = None) -> Swapped:
    """Return the outcome of `UniswapV3Pool.swap` with exact input; the pool is not changed.

    `limit_x96` defaults to the furthest price that the pool allows.
    Raises: ValueError: the price is at or beyond the limit ("SPL" in the contract).
    """
    limit = limit_x96 or (LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT)
    if not (limit < pool.sqrt_price_x96 if zero_for_one else limit > pool.sqrt_price_x96):
        raise ValueError(f"price limit {limit} is already passed")
    price, tick, liquidity, remaining = pool.sqrt_price_x96, pool.tick, pool.liquidity, amount_in
    amount_out = crossed = stops = 0
    while remaining != 0 and price != limit:
        stop = next_initialized_tick_within_one_word(pool, tick, lte=zero_for_one)
        stop = min(max(stop, MIN_TICK), MAX_TICK)
        stop_price = get_sqrt_ratio_at_tick(stop)
        target = max(stop_price, limit) if zero_for_one else min(stop_price, limit)
        price, taken, paid, fee = compute_swap_step(price, target, liquidity, remaining, pool.fee_pips)
        remaining -= taken + fee
        amount_out += paid
        if price == stop_price:
            stops += 1
            if stop in pool.ticks:
                net = pool.ticks[stop].liquidity_net
                liquidity += -net if zero_for_one else net
                crossed += 1
            tick = stop - 1 if zero_for_one else stop
    return Swapped(amount_out, remaining, price, liquidity, crossed, stops)


def quote(pool: Pool, amount_in: int, *, zero_for_one: bool) -> int:
    """Return what selling all of `amount_in` pays.

    0 where the pool is not initialised or cannot take it all: its price limit would end the swap.
    """
    at_limit = pool.sqrt_price_x96 <= LOWEST_LIMIT if zero_for_one else pool.sqrt_price_x96 >= HIGHEST_LIMIT
    if not 0 < amount_in <= MAX_AMOUNT or pool.sqrt_price_x96 == 0 or at_limit:
        return 0
    outcome = swap(pool, amount_in, zero_for_one=zero_for_one)
    return 0 if outcome.amount_remaining else outcome.amount_out
