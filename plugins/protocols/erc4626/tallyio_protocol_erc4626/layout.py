"""The row of one vault: 192 bytes, three cache lines.

| offset | bytes | field |
|---|---|---|
| 0 | 16 | total assets |
| 16 | 16 | supply of shares; with the virtual ones below 2**128 |
| 32 | 16 | virtual shares; 0: the vault's kind has none |
| 48 | 16 | most assets of one deposit |
| 64 | 16 | most shares of one mint |
| 80 | 16 | most shares of one redemption |
| 96 | 16 | most assets of one withdrawal |
| 112 | 8 | gas of a deposit |
| 120 | 8 | gas of a redemption |
| 128 | 8 | when it was read, in the chain's time |
| 136 | 8 | for how many seconds that is believed |
| 144 | 8 | 1: events tell all that changes, and limits follow the totals; 0: they ask for a reload |
| 152 | 40 | nothing |

All little-endian.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from tallyio_protocol_erc4626.reference import MOST, Vault

ROW_BYTES: Final = 192

TOTAL_ASSETS: Final = 0
SUPPLY: Final = 16
VIRTUAL_SHARES: Final = 32
MAX_DEPOSIT: Final = 48
MAX_MINT: Final = 64
MAX_REDEEM: Final = 80
MAX_WITHDRAW: Final = 96
GAS: Final = 112
READ_AT: Final = 128
MAX_AGE: Final = 136
FOLLOWS: Final = 144

ASSET: Final = 0
"""The position of the asset in the pool; the shares' is 1."""

_TAIL: Final = struct.Struct("<5q40x")


class Upkeep(msgspec.Struct, frozen=True, kw_only=True):
    """The rest of a row: how it is kept, and gas. Times in seconds."""

    gas: tuple[int, int] = (0, 0)
    read_at: int = 0
    max_age: int = 0
    follows: bool = False


def pack_row(vault: Vault, upkeep: Upkeep) -> bytes:
    """Return the row. Raises: ValueError: a number is out of its range."""
    numbers = msgspec.structs.astuple(vault)
    if not all(0 <= number <= MOST for number in numbers) or vault.supply + vault.virtual_shares > MOST:
        raise ValueError(f"totals and limits must be below 2**128, unlike those of {vault}")
    raw = b"".join(number.to_bytes(16, "little") for number in numbers)
    return raw + _TAIL.pack(*upkeep.gas, upkeep.read_at, upkeep.max_age, upkeep.follows)
