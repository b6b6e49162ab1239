"""A sale over one path or two: exact quotes, walked from Python, are the oracle of every division."""

from __future__ import annotations

import random
from typing import Any, Final

import numpy as np
import pytest

from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.market.pairing_layout import SALE_PATHS
from tallyio.market.route_layout import PATH
from tallyio.market.router import Hop, Path, Router
from tallyio.model.market import PoolSpec
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

GAS: Final = 80_000
"""Of a hop, which is more than the least that any path costs."""
ONE, TWO = toys.address(1), toys.address(2)
ROUNDING: Final = 4
"""Units that the floors of two paths' hops may be worth where another division is as good."""


def deep(number: int, *tokens: int, depth: int = 10**12) -> tuple[PoolSpec, bytes]:
    """Return a pool of equal reserves, and its row."""
    return toys.pool(number, *tokens), toys.row(depth, depth, gas=GAS)


def market_of(toy: Toy, *pools: tuple[PoolSpec, bytes]) -> Market:
    """Return a market of pools with their rows."""
    return toys.market(*toy, [spec for spec, _ in pools], [row for _, row in pools])


class Desk:
    """The compiled sale of a market, from Python."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self.router = Router(market)
        self._pairing: Any = market.fused.load("tallyio.market.pairing")
        self._sale = np.zeros(SALE_PATHS, PATH)

    def sell(self, amount: int, unit_gas: float = 0.0) -> tuple[int, list[Path]]:
        """Return what selling ONE for TWO brings, and over which paths."""
        self.router.refresh()
        ids = self.market.shape.token_ids
        place, pools = int(self._sale.ctypes.data), self.market.pool_address(0)
        facts = ids[ONE], ids[TWO], amount, unit_gas, place
        brings: int = self._pairing.best_sale(self.router.address, pools, *facts)
        return brings, [_path(record) for record in self._sale[:2] if record["hops"]]

    def best(self, amount: int) -> Path | None:
        """Return the best single path."""
        return self.router.best_path(ONE, TWO, amount)


def _path(record: Any) -> Path:
    hops = int(record["hops"])
    amounts = [int.from_bytes(record["amounts"][k].tobytes(), "little") for k in range(hops + 1)]
    ways = zip(record["pools"], record["i"], record["j"], amounts, amounts[1:], strict=False)
    return Path(tuple(Hop(*map(int, way)) for way in ways), int(record["gas"]))


def check_exact(desk: Desk, path: Path) -> None:
    """Every hop is the pool's own quote, and the next one sells what it brings."""
    for hop in path.hops:
        assert desk.market.quote(hop.pool, hop.i, hop.j, hop.amount_in) == hop.amount_out
    assert [hop.amount_out for hop in path.hops[:-1]] == [hop.amount_in for hop in path.hops[1:]]
    assert path.gas == GAS * len(path.hops)


def crowd(toy: Toy, seed: int) -> Market:
    """Return pools of like depth between few tokens, so that divisions are worth it."""
    draw = random.Random(seed)
    ends = [draw.sample((1, 2, 3, 4), 2) for _ in range(10)]
    pools = [deep(number, *pair, depth=int(10 ** draw.uniform(11, 13))) for number, pair in enumerate(ends)]
    return market_of(toy, deep(98, 1, 2), *pools)


@pytest.mark.parametrize("seed", range(10))
def test_a_sale_is_exact_and_no_other_division_brings_more(toy: Toy, seed: int) -> None:
    draw, divided = random.Random(seed), 0
    with crowd(toy, seed) as market:
        desk = Desk(market)
        for _ in range(30):
            amount = int(10 ** draw.uniform(0, 13))
            brings, paths = desk.sell(amount)
            best = desk.best(amount)
            if best is None:
                assert (brings, paths) == (0, [])
                continue
            for path in paths:
                check_exact(desk, path)
            assert brings == sum(path.amount_out for path in paths) >= best.amount_out
            assert sum(path.amount_in for path in paths) == amount
            if len(paths) == 1:
                assert paths == [best]
                continue
            divided += 1
            one, other = paths
            assert not set(one.pools) & set(other.pools)
            assert one.pools == best.pools
            around = [one.amount_in + step for step in (-1000, -10, -1, 1, 10, 1000)]
            for share in [*around, *(draw.randrange(1, amount) for _ in range(20))]:
                if 0 < share < amount:
                    moved = desk.router.walk(one, share).amount_out
                    moved += desk.router.walk(other, amount - share).amount_out
                    assert moved <= brings + ROUNDING
    assert divided


@pytest.mark.parametrize("second", [(1, 2), (2, 1)], ids=["same order", "other order"])
def test_a_second_path_is_taken_from_where_it_pays_its_gas(toy: Toy, second: tuple[int, int]) -> None:
    """Half of 10**11 goes through each of two like pools; what that gains over one pays for 80,000 gas."""
    amount = 10**11
    with market_of(toy, deep(0, 1, 2), deep(1, *second)) as market:
        desk = Desk(market)
        free, paths = desk.sell(amount)
        whole = desk.best(amount)
        assert whole is not None
        assert [path.amount_in for path in paths] == pytest.approx([amount / 2] * 2, abs=1)
        limit = (free - whole.amount_out) / GAS
        assert desk.sell(amount, limit * 0.999_999) == (free, paths)
        assert desk.sell(amount, limit * 1.000_001) == (whole.amount_out, [whole])


def test_longer_paths_are_paired_and_none_is_used_where_the_first_leaves_none(toy: Toy) -> None:
    amount = 10**11
    with market_of(toy, deep(0, 1, 2), deep(1, 1, 3), deep(2, 3, 2)) as market:
        desk = Desk(market)
        _, paths = desk.sell(amount)
        assert [path.pools for path in paths] == [(0,), (1, 2)]
        assert paths[0].amount_in > paths[1].amount_in
        assert paths[1].gas - paths[0].gas == GAS
        best = desk.best(amount)
        assert best is not None
        assert best.pools == (0,), "the first path's pools are banned for one search"
    with market_of(toy, deep(0, 1, 2), deep(1, 1, 3)) as market:
        desk = Desk(market)
        brings, paths = desk.sell(amount)
        assert paths == [desk.best(amount)]
        assert brings == paths[0].amount_out


def test_nothing_brings_anything_and_a_single_unit_is_not_divided(toy: Toy) -> None:
    with market_of(toy, deep(0, 1, 2), deep(1, 1, 2)) as market:
        desk = Desk(market)
        assert desk.sell(0) == (0, [])
        assert desk.sell(1) == (0, []), "its floor is nothing"
        brings, paths = desk.sell(2)
        assert (brings, len(paths)) == (1, 1)
    with market_of(toy, deep(0, 1, 3), deep(1, 2, 4)) as market:
        assert Desk(market).sell(10**9) == (0, [])
