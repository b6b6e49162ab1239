"""How fast a compiled quote is, beside the same quote in plain Python on the same pool.

Run with `python bench.py`, or `tallyio bench uniswap_v3`. Both quote the same amounts, in both
directions, on one pool of 150 overlapping positions; the compiled one does so in one compiled loop.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final

import pyperf

from tallyio.native.jit import hot, use_cache
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256

# Compiled code is cached by source: without this an edit in a helper module would go unmeasured.
use_cache(Path(__file__).parent.glob("*.py"))

from tallyio_protocol_uniswap_v3 import reference  # noqa: E402 - see above
from tallyio_protocol_uniswap_v3.hot import quote  # noqa: E402 - see above
from tallyio_protocol_uniswap_v3.hot_state import rebuild  # noqa: E402 - see above
from tallyio_protocol_uniswap_v3.layout import row_bytes  # noqa: E402 - see above
from tallyio_protocol_uniswap_v3.reference_math import get_sqrt_ratio_at_tick  # noqa: E402 - see above

COUNT: Final = 256
TICK_CAPACITY: Final = 320
SPACING: Final = 60
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
    pool = reference.Pool(fee_pips=3000, tick_spacing=SPACING, tick=17)
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(17) + 12345
    pool.modify_liquidity(-887_220, 887_220, 10**19)
    for _ in range(150):
        center, width = draw.gauss(0, 2000), abs(draw.gauss(0, 3000)) + SPACING
        lower, upper = (int(end // SPACING) * SPACING for end in (center - width, center + width))
        pool.modify_liquidity(lower, upper + SPACING, draw.randrange(10**17, 10**21))
    return pool


def _quote_all_reference(pool: reference.Pool, amounts: list[int]) -> int:
    return sum(reference.quote(pool, amount, zero_for_one=not k & 1) for k, amount in enumerate(amounts))


class _Native:
    """The pool's row and room for the amounts, in native memory."""

    def __init__(self, pool: reference.Pool) -> None:
        raw = pool.row(tick_capacity=TICK_CAPACITY)
        self.memory = Region(len(raw) + COUNT * _WORD)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        rebuild(self.memory.address)

    def quote_all(self, amounts: list[int]) -> int:
        """Place the amounts and quote them."""
        packed = b"".join(amount.to_bytes(_WORD, "little") for amount in amounts)
        self.memory.view("u1", len(packed), row_bytes(TICK_CAPACITY))[:] = bytearray(packed)
        total: int = quote_all(*self.arguments)
        return total

    @property
    def arguments(self) -> tuple[int, int, int]:
        """What `quote_all` takes."""
        return self.memory.address, self.memory.address + row_bytes(TICK_CAPACITY), COUNT


def main() -> None:
    """Run all benchmarks with pyperf."""
    pool, draw = make_pool(), random.Random(3)
    native = _Native(pool)
    sets = {
        "uniswap_v3.quote": [draw.getrandbits(draw.randrange(40, 74)) for _ in range(COUNT)],
        "uniswap_v3.quote_in_range": [draw.getrandbits(draw.randrange(30, 56)) for _ in range(COUNT)],
    }
    runner = pyperf.Runner()
    for name, amounts in sets.items():
        if native.quote_all(amounts) != _quote_all_reference(pool, amounts):
            raise SystemExit(f"{name}: compiled and reference quotes differ")
        runner.bench_func(name, quote_all, *native.arguments, inner_loops=COUNT)
        runner.bench_func(f"{name}.reference", _quote_all_reference, pool, amounts, inner_loops=COUNT)


if __name__ == "__main__":
    main()
