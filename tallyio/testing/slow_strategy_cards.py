"""The cards of a strategy that runs in Python, once a block.

Layer: testing.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar, Final

from tallyio.hooks.contract import SLOW_LANE, Kind
from tallyio.hooks.search import Scene, Search
from tallyio.model.execution import Leg
from tallyio.model.proposal import Proposal
from tallyio.model.units import Address
from tallyio.testing.cards import Cards, card
from tallyio.testing.market_worlds import agreeing, with_gap
from tallyio.testing.scenes import PairScene

_GAS_PRICE_WEI: Final = 10**9
_DEAR_GAS_WEI: Final = 10**24


class SlowStrategyCards(Cards):
    """The cards of a plugin that builds a `SlowStrategy`: its contract names the capability "slow_lane"."""

    kind: ClassVar[Kind] = "strategy"
    scenes: ClassVar[int] = 4
    """How many scenes of each sort are tried."""

    def settings(self) -> Mapping[str, object]:
        """Return the strategy's settings table; by default empty."""
        return {}

    def quiet(self, seed: int) -> Scene:
        """Return a scene in which nothing pays; by default pools that agree about every price."""
        return PairScene(agreeing(random.Random(seed)))

    def planted(self, seed: int, *, gas_price_wei: int = _GAS_PRICE_WEI) -> Scene:
        """Return a scene in which the strategy must find a gain; by default one of the pools is off."""
        return PairScene(with_gap(random.Random(seed)), gas_price_wei=gas_price_wei)

    # --- the cards -----------------------------------------------------------------------------

    @card()
    def test_t01_the_contract_names_the_slow_lane(self) -> None:
        """The contract names the capability "slow_lane", so the engine asks for `tallyio_slow_strategy`."""
        self.require(
            SLOW_LANE in self.contract.capabilities,
            f"it names {list(self.contract.capabilities)}",
            fix=f"add {SLOW_LANE!r} to the capabilities in contract.toml",
        )

    @card()
    def test_t02_a_quiet_scene_has_nothing_to_take(self) -> None:
        """In a scene in which nothing pays nothing is proposed."""
        for seed in range(self.scenes):
            found = self._search(self.quiet(seed)).proposals
            self.require(not found, f"scene {seed} gave {found[:1]}", fix="count fees, loans and gas")

    @card()
    def test_t03_a_planted_gain_is_found(self) -> None:
        """In a scene with a gain a proposal that gains is found."""
        for seed in range(self.scenes):
            found = self._search(self.planted(seed)).proposals
            self.require(
                any(each.net_wei > 0 for each in found),
                f"in scene {seed} it proposed {found}",
                fix="look at every pool and position of the scene",
            )

    @card()
    def test_t04_every_proposal_gains_and_adds_up(self) -> None:
        """Each leg sells what the one before bought, as the scene pays, and more comes back than went in."""
        for seed in range(self.scenes):
            scene = self.planted(seed)
            for each in self._search(scene).proposals:
                self._check(scene, each)

    @card()
    def test_t05_the_best_comes_first(self) -> None:
        """Proposals are in the order of their net profit, best first."""
        for seed in range(self.scenes):
            nets = [each.net_wei for each in self._search(self.planted(seed)).proposals]
            self.require(nets == sorted(nets, reverse=True), f"the nets are {nets}", fix="sort the proposals")

    @card()
    def test_t06_the_same_scene_gives_the_same_answer(self) -> None:
        """A fresh strategy, and the same one again, find the same in the same scene."""
        for seed in range(self.scenes):
            strategy = self.host.slow_strategy(self.plugin, self.settings())
            answers = [strategy.search(self.planted(seed)), strategy.search(self.planted(seed))]
            answers.append(self._search(self.planted(seed)))
            self.require(
                answers[0] == answers[1] == answers[2],
                f"scene {seed} gave different answers",
                fix="decide from the scene only: no clock, no chance, no order of a set",
            )

    @card()
    def test_t07_dear_gas_leaves_nothing(self) -> None:
        """Where gas costs more than any gain nothing is proposed."""
        for seed in range(self.scenes):
            found = self._search(self.planted(seed, gas_price_wei=_DEAR_GAS_WEI)).proposals
            self.require(not found, f"it proposed {found[:1]}", fix="subtract gas times `gas_price_wei`")

    @card()
    def test_t08_what_is_left_alone_has_a_reason(self) -> None:
        """Each refusal says in words why, and names a book of the scene."""
        for seed in range(self.scenes):
            for scene in (self.quiet(seed), self.planted(seed, gas_price_wei=_DEAR_GAS_WEI)):
                for refusal in self._search(scene).refusals:
                    self.require(
                        refusal.reason.strip() and 0 <= refusal.book < len(scene.books),
                        f"it refused {refusal}",
                        fix="say the reason as a person would ask for it",
                    )

    # --- how they are run ----------------------------------------------------------------------

    def _search(self, scene: Scene) -> Search:
        return self.host.slow_strategy(self.plugin, self.settings()).search(scene)

    def _check(self, scene: Scene, proposal: Proposal) -> None:
        legs, fee = proposal.legs, proposal.loan.fee if proposal.loan else 0
        gained = proposal.amount_out - proposal.amount_in - fee
        self.require(
            legs and gained > 0 and proposal.net_wei <= gained * scene.native_per_unit(proposal.token),
            f"{proposal} gains {gained}",
            fix="propose what brings back more than input and fee, and count gas in `net_wei`",
        )
        flows = _flows(scene, proposal)
        others = {token: amount for token, amount in flows.items() if token != proposal.token}
        self.require(
            flows[proposal.token] == proposal.amount_out - proposal.amount_in
            and min(others.values(), default=0) >= 0,
            f"{proposal} gains {flows[proposal.token]}, and of other tokens {others} is left",
            fix="let legs sell no more than legs bought, and say what comes back in all",
        )
        for leg in legs:
            if isinstance(scene, PairScene) and isinstance(leg, Leg):
                paid = scene.pays(leg)
                self.require(
                    paid == leg.amount_out,
                    f"pool {leg.pool} pays {paid} for {leg.amount_in}, the leg says {leg.amount_out}",
                    fix="take amounts from `best_sale`",
                )


def _flows(scene: Scene, proposal: Proposal) -> Counter[Address | None]:
    """Return what the legs leave of each token: bought less sold."""
    left = Counter[Address | None]({proposal.token: 0})
    for leg in proposal.legs:
        if isinstance(leg, Leg):
            tokens = scene.pools[leg.pool].tokens
            sold, bought = tokens[leg.token_in], tokens[leg.token_out]
            left.update({sold: -leg.amount_in})
            left.update({bought: leg.amount_out})
        else:
            reserves = scene.books[leg.book].spec.reserves
            left.update({reserves[leg.debt].debt: -leg.amount_in})
            left.update({reserves[leg.collateral].collateral: leg.amount_out})
    return left
