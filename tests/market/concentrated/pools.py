"""Random pools, and a row of one in native memory."""

from __future__ import annotations

import random

from tallyio.market.concentrated import changes, quotes
from tallyio.market.concentrated.reference import Pool
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.native.memory import Region

GAS = (100_000, 20_000, 3_000)
SPACINGS = (1, 2, 10, 60, 200)
FEES = (0, 100, 500, 3000, 10_000, 123_456)


class Row:
    """A row in native memory."""

    def __init__(self, most_bytes: int = 4 << 20) -> None:
        self.size = 0
        self.memory = Region(most_bytes)
        self.address = self.memory.address

    def place(self, pool: Pool, *, room: int | None = None) -> bool:
        """Put a fresh row of `pool` there; return whether it is complete."""
        raw = pool.row(gas=GAS, room=room)
        self.size = len(raw)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        return bool(changes.rebuild(self.address))

    def set(self, pool: Pool, *, room: int | None = None) -> None:
        """Put a fresh row of `pool` there, complete."""
        assert self.place(pool, room=room)

    @property
    def raw(self) -> bytes:
        """The bytes of the row."""
        return self.memory.view("u1", self.size).tobytes()

    def quote(self, amount: int, i: int) -> int:
        """Quote selling token `i`."""
        return int(quotes.quote(self.address, i, 1 - i, amount))

    def quote_exact_out(self, amount: int, i: int) -> int:
        """Quote what buying exactly `amount` takes of token `i`."""
        return int(quotes.quote_exact_out(self.address, i, 1 - i, amount))


def random_pool(draw: random.Random, positions: int, *, reach: int = 20_000) -> Pool:
    """Return a pool around a random price; some positions share ticks, and some cancel out there."""
    spacing = draw.choice(SPACINGS)
    fee = draw.choice(FEES)
    fees = (fee, fee if draw.random() < 0.7 else draw.choice(FEES))
    tick = draw.randrange(-reach, reach)
    low, high = (get_sqrt_ratio_at_tick(at) for at in (tick, tick + 1))
    pool = Pool(fees, spacing, sqrt_price_x96=draw.randrange(low, high), tick=tick)
    for _ in range(positions):
        lower = draw.randrange(-reach // spacing, reach // spacing) * spacing
        width = draw.choice((1, 3, 20, 2 * reach // spacing)) * spacing
        amount = draw.getrandbits(draw.choice((1, 40, 70, 100))) + 1
        pool.modify_liquidity(lower, lower + width, amount)
        if draw.random() < 0.2:
            pool.modify_liquidity(lower + width, lower + 2 * width, amount)  # net 0, still initialised
    if draw.random() < 0.3:
        end = 887_272 // spacing * spacing
        pool.modify_liquidity(-end, end, draw.getrandbits(80) + 1)
    return pool
