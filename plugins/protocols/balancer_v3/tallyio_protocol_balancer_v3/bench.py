"""How fast a compiled quote is, beside the same quote in plain Python on the same pools.

Run with `python bench.py`, or `tallyio bench balancer_v3`. Both walk the same amounts over the same pools;
the compiled one does so in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_balancer_v3 import reference
from tallyio_protocol_balancer_v3.hot import quote
from tallyio_protocol_balancer_v3.layout import HEAD_BYTES, TOKEN_BYTES, pack_row
from tallyio_protocol_balancer_v3.state import PoolState, TokenState

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


def _cases(amp: int, draw: random.Random) -> list[Case]:
    # Weights that are no multiples of each other, or coins of about the same worth; one has a rate.
    cases: list[Case] = []
    for _ in range(POOLS):
        worth = draw.randrange(10**5, 10**8)
        tokens = []
        for decimals, weight, rate in ((18, 5, 11 * 10**17 + 7), (6, 3, 10**18), (18, 2, 10**18)):
            raw, scaling = int(worth * draw.uniform(0.5, 2.0)) * 10**decimals, 10 ** (18 - decimals)
            live = raw * scaling * rate // 10**18
            share = 0 if amp else weight * 10**17
            tokens.append(TokenState(live=live, raw=raw, rate=rate, scaling=scaling, weight=share))
        state = PoolState(tokens=tuple(tokens), fee=10**15, amp=amp, more=0 if amp else 1)
        cases.append((state, tokens[len(cases) % 3].raw // draw.randrange(10, 10_000)))
    return cases


def main() -> None:
    """Run both kinds of pools, compiled and plain, with pyperf."""
    runner = pyperf.Runner()
    memory = Region(POOLS * (ROW_BYTES + _WORD))
    rows, amounts = memory.address, memory.address + POOLS * ROW_BYTES
    for name, amp in (("weighted", 0), ("stable", 200_000)):
        cases = _cases(amp, random.Random(7))
        packed = b"".join(pack_row(state) for state, _ in cases)
        packed += b"".join(amount.to_bytes(_WORD, "little") for _, amount in cases)
        memory.view("u1", len(packed))[:] = bytearray(packed)
        if quote_all(rows, amounts, POOLS) != _quote_all_reference(cases):
            raise SystemExit("compiled and reference quotes differ")
        runner.bench_func(f"balancer_v3.quote.{name}", quote_all, rows, amounts, POOLS, inner_loops=POOLS)
        reference_name = f"balancer_v3.quote.{name}.reference"
        runner.bench_func(reference_name, _quote_all_reference, cases, inner_loops=POOLS)


if __name__ == "__main__":
    main()
