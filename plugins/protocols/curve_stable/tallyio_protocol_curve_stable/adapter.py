"""Find pools, load their rows, and write the calls that swap on them.

Everything is read with calls at one block hash, so it is exact as of that block whatever the node does
meanwhile. Before a pool is traded, its own `get_dy` must say what its kind computes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_address, parse_settings
from tallyio.model.chain import Head
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import Address, checksum
from tallyio.model.words import word
from tallyio_protocol_curve_stable import abi
from tallyio_protocol_curve_stable.discovery import factory_pools, pool_spec
from tallyio_protocol_curve_stable.events import TOPICS
from tallyio_protocol_curve_stable.loading import check_kinds, make_row, read_states
from tallyio_protocol_curve_stable.settings import WHERE, Settings, wanted_pools


class CurveStable:
    """The configured StableSwap pools. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.curve_stable]` table. Raises: ConfigError."""
        parsed = parse_settings(Settings, settings, where=WHERE)
        self._wanted = wanted_pools(parsed)
        self._max_age = parsed.max_rate_age_seconds
        self._factories = [
            (parse_address(factory.address, where=f"{WHERE}.factories.address"), factory)
            for factory in parsed.factories
        ]

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_curve_stable.hot")

    @property
    def topics(self) -> tuple[bytes, ...]:
        """Every event that changes what a pool quotes, of all templates; see `events`."""
        return TOPICS

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the named pools and those of the named factories, each once.

        Raises: ChainError: a contract does not answer as what it is named, or computes otherwise.
        ConfigError: a pool that this plugin cannot trade.
        """
        wanted = {pool.address: pool for pool in self._wanted}
        for address, factory in self._factories:
            for pool in await factory_pools(chain, address, factory, block):
                wanted.setdefault(pool.address, pool)
        pools = [await pool_spec(chain, pool, block) for pool in wanted.values()]
        states = await read_states(chain, pools, block=block, max_age=self._max_age)
        await check_kinds(chain, pools, states, block=block)
        return pools

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the row of each pool at `block`. Raises: ChainError: a pool does not answer as its kind."""
        states = await read_states(chain, pools, block=block, max_age=self._max_age)
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
        encode: Callable[[tuple[Call, ...]], bytes],  # noqa: ARG002 - a pool never calls back
    ) -> tuple[Call, ...]:
        """Return approval of exactly the input, exchange, and approval of nothing.

        The pool pulls its input and pays its caller, which must be the `recipient`.
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
