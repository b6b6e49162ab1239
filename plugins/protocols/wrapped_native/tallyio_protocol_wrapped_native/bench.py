"""How fast a compiled quote is, beside the same quote in plain Python on the same amounts.

Run with `python bench.py`, or `tallyio bench wrapped_native`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_wrapped_native import reference
from tallyio_protocol_wrapped_native.hot import quote
from tallyio_protocol_wrapped_native.layout import ROW_BYTES, pack_row

AMOUNTS: Final = 1_024
_ZERO: Final = const(0)
_WORD: Final = 32


@hot("u256(int64, int64, int64)")
def quote_all(row: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per amount, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(row, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def _quote_all_reference(amounts: Sequence[int]) -> int:
    total = 0
    for amount in amounts:
        total += reference.quote(amount)
    return total


def main() -> None:
    """Run both benchmarks with pyperf."""
    draw = random.Random(7)
    amounts = [draw.getrandbits(draw.randrange(1, 100)) for _ in range(AMOUNTS)]
    raw = pack_row(gas=(0, 0)) + b"".join(amount.to_bytes(_WORD, "little") for amount in amounts)
    memory = Region(len(raw))
    memory.view("u1", len(raw))[:] = bytearray(raw)
    row, at = memory.address, memory.address + ROW_BYTES
    if quote_all(row, at, AMOUNTS) != _quote_all_reference(amounts):
        raise SystemExit("compiled and reference quotes differ")

    runner = pyperf.Runner()
    runner.bench_func("wrapped_native.quote", quote_all, row, at, AMOUNTS, inner_loops=AMOUNTS)
    runner.bench_func("wrapped_native.quote.reference", _quote_all_reference, amounts, inner_loops=AMOUNTS)


if __name__ == "__main__":
    main()
