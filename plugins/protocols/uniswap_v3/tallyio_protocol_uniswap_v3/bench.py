"""How fast compiled quotes and events are, beside the same in plain Python on the same pool.

Run with `python bench.py`, or `tallyio bench uniswap_v3`. Both do the same work on one pool of 150
overlapping positions, in one compiled loop on the one side. Amounts and events are more than a branch
predictor learns. The changes of liquidity add to a range and take away again, so the pool stays what it was.
"""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Final

import pyperf

from tallyio.market.concentrated import reference
from tallyio.market.concentrated.changes import change_liquidity, move_price, rebuild
from tallyio.market.concentrated.reference_math import (
    amount_in_between,
    amount_out_between,
    fee_of,
    get_sqrt_ratio_at_tick,
)
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load128, load256, negate
from tallyio_protocol_uniswap_v3.hot import quote, quote_exact_out

COUNT: Final = 256
SPACING: Final = 60
_ZERO: Final = const(0)
_RECORD: Final = 64
_AMOUNT: Final = 10**15


@hot("u256(int64, int64, int64)")
def quote_all(row: int, amounts: int, count: int) -> int:
    """Return the sum of the quotes, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(row, k & 1, 1 - (k & 1), load256(amounts + k * _RECORD))
    return total


@hot("u256(int64, int64, int64)")
def quote_all_exact_out(row: int, amounts: int, count: int) -> int:
    """Return the sum of the quotes, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote_exact_out(row, k & 1, 1 - (k & 1), load256(amounts + k * _RECORD))
    return total


@hot("int64(int64, int64, int64)")
def move_all(row: int, states: int, count: int) -> int:
    """Let swaps move the price; return how many the row could follow."""
    followed = 0
    for k in range(count):
        at = states + k * _RECORD
        followed += 1 if move_price(row, load256(at), load128(at + 32), load(at + 48, 0)) else 0
    return followed


@hot("int64(int64, int64, int64)")
def change_all(row: int, positions: int, count: int) -> int:
    """Add to positions and take away again; return how often the row could follow."""
    followed = 0
    for k in range(count):
        at = positions + k * _RECORD
        lower, upper, amount = load(at, 0), load(at, 1), load128(at + 16)
        followed += 1 if change_liquidity(row, lower, upper, amount) else 0
        followed += 1 if change_liquidity(row, lower, upper, negate(amount)) else 0
    return followed


def make_pool() -> reference.Pool:
    """Return the pool that both sides quote on."""
    draw = random.Random(1)
    pool = reference.Pool((3000, 3000), SPACING, tick=17)
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(17) + 12345
    pool.modify_liquidity(-887_220, 887_220, 10**19)
    for _ in range(150):
        center, width = draw.gauss(0, 2000), abs(draw.gauss(0, 3000)) + SPACING
        lower, upper = (int(end // SPACING) * SPACING for end in (center - width, center + width))
        pool.modify_liquidity(lower, upper + SPACING, draw.randrange(10**17, 10**21))
    return pool


def swaps_of(pool: reference.Pool, draw: random.Random) -> list[tuple[int, int, int]]:
    """Return what swaps leave behind that move the price by a few ticks each: price, liquidity, tick."""
    moved, tick = [], pool.tick
    for _ in range(COUNT):
        tick += draw.randrange(-8, 9)
        price = get_sqrt_ratio_at_tick(tick) + draw.randrange(1000)
        liquidity = sum(entry.liquidity_net for at, entry in pool.ticks.items() if at <= tick)
        moved.append((price, liquidity, tick))
    return moved


def positions_of(pool: reference.Pool, draw: random.Random) -> list[tuple[int, int]]:
    """Return ranges between ticks that are there, each over 40 ranges from tick to tick."""
    ticks = sorted(pool.ticks)
    starts = [draw.randrange(1, len(ticks) - 41) for _ in range(COUNT)]
    return [(ticks[k], ticks[k + 40]) for k in starts]


class Native:
    """The pool's row and room for what is done with it, in native memory."""

    def __init__(self, pool: reference.Pool) -> None:
        raw = pool.row()
        self.memory, self.at = Region(len(raw) + COUNT * _RECORD), len(raw)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        rebuild(self.memory.address)

    def place(self, records: list[bytes]) -> tuple[int, int, int]:
        """Place the records behind the row and return what the loops above take."""
        packed = b"".join(record.ljust(_RECORD, b"\0") for record in records)
        self.memory.view("u1", len(packed), self.at)[:] = bytearray(packed)
        return self.memory.address, self.memory.address + self.at, COUNT


def _quote_reference(pool: reference.Pool, amounts: list[int]) -> int:
    return sum(reference.quote(pool, amount, zero_for_one=not k & 1) for k, amount in enumerate(amounts))


def _exact_out_reference(pool: reference.Pool, amounts: list[int]) -> int:
    quoted = reference.quote_exact_out
    return sum(quoted(pool, amount, zero_for_one=not k & 1) for k, amount in enumerate(amounts))


def _move_reference(pool: reference.Pool, moved: list[tuple[int, int, int]]) -> None:
    """Find, for each event, what it takes and pays up to the first stops of both directions."""
    for pool.sqrt_price_x96, pool.liquidity, pool.tick in moved:
        for lte, (fee, _) in ((True, pool.fees_pips), (False, pool.fees_pips)):
            stop = reference.next_initialized_tick_within_one_word(pool, pool.tick, lte=lte)
            span = (pool.sqrt_price_x96, get_sqrt_ratio_at_tick(stop), pool.liquidity)
            taken = amount_in_between(*span, zero_for_one=lte)
            _ = (taken + fee_of(taken, fee), amount_out_between(*span, zero_for_one=lte))


def _change_reference(pool: reference.Pool, positions: list[tuple[int, int]]) -> None:
    """Add and take away, and compute each time what the ranges in between take and pay."""
    fee = pool.fees_pips[0]
    for lower, upper in positions:
        for delta in (_AMOUNT, -_AMOUNT):
            pool.modify_liquidity(lower, upper, delta)
            ticks = sorted(at for at in pool.ticks if lower <= at <= upper)
            prices = [get_sqrt_ratio_at_tick(at) for at in ticks]
            for low, high in pairwise(prices):
                for start, end in ((high, low), (low, high)):
                    taken = amount_in_between(start, end, _AMOUNT, zero_for_one=end < start)
                    _ = (
                        taken + fee_of(taken, fee),
                        amount_out_between(start, end, _AMOUNT, zero_for_one=end < start),
                    )


def _bench_quotes(runner: pyperf.Runner, pool: reference.Pool, native: Native) -> None:
    draw = random.Random(3)
    sets = {
        "quote": (range(40, 74), quote_all, _quote_reference),
        "quote_in_range": (range(30, 56), quote_all, _quote_reference),
        "quote_exact_out": (range(40, 70), quote_all_exact_out, _exact_out_reference),
    }
    for name, (bits, compiled, plain) in sets.items():
        amounts = [draw.getrandbits(draw.choice(bits)) for _ in range(COUNT)]
        arguments = native.place([amount.to_bytes(32, "little") for amount in amounts])
        if compiled(*arguments) != plain(pool, amounts):
            raise SystemExit(f"{name}: compiled and reference quotes differ")
        _compare(runner, name, (compiled, *arguments), (plain, pool, amounts))


def _compare(
    runner: pyperf.Runner, name: str, compiled: tuple[object, ...], plain: tuple[object, ...]
) -> None:
    runner.bench_func(f"uniswap_v3.{name}", *compiled, inner_loops=COUNT)
    runner.bench_func(f"uniswap_v3.{name}.reference", *plain, inner_loops=COUNT)


def _bench_events(runner: pyperf.Runner, pool: reference.Pool, native: Native) -> None:
    draw = random.Random(4)
    positions = positions_of(pool, draw)
    records = [
        b"".join((lower.to_bytes(8, "little", signed=True), upper.to_bytes(8, "little", signed=True)))
        + _AMOUNT.to_bytes(16, "little")
        for lower, upper in positions
    ]
    arguments = native.place(records)
    if change_all(*arguments) != 2 * COUNT:
        raise SystemExit("the row could not follow a change of liquidity")
    _compare(runner, "change_liquidity", (change_all, *arguments), (_change_reference, pool, positions))
    moved = swaps_of(pool, draw)
    records = [
        price.to_bytes(32, "little")
        + liquidity.to_bytes(16, "little")
        + tick.to_bytes(8, "little", signed=True)
        for price, liquidity, tick in moved
    ]
    arguments = native.place(records)
    if move_all(*arguments) != COUNT:
        raise SystemExit("the row could not follow a swap")
    _compare(runner, "move_price", (move_all, *arguments), (_move_reference, pool, moved))


def main() -> None:
    """Run all benchmarks with pyperf."""
    runner, pool = pyperf.Runner(), make_pool()
    native = Native(pool)
    _bench_quotes(runner, pool, native)
    _bench_events(runner, pool, native)


if __name__ == "__main__":
    main()
