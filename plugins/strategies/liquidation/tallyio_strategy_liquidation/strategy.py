"""Choose what to repay and what to take for it, of every position that can be liquidated.

The search is compiled (`hot`) and asked once a block, over the market's and the books' own memory. Here is
said who is at risk, and read what was found: for each transaction a proposal, for everybody else the reason
why not. Everything in a proposal is exact on the state of the block but gas and the native value of the
profit, which rank it.
"""

from __future__ import annotations

from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.hooks.search import Scene, Search
from tallyio_strategy_liquidation.auctions import has_auctions, weighed
from tallyio_strategy_liquidation.hot import search
from tallyio_strategy_liquidation.reading import Found
from tallyio_strategy_liquidation.settings import read_settings
from tallyio_strategy_liquidation.tables import PRICING, AtRisk, Tables


class Liquidations:
    """See `tallyio.hooks.search.SlowStrategy`."""

    compiled = (PRICING, "tallyio_strategy_liquidation.hot")

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[strategies.liquidation]` table. Raises: ConfigError."""
        self._settings = read_settings(settings)
        self._tables = Tables(self._settings)

    def search(self, scene: Scene) -> Search:
        """Return proposals, and a refusal for every other position that can be liquidated."""
        positions = [
            AtRisk(number, key, book.address_of(key))
            for number, book in enumerate(scene.books)
            for key in book.at_risk(scene.time, scene.number)
        ]
        if not positions:
            return Search()
        offers = self._tables.fill(scene, positions)
        search(self._tables.address, offers.ctypes.data, len(positions))
        found = Found(scene, positions, offers, least_wei=self._settings.min_profit_wei)
        top_k, refusals = self._settings.top_k, tuple(found.refusals())
        if not has_auctions(scene):
            return Search(proposals=tuple(found.proposals(most=top_k)), refusals=refusals)
        kept, held = weighed(scene, found.proposals(), self._settings.auctioned_share)
        return Search(proposals=tuple(kept[:top_k]), refusals=(*refusals, *held))
