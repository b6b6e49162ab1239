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


class LogSource(msgspec.Struct, frozen=True):
    """Where events of a pool come from: a contract, and where many pools share it, their topic 1."""

    address: Address
    topic1: bytes = b""
    """32 bytes, or empty: every log of the contract."""


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
    id: bytes = b""
    """What tells it from other pools at the same address, such as a singleton's pool id; often empty."""
    log_sources: tuple[LogSource, ...] = ()
    """Where its events come from; empty means all events of `address`."""
    ages: bool = False
    """Whether quotes depend on the block's time, so that the row wants `advance` with each block."""

    @property
    def identity(self) -> tuple[Address, bytes]:
        """Address and id: no two pools share both."""
        return self.address, self.id

    @property
    def sources(self) -> tuple[LogSource, ...]:
        """Where its events come from."""
        return self.log_sources or (LogSource(self.address),)
