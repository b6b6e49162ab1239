"""The conformance cards, on the lab's lending world."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tallyio.lending.abi import HEALTHY, LIQUIDATABLE
from tallyio.model.execution import Call
from tallyio.model.hashing import selector
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.model.units import Address
from tallyio.model.words import address_word
from tallyio.testing import Judged, LendingCards, RevmChain
from tests.lending_lab import falling_prices, lending_chain, lending_table

LIQUIDITY = selector("getAccountLiquidity(address)")
MARKETS = selector("getAllMarkets()")
ACCRUE = selector("accrueInterest()")
WORD = 32


class TestConformance(LendingCards):
    """Positions of many shapes."""

    plugin = "venus"

    def chain(self) -> RevmChain:
        """Build the world."""
        return lending_chain()

    def settings(self, chain: RevmChain) -> dict[str, Any]:
        """Take the table of the lending demo."""
        return lending_table(chain, "venus")

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> list[list[Call]]:
        """Let prices fall."""
        return falling_prices(chain)

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Ask the comptroller, once interest has accrued everywhere."""
        listed = chain.backend.call(Call(to=book.address, data=MARKETS))[2 * WORD :]
        for at in range(0, len(listed), WORD):
            market = Address(listed[at : at + WORD][-20:])
            chain.backend.append(Call(to=market, data=ACCRUE))
        said = chain.backend.call(Call(to=book.address, data=LIQUIDITY + address_word(key.account)))
        error, above, below = (int.from_bytes(said[at : at + WORD]) for at in range(0, 3 * WORD, WORD))
        assert error == 0
        return Judged(status=LIQUIDATABLE if below else HEALTHY, surplus=above - below)
