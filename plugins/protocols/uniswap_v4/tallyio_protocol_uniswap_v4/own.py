"""What a V4 pool's row has besides that of any concentrated-liquidity pool: the parts of its fee.

The 64 bytes that `tallyio.market.concentrated.layout` leaves to a protocol:

| offset | bytes | field |
|---|---|---|
| 512 | 8 | lp_fee in pips |
| 520 | 8 | protocol_fee, 12 bits for token0 in and 12 for token1 in |
| 528 | 8 | dynamic: for how many seconds the hook's fee is believed; 0 where it cannot change |
| 536 | 8 | dynamic: when it was read, in the chain's time |
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from tallyio.market.concentrated.layout import OWN

LP_FEE: Final = OWN
PROTOCOL_FEE: Final = OWN + 8
FEE_SECONDS: Final = OWN + 16
FEE_READ_AT: Final = OWN + 24

_OWN: Final = struct.Struct("<qqqq")


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the table above."""

    lp_fee: int = 0
    protocol_fee: int = 0
    fee_seconds: int = 0
    fee_read_at: int = 0

    def pack(self) -> bytes:
        """Return what the row holds."""
        return _OWN.pack(self.lp_fee, self.protocol_fee, self.fee_seconds, self.fee_read_at)
