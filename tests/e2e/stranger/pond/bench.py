"""One compiled quote beside the same in plain Python."""

from __future__ import annotations

import pyperf

from pond.hot import ROW_BYTES, quote  # type: ignore[import-not-found]  # a test installs it
from tallyio.native.memory import Region

HELD, PAID, AMOUNT_IN = 10**13, 10**21, 10**9


def plain(held: int, paid: int, amount_in: int) -> int:
    """Return what the pond pays."""
    kept = 997 * amount_in
    return kept * paid // (1_000 * held + kept)


def main() -> None:
    """Run both."""
    row = Region(ROW_BYTES)
    row.view("u1", ROW_BYTES)[:] = bytearray(HELD.to_bytes(32) + PAID.to_bytes(32))
    if quote(row.address, 0, 1, AMOUNT_IN) != plain(HELD, PAID, AMOUNT_IN):
        raise SystemExit("compiled and plain quotes differ")
    runner = pyperf.Runner()
    runner.bench_func("pond.quote", quote, row.address, 0, 1, AMOUNT_IN)
    runner.bench_func("pond.quote.reference", plain, HELD, PAID, AMOUNT_IN)


if __name__ == "__main__":
    main()
