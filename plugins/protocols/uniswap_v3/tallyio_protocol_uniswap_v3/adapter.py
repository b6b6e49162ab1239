"""Find pools, load their rows, and write the calls that swap on them.

Sources: `UniswapV3Factory`, `UniswapV3Pool` (v3-core 1.0.1).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.model.chain import Head, LogFilter
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.market import PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import address_at, address_word, signed, unsigned, word
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.layout import HEADER_BYTES
from tallyio_protocol_uniswap_v3.loading import load_rows
from tallyio_protocol_uniswap_v3.reference import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio_protocol_uniswap_v3.venues import DEPLOYMENTS, WHERE, Settings, VenueSettings, check

_Key = tuple[Address, Address, int]
"""What identifies a pool at its factory: token0, token1, fee in pips."""


class UniswapV3:
    """The pools of all configured venues. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.uniswap_v3]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        check(self._settings)
        self._tokens = sorted(parse_addresses(self._settings.tokens, where=f"{WHERE}.tokens"))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package. A swap changes the header alone."""
        return CompiledProtocol(module="tallyio_protocol_uniswap_v3.hot", event_bytes=(0, HEADER_BYTES, 0, 0))

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events that change price or liquidity, in the order that `hot.apply_log` numbers them."""
        return (abi.INITIALIZE, abi.SWAP_EVENT, abi.MINT, abi.BURN)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools of each venue: between the configured tokens, or all of them.

        Candidates come from the configuration or from the factory's events; the factory itself is
        then asked, at `block`, which of them exist.

        Raises: ChainError: a contract does not answer as V3's do. ConfigError: no factory is known on
        this chain.
        """
        return [pool for venue in self._settings.venues for pool in await self._discover(chain, venue, block)]

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`.

        Raises: ChainError: a pool does not answer as one, or contradicts itself. ConfigError: a pool
        has more initialised ticks than `tick_capacity`.
        """
        return await load_rows(chain, pools, block=block, tick_capacity=self._settings.tick_capacity)

    def swap(  # noqa: PLR0913 - the interface's facts of one swap
        self,
        pool: PoolSpec,
        *,
        token_in: int,
        token_out: int,  # noqa: ARG002 - a pool has two tokens
        amount_in: int,
        amount_out: int,  # noqa: ARG002 - the pool pays what it computes
        recipient: Address,
        inner: tuple[Call, ...],
        encode: Callable[[tuple[Call, ...]], bytes],
    ) -> tuple[Call, ...]:
        """Return one exact-input swap, whose callback runs `inner` and then pays the pool."""
        pay = transfer(pool.tokens[token_in], pool.address, amount_in)
        zero_for_one = token_in == 0
        data = abi.swap_data(
            recipient,
            zero_for_one=zero_for_one,
            amount_in=amount_in,
            limit_x96=LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT,
            data=encode((*inner, pay)),
        )
        return (Call(to=pool.address, data=data),)

    async def _discover(self, chain: ChainReader, venue: VenueSettings, block: Head) -> list[PoolSpec]:
        factory = DEPLOYMENTS.factory_on(venue, chain.chain_id)
        if self._tokens:
            keys = [
                (low, high, fee)
                for low, high in itertools.combinations(self._tokens, 2)
                for fee in self._settings.fee_tiers
            ]
        else:
            keys = await _created(chain, factory, (venue.from_block, block.number))
        found = await _existing(chain, factory, keys, block)
        spacings = await _tick_spacings(chain, [pool for pool, _ in found], block)
        return [_spec(venue, *facts) for facts in zip(found, spacings, strict=True)]


async def _created(chain: ChainReader, factory: Address, blocks: tuple[int, int]) -> list[_Key]:
    query = LogFilter(
        from_block=blocks[0], to_block=blocks[1], addresses=(factory,), topics=((abi.POOL_CREATED,),)
    )
    return [
        (
            address_at(log.topics[1], 0),
            address_at(log.topics[2], 0),
            unsigned(log.topics[3], 0),
        )
        for log in await chain.logs(query)
    ]


async def _existing(
    chain: ChainReader, factory: Address, keys: Sequence[_Key], block: Head
) -> list[tuple[Address, _Key]]:
    calls = [
        Call(to=factory, data=abi.GET_POOL + address_word(low) + address_word(high) + word(fee))
        for low, high, fee in keys
    ]
    answers = await chain.call(calls, block=block.hash) if calls else []
    pools = [address_at(abi.checked(answer, 1, factory), 0) for answer in answers]
    return [(pool, key) for pool, key in zip(pools, keys, strict=True) if pool != ZERO_ADDRESS]


async def _tick_spacings(chain: ChainReader, pools: Sequence[Address], block: Head) -> list[int]:
    calls = [Call(to=pool, data=abi.TICK_SPACING) for pool in pools]
    answers = await chain.call(calls, block=block.hash) if calls else []
    return [signed(abi.checked(answer, 1, pool), 0) for answer, pool in zip(answers, pools, strict=True)]


def _spec(venue: VenueSettings, found: tuple[Address, _Key], tick_spacing: int) -> PoolSpec:
    address, (token0, token1, fee_pips) = found
    return PoolSpec(
        address=address,
        tokens=(token0, token1),
        venue=venue.name,
        fee_pips=fee_pips,
        can_flash=True,
        parameters=(
            ("fee_pips", fee_pips),
            ("gas", venue.gas),
            ("gas_per_tick", venue.gas_per_tick),
            ("gas_per_word", venue.gas_per_word),
            ("tick_spacing", tick_spacing),
        ),
    )
