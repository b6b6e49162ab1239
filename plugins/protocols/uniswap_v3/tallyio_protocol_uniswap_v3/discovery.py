"""Find the pools of a venue: candidates from settings or events, and what the factory says of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from tallyio.hooks.interfaces import ChainReader
from tallyio.model.chain import Head, LogFilter
from tallyio.model.execution import Call
from tallyio.model.market import LogSource, PoolSpec
from tallyio.model.units import ZERO_ADDRESS, Address
from tallyio.model.words import address_at, address_word, signed, unsigned, word
from tallyio_protocol_uniswap_v3 import abi
from tallyio_protocol_uniswap_v3.dialects import NAMES, Dialect, FeeFrom, Key
from tallyio_protocol_uniswap_v3.venues import DEPLOYMENTS, Settings, VenueSettings, dialect, dialect_name

_Named = tuple[Address, Address, int]
"""What identifies a pool at its factory: token0, token1 and the key: fee, tick spacing or 0."""


async def discover_venue(
    chain: ChainReader, venue: VenueSettings, settings: Settings, tokens: Sequence[Address], *, block: Head
) -> list[PoolSpec]:
    """Return the pools of a venue that exist at `block`: between `tokens`, or all where there are none.

    Raises: ChainError: a contract does not answer as the dialect's do. ConfigError: no factory is known.
    """
    factory, speaks = DEPLOYMENTS.factory_on(venue, chain.chain_id), dialect(venue)
    if tokens:
        pairs = itertools.combinations(tokens, 2)
        names = [(low, high, key) for low, high in pairs for key in _keys(speaks, settings)]
    else:
        names = await _created(chain, factory, speaks, (venue.from_block, block.number))
    found = await _existing(chain, factory, speaks, names, block)
    pools = [pool for pool, _ in found]
    spacings = [signed(answer, 0) for answer in await _ask(chain, pools, abi.TICK_SPACING, 1, block)]
    fees = await pool_fees(chain, pools, [speaks] * len(found), [key for _, (_, _, key) in found], block)
    module = await _fee_module(chain, factory, block) if speaks.fee_from is FeeFrom.POOL else None
    return [_spec(venue, module, *facts) for facts in zip(found, spacings, fees, strict=True)]


async def pool_fees(
    chain: ChainReader, pools: Sequence[Address], speak: Sequence[Dialect], keys: Sequence[int], block: Head
) -> list[int]:
    """Return what a swap in each pool costs at `block`, in pips. Raises: ChainError."""
    words = {FeeFrom.POOL: 0, FeeFrom.STATE: 2}
    asked = [
        (pool, abi.FEE if each.fee_from is FeeFrom.POOL else each.state, words[each.fee_from])
        for pool, each in zip(pools, speak, strict=True)
        if each.fee_from in words
    ]
    calls = [Call(to=pool, data=data) for pool, data, _ in asked]
    answers = await chain.call(calls, block=block.hash) if calls else []
    said = iter(
        unsigned(abi.checked(answer, at + 1, pool), at)
        for answer, (pool, _, at) in zip(answers, asked, strict=True)
    )
    return [next(said) if each.fee_from in words else key for each, key in zip(speak, keys, strict=True)]


def _keys(speaks: Dialect, settings: Settings) -> tuple[int, ...]:
    if speaks.key is Key.FEE:
        return settings.fee_tiers
    return settings.tick_spacings if speaks.key is Key.TICK_SPACING else (0,)


async def _created(
    chain: ChainReader, factory: Address, speaks: Dialect, blocks: tuple[int, int]
) -> list[_Named]:
    query = LogFilter(
        from_block=blocks[0], to_block=blocks[1], addresses=(factory,), topics=((speaks.created,),)
    )
    return [
        (
            address_at(log.topics[1], 0),
            address_at(log.topics[2], 0),
            0 if speaks.key is Key.NOTHING else unsigned(log.topics[3], 0),
        )
        for log in await chain.logs(query)
    ]


async def _existing(
    chain: ChainReader, factory: Address, speaks: Dialect, names: Sequence[_Named], block: Head
) -> list[tuple[Address, _Named]]:
    keys = [b"" if speaks.key is Key.NOTHING else word(key) for _, _, key in names]
    calls = [
        Call(to=factory, data=speaks.find + address_word(low) + address_word(high) + key)
        for (low, high, _), key in zip(names, keys, strict=True)
    ]
    answers = await chain.call(calls, block=block.hash) if calls else []
    pools = [address_at(abi.checked(answer, 1, factory), 0) for answer in answers]
    return [(pool, name) for pool, name in zip(pools, names, strict=True) if pool != ZERO_ADDRESS]


async def _ask(
    chain: ChainReader, contracts: Sequence[Address], data: bytes, words: int, block: Head
) -> list[bytes]:
    calls = [Call(to=contract, data=data) for contract in contracts]
    answers = await chain.call(calls, block=block.hash) if calls else []
    return [abi.checked(answer, words, contract) for answer, contract in zip(answers, contracts, strict=True)]


async def _fee_module(chain: ChainReader, factory: Address, block: Head) -> Address:
    (answer,) = await _ask(chain, [factory], abi.SWAP_FEE_MODULE, 1, block)
    return address_at(answer, 0)


def _spec(
    venue: VenueSettings,
    fee_module: Address | None,
    found: tuple[Address, _Named],
    tick_spacing: int,
    fee_pips: int,
) -> PoolSpec:
    address, (token0, token1, _) = found
    sources = (LogSource(address), LogSource(fee_module, address_word(address))) if fee_module else ()
    return PoolSpec(
        address=address,
        tokens=(token0, token1),
        venue=venue.name,
        fee_pips=fee_pips,
        can_flash=True,
        log_sources=sources,
        parameters=(
            ("dialect", NAMES.index(dialect_name(venue))),
            ("fee_pips", fee_pips),
            ("gas", venue.gas),
            ("gas_per_tick", venue.gas_per_tick),
            ("gas_per_word", venue.gas_per_word),
            ("tick_spacing", tick_spacing),
        ),
    )
