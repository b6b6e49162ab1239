"""Identities: which pools and tokens a market holds, as dense numbers.

Layer: market. Pool ids number the pools of all holdings in order; token ids number the tokens in
the order in which pools first name them. Ids hold for the life of one market.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from tallyio.market.abi import MAX_POOL_TOKENS
from tallyio.model.errors import ConfigError, PluginError
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum

MIN_POOL_TOKENS = 2


class Compiled(Protocol):
    """Where a protocol's compiled functions are, and what they change."""

    @property
    def module(self) -> str:
        """Importable module with the functions of `tallyio.market.abi`."""

    @property
    def event_bytes(self) -> tuple[int, ...]:
        """Per event how many bytes from the row's start it may change; 0 or absent means all."""


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """What one protocol brings to a market: its pools and their rows, as of one block."""

    protocol: str
    """Name of the plugin, for messages."""
    compiled: Compiled
    topics: tuple[bytes, ...]
    """Topic 0 of each event; the index is the `event` of `apply_log`."""
    pools: tuple[PoolSpec, ...]
    rows: tuple[bytes, ...]
    """Row of each pool; each has its own size, a multiple of 64."""


class Shape:
    """Dense ids for the pools and tokens of `holdings`; immutable.

    Raises: PluginError: a pool has too few or too many tokens, names a token twice, or is held by
    two protocols.
    """

    def __init__(self, holdings: Sequence[Holding]) -> None:
        self.holdings = tuple(holdings)
        self.pools: tuple[PoolSpec, ...] = tuple(pool for _, pool in self._members())
        self.kinds: tuple[int, ...] = tuple(kind for kind, _ in self._members())
        self.pool_ids: dict[tuple[Address, bytes], int] = {}
        """Pool id by address and `PoolSpec.id`."""
        for number, (kind, pool) in enumerate(self._members()):
            self._check(pool, self.holdings[kind].protocol)
            self.pool_ids[pool.identity] = number
        self.tokens: tuple[Address, ...] = tuple(
            dict.fromkeys(token for pool in self.pools for token in pool.tokens)
        )
        self._token_ids = {token: number for number, token in enumerate(self.tokens)}
        self._pool_tokens = tuple(
            tuple(self._token_ids[token] for token in pool.tokens) for pool in self.pools
        )

    @property
    def pool_tokens(self) -> Sequence[tuple[int, ...]]:
        """Per pool id the token ids, in the pool's own order."""
        return self._pool_tokens

    @property
    def pool_can_flash(self) -> Sequence[bool]:
        """Per pool id whether a cycle may start there."""
        return tuple(pool.can_flash for pool in self.pools)

    @property
    def token_ids(self) -> Mapping[Address, int]:
        """Token id by address."""
        return self._token_ids

    def check_number(self, pool: int) -> None:
        """Raise ConfigError unless there is a pool of this number."""
        if not 0 <= pool < len(self.pools):
            raise no_pool(str(pool))

    def _members(self) -> Iterator[tuple[int, PoolSpec]]:
        for kind, holding in enumerate(self.holdings):
            for pool in holding.pools:
                yield kind, pool

    def _check(self, pool: PoolSpec, protocol: str) -> None:
        if not MIN_POOL_TOKENS <= len(pool.tokens) <= MAX_POOL_TOKENS:
            raise PluginError(
                protocol,
                f"holds pool {_name(pool)} with {len(pool.tokens)} tokens",
                way_out=f"a pool has {MIN_POOL_TOKENS} to {MAX_POOL_TOKENS}; leave it out of discovery",
            )
        if len(set(pool.tokens)) != len(pool.tokens):
            raise PluginError(
                protocol, f"holds pool {_name(pool)} that names a token twice", way_out="mend its discovery"
            )
        if pool.identity in self.pool_ids:
            other = self.holdings[self.kinds[self.pool_ids[pool.identity]]].protocol
            raise PluginError(
                protocol,
                f"holds pool {_name(pool)}, which {other!r} holds already",
                way_out="configure the pool under one protocol",
            )


def no_pool(name: str) -> ConfigError:
    """Return the error for a pool that is in no market."""
    return ConfigError(f"this market holds no pool {name}", way_out="see `market.shape.pools`")


def _name(pool: PoolSpec) -> str:
    return f"{checksum(pool.address)} {pool.id.hex()}".rstrip()
