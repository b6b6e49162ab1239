"""A Comet's indexes in the next block, and its reserves then, compiled: `reference` specifies them."""

from __future__ import annotations

from typing import Final

from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import const, divmod256, i64, lo64, load128, u256
from tallyio_protocol_compound_v3 import reference
from tallyio_protocol_compound_v3.layout import (
    BASE_HELD,
    BORROW_INDEX,
    BORROW_RATE,
    LAST_ACCRUAL,
    SUPPLY_INDEX,
    SUPPLY_RATE,
    TARGET,
    TOTAL_BORROW,
    TOTAL_SUPPLY,
)

_ZERO: Final = const(0)
_FACTOR: Final = const(reference.FACTOR)
_INDEX: Final = const(reference.INDEX)
_MOST_BASE: Final = const(reference.MOST_BASE)
_MOST_RATE: Final = const(reference.MOST_RATE)
_MOST_SECONDS: Final = reference.MOST_SECONDS
_LOW, _HIGH, _BASE = 1, 2, 3


@hot("u256(int64)", inline=True)
def amount_at(address: int) -> int:
    """Return the 128-bit amount at an address."""
    return u256(load128(address))


@hot("u256(u256, u256, u256)", inline=True)
def scaled(n: int, by: int, over: int) -> int:
    """Return n * by / over rounded down; n * by below 2**256."""
    return divmod256(n * by, over)[0]


@hot("u256(int64, u256)")
def _rate(curve: int, utilization: int) -> int:
    """Return the rate of a curve; utilization < 2**187, so each product is below 2**250."""
    kink = u256(load(curve, 0))
    below = scaled(u256(load(curve, _LOW)), min(utilization, kink), _FACTOR)
    above = utilization - kink if utilization > kink else _ZERO
    return u256(load(curve, _BASE)) + below + scaled(u256(load(curve, _HIGH)), above, _FACTOR)


@hot("Tuple(int64, int64, boolean)(int64, int64)")
def accrued(own: int, time: int) -> tuple[int, int, bool]:
    """Return supply and borrow index at `time`, and whether they are in domain."""
    supply_index, borrow_index = load(own + SUPPLY_INDEX, 0), load(own + BORROW_INDEX, 0)
    elapsed = time - load(own + LAST_ACCRUAL, 0)
    total_supply, total_borrow = amount_at(own + TOTAL_SUPPLY), amount_at(own + TOTAL_BORROW)
    if not 0 <= elapsed < _MOST_SECONDS or max(total_supply, total_borrow) >= _MOST_BASE:
        return 0, 0, False
    if elapsed == 0:
        return supply_index, borrow_index, True
    # Principals below 2**104 and indexes below 2**63: values below 2**118, the utilisation below 2**178.
    supply = scaled(total_supply, u256(supply_index), _INDEX)
    utilization = _ZERO
    if supply != _ZERO:
        utilization = scaled(scaled(total_borrow, u256(borrow_index), _INDEX), _FACTOR, supply)
    supply_rate, borrow_rate = _rate(own + SUPPLY_RATE, utilization), _rate(own + BORROW_RATE, utilization)
    if max(supply_rate, borrow_rate) >= _MOST_RATE:
        return 0, 0, False
    # 63 + 63 + 40 bits.
    supplied = u256(supply_index) + scaled(u256(supply_index), supply_rate * u256(elapsed), _FACTOR)
    borrowed = u256(borrow_index) + scaled(u256(borrow_index), borrow_rate * u256(elapsed), _FACTOR)
    if max(supplied, borrowed) >= _MOST_RATE:
        return 0, 0, False
    return i64(lo64(supplied)), i64(lo64(borrowed)), True


@hot("boolean(int64, int64, int64, u256, u256)")
def is_for_sale(own: int, supply_index: int, borrow_index: int, supplied: int, borrowed: int) -> bool:
    """Return whether reserves are below their target with these principals, each below 2**104."""
    supply = scaled(supplied, u256(supply_index), _INDEX)
    assets = amount_at(own + BASE_HELD) + scaled(borrowed, u256(borrow_index), _INDEX)
    return assets < supply + amount_at(own + TARGET)
