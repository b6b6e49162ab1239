"""Random Uniswap V4 pools and swaps, over everything that the protocol allows."""

from __future__ import annotations

import random

from tallyio_protocol_uniswap_v4 import hot
from tallyio_protocol_uniswap_v4.reference import Pool, new_pool

from tallyio.market.concentrated.changes import rebuild
from tallyio.market.concentrated.layout import contents
from tallyio.market.concentrated.reference_math import (
    HIGHEST_LIMIT,
    LOWEST_LIMIT,
    MAX_TICK,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
)
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tests.v4_desk import Key, state_slots

GAS = (100_000, 20_000, 3_000)

LP_FEES = (0, 1, 100, 500, 3_000, 10_000, 250_000, 999_000, 999_999, 1_000_000)
PROTOCOL_FEES = (0, 0, 1, 500, 1_000)
SPACINGS = (1, 2, 10, 60, 200, 2_000, 16_383, 16_384, 32_767)
WORD_TICKS = 256


def random_pool(draw: random.Random) -> Pool:
    """Return a pool in any state that its contract can reach, and some that only look so."""
    spacing = draw.choice((*SPACINGS, draw.randrange(1, 32_768)))
    pool = new_pool(
        lp_fee=draw.choice((*LP_FEES, draw.randrange(1_000_001))),
        tick_spacing=spacing,
        protocol_fee=_protocol_fee(draw) | _protocol_fee(draw) << 12,
    )
    # Far from the ends mostly: there, amounts of all sizes are found.
    reach = min(draw.choice((2_000, 20_000, 200_000, MAX_TICK)), MAX_TICK)
    pool.tick = draw.choice((draw.randrange(-reach, reach), draw.choice((MIN_TICK, 0, MAX_TICK - 1))))
    low, high = (get_sqrt_ratio_at_tick(at) for at in (pool.tick, pool.tick + 1))
    pool.sqrt_price_x96 = draw.choice((low, draw.randrange(low, high)))
    for _ in range(draw.randrange(7)):
        _add_position(pool, draw)
    if draw.random() < 0.3:
        end = MAX_TICK // spacing * spacing
        pool.modify_liquidity(-end, end, _liquidity(draw))
    if pool.sqrt_price_x96 == low and pool.tick > MIN_TICK and draw.random() < 0.3:
        # A swap downwards that stopped exactly here: the tick is below the price.
        leave_below(pool)
    return pool


def leave_below(pool: Pool) -> None:
    """Put the tick below the one whose price the pool has."""
    if pool.tick in pool.ticks:
        pool.liquidity -= pool.ticks[pool.tick].liquidity_net
    pool.tick -= 1


def random_swap(draw: random.Random, pool: Pool) -> tuple[bool, int, int]:
    """Return direction, amount specified and price limit; a walk over thousands of words is rare."""
    zero_for_one = draw.random() < 0.5
    amount = draw.getrandbits(draw.randrange(1, 129)) * draw.choice((1, -1))
    if draw.random() < 0.02:
        amount = draw.choice((0, 2**127, 2**127 - 1, -(2**127), -(2**127) - 1, 2**200))
    limit = LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT
    words = draw.randrange(1, 8)
    if pool.tick_spacing < 60 and draw.random() < 0.98:
        words = draw.randrange(1, 20)
    elif draw.random() < 0.8:
        return zero_for_one, amount, limit
    away = words * WORD_TICKS * pool.tick_spacing
    end = pool.tick - away if zero_for_one else pool.tick + away
    if MIN_TICK < end < MAX_TICK:
        limit = get_sqrt_ratio_at_tick(end) + draw.randrange(2)
    return zero_for_one, amount, limit


def key_of(pool: Pool, number: int, tokens: tuple[Address, Address]) -> Key:
    """Return a key that no other `number` has: a hook that no swap calls tells pools apart."""
    hooks = Address((number << 14 | 1 << 11).to_bytes(20))
    return Key(*tokens, pool.own.lp_fee, pool.tick_spacing, hooks)


def slots_of(pool: Pool, key: Key) -> dict[int, int]:
    """Return the manager's storage of a pool."""
    return state_slots(
        key.id,
        spacing=pool.tick_spacing,
        price=pool.sqrt_price_x96,
        tick=pool.tick,
        protocol_fee=pool.own.protocol_fee,
        lp_fee=pool.own.lp_fee,
        liquidity=pool.liquidity,
        ticks={at: (tick.liquidity_gross, tick.liquidity_net) for at, tick in pool.ticks.items()},
    )


class Row:
    """A row in native memory, and room for a log's topics and data behind it."""

    def __init__(self, most_bytes: int = 4 << 20) -> None:
        self.size, self.most = 0, most_bytes
        self.memory = Region(most_bytes + 1024)
        self.address = self.memory.address

    def place(self, raw: bytes) -> None:
        """Put a row there."""
        self.size = len(raw)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)

    def set(self, pool: Pool, *, room: int | None = None) -> None:
        """Put a fresh row of `pool` there, complete."""
        self.place(pool.row(gas=GAS, room=room, own=pool.own.pack()))
        assert rebuild(self.address)

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return self.memory.view("u1", self.size).tobytes()

    @property
    def contents(self) -> tuple[bytes, ...]:
        """What the row says: equal for equal states, whatever its room is."""
        return contents(self.raw)

    def quote(self, amount: int, i: int) -> int:
        """Quote selling token `i`."""
        return int(hot.quote(self.address, i, 1 - i, amount))

    def quote_exact_out(self, amount: int, i: int) -> int:
        """Quote what buying exactly `amount` takes of token `i`."""
        return int(hot.quote_exact_out(self.address, i, 1 - i, amount))

    def apply(self, event: int, data: bytes, topics: bytes = b"") -> int:
        """Apply an event."""
        raw = data + topics
        self.memory.view("u1", len(raw), self.most)[:] = bytearray(raw)
        start = self.address + self.most
        return int(hot.apply_log(self.address, event, start + len(data), start, len(data)))


def _protocol_fee(draw: random.Random) -> int:
    return draw.choice((*PROTOCOL_FEES, draw.randrange(1_001)))


def _liquidity(draw: random.Random) -> int:
    return draw.getrandbits(draw.choice((1, 20, 40, 60, 80, 100, 110, 124))) + 1


def _add_position(pool: Pool, draw: random.Random) -> None:
    spacing = pool.tick_spacing
    end = MAX_TICK // spacing
    center = min(max(pool.tick // spacing + draw.randrange(-20, 21), -end), end - 1)
    width = draw.choice((1, 2, 30, 300, 2 * end))
    lower = max(center - draw.randrange(width + 1), -end)
    upper = min(lower + width, end)
    pool.modify_liquidity(lower * spacing, upper * spacing, _liquidity(draw))
