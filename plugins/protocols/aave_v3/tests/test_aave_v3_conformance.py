"""The conformance cards, on the lab's lending world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallyio.lab.artifact import Contract
from tallyio.lab.lending.aave import AaveVersion, aave_artifacts
from tallyio.lending.abi import HEALTHY, LIQUIDATABLE
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.testing import Judged, LendingCards, RevmChain
from tests.lending_lab import falling_prices, lending_chain, lending_table

FACTOR = 10**18


class TestConformance(LendingCards):
    """Positions of many shapes."""

    plugin = "aave_v3"

    def chain(self) -> RevmChain:
        """Build the world."""
        return lending_chain()

    def settings(self, chain: RevmChain) -> dict[str, Any]:
        """Take the table of the lending demo."""
        return lending_table(chain, "aave_v3")

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> list[list[Call]]:
        """Let prices fall."""
        return falling_prices(chain)

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Ask the pool."""
        pool = Contract(aave_artifacts(AaveVersion.V3_0)["Pool"], book.address)
        _, debt, _, _, _, factor = chain.backend.read(pool, "getUserAccountData", key.account)
        return Judged(status=LIQUIDATABLE if factor < FACTOR else HEALTHY, debt=debt, factor=factor)
