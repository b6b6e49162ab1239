"""How fast sixteen positions are decided, beside trying 64 amounts of every pair of reserves.

Run with `python bench.py`, or `tallyio bench liquidation`. Both look at the same made-up block.
"""

from __future__ import annotations

from typing import Final

import pyperf

from tallyio_strategy_liquidation.bench_scene import UNIT, every_pair, open_scene, positions
from tallyio_strategy_liquidation.reference import best_net
from tallyio_strategy_liquidation.strategy import Liquidations

POSITIONS: Final = 16
STEPS: Final = 64
GAS: Final = 480_000
_CLOSE: Final = 0.999


def main() -> None:
    """Run both benchmarks with pyperf."""
    with open_scene([positions(POSITIONS)], every_pair(10_000 * UNIT)) as scene:
        book = scene.books[0]
        # One by one, as the reference does.
        strategy = Liquidations({"max_batch": 1})

        def tried() -> list[float]:
            return [best_net(scene, 0, book, key, gas=GAS, steps=STEPS) for key in book.at_risk(0, 0)]

        found = sorted(each.net_wei for each in strategy.search(scene).proposals)
        if len(found) != POSITIONS or any(
            mine < other * _CLOSE for mine, other in zip(found, sorted(tried()), strict=True)
        ):
            raise SystemExit("the search misses what trying finds")
        runner = pyperf.Runner()
        runner.bench_func("liquidation.search", strategy.search, scene)
        runner.bench_func("liquidation.search.reference", tried)


if __name__ == "__main__":
    main()
