"""The conformance cards, on made-up blocks with positions at risk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from tallyio_strategy_liquidation.bench_scene import UNIT, every_pair, open_scene, positions

from tallyio.hooks.search import Scene
from tallyio.testing import SlowStrategyCards


class TestConformance(SlowStrategyCards):
    """Positions of two collaterals and two debts."""

    plugin = "liquidation"
    _open: ExitStack

    @pytest.fixture(autouse=True)
    def _opened(self) -> Iterator[None]:
        with ExitStack() as stack:
            self._open = stack
            yield

    def quiet(self, seed: int) -> Scene:
        """Let the pools be so small that no collateral can be sold with profit."""
        return self._scene(seed, UNIT // 100, 10**9)

    def planted(self, seed: int, *, gas_price_wei: int = 10**9) -> Scene:
        """Let them be deep."""
        return self._scene(seed, 1_000 * UNIT, gas_price_wei)

    def _scene(self, seed: int, depth: int, gas_price_wei: int) -> Scene:
        made_up = open_scene([positions(2 + seed)], every_pair(depth), gas_price_wei=gas_price_wei)
        return self._open.enter_context(made_up)
