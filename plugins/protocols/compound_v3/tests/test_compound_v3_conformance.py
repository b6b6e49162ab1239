"""The conformance cards, on a Comet of the tests' own Solidity; see the plugin's README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tallyio.lab.artifact import Contract
from tallyio.lending.abi import HEALTHY, LIQUIDATABLE
from tallyio.model.erc20 import transfer
from tallyio.model.execution import Call
from tallyio.model.lending import BookSpec, PositionKey
from tallyio.model.units import checksum
from tallyio.testing import Judged, LendingCards, RevmChain
from tests.comet_desk import comet_artifact
from tests.comet_world import ASSETS, FEED_UNIT, PRICES, SCALES, TARGET, USDC, CometWorld

LOANS = {"WETH": (12_000, 9_400), "WBTC": (40_000, 31_900), "LINK": (6_000, 3_100)}
"""Collateral of each trader, in dollars, and what is borrowed on it."""


class TestConformance(LendingCards):
    """Accounts with one asset and with two, and a store front."""

    plugin = "compound_v3"

    def chain(self) -> RevmChain:
        """Build the world."""
        self.once("comet", CometWorld)
        return self._comet.chain

    def settings(self, chain: RevmChain) -> Mapping[str, Any]:
        """Let every trader borrow, some on two assets."""
        world = self._comet
        for k, trader in enumerate(chain.world.traders):
            for symbol in {ASSETS[k % 3], ASSETS[k % 2]}:
                dollars, debt = LOANS[symbol]
                amount = dollars * SCALES[symbol] // PRICES[symbol]
                world.open(trader, symbol, amount, debt * USDC - k)
        return {"venues": [{"name": "c", "factory": checksum(world.comet.address)}]}

    def changes(self, chain: RevmChain, books: Sequence[BookSpec]) -> list[list[Call]]:
        """Let prices fall, somebody absorb, sales be paused, and the reserves be filled."""
        world, comet = self._comet, self._comet.comet
        falls = [
            [
                world.feeds[symbol].aggregator.call("post", PRICES[symbol] * FEED_UNIT * percent // 100)
                for symbol in ASSETS
            ]
            for percent in (88, 70)
        ]
        weak = chain.world.traders[0]
        return [
            *falls,
            [comet.call("absorb", weak, [weak])],
            [comet.call("pause", False, False, False, False, True)],
            [
                comet.call("pause", False, False, False, False, False),
                transfer(world.token("USDC"), comet.address, 2 * TARGET),
            ],
        ]

    def judged(self, chain: RevmChain, book: BookSpec, key: PositionKey) -> Judged:
        """Ask the Comet once interest has accrued: of an account, and whether there is something to sell."""
        comet = Contract(comet_artifact(), book.address)
        chain.backend.append(comet.call("accrueAccount", key.account))
        if key.account == book.address:
            weak = self._is_selling(chain, comet)
        else:
            (weak,) = chain.backend.read(comet, "isLiquidatable", key.account)
        return Judged(status=LIQUIDATABLE if weak else HEALTHY)

    def _is_selling(self, chain: RevmChain, comet: Contract) -> bool:
        read = chain.backend.read
        (reserves,), (target,) = read(comet, "getReserves"), read(comet, "targetReserves")
        tokens = [self._comet.token(symbol) for symbol in ASSETS]
        return bool(
            reserves < target and any(read(comet, "getCollateralReserves", each)[0] for each in tokens)
        )

    @property
    def _comet(self) -> CometWorld:
        return self.once("comet", CometWorld)
