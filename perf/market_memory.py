"""What large markets take in memory: a million V2 pairs, a hundred thousand V3 pools with all their ticks.

    python perf/market_memory.py [--v2 1000000] [--v3 100000] [--ticks 200]

Prints the bytes of one row, the resident memory that the market adds per pool (its tables, and Python's
own objects of the pools), and how long it takes to open. Every pool has a row of its own in the market;
the pools' prices are the same, which no figure here depends on.
"""

from __future__ import annotations

import argparse
import gc
import os
import time
from collections.abc import Callable
from pathlib import Path

from tallyio_protocol_uniswap_v2.layout import pack_row

from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.market.concentrated import reference
from tallyio.market.concentrated.changes import rebuild
from tallyio.market.concentrated.reference_math import get_sqrt_ratio_at_tick
from tallyio.market.fusion import fuse
from tallyio.market.market import Head, Market
from tallyio.market.shape import Holding
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, Hash
from tallyio.native.memory import Region

_TOKENS = 20_000
_MIB = 1 << 20
_SPACING = 60


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def specs(count: int) -> tuple[PoolSpec, ...]:
    """Return so many pools over twenty thousand tokens."""
    tokens = [Address((1 + number).to_bytes(20)) for number in range(_TOKENS)]
    return tuple(
        PoolSpec(
            address=Address((1 << 64 | number).to_bytes(20)),
            tokens=(tokens[number % (_TOKENS - 1)], tokens[_TOKENS - 1]),
            venue="made up",
            fee_pips=3_000,
            can_flash=True,
        )
        for number in range(count)
    )


def v2_row() -> bytes:
    """Return the row of a pair."""
    return pack_row((10**24, 10**24), fee_numerators=(997, 997), fee_denominator=1000, gas=80_000)


def v3_row(ticks: int) -> bytes:
    """Return the row of a pool with a position between each two of so many ticks."""
    pool = reference.Pool((3_000, 3_000), _SPACING, tick=0)
    pool.sqrt_price_x96 = get_sqrt_ratio_at_tick(0)
    for k in range(-ticks // 2, ticks // 2 - 1):
        pool.modify_liquidity(k * _SPACING, (k + 1) * _SPACING, 10**21)
    raw = pool.row(gas=(100_000, 20_000, 0))
    with Region(len(raw)) as memory:
        place = memory.view("u1", len(raw))
        place[:] = bytearray(raw)
        rebuild(memory.address)
        return place.tobytes()


def measure(name: str, protocol: str, count: int, make: Callable[[], bytes]) -> None:
    """Open a market of so many pools and print what it takes."""
    compiled = CompiledProtocol(module=f"tallyio_protocol_{protocol}.hot")
    fused, row = fuse([(protocol, compiled)]), make()
    gc.collect()
    before, start = resident(), time.perf_counter()
    held = Holding(protocol=protocol, compiled=compiled, topics=(), pools=specs(count), rows=(row,) * count)
    with Market(fused, [held], Head(Hash(bytes(32)), 0)) as market:
        spent, added = time.perf_counter() - start, resident() - before
        if market.quote(count - 1, 0, 1, 10**15) == 0:
            raise SystemExit(f"{name}: the last pool quotes nothing")
    print(
        f"{name}: {count:,} pools, row of {len(row):,} bytes;"
        f" {added / _MIB:,.0f} MiB, {added / count:,.0f} bytes a pool; opened in {spent:.1f} s",
        flush=True,
    )


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--v2", type=int, default=1_000_000)
    parser.add_argument("--v3", type=int, default=100_000)
    parser.add_argument("--ticks", type=int, default=200)
    chosen = parser.parse_args()
    measure("Uniswap V2", "uniswap_v2", chosen.v2, v2_row)
    measure(f"Uniswap V3, {chosen.ticks} ticks", "uniswap_v3", chosen.v3, lambda: v3_row(chosen.ticks))


if __name__ == "__main__":
    main()
