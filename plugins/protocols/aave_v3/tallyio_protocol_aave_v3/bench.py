"""How fast compiled health and liquidation are, beside the same in plain Python on the same positions.

Run with `python bench.py`, or `tallyio bench aave_v3`. Both walk the same 512 positions with eight
collaterals and two debts each, in a pool of ten reserves; the compiled one does so in one compiled loop.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyperf

from tallyio.lending.abi import BALANCE, BOOK, LAWFUL, LINE, MEMO_BYTES, POSITION
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import ZERO_ADDRESS
from tallyio.native.columns import to_column
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_aave_v3 import reference, terms
from tallyio_protocol_aave_v3.hot import health, liquidate
from tallyio_protocol_aave_v3.layout import (
    ACTIVE,
    AS_COLLATERAL,
    OWN_BYTES,
    RESERVE_BYTES,
    Own,
    Reserve,
    pack_own,
    pack_reserve,
)
from tallyio_protocol_aave_v3.reference import RAY, UNLIMITED, Pool
from tallyio_protocol_aave_v3.revisions import RULES_3_6

CASES: Final = 512
NOW: Final = 1_800_000_000
HELD: Final = 8
RESERVES: Final = 10
_ALL: Final = const(UNLIMITED)
_ZERO: Final = const(0)
_STRIDE: Final = POSITION.itemsize + RESERVES * BALANCE.itemsize


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
        if liquidate(book, positions + k * _STRIDE, 0, HELD, _ALL, time, 0, out) == LAWFUL:
            total = total + load256(out + 32)
    return total


def _pool(draw: random.Random) -> Pool:
    return Pool(own=Own(rules=RULES_3_6), reserves=[_reserve(draw) for _ in range(RESERVES)])


def _reserve(draw: random.Random) -> Reserve:
    decimals = draw.choice((6, 8, 18, 18))
    return Reserve(
        liquidity_index=int(RAY * draw.uniform(1, 1.2)),
        liquidity_rate=draw.randrange(RAY // 20),
        debt_index=int(RAY * draw.uniform(1, 1.4)),
        debt_rate=draw.randrange(RAY // 10),
        price=int(10 ** draw.uniform(8, 12)),
        decimals=decimals,
        cash=10**34,
        updated_at=NOW - draw.randrange(3_600),
        flags=ACTIVE,
        threshold=8_000,
        bonus=10_500,
        fee=1_000,
    )


def _position(draw: random.Random, pool: Pool) -> Position:
    balances = []
    for number, reserve in enumerate(pool.reserves):
        amount = int(10_000 * 10**8 * draw.uniform(0.5, 1.5)) * reserve.unit // reserve.price
        if number < HELD:
            balances.append(Balance(reserve=number, collateral=amount, flags=AS_COLLATERAL))
        else:
            balances.append(Balance(reserve=number, debt=int(amount * 3.4)))
    return Position(key=PositionKey(ZERO_ADDRESS), balances=tuple(balances))


class Scene:
    """A pool and positions, in words and in native memory."""

    def __init__(self) -> None:
        draw = random.Random(7)
        self.pool = _pool(draw)
        self.positions = [_position(draw, self.pool) for _ in range(CASES)]
        rows = pack_own(self.pool.own) + b"".join(map(pack_reserve, self.pool.reserves))
        self._rows = Region(OWN_BYTES + RESERVES * (RESERVE_BYTES + MEMO_BYTES))
        self._rows.view("u1", len(rows))[:] = np.frombuffer(rows, "u1")
        self._records = Region(512 + CASES * _STRIDE)
        book = self._records.view(BOOK, 1)[0]
        book["own"], book["reserves"] = self._rows.address, self._rows.address + OWN_BYTES
        book["reserve_bytes"], book["reserve_count"] = RESERVE_BYTES, RESERVES
        book["memos"] = self._rows.address + len(rows)
        for k, position in enumerate(self.positions):
            self._write(512 + k * _STRIDE, position)
        address = self._records.address
        self.arguments = (address, address + 512, CASES, NOW, address + LINE)

    def _write(self, offset: int, position: Position) -> None:
        self._records.view(POSITION, 1, offset)[0]["count"] = len(position.balances)
        records = self._records.view(BALANCE, len(position.balances), offset + LINE)
        for target, balance in zip(records, position.balances, strict=True):
            target["collateral"] = to_column([balance.collateral], 128)[0]
            target["debt"] = to_column([balance.debt], 128)[0]
            target["reserve"], target["flags"] = balance.reserve, balance.flags


def health_all_reference(pool: Pool, positions: Sequence[Position]) -> int:
    """Return the same as `health_all`, in Python integers."""
    accounts = (reference.account_data(pool, position, NOW) for position in positions)
    return sum(account.debt for account in accounts if account)


def liquidate_all_reference(pool: Pool, positions: Sequence[Position]) -> int:
    """Return the same as `liquidate_all`, in Python integers."""
    offers = {"collateral": 0, "debt": HELD, "repay": UNLIMITED, "time": NOW}
    return sum(terms.liquidate(pool, position, **offers).seize for position in positions)


def main() -> None:
    """Run all benchmarks with pyperf."""
    scene = Scene()
    both = (scene.pool, scene.positions)
    if health_all(*scene.arguments) != health_all_reference(*both):
        raise SystemExit("compiled and reference health differ")
    if liquidate_all(*scene.arguments) != liquidate_all_reference(*both):
        raise SystemExit("compiled and reference liquidations differ")

    runner = pyperf.Runner()
    runner.bench_func("aave_v3.health", health_all, *scene.arguments, inner_loops=CASES)
    runner.bench_func("aave_v3.health.reference", health_all_reference, *both, inner_loops=CASES)
    runner.bench_func("aave_v3.liquidate", liquidate_all, *scene.arguments, inner_loops=CASES)
    runner.bench_func("aave_v3.liquidate.reference", liquidate_all_reference, *both, inner_loops=CASES)


if __name__ == "__main__":
    main()
