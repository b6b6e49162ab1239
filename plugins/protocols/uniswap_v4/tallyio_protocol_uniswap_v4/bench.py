"""How fast a compiled quote is, beside the same quote in plain Python on the same pool.

Run with `python bench.py`, or `tallyio bench uniswap_v4`. Both quote the same amounts, in both
directions, on one pool of 150 overlapping positions whose directions cost differently; the compiled
one does so in one compiled loop.
"""

from __future__ import annotations

import random
from typing import Final

import pyperf

from tallyio.market.concentrated.changes import rebuild
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_uniswap_v4 import reference
from tallyio_protocol_uniswap_v4.hot import quote

COUNT: Final = 256
SPACING: Final = 60
PROTOCOL_FEE: Final = 1_000 | 250 << 12
_ZERO: Final = const(0)
_WORD: Final = 32


@hot("u256(int64, int64, int64)")
def quote_all(row: int, amounts: int, count: int) -> int:
    """Return the sum of the quotes, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(row, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def make_pool() -> reference.Pool:
    """Return the pool that both sides quote on."""
    draw = random.Random(1)
    pool = reference.new_pool(lp_fee=3000, tick_spacing=SPACING, protocol_fee=PROTOCOL_FEE)
    pool.tick, pool.sqrt_price_x96 = 17, get_sqrt_ratio_at_tick(17) + 12345
    pool.modify_liquidity(-887_220, 887_220, 10**19)
    for _ in range(150):
        center, width = draw.gauss(0, 2000), abs(draw.gauss(0, 3000)) + SPACING
        lower, upper = (int(end // SPACING) * SPACING for end in (center - width, center + width))
        pool.modify_liquidity(lower, upper + SPACING, draw.randrange(10**17, 10**21))
    return pool


def _quote_all_reference(pool: reference.Pool, amounts: list[int]) -> int:
    return sum(reference.quote(pool, amount, zero_for_one=not k & 1) for k, amount in enumerate(amounts))


class _Native:
    """The pool's row and the amounts, in native memory."""

    def __init__(self, pool: reference.Pool, amounts: list[int]) -> None:
        raw = pool.row(own=pool.own.pack())
        packed = b"".join(amount.to_bytes(_WORD, "little") for amount in amounts)
        self.memory = Region(len(raw) + len(packed))
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        self.memory.view("u1", len(packed), len(raw))[:] = bytearray(packed)
        rebuild(self.memory.address)
        self.arguments = (self.memory.address, self.memory.address + len(raw), len(amounts))


def main() -> None:
    """Run all benchmarks with pyperf."""
    pool, draw = make_pool(), random.Random(3)
    amounts = [draw.getrandbits(draw.randrange(40, 74)) for _ in range(COUNT)]
    native = _Native(pool, amounts)
    if quote_all(*native.arguments) != _quote_all_reference(pool, amounts):
        raise SystemExit("compiled and reference quotes differ")
    runner = pyperf.Runner()
    runner.bench_func("uniswap_v4.quote", quote_all, *native.arguments, inner_loops=COUNT)
    runner.bench_func("uniswap_v4.quote.reference", _quote_all_reference, pool, amounts, inner_loops=COUNT)


if __name__ == "__main__":
    main()
