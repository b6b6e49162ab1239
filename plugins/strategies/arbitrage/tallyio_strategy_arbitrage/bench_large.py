"""What detection takes in a market of 100,000 pools, and what sizing takes; figures, no promise.

    python bench_large.py [--pools 100000] [--blocks 60] [--legs 4]

Times are of the processor, per thread, so that a busy machine does not count; a cache that others
use as well still does. Each figure is the median of its repetitions, and the 99th percentile.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from tallyio.market.abi import FOUND
from tallyio.model.units import checksum
from tallyio.native.memory import Region
from tallyio_strategy_arbitrage import bench, generate, layout
from tallyio_strategy_arbitrage.bench_pools import pack_row
from tallyio_strategy_arbitrage.strategy import Arbitrage, HubIndex

TOP_K: Final = 50
LOGS: Final = 300
SAMPLE: Final = 256
REPEATS: Final = 41
_LINE_WORDS: Final = 8


class Figure(NamedTuple):
    """One measured operation."""

    name: str
    values_ns: Sequence[float]

    def __str__(self) -> str:
        """Return a line of a table."""
        half, most = np.quantile(self.values_ns, (0.5, 0.99))
        return f"{self.name:<46} {half:14,.0f} ns {most:14,.0f} ns"


class Large:
    """A large market, its index, and what detects in it."""

    def __init__(self, pools: int, max_legs: int) -> None:
        self.world = generate.make_world(pools, seed=5)
        bases = [checksum(generate.token(number)) for number in range(3)]
        strategy = Arbitrage({"base_tokens": bases, "top_k": TOP_K, "max_legs": max_legs})
        self.fused, self.market = bench.open_market(generate.holding(self.world, 5), strategy)
        index = strategy.index(self.market.shape, most_enumerated=0)
        if not isinstance(index, HubIndex):
            raise SystemExit("the market is too small for a hub index")
        self.index = index
        self.memory = Region(TOP_K * FOUND.itemsize)
        self.apply: Any = self.fused.load("tallyio.market.apply")
        self.loops: Any = self.fused.load("tallyio_strategy_arbitrage.bench_loops")
        self.market.settle()
        self.detect()

    def detect(self) -> int:
        """Detect, and return how many were found."""
        detect, found = self.fused.function("detect"), self.memory.address
        count: int = detect(0, self.market.address, self.index.address, found, TOP_K)
        return count


def block_figures(large: Large, blocks: int) -> Iterator[Figure]:
    """Measure blocks of `LOGS` logs: thirty pools are pushed off their price, those of before come back."""
    draw, pushed, found = random.Random(1), list[int](), 0
    applied, detected = list[int](), list[int]()
    for number in range(1, blocks + 2):
        fresh = draw.sample(range(len(large.world.tokens)), LOGS - len(pushed))
        block = generate.make_block(large.world, number, large.market.head.hash, fresh + pushed, seed=number)
        pushed = fresh[: int(generate.PUSHED * LOGS)]
        where = large.market.pack(block, bench.GAS_PRICE_WEI)
        start = time.thread_time_ns()
        large.apply.apply_batch(large.market.state, where)
        middle = time.thread_time_ns()
        found += large.detect()
        end = time.thread_time_ns()
        large.market.settle()
        applied.append(middle - start)
        detected.append(end - middle)
    del applied[0], detected[0]  # the first one loads code
    yield Figure(f"{LOGS} logs decoded and applied", applied)
    yield Figure(f"their best {TOP_K} detected, exactly", detected)
    yield Figure("both", [one + other for one, other in zip(applied, detected, strict=True)])
    print(f"{found / (blocks + 1):.1f} opportunities a block")  # noqa: T201 - it is a script


def update_figures(large: Large) -> Iterator[Figure]:
    """Measure one edge's change and the search through it, for pairs hub-tail and hub-hub."""
    edges = large.index.edges
    hubs = {token for token in range(len(large.market.shape.tokens)) if large.index.is_hub(token)}
    between = np.array([int(edge["sold"]) in hubs and int(edge["bought"]) in hubs for edge in edges])
    one_sided = np.array([(int(edge["sold"]) in hubs) != (int(edge["bought"]) in hubs) for edge in edges])
    for name, chosen in (("hub and tail", one_sided), ("two hubs", between)):
        numbers = np.random.default_rng(3).choice(np.flatnonzero(chosen), SAMPLE)
        arguments = (large.index.address, numbers.ctypes.data, SAMPLE)
        yield Figure(
            f"one update and its search, {name}",
            timed(lambda arguments=arguments: large.loops.update_and_search(*arguments), SAMPLE),  # type: ignore[misc]
        )


def timed(call: Callable[[], object], count: int) -> list[float]:
    """Return the nanoseconds of one of `count` operations, for each of some calls."""
    call()
    values = []
    for _ in range(REPEATS):
        start = time.thread_time_ns()
        call()
        values.append((time.thread_time_ns() - start) / count)
    return values


def sizing_figures(large: Large, legs: int) -> Iterator[Figure]:
    """Measure cycles of `legs` made-up pools that gain about a percent."""
    draw, market = np.random.default_rng(9), large.market
    cycles, edges = np.zeros(SAMPLE, layout.CYCLE), np.zeros(SAMPLE * legs, layout.EDGE)
    pools = draw.choice(len(large.world.tokens), SAMPLE * legs, replace=False)
    for place, pool in enumerate(pools.tolist()):
        depth = 10 ** draw.uniform(20, 24)
        reserves = int(depth), int(depth * (1.0 + draw.uniform(0.006, 0.02)))
        market.reload(pool, pack_row(*reserves), block=market.head.hash)
        edges[place]["record"], edges[place]["i"], edges[place]["j"] = market.pool_address(pool), 0, 1
        cycles[place // legs]["legs"][place % legs] = edges[place : place + 1].ctypes.data
    cycles["leg_count"] = legs
    yield from _sized(large, legs, cycles)


def _sized(large: Large, legs: int, cycles: Any) -> Iterator[Figure]:
    search = np.zeros(1, layout.SEARCH)
    walking: Any = large.fused.load("tallyio_strategy_arbitrage.walking")
    at = [cycles[k : k + 1].ctypes.data for k in range(SAMPLE)]
    inputs = np.array([walking.solve(cycle, walking.walk(cycle, 0.0)[1], 1e18) for cycle in at])
    amounts = np.zeros((SAMPLE, _LINE_WORDS), np.uint64)
    amounts[:, 0] = 10**18
    loops, name = large.loops, "-".join(["V2"] * legs)
    first, room = cycles.ctypes.data, search.ctypes.data
    yield Figure(
        f"{name} quoted", timed(lambda: loops.quote_all(first, SAMPLE, amounts.ctypes.data, room), SAMPLE)
    )
    yield Figure(f"{name} solved in floats", timed(lambda: loops.solve_all(first, SAMPLE, 1e21), SAMPLE))
    yield Figure(
        f"{name} sized exactly",
        timed(lambda: loops.size_all(first, SAMPLE, inputs.ctypes.data, room, 0.0), SAMPLE),
    )


def main() -> None:
    """Measure everything and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--pools", type=int, default=100_000)
    parser.add_argument("--blocks", type=int, default=60)
    parser.add_argument("--legs", type=int, default=4)
    chosen = parser.parse_args()
    large = Large(chosen.pools, chosen.legs)
    print(f"{chosen.pools:,} pools, cycles of up to {chosen.legs} legs; median, p99")  # noqa: T201 - it is a script
    figures = [update_figures(large), block_figures(large, chosen.blocks)]
    figures += [sizing_figures(large, legs) for legs in (2, 3)]
    for group in figures:
        for figure in group:
            print(figure, flush=True)  # noqa: T201 - it is a script


if __name__ == "__main__":
    main()
