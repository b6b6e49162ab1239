"""A toy lending protocol's compiled part, as a stranger would write one.

A reserve's row: price (accounting units for 1e6 smallest units), index and its growth a second (both in
1e-9), time of the index, threshold (percent), whether it is paused. Collateral rounds down and debt up. Half
of a debt may be repaid, at a bonus of a tenth. The own row is not used.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import (
    COLLATERAL,
    DEBT,
    HEALTH_IS_SOUND,
    HEALTH_SIGNATURE,
    HEALTHY,
    KNOWN,
    LAWFUL,
    LIQUIDATABLE,
    LIQUIDATE_SIGNATURE,
    PAUSED,
    UNKNOWN,
    VALUES_SIGNATURE,
    WEIGHT_SIGNATURE,
    balance_at,
    count_of,
    reserve_at,
    reserve_of,
)
from tallyio.native.atomics import load, store_f64
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, load128, store256, to_f64, u256

PRICE: Final = 0
INDEX: Final = 1
GROWTH: Final = 2
SINCE: Final = 3
THRESHOLD: Final = 4
IS_PAUSED: Final = 5
SCALE: Final = 10**9 * 10**6

_SCALE: Final = const(SCALE)
_HUNDRED: Final = const(100)
_WAD: Final = const(10**18)
_ONE: Final = const(1)
_ZERO: Final = const(0)
_TWO: Final = const(2)
_ELEVEN: Final = const(11)
_TEN: Final = const(10)
_MOST: Final = const(2**256 - 1)


@hot("u256(int64, int64, int64)")
def _unit(book: int, reserve: int, time: int) -> int:
    """Return price times index, the exact value of one scaled unit in 1e-15."""
    row = reserve_at(book, reserve)
    index = load(row, INDEX) + load(row, GROWTH) * (time - load(row, SINCE))
    return u256(load(row, PRICE)) * u256(index)


@hot(VALUES_SIGNATURE)
def values(book: int, reserve: int, time: int, number: int, out: int) -> int:
    if load(reserve_at(book, reserve), PRICE) == 0:
        return UNKNOWN
    value = to_f64(_unit(book, reserve, time)) / 1e15
    store_f64(out, 0, value)
    store_f64(out, 1, value)
    return KNOWN


@hot(WEIGHT_SIGNATURE)
def weight(book: int, position: int, k: int) -> float:
    return float(load(reserve_at(book, reserve_of(balance_at(position, k))), THRESHOLD)) / 100.0


@hot(HEALTH_SIGNATURE)
def health(book: int, position: int, time: int, number: int, out: int) -> int:
    collateral, debt = _ZERO, _ZERO
    for k in range(count_of(position)):
        balance = balance_at(position, k)
        unit = _unit(book, reserve_of(balance), time)
        if unit == _ZERO:
            return UNKNOWN
        threshold = u256(load(reserve_at(book, reserve_of(balance)), THRESHOLD))
        worth = divmod256(u256(load128(balance + COLLATERAL)) * unit, _SCALE)[0]
        collateral = collateral + divmod256(worth * threshold, _HUNDRED)[0]
        owed, rest = divmod256(u256(load128(balance + DEBT)) * unit, _SCALE)
        debt = debt + owed + (_ONE if rest != _ZERO else _ZERO)
    store256(out, collateral)
    store256(out + 32, debt)
    store256(out + 64, divmod256(collateral * _WAD, debt)[0] if debt != _ZERO else _MOST)
    return LIQUIDATABLE if collateral < debt else HEALTHY


@hot(LIQUIDATE_SIGNATURE)
def liquidate(  # noqa: PLR0913, PLR0917 - as the ABI has it
    book: int, position: int, collateral: int, debt: int, repay: int, time: int, number: int, out: int
) -> int:
    if health(book, position, time, number, out) != LIQUIDATABLE:
        return HEALTH_IS_SOUND
    if load(reserve_at(book, reserve_of(balance_at(position, debt))), IS_PAUSED) != 0:
        return PAUSED
    most = divmod256(u256(load128(balance_at(position, debt) + DEBT)), _TWO)[0]
    taken = min(repay, most)
    paid = _unit(book, reserve_of(balance_at(position, debt)), time)
    given = _unit(book, reserve_of(balance_at(position, collateral)), time)
    store256(out, taken)
    store256(out + 32, divmod256(taken * paid * _ELEVEN, given * _TEN)[0])
    store256(out + 64, _ZERO)
    store256(out + 96, _ZERO)
    store256(out + 128, most)
    return LAWFUL
