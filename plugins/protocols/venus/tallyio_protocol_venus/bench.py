"""How fast compiled health and liquidations are, beside the same in plain Python on the same accounts.

Run with `python bench.py`, or `tallyio bench venus`. 1,024 accounts with four collaterals, two debts
and one in VAI; the compiled functions walk them in one compiled loop, as detection does.
"""

from __future__ import annotations

import random
from typing import Final

import pyperf

from tallyio.hooks.lending import BookRows
from tallyio.lending import abi
from tallyio.lending.positions import Positions
from tallyio.lending.rows import RowMemory
from tallyio.model.lending import PositionKey
from tallyio.model.units import ADDRESS_BYTES, Address
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.memory import Region
from tallyio.native.u256 import const, load256
from tallyio_protocol_venus import reference, state
from tallyio_protocol_venus.hot import health, liquidate
from tallyio_protocol_venus.layout import pack_account, pack_market, pack_own
from tallyio_protocol_venus.state import MANTISSA, UINT256_MAX, Account, Comptroller, Debt, Market, Pool

ACCOUNTS: Final = 1_024
NUMBER: Final = 60_000_000
MARKETS: Final = 6
VAI: Final = MARKETS
_ZERO: Final = const(0)
_LARGEST: Final = const(UINT256_MAX)
_FACTOR: Final = 64
_SEIZE: Final = 32


@hot("u256(int64, int64, int64, int64, int64)")
def health_all(book: int, positions: int, count: int, number: int, out: int) -> int:
    """Return the sum of all health factors, so that none can be left out."""
    total = _ZERO
    for k in range(count):
        health(book, load(positions, k), 0, number, out)
        total = total + load256(out + _FACTOR)
    return total


@hot("u256(int64, int64, int64, int64, int64)")
def liquidate_all(book: int, positions: int, count: int, number: int, out: int) -> int:
    """Return the sum of what the largest lawful liquidation of each gives."""
    total = _ZERO
    for k in range(count):
        liquidate(book, load(positions, k), 0, MARKETS - 1, _LARGEST, 0, number, out)
        total = total + load256(out + _SEIZE)
    return total


def _health_all_reference(book: reference.Book, accounts: list[Account]) -> int:
    return sum(reference.health(book, each, time=0, number=NUMBER)[2] for each in accounts)


def _liquidate_all_reference(book: reference.Book, accounts: list[Account]) -> int:
    total = 0
    for each in accounts:
        _, terms = reference.liquidate(
            book, each, collateral=0, debt=MARKETS - 1, repay=UINT256_MAX, time=0, number=NUMBER
        )
        total += terms.seize
    return total


def _book(draw: random.Random) -> reference.Book:
    markets = [
        Market(
            cash=10**25,
            borrows=4 * 10**24,
            reserves=10**22,
            supply=6 * 10**16,
            index=draw.randrange(MANTISSA, 2 * MANTISSA),
            rate=draw.randrange(10**9),
            reserve_factor=10**17,
            price=draw.randrange(10**17, 10**22),
            accrued_at=NUMBER - draw.randrange(100),
            reduced_at=NUMBER - 1_000,
            reduce_after=28_800,
            pools=(Pool(8 * 10**17, 11 * 10**17),),
        )
        for _ in range(MARKETS)
    ]
    vai = Market(flags=state.VAI, index=12 * 10**17, rate=10**9, accrued_at=NUMBER - 50, pools=(Pool(0, 0),))
    own = Comptroller(
        flags=state.VIA_LIQUIDATOR, close_factor=MANTISSA // 2, liquidator_share=MANTISSA // 2, vai=VAI
    )
    return reference.Book(own=own, markets=(*markets, vai))


def _account(draw: random.Random, markets: tuple[Market, ...]) -> Account:
    """Return an account that is a little under water."""
    debts = []
    for k, market in enumerate(markets[:MARKETS]):
        worth = draw.randrange(10**20, 10**23)
        amount = worth * MANTISSA // market.price
        tokens = amount * MANTISSA // reference.exchange_rate(market) if k < MARKETS - 2 else 0
        principal = 2 * amount if k >= MARKETS - 2 else 0
        debts.append(Debt(market=k, tokens=tokens, principal=principal, entered=True))
    debts.append(Debt(market=VAI, principal=draw.randrange(10**20, 10**22)))
    return Account(debts=tuple(debts))


def main() -> None:
    """Run both benchmarks with pyperf."""
    draw = random.Random(7)
    book = _book(draw)
    accounts = [_account(draw, book.markets) for _ in range(ACCOUNTS)]
    rows = RowMemory(
        BookRows(own=pack_own(book.own), reserves=tuple(pack_market(each) for each in book.markets)), 0
    )
    positions = Positions()
    for k, each in enumerate(accounts):
        key = PositionKey(Address(k.to_bytes(ADDRESS_BYTES)))
        positions.write(pack_account(key, each, vai=VAI))
    memory = Region(8 * ACCOUNTS + abi.LIQUIDATION.itemsize)
    addresses, out = memory.address, memory.address + 8 * ACCOUNTS
    memory.view("i8", ACCOUNTS)[:] = [positions.address(number) for number in positions.numbers]
    facts = (rows.address, addresses, ACCOUNTS, NUMBER, out)
    expected = (_health_all_reference(book, accounts), _liquidate_all_reference(book, accounts))
    if (health_all(*facts), liquidate_all(*facts)) != expected or not all(expected):
        raise SystemExit("compiled and reference liquidations differ")

    runner = pyperf.Runner()
    runner.bench_func("venus.health", health_all, *facts, inner_loops=ACCOUNTS)
    runner.bench_func("venus.health.reference", _health_all_reference, book, accounts, inner_loops=ACCOUNTS)
    runner.bench_func("venus.liquidate", liquidate_all, *facts, inner_loops=ACCOUNTS)
    runner.bench_func(
        "venus.liquidate.reference", _liquidate_all_reference, book, accounts, inner_loops=ACCOUNTS
    )


if __name__ == "__main__":
    main()
