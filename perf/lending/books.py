"""Books of a pool of twelve reserves with Aave's rules, small and of a million positions.

Positions are drawn with numpy and written as rows that the book takes over: a million would take Python
minutes.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from tallyio_protocol_aave_v3.layout import ACTIVE, AS_COLLATERAL, Own, Reserve, pack_own, pack_reserve
from tallyio_protocol_aave_v3.reference import RAY
from tallyio_protocol_aave_v3.revisions import RULES_3_6

from tallyio.hooks.lending import BookRows, CompiledLending
from tallyio.lending.abi import BALANCE, LINE, POSITION
from tallyio.lending.book import Book
from tallyio.lending.fusion import FusedLending, fuse_lending
from tallyio.lending.positions import head_at, slot_bytes
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.units import Address, Hash
from tallyio.native.memory import Region

NOW: Final = 1_800_000_000
RESERVES: Final = 12
SECURED: Final = 8
"""Reserves that are collateral; the others are owed."""
NEAR: Final = 1_000
"""One position of so many is near its end."""
_UNIT: Final = 10**18
_WORTH: Final = 1e12
"""Oracle's units: ten thousand dollars in each reserve, give or take a half."""
_COMPILED: Final = CompiledLending(module="tallyio_protocol_aave_v3.hot", relative_slack=1e-9, unit_slack=4.0)
_TOKEN: Final = Address(bytes(20))
_LIMB: Final = 2.0**64


@functools.cache
def fused() -> FusedLending:
    """Return the pool's functions, fused."""
    return fuse_lending([("aave_v3", _COMPILED)])


def _reserves(draw: random.Random) -> list[Reserve]:
    """Return reserves of a dollar to ten thousand a token."""
    return [
        Reserve(
            liquidity_index=int(RAY * draw.uniform(1, 1.2)),
            liquidity_rate=draw.randrange(RAY // 20),
            debt_index=int(RAY * draw.uniform(1, 1.4)),
            debt_rate=draw.randrange(RAY // 10),
            price=int(10 ** draw.uniform(8, 12)),
            decimals=18,
            cash=10**34,
            updated_at=NOW,
            flags=ACTIVE,
            threshold=8_000,
            bonus=10_500,
            fee=1_000,
        )
        for _ in range(RESERVES)
    ]


def _rows(pool: Sequence[Reserve], count: int, owed: int) -> Region:
    """Return positions with eight collaterals and `owed` debts; one in a thousand is near its end."""
    draw, held = np.random.default_rng(11), SECURED + owed
    rows = Region(count * slot_bytes(held))
    slots = rows.view("u1", count * slot_bytes(held)).reshape(count, slot_bytes(held))
    start = head_at(held)
    heads = slots[:, start : start + LINE].view(POSITION)[:, 0]
    balances = slots[:, start + LINE :].view(BALANCE)
    numbers = np.arange(count, dtype="u8")
    heads["account"][:, :8] = numbers.view("u1").reshape(count, 8)
    heads["count"] = held
    worth = draw.uniform(0.5, 1.5, (SECURED, count)) * _WORTH
    share = np.where(numbers % NEAR == 0, 0.79, draw.uniform(0.3, 0.7, count))
    debt = share * worth.sum(axis=0) / owed
    for k in range(held):
        is_debt, reserve = k >= SECURED, pool[k]
        index = reserve.debt_index if is_debt else reserve.liquidity_index
        scaled = (debt if is_debt else worth[k]) * (_UNIT / reserve.price * RAY / index)
        _write(balances[:, k]["debt" if is_debt else "collateral"], scaled)
        balances[:, k]["reserve"], balances[:, k]["flags"] = k, 0 if is_debt else AS_COLLATERAL
    return rows


def _write(target: npt.NDArray[Any], amounts: npt.NDArray[np.float64]) -> None:
    """Write amounts below 2**128 as two limbs."""
    high = np.floor(amounts / _LIMB)
    target[:, 0], target[:, 1] = (amounts - high * _LIMB).astype("u8"), high.astype("u8")


def make_book(count: int, *, owed: int = RESERVES - SECURED) -> tuple[Book, list[Reserve]]:
    """Return a book of `count` positions with `owed` debts each, looked at once."""
    pool = _reserves(random.Random(11))
    spec = BookSpec(
        address=_TOKEN,
        venue="bench",
        reserves=tuple(ReserveSpec(symbol=str(k), collateral=_TOKEN, debt=_TOKEN) for k in range(RESERVES)),
        log_sources=(),
    )
    rows = BookRows(own=pack_own(Own(rules=RULES_3_6)), reserves=tuple(map(pack_reserve, pool)))
    book = Book(fused(), 0, spec, rows, _COMPILED, Hash(bytes(32)))
    book.adopt(_rows(pool, count, owed), count, SECURED + owed)
    book.at_risk(NOW, 1)
    return book, pool
