"""Cycles found through hubs against all cycles listed, on made-up markets that change block by block."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from tallyio_strategy_arbitrage import bench, generate
from tallyio_strategy_arbitrage.cycles import directed_edges
from tallyio_strategy_arbitrage.hubs import link_edges
from tallyio_strategy_arbitrage.strategy import Arbitrage, ArbitrageIndex, EnumeratedIndex, HubIndex

from tallyio.market.abi import FOUND
from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.model.units import checksum
from tallyio.native.memory import Region

TOP_K: Final = 64
BLOCKS: Final = 5
CHANGED: Final = 10
ENDLESS: Final = 10**9


class Made(NamedTuple):
    """A market, and both indexes over it."""

    fused: Fused
    market: Market
    world: generate.World
    listed: ArbitrageIndex
    hubs: ArbitrageIndex


def make(pools: int, seed: int, *, max_legs: int, hubs: int, many: float) -> Made:
    """Return a restless market, where many cycles gain."""
    world = generate.make_world(
        pools, seed, hubs=6, tails=pools // 4, noise=0.004, band=1.0, many=many, shallow=17.0
    )
    bases = [checksum(generate.token(number)) for number in (1, 0, 9)]
    strategy = Arbitrage({"base_tokens": bases, "top_k": TOP_K, "max_legs": max_legs, "hubs": hubs})
    fused, market = bench.open_market(generate.holding(world, seed), strategy)
    listed = strategy.index(market.shape, most_enumerated=ENDLESS)
    found = strategy.index(market.shape, most_enumerated=0)
    assert isinstance(listed, EnumeratedIndex)
    assert isinstance(found, HubIndex)
    return Made(fused, market, world, listed, found)


@pytest.fixture(scope="module")
def memory() -> Iterator[Region]:
    with Region(TOP_K * FOUND.itemsize) as region:
        yield region


def detect(made: Made, index: ArbitrageIndex, memory: Region) -> dict[tuple[tuple[int, ...], ...], Any]:
    """Return what an index finds, by its legs."""
    found = memory.view(FOUND, TOP_K)
    count = made.fused.function("detect")(0, made.market.address, index.address, memory.address, TOP_K)
    fields = ("pool", "token_in", "token_out")
    return {
        tuple(zip(*(record[name][: int(record["leg_count"])].tolist() for name in fields), strict=True)): (
            float(record["net"]),
            record["amounts"].tobytes(),
        )
        for record in found[:count]
    }


@pytest.mark.parametrize(
    ("pools", "seed", "max_legs", "hubs", "many"),
    [
        (40, 1, 4, 3, 0.0),
        (80, 2, 4, 6, 0.0),
        (80, 3, 4, 1, 0.0),
        (120, 4, 3, 16, 0.0),
        (60, 5, 4, 4, 0.2),
        (60, 6, 3, 4, 0.3),
        (60, 7, 2, 4, 0.3),
        (300, 8, 4, 6, 0.0),
        (200, 9, 4, 40, 0.0),
    ],
)
def test_hubs_find_what_listing_every_cycle_finds(
    memory: Region, pools: int, seed: int, max_legs: int, hubs: int, many: float
) -> None:
    made, draw, total = make(pools, seed, max_legs=max_legs, hubs=hubs, many=many), random.Random(seed), 0
    for number in range(1, BLOCKS + 1):
        listed, found = (detect(made, index, memory) for index in (made.listed, made.hubs))
        assert found == listed
        total += len(found)
        made.market.settle()
        changed = draw.sample(range(pools), CHANGED)
        block = generate.make_block(
            made.world, number, made.market.head.hash, changed, seed + number, pushed=0.5
        )
        made.market.apply(block, bench.GAS_PRICE_WEI)
    assert total > 0
    made.market.close()


def test_links_lead_both_ways_and_hubs_come_first() -> None:
    world = generate.make_world(400, 3, hubs=6, tails=60, many=0.1)
    edges = directed_edges(Shape(world.tokens))
    links = link_edges(edges, len(world.values), 6)
    twins, runs = links.links["twin"][:-1], links.links["run"][:-1]
    assert np.array_equal(links.edges.pool[twins], links.edges.pool)
    assert np.array_equal(links.edges.i[twins], links.edges.j)
    assert np.array_equal(links.edges.j[twins], links.edges.i)
    assert np.array_equal(links.edges.bought[runs], links.edges.bought)
    assert np.array_equal(links.edges.sold[runs], links.edges.sold)
    partners = [len(set(edges.bought[edges.sold == token].tolist())) for token in range(len(world.values))]
    by_place = np.argsort(links.place_of)
    assert [partners[token] for token in by_place] == sorted(partners, reverse=True)


class Shape(NamedTuple):
    """Pools, all of which can flash."""

    pool_tokens: tuple[tuple[int, ...], ...]

    @property
    def pool_can_flash(self) -> tuple[bool, ...]:
        """All can."""
        return (True,) * len(self.pool_tokens)
