"""The rows of one Comet: 192 bytes of its own, and 64 for each reserve.

Its own row:

| offset | bytes | field |
|---|---|---|
| 0 | 16 | principal of all lenders |
| 16 | 16 | principal of all borrowers |
| 32 | 16 | base tokens that it holds |
| 48 | 16 | target reserves |
| 64 | 8 | supply index, in 1e-15 |
| 72 | 8 | borrow index, in 1e-15 |
| 80 | 8 | time of the last accrual |
| 88 | 8 | pause flags |
| 96 | 4 x 8 | supply rate: kink, slope below, slope above, base; per second, in 1e-18 |
| 128 | 4 x 8 | borrow rate: the same |
| 160 | 8 | store front price factor, in 1e-18 |

A reserve's, 0 the base token and k the collateral asset k - 1:

| offset | bytes | field |
|---|---|---|
| 0 | 8 | price in 1e-8; 0: there is none |
| 8 | 8 | units of a whole token |
| 16 | 8 | liquidate collateral factor, in 1e-18 |
| 24 | 8 | liquidation factor, in 1e-18 |
| 32 | 16 | collateral reserves: what Comet holds beyond what accounts own |

All little-endian and unsigned. A position's flags are its `assetsIn`, with `_reserved` as bits 16 to 23,
or `STORE_FRONT`.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

OWN_BYTES: Final = 192
RESERVE_BYTES: Final = 64

TOTAL_SUPPLY: Final = 0
TOTAL_BORROW: Final = 16
BASE_HELD: Final = 32
TARGET: Final = 48
SUPPLY_INDEX: Final = 64
BORROW_INDEX: Final = 72
LAST_ACCRUAL: Final = 80
PAUSES: Final = 88
SUPPLY_RATE: Final = 96
BORROW_RATE: Final = 128
STORE_FRONT_FACTOR: Final = 160

PRICE: Final = 0
SCALE: Final = 8
LIQUIDATE_FACTOR: Final = 16
LIQUIDATION_FACTOR: Final = 24
RESERVES: Final = 32

ABSORB_PAUSED: Final = 1 << 3
BUY_PAUSED: Final = 1 << 4
STORE_FRONT: Final = 1 << 32
"""The flag of the position that stands for what a Comet has for sale. Its account is the Comet."""
MAX_ASSETS: Final = 24

_INT64_END: Final = 1 << 63
_OWN: Final = struct.Struct("<16s16s16s16s13q24x")
_RESERVE: Final = struct.Struct("<4q16s16x")


class Curve(msgspec.Struct, frozen=True):
    """A kinked rate, per second, in 1e-18."""

    kink: int
    low: int
    high: int
    base: int


class Comet(msgspec.Struct, frozen=True, kw_only=True):
    """A Comet's own state; units as in the table of this module."""

    total_supply: int
    total_borrow: int
    base_held: int
    target: int
    supply_index: int
    borrow_index: int
    last_accrual: int
    pauses: int
    supply: Curve
    borrow: Curve
    store_front_factor: int


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """The base token or a collateral asset."""

    price: int
    scale: int
    liquidate_factor: int = 0
    liquidation_factor: int = 0
    reserves: int = 0


def pack_own(comet: Comet) -> bytes:
    """Return a Comet's own row. Raises: ValueError: a number does not fit."""
    amounts = (comet.total_supply, comet.total_borrow, comet.base_held, comet.target)
    small = (comet.supply_index, comet.borrow_index, comet.last_accrual, comet.pauses)
    curves = [each for curve in (comet.supply, comet.borrow) for each in msgspec.structs.astuple(curve)]
    return _pack(_OWN, amounts, (*small, *curves, comet.store_front_factor), before=True)


def unpack_own(row: bytes) -> Comet:
    """Return what a Comet's own row holds."""
    supplied, borrowed, held, target, *small = _OWN.unpack(row)
    return Comet(
        total_supply=int.from_bytes(supplied, "little"),
        total_borrow=int.from_bytes(borrowed, "little"),
        base_held=int.from_bytes(held, "little"),
        target=int.from_bytes(target, "little"),
        supply_index=small[0],
        borrow_index=small[1],
        last_accrual=small[2],
        pauses=small[3],
        supply=Curve(*small[4:8]),
        borrow=Curve(*small[8:12]),
        store_front_factor=small[12],
    )


def pack_reserve(reserve: Reserve) -> bytes:
    """Return a reserve's row. Raises: ValueError: a number does not fit."""
    small = (reserve.price, reserve.scale, reserve.liquidate_factor, reserve.liquidation_factor)
    return _pack(_RESERVE, (reserve.reserves,), small, before=False)


def unpack_reserve(row: bytes) -> Reserve:
    """Return what a reserve's row holds."""
    price, scale, liquidate, liquidation, reserves = _RESERVE.unpack(row)
    return Reserve(
        price=price,
        scale=scale,
        liquidate_factor=liquidate,
        liquidation_factor=liquidation,
        reserves=int.from_bytes(reserves, "little"),
    )


def _pack(form: struct.Struct, amounts: tuple[int, ...], small: tuple[int, ...], *, before: bool) -> bytes:
    if not all(0 <= each < _INT64_END for each in small):
        raise ValueError(f"prices, indexes and rates must be unsigned and below 2**63, unlike {small}")
    try:
        raw = [each.to_bytes(16, "little") for each in amounts]
    except OverflowError:
        raise ValueError(f"amounts must be unsigned and below 2**128, unlike {amounts}") from None
    return form.pack(*raw, *small) if before else form.pack(*small, *raw)
