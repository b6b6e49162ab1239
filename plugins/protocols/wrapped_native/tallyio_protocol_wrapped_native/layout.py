"""The row of the one pool: 64 bytes, one cache line. Only gas is data; the rate is one.

| offset | bytes | field |
|---|---|---|
| 0 | 8 | gas of wrapping, the swap that sells token 0 |
| 8 | 8 | gas of unwrapping, the swap that sells token 1 |
| 16 | 48 | nothing |

All little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

ROW_BYTES: Final = 64
GAS: Final = 0

NATIVE: Final = 0
"""The position of native currency in the pool; the token's is 1."""

MOST: Final = (1 << 96) - 1
"""The largest amount: what one call of the executor can carry in native currency."""

_GAS: Final = struct.Struct("<2q")


def pack_row(*, gas: tuple[int, int]) -> bytes:
    """Return the row. Raises: ValueError: a gas is negative."""
    if min(gas) < 0:
        raise ValueError(f"gas must not be negative, as in {gas}")
    return _GAS.pack(*gas).ljust(ROW_BYTES, b"\0")
