"""Sized cycles over real V2 and V3 pools against every input and output around them."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tallyio.market.fusion import Fused
from tests.detection import paths
from tests.detection.paths import V2, V3, Cycle

PATHS: Final = int(os.environ.get("TALLYIO_PATHS", "60"))
"""Random paths of each shape; 1,000 take some minutes."""
WINDOW: Final = 64
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
    """A cycle as sized, and the best that was found around it."""

    amounts: tuple[int, ...]
    better: int
    """By how much a neighbour gains more."""


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
        self.search.search_inputs(legs_at, count, found, WINDOW, best)
        self.search.search_outputs(legs_at, count, found, WINDOW, best)
        self.search.search_far(legs_at, count, found, WINDOW, seed, best)
        return Sized(amounts, self.cycle.best_gain() - (amounts[-1] - amounts[0]))


@pytest.fixture(scope="module")
def compiled() -> Iterator[Compiled]:
    made = Compiled(paths.fuse_both([FOLDER / "exhaustive.py", FOLDER / "paths.py"]))
    yield made
    made.cycle.memory.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_nothing_around_a_sized_cycle_gains_more_than_two_units_of_its_coarsest_amount(
    compiled: Compiled, shape: str
) -> None:
    """Nor does it often: where it does, two or more amounts are about as coarse as each other."""
    draw, sized, better = random.Random(SEED), 0, []
    for number in range(PATHS):
        found = compiled.sized(paths.random_path(draw, SHAPES[shape]), number)
        if found is not None:
            sized += 1
            assert found.better * min(found.amounts) <= 2 * found.amounts[0]
            better += [found.better / (found.amounts[-1] - found.amounts[0])] if found.better > 0 else []
    print(f"{shape}: {sized} of {PATHS} paths gain; better was found {len(better)} times,")  # noqa: T201 - a finding
    print(f"  by at most {max(better, default=0.0):.1e} of the profit")  # noqa: T201 - a finding
    assert sized > PATHS // 2
    assert len(better) <= sized // 5
