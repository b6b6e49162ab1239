"""Load the books of a configuration, and ask who lends for the length of a call.

Layer: engine.
"""

from __future__ import annotations

from collections.abc import Sequence

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


async def open_slow_lane(  # noqa: PLR0913 - what it stands on
    chain: ChainReader,
    head: Head,
    market: Market,
    adapters: Sequence[ExchangeProtocol],
    built: Built,
    *,
    tell: Tell,
    progress: Progress | None,
    purse: Purse | None = None,
) -> SlowLane | None:
    """Return the slow lane as of `head`, or None: neither lending nor a slow strategy is configured.

    `adapters` are those of the market's pools, `purse` is what the executor's owner may lend. The caller
    closes its books. Raises: ChainError, ConfigError, PluginError.
    """
    if not built.lending and not built.slow:
        return None
    protocols = [(instance.name, adapter) for instance, adapter in built.lending]
    books = await load_books(chain, protocols, head=head, progress=progress)
    for held in books:
        tell(f"{held.name}: {len(held.book.spec.reserves)} reserves, {len(held.book)} positions")
    # Each plugin once, however many pools it has.
    plugins: dict[int, object] = {id(each): each for each in (*adapters, *(each for _, each in protocols))}
    lenders = [each for each in plugins.values() if isinstance(each, FlashLender)]
    loans = Loans(chain, lenders, sorted(books.debts), purse)
    await loans.ask(head)
    return SlowLane(market, books, loans, [(instance.name, strategy) for instance, strategy in built.slow])
