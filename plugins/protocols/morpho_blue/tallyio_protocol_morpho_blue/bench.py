"""How fast compiled health and liquidation are, beside the same in plain Python on the same positions.

Run with `python bench.py`, or `tallyio bench morpho_blue`. Both walk the same 1,024 positions, each in a
market of its own whose interest is projected to the same time; the compiled one in one compiled loop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyperf

from tallyio.lending.abi import BALANCE, BOOK, LINE, POSITION
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_morpho_blue import curve, reference
from tallyio_protocol_morpho_blue.hot import health, liquidate
from tallyio_protocol_morpho_blue.layout import ROW_BYTES, Irm, Market, pack_row

CASES: Final = 1_024
NOW: Final = 1_800_000_000
_ALL: Final = const((1 << 256) - 1)
_ZERO: Final = const(0)
_STRIDE: Final = POSITION.itemsize + BALANCE.itemsize


class Case(NamedTuple):
    """A position and its market."""

    market: Market
    collateral: int
    shares: int


@hot("u256(int64, int64, int64, int64, int64)")
def health_all(book: int, positions: int, count: int, time: int, out: int) -> int:
    """Return the sum of what positions owe, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        health(book, positions + k * _STRIDE, time, 0, out)
        total = total + load256(out + 32)
    return total


@hot("u256(int64, int64, int64, int64, int64)")
def liquidate_all(book: int, positions: int, count: int, time: int, out: int) -> int:
    """Return the sum of what is seized of all positions."""
    total = _ZERO
    for k in range(count):
        liquidate(book, positions + k * _STRIDE, 0, 0, _ALL, time, 0, out)
        total = total + load256(out + 32)
    return total


def _cases() -> list[Case]:
    draw = random.Random(7)
    return [_case(draw) for _ in range(CASES)]


def _case(draw: random.Random) -> Case:
    supply = draw.randrange(10**11, 10**14)  # dollars with 6 decimals
    borrow = supply * draw.randrange(500, 950) // 1_000
    collateral = draw.randrange(10**17, 10**20)
    shares = borrow * 10**6 // draw.randrange(50, 500)
    debt = shares // 10**6
    lltv = 86 * 10**16
    market = Market(
        supply_assets=supply,
        borrow_assets=borrow,
        borrow_shares=borrow * 980_000,
        last_update=NOW - draw.randrange(12, 7_200),
        rate=draw.randrange(10**9, 10**10),
        irm=Irm.ADAPTIVE,
        lltv=lltv,
        incentive=reference.incentive_factor(lltv),
        price=debt * curve.WAD * 10**36 // (collateral * lltv) * draw.randrange(800, 1_000) // 1_000,
    )
    return Case(market, collateral, shares)


def _health_all_reference(cases: Sequence[Case]) -> int:
    judged = (reference.health(case.market, case.collateral, case.shares, NOW) for case in cases)
    return sum(owed for _, owed in filter(None, judged))


def _liquidate_all_reference(cases: Sequence[Case]) -> int:
    total = 0
    for case in cases:
        limit, owed = reference.health(case.market, case.collateral, case.shares, NOW) or (0, 0)
        if limit < owed:
            terms = reference.liquidate(case.market, case.collateral, case.shares, reference.UINT256_MAX, NOW)
            total += terms.seize if terms else 0
    return total


def _memory(cases: Sequence[Case]) -> tuple[Region, int, int, int]:
    """Return memory with a book and its positions, and where these, and a place to write to, are."""
    positions = BOOK.itemsize + ROW_BYTES * len(cases)
    out = positions + _STRIDE * len(cases)
    memory = Region(out + 256)
    record = memory.view(BOOK, 1)[0]
    record["reserves"], record["reserve_bytes"] = memory.address + BOOK.itemsize, ROW_BYTES
    record["reserve_count"] = len(cases)
    rows = b"".join(pack_row(case.market) for case in cases)
    memory.view("u1", len(rows), BOOK.itemsize)[:] = np.frombuffer(rows, "u1")
    for k, case in enumerate(cases):
        at = positions + k * _STRIDE
        memory.view(POSITION, 1, at)[0]["count"] = 1
        balance = memory.view(BALANCE, 1, at + LINE)[0]
        for side, amount in (("collateral", case.collateral), ("debt", case.shares)):
            balance[side] = (amount & (1 << 64) - 1, amount >> 64)
        balance["reserve"] = k
    return memory, memory.address, memory.address + positions, memory.address + out


def main() -> None:
    """Run all benchmarks with pyperf."""
    cases = _cases()
    memory, book, positions, out = _memory(cases)
    where = (book, positions, CASES, NOW, out)
    pairs: dict[str, tuple[Callable[..., int], Callable[[Sequence[Case]], int]]] = {
        "morpho_blue.health": (health_all, _health_all_reference),
        "morpho_blue.liquidate": (liquidate_all, _liquidate_all_reference),
    }
    runner = pyperf.Runner()
    for name, (compiled, plain) in pairs.items():
        if compiled(*where) != plain(cases):
            raise SystemExit(f"{name}: compiled and reference differ")
        runner.bench_func(name, compiled, *where, inner_loops=CASES)
        runner.bench_func(f"{name}.reference", plain, cases, inner_loops=CASES)
    memory.close()


if __name__ == "__main__":
    main()
