"""Every cycle of two and three pools that starts with one token, from the list of pools on."""

from __future__ import annotations

import random
from typing import Final, NamedTuple

from tallyio_strategy_arbitrage import generate
from tallyio_strategy_arbitrage.cycles import NO_LEG, Cycles, find_cycles

from perf.market.row import Case, beside_degenbot, require_equal, row
from perf.peers.session import Peers
from tallyio.bench.rounds import timed

POOLS: Final = 10_000
MAX_LEGS: Final = 3
BASE: Final = 0
"""The token of the most pools."""
SEED: Final = 5


class Shape(NamedTuple):
    """Pools by their tokens."""

    pool_tokens: list[tuple[int, ...]]
    pool_can_flash: list[bool]


def _walked(shape: Shape, chosen: list[int]) -> list[list[int]]:
    """Return the cycles of three whose first pool is one of `chosen`, by a plain search."""
    pools: dict[int, list[int]] = {}
    for pool, tokens in enumerate(shape.pool_tokens):
        for token in tokens:
            pools.setdefault(token, []).append(pool)
    found = []
    for first in chosen:
        middle = sum(shape.pool_tokens[first]) - BASE
        for second in pools[middle]:
            last = sum(shape.pool_tokens[second]) - middle
            if second != first and last != BASE:
                closing = {BASE, last}
                found += [
                    [first, second, third]
                    for third in pools[last]
                    if closing == set(shape.pool_tokens[third])
                ]
    return sorted(found)


def _pools_of(cycles: Cycles) -> list[list[int]]:
    pool = cycles.edges.pool
    return sorted([int(pool[edge]) for edge in legs if edge != NO_LEG] for legs in cycles.legs)


@row("cycles.3_legs", degenbot=1 / 2)
def cycles_of_three(peers: Peers) -> Case:
    """Pools sorted by token and all cycles of one of sixteen hubs listed, per cycle."""
    world = generate.make_world(POOLS, seed=SEED)
    tokens = [tuple(map(int, pair)) for pair in world.tokens]
    shape = Shape(tokens, [True] * POOLS)
    cycles = _pools_of(find_cycles(shape, [BASE], MAX_LEGS))
    own = [pool for pool, pair in enumerate(tokens) if BASE in pair]
    chosen = set(random.Random(1).sample(own, 20))
    of_chosen = [each for each in cycles if each[0] in chosen and len(each) == MAX_LEGS]
    require_equal(of_chosen, _walked(shape, sorted(chosen)), "a plain search")
    prepared = "paths", tokens, BASE, MAX_LEGS
    found, absent = beside_degenbot(peers, cycles, prepared, measure=("paths_ns",))
    return Case(
        ours=timed(find_cycles, shape, [BASE], MAX_LEGS, operations=len(cycles)),
        peers=found,
        absent=absent,
    )
