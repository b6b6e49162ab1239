"""A position's e-mode category, and the threshold and price that count in it, in compiled code."""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

from tallyio.lending.abi import flags_of, own_at, reserve_at
from tallyio.native.atomics import load
from tallyio.native.jit import hot
from tallyio.native.u256 import lo64, load128, u256
from tallyio_protocol_aave_v3.hot_math import ZERO
from tallyio_protocol_aave_v3.layout import (
    CATEGORIES,
    CATEGORY,
    CATEGORY_BITMAP,
    CATEGORY_BYTES,
    CATEGORY_COUNT,
    CATEGORY_PRICE,
    CATEGORY_THRESHOLD,
    OWN_RULES,
    PRICE,
    THRESHOLD,
    Rules,
)

BITMAPS: Final = int(Rules.BITMAPS)
SKIPS_ZERO: Final = int(Rules.SKIPS_ZERO)
_BITS: Final = 128


@hot("int64(int64)", inline=True)
def rules_of(book: int) -> int:
    """Return the rules of the pool."""
    return load(own_at(book) + OWN_RULES, 0)


@hot("int64(int64, int64)", inline=True)
def category_at(book: int, number: int) -> int:
    """Return the address of e-mode category `number`, or 0 for none."""
    if not 0 < number < CATEGORY_COUNT:
        return 0
    return own_at(book) + CATEGORIES + CATEGORY_BYTES * number


@hot("int64(int64, int64, int64)")
def category_of(book: int, position: int, reserve: int) -> int:
    """Return the address of the position's category if the reserve is collateral of it, or 0."""
    number = flags_of(position)
    category = category_at(book, number)
    if category == 0:
        return 0
    if rules_of(book) & BITMAPS:
        is_in = reserve < _BITS and lo64(load128(category + CATEGORY_BITMAP) >> reserve) & lo64(1) != lo64(0)
    else:
        is_in = load(reserve_at(book, reserve) + CATEGORY, 0) == number
    return category if is_in else 0


@hot("int64(int64, int64, int64)")
def threshold_of(book: int, position: int, reserve: int) -> int:
    """Return the liquidation threshold that counts for the position."""
    own = load(reserve_at(book, reserve) + THRESHOLD, 0)
    if own == 0 and rules_of(book) & SKIPS_ZERO:
        return 0
    category = category_of(book, position, reserve)
    return load(category + CATEGORY_THRESHOLD, 0) if category != 0 else own


@hot("u256(int64, int64, int64)")
def price_of(book: int, position: int, reserve: int) -> int:
    """Return the price that counts for the position; 0: there is none."""
    own = u256(load128(reserve_at(book, reserve) + PRICE))
    if rules_of(book) & BITMAPS:
        return own
    category = category_of(book, position, reserve)
    if category == 0:
        return own
    price = u256(load128(category + CATEGORY_PRICE))
    return price if price != ZERO else own
