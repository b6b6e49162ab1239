"""How fast a compiled quote is, beside the same quote in plain Python on the same pools.

Run with `python bench.py`, or `tallyio bench solidly`. Both walk the same amounts over the same pools,
1,024 volatile and 1,024 stable ones; the compiled one does so in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_solidly import layout, reference
from tallyio_protocol_solidly.hot import quote
from tallyio_protocol_solidly.layout import ROW_BYTES, pack_row

POOLS: Final = 1_024
_ZERO: Final = const(0)
_WORD: Final = 32
_Cases = list[tuple[reference.Pool, int]]


@hot("u256(int64, int64, int64)")
def quote_all(rows: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per pool, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(rows + k * ROW_BYTES, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def _cases(kinds: tuple[int, ...]) -> _Cases:
    draw = random.Random(7)
    # Ten thousand to a hundred million tokens, up to ten times more of one than of the other; the input
    # is up to a tenth of what is there. Tokens have 6 or 18 decimals, as most have.
    cases = []
    for k in range(POOLS):
        units = (10 ** draw.choice((6, 18)), 10 ** draw.choice((6, 18)))
        tokens = 10 ** draw.uniform(4, 8)
        reserves = (int(tokens * units[0]), int(tokens * units[1] * 10 ** draw.uniform(-1, 1)))
        pool = reference.Pool(reserves, units, draw.choice(kinds), 5, 10_000)
        cases.append((pool, draw.randrange(1, reserves[k & 1] // 10)))
    return cases


def _quote_all_reference(cases: _Cases) -> int:
    return sum(reference.quote(pool, k & 1, amount_in) for k, (pool, amount_in) in enumerate(cases))


def _compiled(cases: _Cases, memory: Region) -> Callable[[], int]:
    packed = b"".join(
        pack_row(
            pool.reserves,
            units=pool.units,
            kind=pool.kind,
            fee_numerator=pool.fee_numerator,
            fee_denominator=pool.fee_denominator,
        )
        for pool, _ in cases
    )
    packed += b"".join(amount.to_bytes(_WORD, "little") for _, amount in cases)
    memory.view("u1", len(packed))[:] = bytearray(packed)

    def run() -> int:
        total: int = quote_all(memory.address, memory.address + POOLS * ROW_BYTES, POOLS)
        return total

    return run


def main() -> None:
    """Run both benchmarks of both kinds with pyperf."""
    runner = pyperf.Runner()
    solvers = (layout.SOLVER_SOLIDLY, layout.SOLVER_VELODROME_V2, layout.SOLVER_SUPERCHAIN)
    for name, kinds in (("volatile", (layout.VOLATILE,)), ("stable", solvers)):
        cases = _cases(kinds)
        run = _compiled(cases, Region(POOLS * (ROW_BYTES + _WORD)))
        if run() != _quote_all_reference(cases):
            raise SystemExit("compiled and reference quotes differ")
        runner.bench_func(f"solidly.quote.{name}", run, inner_loops=POOLS)
        runner.bench_func(f"solidly.quote.{name}.reference", _quote_all_reference, cases, inner_loops=POOLS)


if __name__ == "__main__":
    main()
