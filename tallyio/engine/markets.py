"""Load a market: ask each protocol for its pools and rows, and fuse what they compile.

Layer: engine. A run does this at its start; research does it by itself:

    host = PluginHost(Catalog.scan())
    protocols = [("uniswap_v2", host.protocol("uniswap_v2", settings))]
    market, adapters = await load_market(chain, protocols, head=await chain.head(), native=weth)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import trio

from tallyio.hooks.interfaces import ChainReader, ExchangeProtocol
from tallyio.market.exports import Plugin, Progress
from tallyio.market.fusion import fuse
from tallyio.market.market import Head as MarketHead
from tallyio.market.market import Market
from tallyio.market.shape import Holding
from tallyio.model.chain import Head
from tallyio.model.units import Address

Tell = Callable[[str], None]
Protocols = Sequence[tuple[str, ExchangeProtocol]]
"""Each protocol's name, for messages, and its adapter."""


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

    `native` is the wrapped native token, which everything is priced in. The caller closes the market.
    Raises: ChainError, ConfigError, PluginError.
    """
    holdings: list[Holding] = []
    adapters: list[ExchangeProtocol] = []
    for name, adapter in protocols:
        pools = await adapter.discover(chain, block=head)
        rows = await adapter.load(chain, pools, block=head)
        tell(f"{name}: {len(pools)} pool{'' if len(pools) == 1 else 's'}")
        adapters += [adapter] * len(pools)
        holdings.append(
            Holding(
                protocol=name,
                compiled=adapter.compiled,
                topics=adapter.topics,
                pools=tuple(pools),
                rows=tuple(rows),
            )
        )
    compiled = [(name, adapter.compiled) for name, adapter in protocols]
    tell("fusing the plugins into one loop (compiled once, then cached)")
    fused = await trio.to_thread.run_sync(partial(fuse, compiled, strategies, progress=progress))
    return Market(fused, holdings, MarketHead(number=head.number, hash=head.hash), native=native), adapters
