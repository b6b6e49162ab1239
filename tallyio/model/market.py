"""Tokens and pools, as records.

Layer: model.
"""

from __future__ import annotations

import msgspec

from tallyio.model.units import Address


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An ERC-20 token. `symbol` is for display only: anybody may choose any."""

    address: Address
    symbol: str
    decimals: int


class PoolSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A pool that a protocol plugin found: what does not change from block to block."""

    address: Address
    tokens: tuple[Address, ...]
    """In the pool's own order; positions in this tuple are the `i` and `j` of a quote."""
    venue: str
    """Which deployment it belongs to, as the configuration names it (for display)."""
    fee_pips: int
    """Swap fee in millionths, for display and ranking; exact fees live in the row."""
    can_flash: bool
    """Whether the pool pays out before it is paid, so that a cycle may start here with nothing in hand."""
    parameters: tuple[tuple[str, int], ...] = ()
    """What else the protocol plugin needs to load and trade it, as sorted (name, integer) pairs."""
