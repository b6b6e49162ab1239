"""How fast compiled health and liquidation are, beside the same in plain Python on the same accounts.

Run with `python bench.py`, or `tallyio bench compound_v3`. Both walk the same 1,024 accounts of one Comet,
with three collaterals each; the compiled one in one compiled loop.
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
from tallyio_protocol_compound_v3 import reference
from tallyio_protocol_compound_v3.hot import health, liquidate
from tallyio_protocol_compound_v3.layout import (
    OWN_BYTES,
    RESERVE_BYTES,
    Comet,
    Curve,
    Reserve,
    pack_own,
    pack_reserve,
)

CASES: Final = 1_024
HELD: Final = 3
NOW: Final = 1_800_000_000
_ALL: Final = const((1 << 256) - 1)
_ZERO: Final = const(0)
_STRIDE: Final = POSITION.itemsize + (1 + HELD) * BALANCE.itemsize

COMET: Final = Comet(
    total_supply=10**15,
    total_borrow=8 * 10**14,
    base_held=2 * 10**14,
    target=10**15,
    supply_index=1_100_000_000_000_000,
    borrow_index=1_200_000_000_000_000,
    last_accrual=NOW - 12,
    pauses=0,
    supply=Curve(85 * 10**16, 10**9, 10**11, 0),
    borrow=Curve(85 * 10**16, 10**9, 10**11, 10**8),
    store_front_factor=6 * 10**17,
)
RESERVES: Final = (
    Reserve(price=10**8, scale=10**6),
    *(
        Reserve(
            price=dollars * 10**8,
            scale=10**18,
            liquidate_factor=86 * 10**16,
            liquidation_factor=93 * 10**16,
            reserves=10**18,
        )
        for dollars in (2_500, 15, 60_000)
    ),
)


class Account(NamedTuple):
    """An account's debt and collateral."""

    principal: int
    held: dict[int, int]


@hot("u256(int64, int64, int64, int64, int64)")
def health_all(book: int, positions: int, count: int, time: int, out: int) -> int:
    """Return the sum of what accounts owe, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        health(book, positions + k * _STRIDE, time, 0, out)
        total = total + load256(out + 32)
    return total


@hot("u256(int64, int64, int64, int64, int64)")
def liquidate_all(book: int, positions: int, count: int, time: int, out: int) -> int:
    """Return the sum of what can be bought of each account's first collateral."""
    total = _ZERO
    for k in range(count):
        liquidate(book, positions + k * _STRIDE, 1, 0, _ALL, time, 0, out)
        total = total + load256(out + 32)
    return total


def _accounts() -> list[Account]:
    draw = random.Random(7)
    return [_account(draw) for _ in range(CASES)]


def _account(draw: random.Random) -> Account:
    held = {k: draw.randrange(10**14, 10**19) for k in range(1, HELD + 1)}
    worth = sum(amount * RESERVES[k].price // 10**18 for k, amount in held.items())
    return Account(worth * draw.randrange(600, 1_000) // 120_000, held)


def _health_all_reference(accounts: Sequence[Account]) -> int:
    judged = (reference.health(COMET, RESERVES, each.principal, each.held, NOW) for each in accounts)
    return sum(owed for _, owed, _ in filter(None, judged))


def _liquidate_all_reference(accounts: Sequence[Account]) -> int:
    total = 0
    for principal, held in accounts:
        judged, grown = reference.health(COMET, RESERVES, principal, held, NOW), reference.accrued(COMET, NOW)
        if judged is not None and judged[2] and grown is not None:
            absorbed = reference.absorb(grown, RESERVES, principal, held)
            if absorbed is not None and reference.is_for_sale(absorbed.comet):
                owned = RESERVES[1].reserves + held[1]
                total += reference.sale(COMET, RESERVES[0], RESERVES[1], owned, reference.UINT256_MAX).seize
    return total


def _memory(accounts: Sequence[Account]) -> tuple[Region, int, int, int]:
    """Return memory with a book and its positions, and where these, and a place to write to, are."""
    own = BOOK.itemsize
    reserves = own + OWN_BYTES
    positions = reserves + RESERVE_BYTES * len(RESERVES)
    out = positions + _STRIDE * len(accounts)
    memory = Region(out + 256)
    record = memory.view(BOOK, 1)[0]
    record["own"], record["reserves"] = memory.address + own, memory.address + reserves
    record["reserve_bytes"], record["reserve_count"] = RESERVE_BYTES, len(RESERVES)
    rows = pack_own(COMET) + b"".join(map(pack_reserve, RESERVES))
    memory.view("u1", len(rows), own)[:] = np.frombuffer(rows, "u1")
    for k, account in enumerate(accounts):
        at = positions + k * _STRIDE
        head = memory.view(POSITION, 1, at)[0]
        head["count"], head["flags"] = 1 + HELD, (1 << HELD) - 1
        balances = memory.view(BALANCE, 1 + HELD, at + LINE)
        balances[0]["debt"] = (account.principal, 0)
        for number, amount in account.held.items():
            balances[number]["collateral"] = (amount & (1 << 64) - 1, amount >> 64)
            balances[number]["reserve"] = number
    return memory, memory.address, memory.address + positions, memory.address + out


def main() -> None:
    """Run all benchmarks with pyperf."""
    accounts = _accounts()
    memory, book, positions, out = _memory(accounts)
    where = (book, positions, CASES, NOW, out)
    pairs: dict[str, tuple[Callable[..., int], Callable[[Sequence[Account]], int]]] = {
        "compound_v3.health": (health_all, _health_all_reference),
        "compound_v3.liquidate": (liquidate_all, _liquidate_all_reference),
    }
    runner = pyperf.Runner()
    for name, (compiled, plain) in pairs.items():
        if compiled(*where) != plain(accounts):
            raise SystemExit(f"{name}: compiled and reference differ")
        runner.bench_func(name, compiled, *where, inner_loops=CASES)
        runner.bench_func(f"{name}.reference", plain, accounts, inner_loops=CASES)
    memory.close()


if __name__ == "__main__":
    main()
