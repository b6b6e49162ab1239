"""The conformance cards, on the lab's lending world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallyio.lab.artifact import Contract
from tallyio.lab.lending.morpho import morpho_artifacts
from tallyio.lab.steps import Reverted
from tallyio.lending.abi import HEALTHY, LIQUIDATABLE
from tallyio.model.erc20 import approve
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.testing import Judged, LendingCards, RevmChain
from tests.lending_lab import falling_prices, lending_chain, lending_table

SOUND = b"position is healthy".hex()


class TestConformance(LendingCards):
    """Positions of many shapes."""

    plugin = "morpho_blue"

    def chain(self) -> RevmChain:
        """Build the world."""
        return lending_chain()

    def settings(self, chain: RevmChain) -> dict[str, Any]:
        """Take the table of the lending demo."""
        return lending_table(chain, "morpho_blue")

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> list[list[Call]]:
        """Let prices fall."""
        return falling_prices(chain)

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Ask Morpho to let one unit be seized: it has no view of health."""
        morpho, reserve = Contract(morpho_artifacts()["Morpho"], book.address), book.reserves[key.part]
        assert reserve.debt is not None
        chain.backend.append(approve(reserve.debt, book.address, 2**255))
        market_id = dict(reserve.parameters)["id"].to_bytes(32)
        market = chain.backend.read(morpho, "idToMarketParams", market_id)
        try:
            chain.backend.append(morpho.call("liquidate", market, key.account, 1, 0, b""))
        except Reverted as error:
            if SOUND not in str(error):
                raise
            return Judged(status=HEALTHY)
        return Judged(status=LIQUIDATABLE)
