"""The conformance cards, on made-up blocks with positions at risk."""

from __future__ import annotations

from tallyio_strategy_liquidation.bench_scene import UNIT, MadeUpBook, MadeUpScene, positions

from tallyio.hooks.search import Scene
from tallyio.testing import SlowStrategyCards


class TestConformance(SlowStrategyCards):
    """Positions of two collaterals and two debts."""

    plugin = "liquidation"

    def quiet(self, seed: int) -> Scene:
        """Let the pools be so small that no collateral can be sold with profit."""
        return MadeUpScene(MadeUpBook(positions(2 + seed), reserves=4), depth=UNIT // 100)

    def planted(self, seed: int, *, gas_price_wei: int = 10**9) -> Scene:
        """Let them be deep."""
        scene = MadeUpScene(MadeUpBook(positions(2 + seed), reserves=4), depth=1_000 * UNIT)
        scene.gas_price_wei = gas_price_wei
        return scene
