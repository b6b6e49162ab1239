"""Find pools, load their rows, and write the calls that swap on them.

Source: `Vault` (balancer-v3-monorepo). Everything is read with calls at one block hash, so it is exact as of
that block whatever the node does meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address
from tallyio_protocol_balancer_v3 import abi
from tallyio_protocol_balancer_v3.discovery import find_pools
from tallyio_protocol_balancer_v3.loading import load_rows
from tallyio_protocol_balancer_v3.settings import WHERE, Settings, resolve


class BalancerV3:
    """The configured pools. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.balancer_v3]` table. Raises: ConfigError."""
        self._facts = resolve(parse_settings(Settings, settings, where=WHERE))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_balancer_v3.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Events of the Vault and of stable pools; each of them asks for a reload."""
        return abi.EVENTS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the configured pools. Raises: ChainError: one is not of a kind that is quoted."""
        return await find_pools(chain, self._facts, block=block)

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`. Raises: ChainError: a pool is paused, or pays otherwise."""
        return await load_rows(chain, pools, self._facts, block=block)

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,
        amount_in: int,
        amount_out: int,
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one unlock of the Vault, whose callback swaps, takes, runs `inner` and then pays.

        The Vault wants all it booked settled to the unit: a swap that pays more than `amount_out` reverts
        as one that pays less. An unlock within an unlock is fine.
        """
        vault = self._facts.vault
        sold, bought = pool.tokens[token_in], pool.tokens[token_out]
        calls = (
            abi.swap(vault, pool.address, (sold, bought), (amount_in, amount_out)),
            abi.send_to(vault, bought, recipient, amount_out),
            *inner,
            transfer(sold, vault, amount_in),
            abi.settle(vault, sold, amount_in),
        )
        return (abi.unlock(vault, encode(calls)),)
