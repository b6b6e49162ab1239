"""The row of one pool: 192 bytes, three cache lines.

| offset | bytes | field |
|---|---|---|
| 0 | 32 | reserve0 |
| 32 | 32 | reserve1 |
| 64 | 32 | 10**decimals of token 0 |
| 96 | 32 | 10**decimals of token 1 |
| 128 | 32 | the pool's address, as the word that a topic has |
| 160 | 8 | kind: volatile, closed, or which contract's solver a stable pool has |
| 168 | 8 | fee numerator |
| 176 | 8 | fee denominator, at most `MAX_FEE_DENOMINATOR` |
| 184 | 8 | gas of one swap |

All unsigned and little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

from tallyio.model.units import ZERO_ADDRESS, Address

ROW_BYTES: Final = 192
WORD_BYTES: Final = 32
RESERVES: Final = 0
UNITS: Final = 64
ADDRESS: Final = 128
KIND: Final = 160
FEE_NUMERATOR: Final = 168
FEE_DENOMINATOR: Final = 176
GAS: Final = 184
CHANGING_BYTES: Final = 64
"""How much of a row an event changes, from its start: the reserves."""

VOLATILE: Final = 0
SOLVER_SOLIDLY: Final = 1
"""Stable, with the `_get_y` of Solidly and Velodrome V1: it stops where a step is at most 1."""
SOLVER_VELODROME_V2: Final = 2
"""Stable, with the `_get_y` that Velodrome V2 and Aerodrome deployed first: its check asks `_k`."""
SOLVER_SUPERCHAIN: Final = 3
"""Stable, with the `_get_y` of Velodrome's later pools, on the superchain: its check asks `_f`."""
CLOSED: Final = 4
"""No swap is possible: the factory is paused, or nobody holds a share of the pool."""

UINT256_MAX: Final = (1 << 256) - 1
MAX_DECIMALS: Final = 77
"""10**decimals is a uint256 in the contract."""
MAX_FEE_DENOMINATOR: Final = 10**18

_TAIL: Final = struct.Struct("<4q")


def pack_row(  # noqa: PLR0913 - the fields of a row
    reserves: tuple[int, int],
    *,
    units: tuple[int, int],
    kind: int,
    fee_numerator: int,
    fee_denominator: int,
    gas: int = 0,
    pool: Address = ZERO_ADDRESS,
) -> bytes:
    """Return the row. Raises: ValueError: a field is out of its range."""
    if not all(0 <= reserve <= UINT256_MAX for reserve in reserves):
        raise ValueError(f"reserves must be uint256, not {reserves}")
    if not all(is_unit(unit) for unit in units):
        raise ValueError(f"units must be 10**decimals with decimals up to {MAX_DECIMALS}, not {units}")
    if not 0 <= fee_numerator <= fee_denominator <= MAX_FEE_DENOMINATOR or not fee_denominator:
        raise ValueError(
            f"fee must be 0 <= numerator <= denominator <= {MAX_FEE_DENOMINATOR},"
            f" not {fee_numerator}/{fee_denominator}"
        )
    if not VOLATILE <= kind <= CLOSED:
        raise ValueError(f"kind must be {VOLATILE} to {CLOSED}, not {kind}")
    words = (*reserves, *units, int.from_bytes(pool))
    raw = b"".join(word.to_bytes(WORD_BYTES, "little") for word in words)
    return raw + _TAIL.pack(kind, fee_numerator, fee_denominator, gas)


def is_unit(value: int) -> bool:
    """Return whether `value` is 10**decimals for decimals that a contract can have."""
    return value > 0 and value == 10 ** (len(str(value)) - 1) and value <= 10**MAX_DECIMALS


def unpack_reserves(row: bytes) -> tuple[int, int]:
    """Return the reserves in `row`."""
    return (
        int.from_bytes(row[:WORD_BYTES], "little"),
        int.from_bytes(row[WORD_BYTES : 2 * WORD_BYTES], "little"),
    )
