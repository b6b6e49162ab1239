"""What a pool's hook may do, by the bits of its address, and which pools that rules out.

Source: `Hooks` of v4-core 1.0.2. The manager calls a hook for an action only if the action's bit is
set, and takes a delta from its answer only if the bit for that is set as well.

A swap that calls foreign code is no function of the pool's state. Before it, that code may trade on
the pool, change a dynamic fee, override it, or take part of the amount; after it, take part of what
came out; and each time it may revert. So a pool is refused if a swap would call its hook. All other
actions leave a swap alone: whatever a hook does when a pool is opened, when liquidity changes, or when
somebody donates, it can do to the pool only by what the pool's events tell, except set a dynamic fee.
"""

from __future__ import annotations

from typing import Final

import msgspec

from tallyio.model.units import ZERO_ADDRESS, Address

BEFORE_SWAP: Final = 1 << 7
AFTER_SWAP: Final = 1 << 6
BEFORE_SWAP_RETURNS_DELTA: Final = 1 << 3
AFTER_SWAP_RETURNS_DELTA: Final = 1 << 2

DYNAMIC_FEE_FLAG: Final = 0x80_0000
"""In place of a fee: the pool's hook may set it at any time."""

_REASONS: Final = {
    BEFORE_SWAP: "beforeSwap may move the price, set the fee or revert",
    BEFORE_SWAP_RETURNS_DELTA: "beforeSwap may take part of the amount",
    AFTER_SWAP: "afterSwap may revert",
    AFTER_SWAP_RETURNS_DELTA: "afterSwap may take part of what comes out",
}


class RefusedPool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that exists and is not quoted."""

    id: bytes
    tokens: tuple[Address, Address]
    hooks: Address
    reason: str


def refusal(hooks: Address) -> str:
    """Return why a pool with this hook is not quoted; empty if it is."""
    if hooks == ZERO_ADDRESS:
        return ""
    bits = int.from_bytes(hooks[-2:])
    return "; ".join(reason for bit, reason in _REASONS.items() if bits & bit)
