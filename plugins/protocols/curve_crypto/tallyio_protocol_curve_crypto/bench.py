"""How fast a compiled quote is, beside the same quote in plain Python on the same pools.

Run with `python bench.py`, or `tallyio bench curve_crypto`. Both walk the same amounts over the same
256 pools, 64 of each kind, as real ones are: at rest, with the D that the pool keeps.
"""

from __future__ import annotations

import random
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_curve_crypto import reference
from tallyio_protocol_curve_crypto.hot import quote
from tallyio_protocol_curve_crypto.hot_state import advance
from tallyio_protocol_curve_crypto.layout import State, pack_row, row_bytes
from tallyio_protocol_curve_crypto.loading import pool_of
from tallyio_protocol_curve_crypto.samples import usual_state
from tallyio_protocol_curve_crypto.templates import TEMPLATES

POOLS: Final = 256
KINDS: Final = tuple(TEMPLATES)
STRIDE: Final = row_bytes(3)
_ZERO: Final = const(0)
_WORD: Final = 32


@hot("u256(int64, int64, int64)")
def quote_all(rows: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per pool, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(rows + k * STRIDE, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def _cases() -> list[tuple[State, int]]:
    draw = random.Random(7)
    states = [usual_state(draw, KINDS[k % len(KINDS)]) for k in range(POOLS)]
    return [(state, draw.randrange(1, state.balances[k & 1] // 10)) for k, state in enumerate(states)]


def _quote_all_reference(cases: list[tuple[reference.Pool, int]]) -> int:
    return sum(
        reference.quote(pool, k & 1, 1 - (k & 1), amount_in) for k, (pool, amount_in) in enumerate(cases)
    )


def main() -> None:
    """Run both benchmarks with pyperf."""
    cases = _cases()
    memory = Region(POOLS * (STRIDE + _WORD))
    rows, amounts = memory.address, memory.address + POOLS * STRIDE
    for k, (state, amount_in) in enumerate(cases):
        row = pack_row(state)
        memory.view("u1", len(row), k * STRIDE)[:] = bytearray(row)
        advance(rows + k * STRIDE, state.time)
        memory.view("u1", _WORD, POOLS * STRIDE + k * _WORD)[:] = bytearray(
            amount_in.to_bytes(_WORD, "little")
        )
    pools = [(pool_of(state), amount_in) for state, amount_in in cases]
    if quote_all(rows, amounts, POOLS) != _quote_all_reference(pools):
        raise SystemExit("compiled and reference quotes differ")

    runner = pyperf.Runner()
    runner.bench_func("curve_crypto.quote", quote_all, rows, amounts, POOLS, inner_loops=POOLS)
    runner.bench_func("curve_crypto.quote.reference", _quote_all_reference, pools, inner_loops=POOLS)


if __name__ == "__main__":
    main()
