"""How fast a compiled quote is, beside the same quote in plain Python on the same vaults.

Run with `python bench.py`, or `tallyio bench erc4626`. Both walk the same amounts over the same vaults, half
of them with virtual shares; the compiled one does so in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import pyperf

from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_erc4626 import reference
from tallyio_protocol_erc4626.hot import quote
from tallyio_protocol_erc4626.layout import ROW_BYTES, Upkeep, pack_row
from tallyio_protocol_erc4626.reference import Vault

VAULTS: Final = 1_024
_ZERO: Final = const(0)
_WORD: Final = 32

Case = tuple[Vault, int]


@hot("u256(int64, int64, int64)")
def quote_all(rows: int, amounts: int, count: int) -> int:
    """Return the sum of one quote per vault, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        total = total + quote(rows + k * ROW_BYTES, k & 1, 1 - (k & 1), load256(amounts + k * _WORD))
    return total


def _quote_all_reference(cases: Sequence[Case]) -> int:
    total = 0
    for k, (vault, amount) in enumerate(cases):
        total += reference.quote(vault, k & 1, amount)
    return total


def _cases(draw: random.Random) -> list[Case]:
    # Dollars with 6 decimals or ether with 18, shares worth up to half more.
    cases: list[Case] = []
    for k in range(VAULTS):
        unit, offset = draw.choice(((10**6, 12), (10**18, 0)))
        total = draw.randrange(10**5, 10**8) * unit
        virtual = 10**offset if k % 4 < 2 else 0  # noqa: PLR2004 - half of each, in both directions
        supply = total * 10 ** (offset if virtual else 0) * 100 // draw.randrange(100, 150)
        vault = Vault(total_assets=total, supply=supply, virtual_shares=virtual)
        cases.append((vault, (supply if k & 1 else total) // draw.randrange(10, 10_000)))
    return cases


def main() -> None:
    """Run both benchmarks with pyperf."""
    cases = _cases(random.Random(7))
    raw = b"".join(pack_row(vault, Upkeep()) for vault, _ in cases)
    raw += b"".join(amount.to_bytes(_WORD, "little") for _, amount in cases)
    memory = Region(len(raw))
    memory.view("u1", len(raw))[:] = bytearray(raw)
    rows, amounts = memory.address, memory.address + VAULTS * ROW_BYTES
    if quote_all(rows, amounts, VAULTS) != _quote_all_reference(cases):
        raise SystemExit("compiled and reference quotes differ")

    runner = pyperf.Runner()
    runner.bench_func("erc4626.quote", quote_all, rows, amounts, VAULTS, inner_loops=VAULTS)
    runner.bench_func("erc4626.quote.reference", _quote_all_reference, cases, inner_loops=VAULTS)


if __name__ == "__main__":
    main()
