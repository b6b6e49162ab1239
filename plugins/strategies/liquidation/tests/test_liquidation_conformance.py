"""The conformance cards, on made-up blocks with positions at risk."""

from __future__ import annotations

from contextlib import ExitStack

from tallyio_strategy_liquidation.bench_scene import UNIT, every_pair, open_scene, positions

from tallyio.hooks.search import Scene
from tallyio.testing import SlowStrategyCards


class TestConformance(SlowStrategyCards):
    """Positions of two collaterals and two debts."""

    plugin = "liquidation"
    scenes = 2

    def quiet(self, seed: int) -> Scene:
        """Let the pools be so small that no collateral can be sold with profit."""
        return self._scene(seed, depth=UNIT // 100, gas_price_wei=10**9)

    def planted(self, seed: int, *, gas_price_wei: int = 10**9) -> Scene:
        """Let them be deep."""
        return self._scene(seed, depth=1_000 * UNIT, gas_price_wei=gas_price_wei)

    def _scene(self, seed: int, *, depth: int, gas_price_wei: int) -> Scene:
        made = open_scene([positions(2 + seed)], every_pair(depth), gas_price_wei=gas_price_wei)
        return self.once("scenes", ExitStack).enter_context(made)

    @classmethod
    def teardown_class(cls) -> None:
        """Give the scenes' memory back."""
        scenes = cls._shared.get("scenes")
        if isinstance(scenes, ExitStack):
            scenes.close()
        super().teardown_class()
