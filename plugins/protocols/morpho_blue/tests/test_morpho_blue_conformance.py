"""The conformance cards, on the lab's lending world."""

from __future__ import annotations

from tallyio.testing import LendingCards, RevmChain
from tests.lending_lab import lending_chain, lending_table


class TestConformance(LendingCards):
    """Positions of many shapes."""

    plugin = "morpho_blue"

    def chain(self) -> RevmChain:
        """Build the world."""
        return lending_chain()

    def settings(self, chain: RevmChain) -> dict[str, object]:
        """Take the table of the lending demo."""
        return lending_table(chain, "morpho_blue")
