"""Sized cycles over real V2 and V3 pools against every input and output around them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest
from tallyio_strategy_arbitrage.reference import NEAR as NEAR_ALWAYS

from tallyio.market.fusion import Fused
from tests.detection import paths
from tests.detection.paths import V2, V3, Cycle

PATHS: Final = int(os.environ.get("TALLYIO_PATHS", "60"))
"""Random paths of each shape; 1,000 take some minutes."""
WINDOW: Final = 64
NEAR: Final = NEAR_ALWAYS - 2
"""A finer amount that moves by so much moves the coarsest one by no more than that, and its rounding."""
SEED: Final = 2024
SHAPES: Final = {
    "V2-V2": (V2, V2),
    "V2-V3": (V2, V3),
    "V3-V2": (V3, V2),
    "V3-V3": (V3, V3),
    "V2-V2-V2": (V2, V2, V2),
    "V2-V3-V2": (V2, V3, V2),
}
FOLDER: Final = Path(__file__).parent


class Sized(NamedTuple):
    """A cycle as sized, and by how much the best found around it gains more."""

    amounts: tuple[int, ...]
    near: int
    """... where the coarsest amount is in the window that sizing searches."""
    wide: int
    """... in a wide window, and far away."""


class Compiled:
    """Sizing and search, over one cycle at a time."""

    def __init__(self, fused: Fused) -> None:
        self.sizing: Any = fused.load("tallyio_strategy_arbitrage.sizing")
        self.search: Any = fused.load("tests.detection.exhaustive")
        self.cycle = Cycle()

    def sized(self, legs: list[paths.Leg], seed: int) -> Sized | None:
        """Size a cycle and look around; None if it gains nothing."""
        self.cycle.set(legs)
        cycle, count = self.cycle.address, len(legs)
        slope = self.sizing.walk(cycle, 0.0)[1]
        if not slope > 1.0:
            return None
        found = self.sizing.size(cycle, self.cycle.scratch_address, self.sizing.solve(cycle, slope, 1e6))
        if found == 0:
            return None
        amounts = self.cycle.amounts(found, count)
        best, legs_at = self.cycle.remember(amounts[0], amounts[-1]), self.cycle.legs_address
        profit = amounts[-1] - amounts[0]
        self.look(count, found, NEAR, best)
        near = self.cycle.best_gain() - profit
        self.look(count, found, WINDOW, best)
        self.search.search_far(legs_at, count, found, WINDOW, seed, best)
        return Sized(amounts, near, self.cycle.best_gain() - profit)

    def look(self, count: int, found: int, window: int, best: int) -> None:
        """Try every input, and the least input of every output, within `window`."""
        self.search.search_inputs(self.cycle.legs_address, count, found, window, best)
        self.search.search_outputs(self.cycle.legs_address, count, found, window, best)


@pytest.fixture(scope="module")
def compiled() -> Iterator[Compiled]:
    made = Compiled(paths.fuse_both())
    yield made
    made.cycle.memory.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_in_the_window_gains_more_and_nothing_else_by_two_units_of_the_coarsest_amount(
    compiled: Compiled, shape: str
) -> None:
    """Outside the window it is rare: where two or more amounts are about as coarse as each other."""
    draw, sized, better = random.Random(SEED), 0, []
    for number in range(PATHS):
        found = compiled.sized(paths.random_path(draw, SHAPES[shape]), number)
        if found is not None:
            sized += 1
            assert found.near == 0
            assert found.wide * min(found.amounts) <= 2 * found.amounts[0]
            better += [found.wide / (found.amounts[-1] - found.amounts[0])] if found.wide > 0 else []
    print(f"{shape}: {sized} of {PATHS} paths gain; 0 better in the window, {len(better)} outside,")  # noqa: T201 - a finding
    print(f"  by at most {max(better, default=0.0):.1e} of the profit")  # noqa: T201 - a finding
    assert sized > PATHS // 2
    assert len(better) <= sized // 5
