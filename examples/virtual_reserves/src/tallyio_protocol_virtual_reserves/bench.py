"""One compiled quote beside the same in plain Python: `tallyio bench virtual_reserves`."""

from __future__ import annotations

from typing import Any

import pyperf

from tallyio.native.memory import Region
from tallyio_protocol_virtual_reserves import reference
from tallyio_protocol_virtual_reserves.hot import ROW_BYTES, quote

STATE = (10**13, 10**21, 10**15, 10**23)
AMOUNTS = [10**9 + 7 * k for k in range(1_024)]


def row_of(state: tuple[int, int, int, int]) -> Region:
    """Return a row in native memory."""
    row = Region(ROW_BYTES)
    row.view("u1", ROW_BYTES)[:] = bytearray(b"".join(word.to_bytes(32) for word in state))
    return row


def compiled(row: int) -> int:
    """Return the sum of all quotes, so that none can be left out."""
    return sum(int(quote(row, 0, 1, amount)) for amount in AMOUNTS)


def plain() -> int:
    """Return the same in Python."""
    return sum(reference.quote(STATE, 0, amount) for amount in AMOUNTS)


def main() -> None:
    """Run both."""
    row = row_of(STATE)
    if compiled(row.address) != plain():
        raise SystemExit("compiled and plain quotes differ")
    runner: Any = pyperf.Runner()
    runner.bench_func("virtual_reserves.quote", compiled, row.address, inner_loops=len(AMOUNTS))
    runner.bench_func("virtual_reserves.quote.reference", plain, inner_loops=len(AMOUNTS))


if __name__ == "__main__":
    main()
