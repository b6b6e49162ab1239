"""Find pools, load their rows, and write the calls that swap on them.

Everything is read with calls at one block hash, so it is exact as of that block whatever the node does
meanwhile. Before a pool is traded, its own `get_dy` must say what its kind computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import word
from tallyio_protocol_curve_crypto import abi
from tallyio_protocol_curve_crypto.discovery import factory_pools, pool_spec
from tallyio_protocol_curve_crypto.events import TOPICS
from tallyio_protocol_curve_crypto.loading import check_kinds, make_row, read_states
from tallyio_protocol_curve_crypto.settings import WHERE, Settings, wanted_factories, wanted_pools


class CurveCrypto:
    """The configured CryptoSwap pools. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.curve_crypto]` table. Raises: ConfigError."""
        parsed = parse_settings(Settings, settings, where=WHERE)
        self._wanted = wanted_pools(parsed)
        self._factories = wanted_factories(parsed)

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_curve_crypto.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Every event that changes what a pool quotes, of all kinds; see `events`."""
        return TOPICS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the named pools and those of the named factories, each once.

        Raises: ChainError: a contract does not answer as what it is named, or computes otherwise.
        ConfigError: a pool that this plugin cannot trade.
        """
        wanted = {pool.address: pool for pool in self._wanted}
        for factory in self._factories:
            for pool in await factory_pools(chain, factory, block):
                wanted.setdefault(pool.address, pool)
        pools = [await pool_spec(chain, pool, block) for pool in wanted.values()]
        await check_kinds(chain, pools, await read_states(chain, pools, block=block), block=block)
        return pools

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the row of each pool at `block`. Raises: ChainError: a pool does not answer as its kind."""
        states = await read_states(chain, pools, block=block)
        return [make_row(pool, state) for pool, state in zip(pools, states, strict=True)]

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,
        amount_in: int,
        amount_out: int,
        recipient: Address,  # noqa: ARG002 - the pool pays who calls it: the executor
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - this exchange never calls back
    ) -> tuple[Call, ...]:
        """Return approval of exactly the input, exchange, and approval of nothing.

        The pool pulls its input and pays its caller, which must be the `recipient`. All kinds have this
        exchange; what else they take (native ether, a receiver) stays at its default.
        Raises: ValueError: `inner`, for a pool is paid before it pays.
        """
        if inner:
            raise ValueError(f"pool {checksum(pool.address)} of {pool.venue!r} cannot flash")
        token = pool.tokens[token_in]
        exchange = abi.EXCHANGE + word(token_in) + word(token_out) + word(amount_in) + word(amount_out)
        return (
            approve(token, pool.address, amount_in),
            Call(to=pool.address, data=exchange),
            approve(token, pool.address, 0),
        )
