"""Load the books of a configuration, and ask who lends for the length of a call.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import trio

from tallyio.engine.books import Loans, load_books
from tallyio.engine.built import Built
from tallyio.engine.markets import Tell
from tallyio.engine.purse import Purse
from tallyio.engine.slow_lane import SlowLane
from tallyio.hooks.interfaces import ChainReader, ExchangeProtocol
from tallyio.hooks.lending import FlashLender
from tallyio.market.exports import Progress
from tallyio.market.market import Market
from tallyio.model.chain import Head
from tallyio.model.units import Address


async def open_slow_lane(  # noqa: PLR0913 - what it stands on
    chain: ChainReader,
    head: Head,
    market: Market,
    adapters: Sequence[ExchangeProtocol],
    built: Built,
    *,
    max_gas: Mapping[str, int],
    auctioned: Mapping[Address, str],
    tell: Tell,
    progress: Progress | None,
    purse: Purse | None = None,
) -> SlowLane | None:
    """Return the slow lane as of `head`, or None: neither lending nor a slow strategy is configured.

    `adapters` are those of the market's pools, `purse` is what the executor's owner may lend, `max_gas` is by
    strategy the most that a transaction may use, `auctioned` by feed how its updates are sold. The caller
    closes its books. Raises: ChainError, ConfigError, PluginError.
    """
    if not built.lending and not built.slow:
        return None
    protocols = [(instance.name, adapter) for instance, adapter in built.lending]
    books = await load_books(chain, protocols, head=head, auctioned=auctioned, progress=progress)
    for held in books:
        tell(f"{held.name}: {len(held.book.spec.reserves)} reserves, {len(held.book)} positions")
        sold = sorted({each.auction for each in held.book.spec.reserves if each.auction})
        if sold:
            tell(f"{held.name}: updates of some prices are sold at auction ({', '.join(sold)})")
    # Each plugin once, however many pools it has.
    plugins: dict[int, object] = {id(each): each for each in (*adapters, *(each for _, each in protocols))}
    lenders = [each for each in plugins.values() if isinstance(each, FlashLender)]
    loans = Loans(chain, lenders, sorted(books.debts), purse)
    await loans.ask(head)
    strategies = [(instance.name, strategy) for instance, strategy in built.slow]
    lane = SlowLane(market, books, loans, strategies, max_gas=max_gas)
    await trio.to_thread.run_sync(partial(lane.warm, progress))
    return lane
