"""The row of one pair: 64 bytes, one cache line.

| offset | bytes | field |
|---|---|---|
| 0 | 16 | reserve0, unsigned, below 2**112 |
| 16 | 16 | reserve1, unsigned, below 2**112 |
| 32 | 8 | fee numerator when token 0 is sold |
| 40 | 8 | fee numerator when token 1 is sold |
| 48 | 8 | fee denominator, at most `MAX_FEE_DENOMINATOR` |
| 56 | 8 | gas of one swap |

All little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

ROW_BYTES: Final = 64
RESERVE_BYTES: Final = 16
RESERVES: Final = 0
FEE_NUMERATORS: Final = 32
FEE_DENOMINATOR: Final = 48
GAS: Final = 56

UINT112_MAX: Final = (1 << 112) - 1
MAX_FEE_DENOMINATOR: Final = 1_000_000
"""The largest that the overflow proofs of the compiled quote allow for."""

_TAIL: Final = struct.Struct("<4q")


def pack_row(
    reserves: tuple[int, int], *, fee_numerators: tuple[int, int], fee_denominator: int, gas: int
) -> bytes:
    """Return the row. Raises: ValueError: a reserve or a fee is out of its range."""
    if not all(0 <= reserve <= UINT112_MAX for reserve in reserves):
        raise ValueError(f"reserves must be uint112, not {reserves}")
    if not all(0 < fee <= fee_denominator <= MAX_FEE_DENOMINATOR for fee in fee_numerators):
        raise ValueError(f"fees must be 0 < numerator <= denominator <= {MAX_FEE_DENOMINATOR}")
    raw = b"".join(reserve.to_bytes(RESERVE_BYTES, "little") for reserve in reserves)
    return raw + _TAIL.pack(*fee_numerators, fee_denominator, gas)


def unpack_reserves(row: bytes) -> tuple[int, int]:
    """Return the reserves in `row`."""
    return (
        int.from_bytes(row[:RESERVE_BYTES], "little"),
        int.from_bytes(row[RESERVE_BYTES : 2 * RESERVE_BYTES], "little"),
    )
