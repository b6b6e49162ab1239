"""Load a market: ask each protocol for its pools and rows, and fuse what they compile.

Layer: engine. A run does this at its start; research does it by itself:

    host = PluginHost(Catalog.scan())
    protocols = [("uniswap_v2", host.protocol("uniswap_v2", settings))]
    market, adapters = await load_market(chain, protocols, head=await chain.head(), native=weth)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import trio

from tallyio.hooks.interfaces import ChainReader, ExchangeProtocol
from tallyio.market.exports import Plugin, Progress
from tallyio.market.fusion import fuse
from tallyio.market.market import Head as MarketHead
from tallyio.market.market import Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Head
from tallyio.model.errors import PluginError
from tallyio.model.market import PoolSpec
from tallyio.model.units import HASH_BYTES, Address, hex_text
from tallyio.native.cache import cache_note

Tell = Callable[[str], None]
Protocols = Sequence[tuple[str, ExchangeProtocol]]
"""Each protocol's name, for messages, and its adapter."""

_TOPICS: Final = "its `topics` are each event's topic 0, 32 bytes, no two the same"
_POOLS: Final = "its `discover` returns a list of PoolSpec"
_ROWS: Final = "its `load` returns a list of bytes, the row of each pool in order"


def _say_nothing(_: str) -> None:
    """Ignore a message."""


async def load_market(  # noqa: PLR0913 - what a market is loaded from
    chain: ChainReader,
    protocols: Protocols,
    *,
    head: Head,
    native: Address | None = None,
    strategies: Sequence[Plugin] = (),
    tell: Tell = _say_nothing,
    progress: Progress | None = None,
) -> tuple[Market, list[ExchangeProtocol]]:
    """Return the market of all pools of `protocols` as of `head`, and the adapter of each pool.

    `native` is the wrapped native token, which everything is priced in; without it there are no prices.
    The caller closes the market. Raises: ChainError, ConfigError. PluginError: what an adapter returned
    is not what `ExchangeProtocol` says, or its compiled functions are not.
    """
    holdings: list[Holding] = []
    adapters: list[ExchangeProtocol] = []
    for name, adapter in protocols:
        held = await _held(name, adapter, chain, head)
        count = len(held.pools)
        tell(f"{name}: {count} pool{'' if count == 1 else 's'}")
        adapters += [adapter] * count
        holdings.append(held)
    compiled = [(name, adapter.compiled) for name, adapter in protocols]
    tell("fusing the plugins into one loop (compiled once, then cached)")
    fused = await trio.to_thread.run_sync(partial(fuse, compiled, strategies, progress=progress))
    if note := cache_note():
        tell(note)
    return Market(fused, holdings, MarketHead(number=head.number, hash=head.hash), native=native), adapters


async def _held(name: str, adapter: ExchangeProtocol, chain: ChainReader, head: Head) -> Holding:
    topics = _listed(name, adapter.topics, bytes, _TOPICS)
    if len(set(topics)) < len(topics) or any(len(topic) != HASH_BYTES for topic in topics):
        raise PluginError(name, f"returned the topics {', '.join(map(hex_text, topics))}", way_out=_TOPICS)
    pools = _listed(name, await adapter.discover(chain, block=head), PoolSpec, _POOLS)
    rows = _listed(name, await adapter.load(chain, pools, block=head), bytes, _ROWS)
    if len(rows) != len(pools):
        raise PluginError(name, f"returned {len(rows)} rows of {len(pools)} pools", way_out=_ROWS)
    return Holding(protocol=name, compiled=adapter.compiled, topics=topics, pools=pools, rows=rows)


def _listed[T](name: str, returned: object, kind: type[T], rule: str) -> tuple[T, ...]:
    """Return what a plugin returned, if that is a list of `kind`; a plugin's types are its own affair."""
    if not isinstance(returned, list | tuple):
        raise PluginError(name, f"returned {type(returned).__name__}", way_out=rule)
    for each in returned:
        if not isinstance(each, kind):
            raise PluginError(name, f"returned a list with {type(each).__name__} in it", way_out=rule)
    return tuple(returned)
