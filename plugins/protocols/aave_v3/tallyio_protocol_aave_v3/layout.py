"""The rows of a pool and of its reserves, and the numbers in positions.

A reserve's row, `RESERVE_BYTES`:

| offset | bytes | field |
|---|---|---|
| 0 | 16 | liquidity index, ray |
| 16 | 16 | liquidity rate, ray a year |
| 32 | 16 | variable borrow index, ray |
| 48 | 16 | variable borrow rate, ray a year |
| 64 | 16 | price in the oracle's unit; 0: none |
| 80 | 16 | 10 ** decimals |
| 96 | 16 | cash: what the pool can pay out, in smallest units |
| 112 | 8 | time of the indexes |
| 120 | 8 | flags: `ACTIVE`, `PAUSED`, ... |
| 128 | 8 | liquidation threshold, in 1e-4 |
| 136 | 8 | liquidation bonus, in 1e-4; 10_500 gives 5 % |
| 144 | 8 | the protocol's share of the bonus, in 1e-4 |
| 152 | 8 | e-mode category (before 3.2) |
| 160 | 8 | time until which a liquidation grace period lasts |
| 168 | 8 | decimals |

The pool's own row, `OWN_BYTES`: at 0 the rules (`Rules`), whether there is a sentinel, the answer of its
sequencer's feed (0: up), since when, and its grace period in seconds, 8 bytes each; from `CATEGORIES` on
one record of `CATEGORY_BYTES` for each e-mode category, by its id: threshold and bonus (8 bytes each), the
bitmap of its collateral, and the price of its own price source (before 3.2; 0: none), 16 bytes each.

All little-endian. A position's `flags` are its e-mode category, a balance's are `AS_COLLATERAL` and
`STABLE_DEBT`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from enum import IntFlag
from typing import Final

import msgspec

RESERVE_BYTES: Final = 192
LIQUIDITY_INDEX: Final = 0
LIQUIDITY_RATE: Final = 16
DEBT_INDEX: Final = 32
DEBT_RATE: Final = 48
PRICE: Final = 64
UNIT: Final = 80
CASH: Final = 96
UPDATED_AT: Final = 112
FLAGS: Final = 120
THRESHOLD: Final = 128
BONUS: Final = 136
FEE: Final = 144
CATEGORY: Final = 152
GRACE_UNTIL: Final = 160

OWN_RULES: Final = 0
OWN_SENTINEL: Final = 8
OWN_SEQUENCER: Final = 16
OWN_SEQUENCER_SINCE: Final = 24
OWN_GRACE: Final = 32
CATEGORIES: Final = 64
CATEGORY_BYTES: Final = 64
CATEGORY_COUNT: Final = 256
CATEGORY_THRESHOLD: Final = 0
CATEGORY_BONUS: Final = 8
CATEGORY_BITMAP: Final = 16
CATEGORY_PRICE: Final = 32
OWN_BYTES: Final = CATEGORIES + CATEGORY_COUNT * CATEGORY_BYTES

ACTIVE: Final = 1
PAUSED: Final = 2
FROZEN: Final = 4
FLASH: Final = 8

AS_COLLATERAL: Final = 1
STABLE_DEBT: Final = 2

MOST_DECIMALS: Final = 24
"""The largest that the overflow proofs of the compiled functions allow for."""

_RESERVE_HEAD: Final = 7
_RESERVE_TAIL: Final = struct.Struct("<8q")
_OWN_HEAD: Final = struct.Struct("<5q24x")
_CATEGORY: Final = struct.Struct("<2q16s16s16x")
_WIDE: Final = 16


class Rules(IntFlag):
    """What differs between the revisions of the pool."""

    BITMAPS = 1
    """E-mode categories list their collateral in a bitmap (3.2); before, each reserve has one category."""
    SKIPS_ZERO = 2
    """Collateral whose own threshold is 0 counts for nothing, even in e-mode (before 3.6)."""
    AVERAGES = 4
    """Health comes from the average threshold, rounded down to 1e-4 (before 3.5)."""
    DIRECTED = 8
    """Collateral rounds down and debt up (3.5); before, to the nearest."""
    TAYLOR = 16
    """Compound interest as three terms of the exponential (3.5); before, of the binomial series."""
    BY_TOTAL = 32
    """The close factor is of the total debt, dust may not be left, bad debt is written off (3.3)."""
    SPLIT_DOWN = 64
    """The split of seized collateral never rounds in favour of the liquidator (3.7)."""


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """A reserve's row in words; the units are those of the table above."""

    liquidity_index: int
    liquidity_rate: int
    debt_index: int
    debt_rate: int
    price: int
    decimals: int
    cash: int
    updated_at: int
    flags: int
    threshold: int
    bonus: int
    fee: int
    category: int = 0
    grace_until: int = 0

    @property
    def unit(self) -> int:
        """How many smallest units a whole token has."""
        unit: int = 10**self.decimals
        return unit


class Category(msgspec.Struct, frozen=True, kw_only=True):
    """An e-mode category."""

    threshold: int
    bonus: int
    bitmap: int = 0
    price: int = 0


class Sentinel(msgspec.Struct, frozen=True, kw_only=True):
    """What a sentinel's answer comes from."""

    answer: int
    """0 while the sequencer is up."""
    since: int
    grace_seconds: int


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The pool's own row in words."""

    rules: Rules
    sentinel: Sentinel | None = None
    categories: Mapping[int, Category] = {}


def pack_reserve(reserve: Reserve) -> bytes:
    """Return the row. Raises: ValueError: a number does not fit."""
    if not 0 <= reserve.decimals <= MOST_DECIMALS:
        raise ValueError(f"a token may have 0 to {MOST_DECIMALS} decimals, not {reserve.decimals}")
    wide = (
        reserve.liquidity_index,
        reserve.liquidity_rate,
        reserve.debt_index,
        reserve.debt_rate,
        reserve.price,
        reserve.unit,
        reserve.cash,
    )
    tail = _RESERVE_TAIL.pack(
        reserve.updated_at,
        reserve.flags,
        reserve.threshold,
        reserve.bonus,
        reserve.fee,
        reserve.category,
        reserve.grace_until,
        reserve.decimals,
    )
    return (b"".join(map(_wide, wide)) + tail).ljust(RESERVE_BYTES, b"\0")


def unpack_reserve(row: bytes) -> Reserve:
    """Return what `pack_reserve` packed."""
    wide = [_narrow(row[_WIDE * k : _WIDE * (k + 1)]) for k in range(_RESERVE_HEAD)]
    updated_at, flags, threshold, bonus, fee, category, grace_until, decimals = _RESERVE_TAIL.unpack_from(
        row, UPDATED_AT
    )
    return Reserve(
        liquidity_index=wide[0],
        liquidity_rate=wide[1],
        debt_index=wide[2],
        debt_rate=wide[3],
        price=wide[4],
        cash=wide[6],
        decimals=decimals,
        updated_at=updated_at,
        flags=flags,
        threshold=threshold,
        bonus=bonus,
        fee=fee,
        category=category,
        grace_until=grace_until,
    )


def pack_own(own: Own) -> bytes:
    """Return the row. Raises: ValueError: a number does not fit."""
    watch = own.sentinel or Sentinel(answer=0, since=0, grace_seconds=0)
    head = (own.rules, own.sentinel is not None, watch.answer, watch.since, watch.grace_seconds)
    return _OWN_HEAD.pack(*head) + b"".join(
        _category(own.categories.get(number)) for number in range(CATEGORY_COUNT)
    )


def unpack_own(row: bytes) -> Own:
    """Return what `pack_own` packed; categories without any number are left out."""
    rules, has_sentinel, answer, since, grace_seconds = _OWN_HEAD.unpack_from(row)
    sentinel = Sentinel(answer=answer, since=since, grace_seconds=grace_seconds) if has_sentinel else None
    categories = {}
    for number, (threshold, bonus, bitmap, price) in enumerate(_CATEGORY.iter_unpack(row[CATEGORIES:])):
        category = Category(threshold=threshold, bonus=bonus, bitmap=_narrow(bitmap), price=_narrow(price))
        if category != _NO_CATEGORY:
            categories[number] = category
    return Own(rules=Rules(rules), sentinel=sentinel, categories=categories)


def _category(category: Category | None) -> bytes:
    made = category or _NO_CATEGORY
    return _CATEGORY.pack(made.threshold, made.bonus, _wide(made.bitmap), _wide(made.price))


def _wide(value: int) -> bytes:
    try:
        return value.to_bytes(_WIDE, "little")
    except OverflowError:
        raise ValueError(f"{value} is not an unsigned integer of 128 bits") from None


def _narrow(raw: bytes) -> int:
    return int.from_bytes(raw, "little")


_NO_CATEGORY: Final = Category(threshold=0, bonus=0)
