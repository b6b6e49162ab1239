"""Who is near liquidation: the positions of a configuration's books, read once.

Layer: engine. Nothing is signed or sent; no account and no executor is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import trio

from tallyio.engine.books import Books
from tallyio.engine.built import build
from tallyio.engine.config import Config
from tallyio.engine.markets import load_market
from tallyio.engine.slow_lane import BLOCK_SECONDS, Seen
from tallyio.engine.slow_start import open_slow_lane
from tallyio.hooks.host import PluginHost
from tallyio.lending.abi import LIQUIDATABLE
from tallyio.lending.book import Book
from tallyio.market.exports import Progress
from tallyio.model.chain import Head
from tallyio.model.errors import ConfigError
from tallyio.model.execution import Liquidation
from tallyio.model.lending import PositionKey
from tallyio.model.units import checksum

_WAD = 10**18


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """One position near liquidation, or beyond."""

    venue: str
    account: str
    part: int
    health: float
    """Collateral that counts over debt, as the contract computes it; below 1 it can be liquidated."""
    liquidatable: bool
    asset: str
    """Its largest collateral."""
    dies_at: float | None
    """At which factor on that asset's present price it can be liquidated; None: at none."""
    profit: str | None
    """Estimated profit after gas if it were liquidated now, in wei of the native currency."""
    reason: str | None
    """Why nothing would be gained, if that was looked at."""
    auction: str | None = None
    """How updates of one of its prices are sold: who only watches comes second; None: they are not."""


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What the books hold as of one block."""

    chain: int
    block: int
    positions: int
    near: tuple[Near, ...]
    """The most endangered first."""


async def survey(
    config: Config, host: PluginHost, *, count: int, at_risk: bool, progress: Progress | None = None
) -> Survey:
    """Read the books of `config` and return its `count` most endangered positions.

    With `at_risk` only those that can be liquidated now. Raises: ConfigError: no lending protocol is
    configured; and what a start raises.
    """
    built = build(config, host, live=False)
    if not built.lending:
        raise ConfigError(
            f"{config.source}: no protocol of lending is configured",
            way_out="add one, such as [protocols.NAME] with a plugin whose capabilities name lending",
        )
    async with built.chain.open() as chain:
        head = await chain.head()
        market, adapters = await load_market(
            chain,
            [(instance.name, adapter) for instance, adapter in built.protocols],
            head=head,
            native=config.native_token,
            strategies=[(instance.name, strategy.compiled) for instance, strategy in built.strategies],
            progress=progress,
        )
        with market:
            market.refresh_prices()
            slow = await open_slow_lane(
                chain,
                head,
                market,
                adapters,
                built,
                max_gas=config.usable_gas,
                auctioned=config.auctioned,
                tell=lambda _: None,
                progress=progress,
            )
            assert slow is not None  # noqa: S101 - something lends, see above
            books, fees = slow.books, chain.fees(head)
            seen = slow.search(head, fees.base_fee_wei + fees.priority_fee_wei)
            try:
                near = await trio.to_thread.run_sync(lambda: list(_near(books, head, seen, count)))
            finally:
                books.close()
    near = [each for each in near if each.liquidatable or not at_risk]
    near.sort(key=lambda each: each.health)
    total = sum(len(held.book) for held in books)
    return Survey(chain=chain.chain_id, block=head.number, positions=total, near=tuple(near[:count]))


def _near(books: Books, head: Head, seen: Seen, count: int) -> Iterator[Near]:
    time, number = head.timestamp + BLOCK_SECONDS, head.number + 1
    profits: dict[tuple[int, PositionKey], float] = {}
    for proposal in seen.proposals:
        for leg in proposal.legs:
            if isinstance(leg, Liquidation):
                profits[leg.book, leg.key] = proposal.net_wei
    reasons = {(each.refusal.book, each.refusal.key): each.refusal.reason for each in seen.refused}
    for place, held in enumerate(books):
        book = held.book
        deaths: dict[int, dict[PositionKey, float]] = {}
        for key in book.riskiest(count, time, number):
            health = book.health(key, time, number)
            asset = _largest(book, key)
            if asset not in deaths:
                deaths[asset] = {each.key: each.factor for each in book.deaths(asset, time, number)}
            profit = profits.get((place, key))
            yield Near(
                venue=book.spec.venue,
                account=checksum(key.account),
                part=key.part,
                health=health.factor / _WAD,
                liquidatable=health.status == LIQUIDATABLE,
                asset=book.spec.reserves[asset].symbol,
                dies_at=deaths[asset].get(key),
                profit=None if profit is None else str(round(profit)),
                reason=reasons.get((place, key)),
                auction=_auction(book, key),
            )


def _auction(book: Book, key: PositionKey) -> str | None:
    position = book.position(key)
    return (position.auction(book.spec) or None) if position else None


def _largest(book: Book, key: PositionKey) -> int:
    """Return the reserve that adds most to a position's margin."""
    return max(book.nets(key), key=lambda each: each[1])[0]
