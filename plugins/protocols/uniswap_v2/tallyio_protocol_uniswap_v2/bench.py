"""How fast a compiled quote is, beside the same quote in plain Python on the same pairs.

Run with `python bench.py`, or `tallyio bench uniswap_v2`. Both walk the same amounts over the same
1,024 pairs; the compiled one does so in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_uniswap_v2 import reference
from tallyio_protocol_uniswap_v2.hot import quote
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, pack_row

PAIRS: Final = 1_024
_ZERO: Final = const(0)
_WORD: Final = 32


@hot("u256(int64, int64, int64)")
def quote_all(rows: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per pair, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(rows + k * ROW_BYTES, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def _cases() -> list[tuple[tuple[int, int], int]]:
    draw = random.Random(7)
    # Dollars with 6 decimals against ether with 18, and 18 against 18: what chains are full of.
    cases = []
    for _ in range(PAIRS):
        reserves = (draw.randrange(10**11, 10**14), draw.randrange(10**19, 10**22))
        if draw.random() < 0.5:  # noqa: PLR2004 - half of each
            reserves = (draw.randrange(10**20, 10**25), reserves[1])
        cases.append((reserves, draw.randrange(1, reserves[0] // 10)))
    return cases


def _quote_all_reference(cases: list[tuple[tuple[int, int], int]]) -> int:
    total = 0
    for k, (reserves, amount_in) in enumerate(cases):
        i = k & 1
        total += reference.quote(
            reserves[i], reserves[1 - i], amount_in, fee_numerator=997, fee_denominator=1000
        )
    return total


def main() -> None:
    """Run both benchmarks with pyperf."""
    cases = _cases()
    memory = Region(PAIRS * (ROW_BYTES + _WORD))
    rows, amounts = memory.address, memory.address + PAIRS * ROW_BYTES
    packed = b"".join(
        pack_row(reserves, fee_numerators=(997, 997), fee_denominator=1000, gas=0) for reserves, _ in cases
    )
    packed += b"".join(amount.to_bytes(_WORD, "little") for _, amount in cases)
    memory.view("u1", len(packed))[:] = bytearray(packed)
    if quote_all(rows, amounts, PAIRS) != _quote_all_reference(cases):
        raise SystemExit("compiled and reference quotes differ")

    runner = pyperf.Runner()
    runner.bench_func("uniswap_v2.quote", quote_all, rows, amounts, PAIRS, inner_loops=PAIRS)
    runner.bench_func("uniswap_v2.quote.reference", _quote_all_reference, cases, inner_loops=PAIRS)


if __name__ == "__main__":
    main()
