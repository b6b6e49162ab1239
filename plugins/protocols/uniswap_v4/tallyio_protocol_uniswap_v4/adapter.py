"""Find pools, load their rows, and write the calls that swap on them.

Source: `PoolManager` (v4-core 1.0.2).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from tallyio.hooks.interfaces import ChainReader, CompiledProtocol
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.settings import parse_addresses, parse_settings
from tallyio.market.concentrated.layout import PRICE_BYTES
from tallyio.market.concentrated.reference_math import HIGHEST_LIMIT, LOWEST_LIMIT
from tallyio.model.chain import Head, LogFilter
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ADDRESS_BYTES, Address
from tallyio.model.words import address_word
from tallyio_protocol_uniswap_v4 import abi, storage
from tallyio_protocol_uniswap_v4.abi import PoolKey
from tallyio_protocol_uniswap_v4.loading import load_rows, read_groups
from tallyio_protocol_uniswap_v4.permissions import DYNAMIC_FEE_FLAG, RefusedPool, refusal
from tallyio_protocol_uniswap_v4.settling import Amount, Trade, Unlock, settled
from tallyio_protocol_uniswap_v4.venues import DEPLOYMENTS, WHERE, Settings, VenueSettings, check

_log = logging.getLogger(__name__)

_EVENT_BYTES: Final = (0, PRICE_BYTES, 0, 0)
"""A swap changes what the header says of the price; the other events change sums."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """The pools that exist: those that can be quoted, and the others with the reason."""

    pools: tuple[PoolSpec, ...]
    refused: tuple[RefusedPool, ...]


class UniswapV4:
    """The pools of all configured venues. See `tallyio.hooks.interfaces.ExchangeProtocol`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[protocols.uniswap_v4]` table. Raises: ConfigError."""
        self._settings = parse_settings(Settings, settings, where=WHERE)
        check(self._settings)
        self._tokens = sorted(parse_addresses(self._settings.tokens, where=f"{WHERE}.tokens"))

    @property
    def compiled(self) -> CompiledProtocol:
        """The module `hot` of this package."""
        return CompiledProtocol(module="tallyio_protocol_uniswap_v4.hot", event_bytes=_EVENT_BYTES)

    @property
    def topics(self) -> tuple[bytes, ...]:
        """The events that change price, liquidity or fee, in the order that `hot.apply_log` numbers them."""
        return (abi.INITIALIZE, abi.SWAP_EVENT, abi.MODIFY_LIQUIDITY, abi.PROTOCOL_FEE_UPDATED)

    async def discover(self, chain: ChainReader, *, block: Head) -> list[PoolSpec]:
        """Return the pools of each venue: between the configured tokens, or all of them.

        Those whose hook takes part in swaps are left out, and logged; `survey` tells them.

        Raises: ChainError: a manager does not answer as one. ConfigError: none is known on this chain.
        """
        found = await self.survey(chain, block=block)
        for pool in found.refused:
            _log.info("pool %s is not quoted: %s", pool.id.hex(), pool.reason)
        return list(found.pools)

    async def survey(self, chain: ChainReader, *, block: Head) -> Survey:
        """Return all pools that exist at `block`, the refused ones with the reason. Raises: as `discover`."""
        pools: list[PoolSpec] = []
        refused: list[RefusedPool] = []
        for venue in self._settings.venues:
            manager = DEPLOYMENTS.factory_on(venue, chain.chain_id)
            for key, slot0 in await self._existing(chain, manager, venue.from_block, block):
                if reason := refusal(key.hooks):
                    tokens = (key.currency0, key.currency1)
                    refused.append(RefusedPool(id=key.id, tokens=tokens, hooks=key.hooks, reason=reason))
                else:
                    pools.append(self._spec(venue, manager, key, slot0))
        return Survey(pools=tuple(pools), refused=tuple(refused))

    async def load(self, chain: ChainReader, pools: Sequence[PoolSpec], *, block: Head) -> list[bytes]:
        """Return the rows at `block`.

        Raises: ChainError: a manager does not answer as one, or a pool contradicts itself.
        """
        return await load_rows(chain, pools, block=block)

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
        """Return one unlock of the manager, whose callback swaps, runs `inner` and then pays.

        Both amounts are settled to the unit: a swap that pays more than `amount_out` reverts as one that
        pays less.
        """
        zero_for_one = token_in == 0
        call = abi.swap(
            pool.address,
            _key_of(pool),
            zero_for_one=zero_for_one,
            amount_in=amount_in,
            limit_x96=LOWEST_LIMIT if zero_for_one else HIGHEST_LIMIT,
        )
        sold, bought = Amount(pool.tokens[token_in], amount_in), Amount(pool.tokens[token_out], amount_out)
        trade = Trade(call=call, sold=sold, bought=bought)
        data = encode(tuple(settled(pool.address, recipient, trade, inner)))
        return (Unlock(to=pool.address, data=abi.unlock_data(data), trade=trade),)

    async def _existing(
        self, chain: ChainReader, manager: Address, from_block: int, block: Head
    ) -> list[tuple[PoolKey, storage.Slot0]]:
        tokens = tuple(address_word(token) for token in self._tokens)
        query = LogFilter(
            from_block=from_block,
            to_block=block.number,
            addresses=(manager,),
            topics=((abi.INITIALIZE,), (), tokens, tokens) if tokens else ((abi.INITIALIZE,),),
        )
        keys = [abi.opened_key(log) for log in await chain.logs(query)]
        slots = [storage.base_slot(key.id) for key in keys]
        (words,) = await read_groups(chain, [(manager, slots)], block=block)
        heads = map(storage.slot0_of, words)
        # An event of an abandoned block leaves no pool behind.
        return [(key, slot0) for key, slot0 in zip(keys, heads, strict=True) if slot0.sqrt_price_x96]

    def _spec(self, venue: VenueSettings, manager: Address, key: PoolKey, slot0: storage.Slot0) -> PoolSpec:
        is_dynamic = key.fee == DYNAMIC_FEE_FLAG
        return PoolSpec(
            address=manager,
            id=key.id,
            tokens=(key.currency0, key.currency1),
            venue=venue.name,
            fee_pips=slot0.lp_fee,
            can_flash=True,
            log_sources=(LogSource(manager, key.id),),
            ages=is_dynamic,
            parameters=(
                ("fee", key.fee),
                ("fee_seconds", self._settings.dynamic_fee_seconds if is_dynamic else 0),
                ("gas", venue.gas),
                ("gas_per_tick", venue.gas_per_tick),
                ("gas_per_word", venue.gas_per_word),
                ("hooks", int.from_bytes(key.hooks)),
                ("tick_spacing", key.tick_spacing),
            ),
        )


def _key_of(pool: PoolSpec) -> PoolKey:
    facts = dict(pool.parameters)
    return PoolKey(
        currency0=pool.tokens[0],
        currency1=pool.tokens[1],
        fee=facts["fee"],
        tick_spacing=facts["tick_spacing"],
        hooks=Address(facts["hooks"].to_bytes(ADDRESS_BYTES)),
    )
