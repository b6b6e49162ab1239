"""The cards of a compiled strategy.

Layer: testing.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import ClassVar, Final

from tallyio.hooks.contract import Kind
from tallyio.hooks.interfaces import Strategy, StrategyIndex
from tallyio.market.abi import FOUND, MAX_LEGS
from tallyio.model.errors import PluginError
from tallyio.native.inspection import allocations
from tallyio.testing.cards import Cards, card
from tallyio.testing.market_worlds import (
    GAS_PRICE_WEI,
    KIT,
    TOKENS,
    UNTOUCHED,
    Found,
    MarketWorld,
    Protocol,
    Reserves,
    agreeing,
    records,
    with_gap,
)

_CAPACITY: Final = 16
_DEAR_GAS_WEI: Final = 1e24
_NET_ERROR: Final = 1e-6


class StrategyCards(Cards):
    """The cards of a plugin that builds a `Strategy`, on small markets that the kit makes.

    The markets' pools are constant-product pairs of the kit's own, fused with the strategy as real
    protocols are. In a quiet market nothing pays; in a planted one a single pool is off by some percent.
    All amounts are checked with the pools' own exact quotes.
    """

    kind: ClassVar[Kind] = "strategy"
    worlds: ClassVar[int] = 8
    """How many random markets of each sort are tried."""

    def settings(self) -> Mapping[str, object]:
        """Return the strategy's settings table for a market of `tallyio.testing.market_worlds.TOKENS`.

        The first token is the native one. By default empty.
        """
        return {}

    def pairs(self) -> Protocol:
        """Return the compiled pairs of the markets; by default the kit's."""
        return KIT

    def quiet(self, draw: random.Random) -> Sequence[Reserves]:
        """Return reserves, by pool of `PAIRS`, with which nothing pays; by default all pools agree."""
        return agreeing(draw)

    def planted(self, draw: random.Random) -> Sequence[Reserves]:
        """Return reserves in which this strategy must find a gain; by default one pool is off."""
        return with_gap(draw)

    # --- what the cards stand on ---------------------------------------------------------------

    @property
    def strategy(self) -> Strategy:
        """The plugin's object, built once for all cards."""
        return self.once("strategy", lambda: self.host.strategy(self.plugin, self.settings()))

    @property
    def world(self) -> MarketWorld:
        """The market, fused once for all cards."""
        return self.once("world", lambda: MarketWorld(self.strategy, self.plugin, self.pairs()))

    @classmethod
    def teardown_class(cls) -> None:
        """Give the market's memory back."""
        world = cls._shared.get("world")
        if isinstance(world, MarketWorld):
            world.close()
        super().teardown_class()

    # --- the cards -----------------------------------------------------------------------------

    @card()
    def test_s01_detect_has_its_signature(self) -> None:
        """The compiled module defines `detect` with `hot` and exactly the signature of the ABI."""
        try:
            self.require(self.world.fused.strategies, "nothing was fused", fix="see `fuse`")
        except PluginError as error:
            self.fail(f"plugin {self.plugin!r} {error.fault}", fix=error.way_out)

    @card()
    def test_s02_detect_allocates_nothing(self) -> None:
        """`detect` takes no memory and holds no Python object: it runs in a lane, without the GIL."""
        for taken_by in allocations(self.world.fused.function("detect")):
            self.fail(f"it takes memory by {taken_by}", fix="prepare all memory in `index`")

    @card()
    def test_s03_a_quiet_market_has_nothing_to_take(self) -> None:
        """In a market whose pools agree about every price nothing is proposed."""
        for seed in range(self.worlds):
            found = self._find(self.quiet(random.Random(seed)))
            self.require(not found, f"market {seed} gave {found[:1]}", fix="count the fees, and the gas")

    @card()
    def test_s04_a_planted_gain_is_found(self) -> None:
        """In a market with a pool that is off, a proposal that gains is found."""
        for seed in range(self.worlds):
            found = self._find(self.planted(random.Random(seed)))
            self.require(
                any(each.net > 0 for each in found),
                f"in market {seed} it found {found}",
                fix="look at every cycle through a dirty pool, in both directions",
            )

    @card()
    def test_s05_every_proposal_gains_exactly_what_it_says(self) -> None:
        """Each amount is the pool's exact quote of the one before, and the last is more than the first."""
        for seed in range(self.worlds):
            for each in self._find(self.planted(random.Random(seed))):
                self._check_path(each)
                gained = each.amounts[-1] - each.amounts[0]
                worth = gained * self._native_per_unit(each.token)
                net = worth - each.gas * GAS_PRICE_WEI
                self.require(
                    gained > 0 and abs(net - each.net) <= _NET_ERROR * worth,
                    f"market {seed}: {each} gains {gained}, after gas {net}",
                    fix="size with `quote`, and write `net` as gain times price less gas times its price",
                )

    @card()
    def test_s06_the_best_comes_first(self) -> None:
        """Proposals are in the order of their net profit, best first."""
        for seed in range(self.worlds):
            nets = [each.net for each in self._find(self.planted(random.Random(seed)))]
            self.require(
                nets == sorted(nets, reverse=True), f"the nets are {nets}", fix="sort what is written"
            )

    @card()
    def test_s07_no_more_is_written_than_there_is_room(self) -> None:
        """With room for one proposal the best one is written, and nothing behind it."""
        for seed in range(self.worlds):
            every, one = (self._detect(self.planted(random.Random(seed)), room) for room in (_CAPACITY, 1))
            self.require(
                one[FOUND.itemsize :] == UNTOUCHED and every[-FOUND.itemsize :] == UNTOUCHED,
                f"market {seed}: it wrote behind the end",
                fix="compare with `capacity` before each record",
            )
            best = [each.net for each in records(every[: FOUND.itemsize])]
            self.require(
                [each.net for each in records(one[: FOUND.itemsize])] == best,
                f"market {seed}: with room for one it wrote another than the best, {best}",
                fix="keep the best, not the first",
            )

    @card()
    def test_s08_the_same_market_gives_the_same_answer(self) -> None:
        """Two fresh indexes find the same in the same market, to the bit."""
        for seed in range(self.worlds):
            first, again = (self._detect(self.planted(random.Random(seed)), _CAPACITY) for _ in range(2))
            self.require(first == again, f"market {seed} gave two answers", fix="start from the market only")

    @card()
    def test_s09_only_dirty_pools_are_looked_at(self) -> None:
        """Where no pool changed nothing is proposed; where one did, only what leads through it."""
        reserves, index = self.planted(random.Random(1)), self._index()
        self.world.set(reserves)
        self.world.detect(index.address, _CAPACITY)
        left = self._records(self.world.detect(index.address, _CAPACITY))
        self.require(
            not left, f"nothing changed, and it found {left}", fix="walk the dirty pools of `market`"
        )
        for pool, each in enumerate(reserves):
            self.world.touch(pool, each)
            found = self._records(self.world.detect(index.address, _CAPACITY))
            stray = [one for one in found if pool not in {leg[0] for leg in one.legs}]
            self.require(not stray, f"pool {pool} changed, and it found {stray}", fix="as above")

    @card()
    def test_s10_dear_gas_leaves_nothing(self) -> None:
        """Where gas costs more than any gain nothing is proposed."""
        for seed in range(self.worlds):
            found = self._find(self.planted(random.Random(seed)), gas_price_wei=_DEAR_GAS_WEI)
            self.require(not found, f"it found {found}", fix="subtract gas times `gas_price_wei` of `market`")

    @card()
    def test_s11_looking_changes_nothing(self) -> None:
        """`detect` reads the market and writes its records; no row is another afterwards."""
        self.world.set(self.planted(random.Random(1)))
        before = self.world.rows()
        self.world.detect(self._index().address, _CAPACITY)
        self.require(self.world.rows() == before, "a row changed", fix="write to `found` and the index only")

    # --- how they are run ----------------------------------------------------------------------

    def _index(self) -> StrategyIndex:
        # Kept until the class ends: the market's lane would have it as long.
        indexes: list[StrategyIndex] = self.once("indexes", list)
        indexes.append(self.strategy.index(self.world.market.shape))
        return indexes[-1]

    def _detect(
        self, reserves: Sequence[Reserves], capacity: int, *, gas_price_wei: float = GAS_PRICE_WEI
    ) -> bytes:
        world, index = self.world, self._index()
        world.set(reserves, gas_price_wei=gas_price_wei)
        return world.detect(index.address, capacity)

    def _records(self, raw: bytes) -> list[Found]:
        return list(records(raw[: -FOUND.itemsize]))

    def _find(self, reserves: Sequence[Reserves], *, gas_price_wei: float = GAS_PRICE_WEI) -> list[Found]:
        return self._records(self._detect(reserves, _CAPACITY, gas_price_wei=gas_price_wei))

    def _native_per_unit(self, token: int) -> float:
        return float(self.world.market.prices.native_per_unit[token])

    def _check_path(self, found: Found) -> None:
        world, tokens = self.world, self.world.market.shape.pool_tokens
        path = [tokens[pool][sold] for pool, sold, _ in found.legs]
        ends = [tokens[pool][bought] for pool, _, bought in found.legs]
        self.require(
            1 < len(path) <= MAX_LEGS and path[1:] + path[:1] == ends and path[0] == found.token,
            f"{found} leads from {path} to {ends}",
            fix=f"write cycles of 2 to {MAX_LEGS} legs that begin and end with `token`",
        )
        for (pool, sold, bought), amount, wanted in zip(
            found.legs, found.amounts[:-1], found.amounts[1:], strict=True
        ):
            quoted = world.market.quote(pool, sold, bought, amount)
            self.require(
                quoted == wanted,
                f"{found}: pool {pool} pays {quoted}, it says {wanted}",
                fix="take each amount from `quote`, in order",
            )


__all__ = ["TOKENS", "StrategyCards"]
