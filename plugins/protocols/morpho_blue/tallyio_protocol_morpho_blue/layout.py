"""The row of one market: 256 bytes, the first two cache lines for compiled code, the others for the adapter.

| offset | bytes | field |
|---|---|---|
| 0 | 16 | assets supplied, in the loan token's smallest units |
| 16 | 16 | assets borrowed |
| 32 | 16 | shares of the debt |
| 48 | 8 | time of the last accrual; 0 where nothing accrues |
| 56 | 8 | the rate at target, or the borrow rate itself: see `Irm`; per second, in 1e-18 |
| 64 | 8 | what sets the borrow rate: an `Irm` |
| 72 | 8 | liquidation loan-to-value, in 1e-18 |
| 80 | 8 | liquidation incentive factor, in 1e-18 |
| 88 | 8 | 1: the oracle has a price |
| 96 | 32 | that price: loan units for 1e36 collateral units |
| 128 | 32 | scale factor of the oracle; 0: its price cannot be made from feeds alone |
| 160 | 4 x 16 | answers of its feeds: two of the collateral, two of the loan token; 1 where there is none |

All little-endian and unsigned. The plugin's own row of a book says nothing and is one cache line.
"""

from __future__ import annotations

import enum
import struct
from typing import Final

import msgspec

ROW_BYTES: Final = 256
OWN_ROW: Final = bytes(64)

SUPPLY_ASSETS: Final = 0
BORROW_ASSETS: Final = 16
BORROW_SHARES: Final = 32
LAST_UPDATE: Final = 48
RATE: Final = 56
IRM: Final = 64
LLTV: Final = 72
INCENTIVE: Final = 80
HAS_PRICE: Final = 88
PRICE: Final = 96

FEEDS: Final = 4
UINT128_MAX: Final = (1 << 128) - 1
_INT64_END: Final = 1 << 63
_ROW: Final = struct.Struct("<16s16s16s6q32s32s16s16s16s16s32x")


class Irm(enum.IntEnum):
    """What sets a market's borrow rate."""

    NONE = 0
    """Nothing: the market has no interest."""
    ADAPTIVE = 1
    """`AdaptiveCurveIrm`, followed exactly; the row has its rate at target, 0 before the first use."""
    FIXED = 2
    """Another contract: the row has the rate that it told when the market was read."""


class Market(msgspec.Struct, frozen=True, kw_only=True):
    """A market's state as the row holds it; units as in the table of this module."""

    supply_assets: int
    borrow_assets: int
    borrow_shares: int
    last_update: int
    rate: int
    irm: Irm
    lltv: int
    incentive: int
    price: int | None
    """None: the oracle reverts."""
    scale: int = 0
    answers: tuple[int, int, int, int] = (1, 1, 1, 1)


def pack_row(market: Market) -> bytes:
    """Return the row. Raises: ValueError: a number does not fit."""
    small = (market.last_update, market.rate, market.irm, market.lltv, market.incentive)
    if not all(0 <= each < _INT64_END for each in small):
        raise ValueError(f"times, rates and factors must be unsigned and below 2**63, unlike {small}")
    amounts = (market.supply_assets, market.borrow_assets, market.borrow_shares)
    try:
        return _ROW.pack(
            *(each.to_bytes(16, "little") for each in amounts),
            *small,
            market.price is not None,
            (market.price or 0).to_bytes(32, "little"),
            market.scale.to_bytes(32, "little"),
            *(each.to_bytes(16, "little") for each in market.answers),
        )
    except OverflowError:
        raise ValueError(f"a number does not fit into the row of {market}") from None


def unpack_row(row: bytes) -> Market:
    """Return what a row holds."""
    supplied, borrowed, shares, last, rate, irm, lltv, incentive, known, price, scale, *answers = _ROW.unpack(
        row
    )
    first, second, third, fourth = (int.from_bytes(each, "little") for each in answers)
    return Market(
        supply_assets=int.from_bytes(supplied, "little"),
        borrow_assets=int.from_bytes(borrowed, "little"),
        borrow_shares=int.from_bytes(shares, "little"),
        last_update=last,
        rate=rate,
        irm=Irm(irm),
        lltv=lltv,
        incentive=incentive,
        price=int.from_bytes(price, "little") if known else None,
        scale=int.from_bytes(scale, "little"),
        answers=(first, second, third, fourth),
    )
