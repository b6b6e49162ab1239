"""Random pools, and a row of one in native memory."""

from __future__ import annotations

import random
from collections.abc import Iterator

from tallyio.market.concentrated import changes, layout, quotes
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

    def amounts_to_stops(self, i: int) -> list[tuple[int, int]]:
        """The input and the output that each stop of the row ahead is away, as the row has them."""
        direction = layout.DIRECTIONS + i * layout.DIRECTION_BYTES
        count, ahead = (self.word(direction + at) for at in (layout.STOP_COUNT, layout.AHEAD))
        offset_in, offset_out = (self.wide(direction + at) for at in (layout.OFFSET_IN, layout.OFFSET_OUT))
        starts = [self.word(direction + layout.STOPS) + k * layout.STOP_BYTES for k in range(ahead, count)]
        return [
            (self.wide(at + layout.SUM_IN) - offset_in, offset_out - self.wide(at + layout.SUM_OUT))
            for at in starts
        ]

    def word(self, offset: int) -> int:
        """The word at an offset."""
        return int.from_bytes(self.raw[offset : offset + 8], "little")

    def wide(self, offset: int) -> int:
        """The 256-bit number at an offset."""
        return int.from_bytes(self.raw[offset : offset + 32], "little")


def random_pool(draw: random.Random, positions: int, *, reach: int = 20_000) -> Pool:
    """Return a pool of any spacing, whose directions may cost differently; see `shaped_pool`."""
    fee = draw.choice(FEES)
    fees = (fee, fee if draw.random() < 0.7 else draw.choice(FEES))
    return shaped_pool(draw, positions, fees, draw.choice(SPACINGS), reach=reach)


def shaped_pool(
    draw: random.Random, positions: int, fees: tuple[int, int], spacing: int, *, reach: int = 20_000
) -> Pool:
    """Return a pool around a random price; some positions share ticks, and some cancel out there."""
    tick = draw.randrange(-reach, reach)
    low, high = (get_sqrt_ratio_at_tick(at) for at in (tick, tick + 1))
    pool = Pool(fees, spacing, sqrt_price_x96=draw.randrange(low, high), tick=tick)
    reach = max(reach, 2 * spacing)
    for _ in range(positions):
        lower = draw.randrange(-reach // spacing, reach // spacing) * spacing
        width = draw.choice((1, 3, 20, 2 * reach // spacing)) * spacing
        amount = draw.getrandbits(draw.choice((1, 40, 70, 100))) + 1
        pool.modify_liquidity(lower, lower + width, amount)
        if draw.random() < 0.2:
            pool.modify_liquidity(lower + width, lower + 2 * width, amount)  # net 0, still initialised
    if spacing > 9 and draw.random() < 0.3:
        end = 887_272 // spacing * spacing
        pool.modify_liquidity(-end, end, draw.getrandbits(80) + 1)
    return pool


def move(pool: Pool, draw: random.Random) -> None:
    """Put the price somewhere else, as a swap with a price limit would; often exactly onto a stop."""
    word = 256 * pool.tick_spacing
    ends = [at for k in range(-2, 2) for at in (k * word, k * word + word - pool.tick_spacing)]
    inner = [at for at in (*pool.ticks, *ends) if abs(at) < 800_000]
    tick = draw.choice([*inner, draw.randrange(-20_000, 20_000)])
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(tick) + draw.randrange(2)
    # A swap downwards that ends on a stop leaves the tick below it.
    is_below = pool.sqrt_price_x96 == get_sqrt_ratio_at_tick(tick) and draw.random() < 0.5
    pool.tick = tick - is_below
    pool.liquidity = sum(entry.liquidity_net for at, entry in pool.ticks.items() if at <= pool.tick)


def telling_amounts(draw: random.Random, row: Row, i: int) -> Iterator[tuple[int, int]]:
    """Yield pairs of an input of token `i` and an output: random ones, and those around some stops."""
    for bits in (1, 8, 30, 60, 90, 120, 200):
        yield draw.getrandbits(bits) + 1, draw.getrandbits(bits) + 1
    reached = row.amounts_to_stops(i)
    for amount_in, amount_out in (*draw.sample(reached, min(3, len(reached))), *reached[-1:]):
        for more in (-1, 0, 1):
            yield max(1, amount_in + more), max(1, amount_out + more)


def stops(pool: Pool) -> list[int]:
    """Return the initialised ticks and, near to them, the ends of bitmap words of both directions."""
    spacing = pool.tick_spacing
    word = 256 * spacing
    near = {at // word for at in (*pool.ticks, pool.tick)}
    ends = {end for k in near for end in (k * word, (k + 1) * word - spacing)}
    return sorted({*pool.ticks, *ends})
