"""What a pool's quotes depend on, as records of Python integers."""

from __future__ import annotations

from typing import Final

import msgspec

MOST: Final = (1 << 128) - 1
"""The Vault packs a balance into 128 bits."""


class TokenState(msgspec.Struct, frozen=True, kw_only=True):
    """One token of a pool."""

    live: int
    """Balance with 18 decimals and the rate, rounded down."""
    raw: int
    rate: int
    scaling: int
    """10 ** (18 - decimals)."""
    weight: int = 0
    """Fixed; 0 in a stable pool."""
    least_live: int = 0
    """What a swap of a weighted pool must leave."""


class PoolState(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pool's quotes depend on, as of one block."""

    tokens: tuple[TokenState, ...]
    fee: int
    """Static swap fee, fixed."""
    amp: int = 0
    """A n**(n-1) times 1000 of a stable pool; 0: the pool is weighted."""
    least: int = 0
    """Least scaled amount of a swap: the Vault's minimum trade amount."""
    more: int = 0
    """How much more of the token sold a weighted pool counts: 1 in its later version."""

    @property
    def balances(self) -> list[int]:
        """The live balances."""
        return [token.live for token in self.tokens]
