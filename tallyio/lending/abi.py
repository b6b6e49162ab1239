"""The contract between the core and the compiled part of a lending protocol.

Layer: lending. A plugin's `compiled.module` defines four functions, decorated with
`tallyio.native.jit.hot` and these signatures. Addresses are int64, amounts 256-bit values
(`tallyio.native.u256`). They run without the GIL: no Python object, no allocation, no trap.

`book` is the address of a `BOOK` record, from which a function reaches the plugin's own row (`own`) and
the rows of the reserves (`reserve_at(book, number)`); both have the plugin's own layout. `position` is the
address of a `POSITION` record, behind which its `BALANCE` records follow (`balance_at(position, k)`).
`time` and `number` are those of the block in which a transaction would run: interest is projected to it.

    values(book, reserve, time, number, out) -> status
        `reserve` is a reserve's number. Write to `out` two float64: what one scaled unit of collateral is
        worth, and one scaled unit of debt, in the book's accounting unit: the one whose smallest unit is
        what the contract rounds to when it adds values up. Both grow in proportion to the price. Relative
        error at most 1e-12 against the exact rational value. Returns `KNOWN`, or `UNKNOWN` where the
        contract would revert (no price).
    weight(book, position, k) -> float64
        The share of balance k's collateral value that counts against debt (a liquidation threshold), 0
        to 1; 0 where it does not secure.
    health(book, position, time, number, out) -> status
        Exact, in the contract's own order and rounding. Writes a `HEALTH` record to `out`. Returns
        `HEALTHY`, `LIQUIDATABLE` (by its health; whether a gate is closed is for `liquidate` to say), or
        `UNKNOWN` where the contract would revert or a number leaves its domain.
    liquidate(book, position, collateral, debt, repay, time, number, out) -> verdict
        What the contract does when a liquidator offers `repay` smallest units of the debt of balance
        `debt` for the collateral of balance `collateral`. Writes a `LIQUIDATION` record to `out`: what is
        taken and given, after the contract has clipped the offer; an offer of 2**256 - 1 asks for the
        most that is lawful. Returns `LAWFUL`, or one of the verdicts below: why the contract would revert.

A reserve has a *memo* besides its row: `MEMO_BYTES` at `memo_at(book, reserve)` that the functions may write
and read as they like, such as what accrues to a time, worked out once for all positions. The core zeroes it
whenever the reserve's row or the plugin's own row is written, and knows nothing else of it. A book whose
record has no memos (`has_memos`) is one that a test or a benchmark made by hand: functions do without there.

For the prefilter, `collateral * weight * value - debt * value` over the balances is a position's *margin*:
the contract finds it liquidatable exactly where the sum is negative, but for the rounding that the adapter
states as `CompiledLending.relative_slack` and `unit_slack`.
"""

# mypy: disable-error-code="no-any-return"
from __future__ import annotations

from typing import Final

import numpy as np

from tallyio.native.atomics import load, load_i32
from tallyio.native.jit import hot

VALUES_SIGNATURE: Final = "int64(int64, int64, int64, int64, int64)"
WEIGHT_SIGNATURE: Final = "float64(int64, int64, int64)"
HEALTH_SIGNATURE: Final = "int64(int64, int64, int64, int64, int64)"
LIQUIDATE_SIGNATURE: Final = "int64(int64, int64, int64, int64, u256, int64, int64, int64)"

UNKNOWN: Final = -1
KNOWN: Final = 0
HEALTHY: Final = 0
LIQUIDATABLE: Final = 1

LAWFUL: Final = 0
HEALTH_IS_SOUND: Final = 1
"""The position is not below its threshold."""
NOT_COLLATERAL: Final = 2
"""The collateral chosen does not secure this position, or there is none of it."""
NOTHING_OWED: Final = 3
"""There is no debt of the kind chosen."""
PAUSED: Final = 4
"""Liquidation is paused: of the book, of one of the two reserves, or of an action that it needs."""
INACTIVE: Final = 5
"""One of the two reserves is not active."""
GRACE_PERIOD: Final = 6
"""One of the two reserves was unpaused a moment ago, and its borrowers have time until then."""
SENTINEL: Final = 7
"""The sequencer was down a moment ago, and this position is not deep enough under water."""
LEAVES_DUST: Final = 8
"""What remains of debt or collateral would be too small to be worth anybody's while."""
TOO_MUCH: Final = 9
"""More is offered than may be repaid."""
NOT_FOR_SALE: Final = 10
"""The protocol sells no collateral now: its reserves are at their target."""
NO_PRICE: Final = 11
"""The oracle has no price, or refuses the one it has."""
NO_CASH: Final = 12
"""The protocol does not hold enough of the collateral's token to pay it out; `most` is written all the same.

A smaller offer may be lawful.
"""
CLOSED: Final = 13
"""Only others may liquidate here."""
OUT_OF_DOMAIN: Final = 14
"""A number is beyond what the compiled function promises to handle; the contract may do anything."""
NOTHING_GAINED: Final = 15
"""The offer is so small that nothing would be given, or taken, for it."""

VERDICTS: Final = (
    "lawful",
    "the position is healthy",
    "the collateral does not secure the position",
    "nothing is owed in this asset",
    "liquidation is paused",
    "a reserve is not active",
    "a grace period runs",
    "the sequencer's sentinel forbids it",
    "it would leave dust",
    "it is more than may be repaid",
    "no collateral is for sale",
    "the oracle has no price",
    "the protocol lacks the cash to pay collateral out",
    "only others may liquidate here",
    "a number is out of the kernel's domain",
    "the offer is too small",
)
"""The verdicts in words, for the ledger and for people."""

BOOK: Final = np.dtype(
    [
        ("own", "i8"),  # address of the plugin's own row
        ("own_bytes", "i8"),
        ("reserves", "i8"),  # address of the reserves' rows, one behind the other
        ("reserve_bytes", "i8"),
        ("reserve_count", "i8"),
        ("kind", "i8"),  # the protocol's number in the fused dispatcher
        ("memos", "i8"),  # address of the reserves' memos, one behind the other; 0: there are none
        ("unused", "i8"),
    ]
)
"""One book: one cache line."""

MEMO_BYTES: Final = 128
"""What the compiled functions may keep for a reserve until its row is written: two cache lines."""

POSITION: Final = np.dtype(
    [
        ("account", "u1", 20),
        ("part", "i4"),
        ("flags", "i8"),
        ("count", "i8"),  # balances that follow
        ("room", "i8"),  # balances that there is memory for
        ("unused", "i8", 2),
    ]
)
"""One position: one cache line, and one for each balance."""

BALANCE: Final = np.dtype(
    [
        ("collateral", "u8", 2),  # little-endian 128-bit, scaled
        ("debt", "u8", 2),
        ("extra", "u8", 2),
        ("reserve", "i4"),
        ("flags", "i4"),
        ("places", "i4", 2),  # the core's own: where the two sides stand among the reserve's holders
    ]
)
"""What a position has in one reserve: one cache line."""

HEALTH: Final = np.dtype(
    [
        (
            "collateral",
            "u8",
            4,
        ),  # little-endian 256-bit: value that counts against debt, as the contract sums it
        ("debt", "u8", 4),  # ... value of the debt, in the same unit
        (
            "factor",
            "u8",
            4,
        ),  # ... collateral / debt in 1e-18, rounded as there; 2**256 - 1 without debt
    ]
)
"""What `health` writes. A contract without a health factor gets collateral * 1e18 / debt, rounded down."""

LIQUIDATION: Final = np.dtype(
    [
        (
            "repay",
            "u8",
            4,
        ),  # little-endian 256-bit: what the liquidator pays, in units of the debt's token
        ("seize", "u8", 4),  # ... what reaches the liquidator, in units of the collateral's token
        ("fee", "u8", 4),  # ... collateral that the protocol keeps, in the same units
        ("written_off", "u8", 4),  # ... debt that nobody pays, in units of the debt's token
        ("most", "u8", 4),  # ... the most that may be repaid of this debt now: the offer that asks for it
    ]
)
"""What `liquidate` writes."""

LINE: Final = 64
_OWN: Final = 0
_RESERVES: Final = 2
_RESERVE_BYTES: Final = 3
RESERVE_COUNT: Final = 4
"""The number of the word `reserve_count` in a BOOK."""
KIND: Final = 5
"""... of `kind`."""
_MEMOS: Final = 6
_COUNT: Final = 4

COLLATERAL: Final = 0
"""Byte offsets in a BALANCE, for `load128(balance + DEBT)`."""
DEBT: Final = 16
EXTRA: Final = 32
RESERVE: Final = 48
FLAGS: Final = 52
PLACES: Final = 56
_FLAGS: Final = 3


@hot("int64(int64)", inline=True)
def own_at(book: int) -> int:
    """Return the address of the plugin's own row of a BOOK."""
    return load(book, _OWN)


@hot("int64(int64, int64)", inline=True)
def reserve_at(book: int, number: int) -> int:
    """Return the address of the row of reserve `number` of a BOOK."""
    return load(book, _RESERVES) + number * load(book, _RESERVE_BYTES)


@hot("boolean(int64)", inline=True)
def has_memos(book: int) -> bool:
    """Return whether the reserves of a BOOK have memos."""
    return load(book, _MEMOS) != 0


@hot("int64(int64, int64)", inline=True)
def memo_at(book: int, number: int) -> int:
    """Return the address of the memo of reserve `number` of a BOOK that has memos."""
    return load(book, _MEMOS) + number * MEMO_BYTES


@hot("int64(int64)", inline=True)
def count_of(position: int) -> int:
    """Return how many balances a POSITION has."""
    return load(position, _COUNT)


@hot("int64(int64)", inline=True)
def flags_of(position: int) -> int:
    """Return the protocol's own number of a POSITION."""
    return load(position, _FLAGS)


@hot("int64(int64, int64)", inline=True)
def balance_at(position: int, k: int) -> int:
    """Return the address of the BALANCE k of a POSITION."""
    return position + LINE + k * LINE


@hot("int64(int64)", inline=True)
def reserve_of(balance: int) -> int:
    """Return the reserve number of a BALANCE."""
    return load_i32(balance + RESERVE, 0)


@hot("int64(int64)", inline=True)
def balance_flags(balance: int) -> int:
    """Return the protocol's own bits of a BALANCE."""
    return load_i32(balance + FLAGS, 0)
