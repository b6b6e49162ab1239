"""How fast a compiled quote is, beside the same quote in plain Python on the same pools.

Run with `python bench.py`, or `tallyio bench curve_stable`. Both walk the same amounts over the same
256 pools of two and three coins, old and NG. Both know D: the compiled one has it in the row, and the
reference is handed it.
"""

from __future__ import annotations

import random
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_curve_stable import reference
from tallyio_protocol_curve_stable.hot import quote
from tallyio_protocol_curve_stable.hot_state import rebuild
from tallyio_protocol_curve_stable.layout import Ramp, State, pack_row, row_bytes
from tallyio_protocol_curve_stable.loading import pool_of
from tallyio_protocol_curve_stable.templates import TEMPLATES

POOLS: Final = 256
KINDS: Final = ("three_pool", "base", "plain", "ng")
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
    cases = []
    for k in range(POOLS):
        template = TEMPLATES[KINDS[k % len(KINDS)]]
        decimals = [draw.choice((6, 18)) for _ in range(draw.choice((2, 3)))]
        millions = [draw.randrange(1, 300) for _ in decimals]
        amp = draw.choice((100, 400, 2000)) * template.a_precision
        state = State(
            template=template,
            balances=tuple(
                count * 10 ** (6 + places) for count, places in zip(millions, decimals, strict=True)
            ),
            rates=tuple(10 ** (36 - places) for places in decimals),
            ramp=Ramp(amp, amp),
            fee=1_000_000,
            admin_fee=5 * 10**9,
            offpeg_fee_multiplier=2 * 10**10 if template.kind == "ng" else 0,
            supply=0,
            time=0,
        )
        cases.append((state, draw.randrange(1, state.balances[k & 1] // 10)))
    return cases


def _quote_all_reference(cases: list[tuple[reference.Pool, int, int]]) -> int:
    return sum(
        reference.quote(pool, k & 1, 1 - (k & 1), amount_in, d=d)
        for k, (pool, amount_in, d) in enumerate(cases)
    )


def _with_d(pool: reference.Pool, amount_in: int) -> tuple[reference.Pool, int, int]:
    return pool, amount_in, reference.get_d(pool.template, pool.xp, pool.amp)


def main() -> None:
    """Run both benchmarks with pyperf."""
    cases = _cases()
    memory = Region(POOLS * (STRIDE + _WORD))
    rows, amounts = memory.address, memory.address + POOLS * STRIDE
    for k, (state, amount_in) in enumerate(cases):
        row = pack_row(state)
        memory.view("u1", len(row), k * STRIDE)[:] = bytearray(row)
        rebuild(rows + k * STRIDE)
        memory.view("u1", _WORD, POOLS * STRIDE + k * _WORD)[:] = bytearray(
            amount_in.to_bytes(_WORD, "little")
        )
    pools = [_with_d(pool_of(state), amount_in) for state, amount_in in cases]
    if quote_all(rows, amounts, POOLS) != _quote_all_reference(pools):
        raise SystemExit("compiled and reference quotes differ")

    runner = pyperf.Runner()
    runner.bench_func("curve_stable.quote", quote_all, rows, amounts, POOLS, inner_loops=POOLS)
    runner.bench_func("curve_stable.quote.reference", _quote_all_reference, pools, inner_loops=POOLS)


if __name__ == "__main__":
    main()
