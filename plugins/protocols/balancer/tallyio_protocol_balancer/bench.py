"""How fast a compiled quote is, beside the same quote in plain Python on the same pools.

Run with `python bench.py`, or `tallyio bench balancer`. Both walk the same amounts over the same pools;
the compiled one does so in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import pyperf

from tallyio.model.units import Address
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_balancer import reference
from tallyio_protocol_balancer.hot import quote
from tallyio_protocol_balancer.layout import (
    HEAD_BYTES,
    STABLE_TRUNCATED,
    TOKEN_BYTES,
    WEIGHTED_POWERS,
    Amp,
    PoolState,
    TokenState,
    pack_row,
)

POOLS: Final = 256
TOKENS: Final = 3
ROW_BYTES: Final = HEAD_BYTES + TOKENS * TOKEN_BYTES
_ZERO: Final = const(0)
_WORD: Final = 32

Case = tuple[PoolState, int]


@hot("u256(int64, int64, int64)")
def quote_all(rows: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per pool, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(rows + k * ROW_BYTES, k % 3, (k + 1) % 3, load256(amounts + k * _WORD))
    return total


def _quote_all_reference(cases: Sequence[Case]) -> int:
    return sum(reference.quote(state, k % 3, (k + 1) % 3, amount) for k, (state, amount) in enumerate(cases))


def _cases(kind: int, draw: random.Random) -> list[Case]:
    # Weights that are no multiples of each other, or coins of about the same worth; 18 and 6 decimals.
    cases: list[Case] = []
    for _ in range(POOLS):
        weights = (5 * 10**17, 3 * 10**17, 2 * 10**17) if kind == WEIGHTED_POWERS else (0, 0, 0)
        decimals = (18, 6, 18)
        worth = draw.randrange(10**5, 10**8)
        held = [int(worth * draw.uniform(0.5, 2.0)) * 10**each for each in decimals]
        tokens = tuple(
            TokenState(
                address=Address(bytes([k] * 20)), cash=held[k], decimals=decimals[k], weight=weights[k]
            )
            for k in range(TOKENS)
        )
        amp = draw.randrange(50, 1000) * 1000
        state = PoolState(kind=kind, tokens=tokens, fee=10**15, amp=Amp(start_value=amp, end_value=amp))
        cases.append((state, held[len(cases) % 3] // draw.randrange(10, 10_000)))
    return cases


def main() -> None:
    """Run both kinds of pools, compiled and plain, with pyperf."""
    runner = pyperf.Runner()
    memory = Region(POOLS * (ROW_BYTES + _WORD))
    rows, amounts = memory.address, memory.address + POOLS * ROW_BYTES
    for name, kind in (("weighted", WEIGHTED_POWERS), ("stable", STABLE_TRUNCATED)):
        cases = _cases(kind, random.Random(7))
        packed = b"".join(pack_row(state) for state, _ in cases)
        packed += b"".join(amount.to_bytes(_WORD, "little") for _, amount in cases)
        memory.view("u1", len(packed))[:] = bytearray(packed)
        if quote_all(rows, amounts, POOLS) != _quote_all_reference(cases):
            raise SystemExit("compiled and reference quotes differ")
        runner.bench_func(f"balancer.quote.{name}", quote_all, rows, amounts, POOLS, inner_loops=POOLS)
        reference_name = f"balancer.quote.{name}.reference"
        runner.bench_func(reference_name, _quote_all_reference, cases, inner_loops=POOLS)


if __name__ == "__main__":
    main()
