"""Best paths and splits: brute force over all simple paths is the oracle."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final

import pytest

from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.market.router import Hop, Path, Router
from tallyio.model.errors import ConfigError
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

TOKENS: Final = 9


def random_market(toy: Toy, seed: int, *, pools: int = 26) -> Market:
    """A crowd of pools around token 1, some pairs several times, reserves over many decades."""
    draw = random.Random(seed)
    specs, rows = [], []
    for number in range(pools):
        first = 1 if draw.random() < 0.4 else draw.randint(1, TOKENS)
        second = draw.choice([token for token in range(1, TOKENS + 1) if token != first])
        specs.append(toys.pool(number, first, second))
        rows.append(toys.row(10 ** draw.randint(4, 24), 10 ** draw.randint(4, 24), gas=100 + number))
    return toys.market(*toy, specs, rows)


def directions(market: Market) -> Iterator[tuple[int, int, int, int, int]]:
    """Yield pool, i, j, token sold and token bought of every direction."""
    for pool, tokens in enumerate(market.shape.pool_tokens):
        for i, sold in enumerate(tokens):
            for j, bought in enumerate(tokens):
                if i != j:
                    yield pool, i, j, sold, bought


def best_by_brute_force(market: Market, sold: int, bought: int, amount: int, max_hops: int) -> int:
    """Return the most that any path without a repeated token or pool brings."""
    edges = list(directions(market))

    def go(token: int, amount: int, visited: set[int], used: set[int], hops: int) -> int:
        best = 0
        for pool, i, j, here, there in edges:
            if here != token or there in visited or pool in used:
                continue
            out = market.quote(pool, i, j, amount)
            if there == bought:
                best = max(best, out)
            elif hops < max_hops and out > 0:
                best = max(best, go(there, out, visited | {there}, used | {pool}, hops + 1))
        return best

    return go(sold, amount, {sold}, set(), 1)


def check_joined(market: Market, path: Path, sold: int, bought: int) -> None:
    """A path starts and ends where it should, and each hop is the pool's own quote."""
    token, amount = sold, path.amount_in
    for hop in path.hops:
        tokens = market.shape.pool_tokens[hop.pool]
        assert (tokens[hop.i], hop.amount_in) == (token, amount)
        assert market.quote(hop.pool, hop.i, hop.j, amount) == hop.amount_out
        token, amount = tokens[hop.j], hop.amount_out
    assert token == bought
    assert len(set(path.pools)) == len(path.hops)
    assert path.gas == sum(100 + pool for pool in path.pools)


@pytest.mark.parametrize("seed", range(12))
def test_the_best_path_is_the_best_of_all_simple_paths(toy: Toy, seed: int) -> None:
    draw = random.Random(seed)
    with random_market(toy, seed) as market:
        router = Router(market)
        for _ in range(12):
            sold, bought = draw.sample(range(len(market.shape.tokens)), 2)
            amount = 10 ** draw.randint(0, 22)
            hops = draw.randint(1, 4)
            tokens = market.shape.tokens
            path = router.best_path(tokens[sold], tokens[bought], amount, max_hops=hops)
            best = best_by_brute_force(market, sold, bought, amount, hops)
            if path is None:
                assert best == 0
                continue
            check_joined(market, path, sold, bought)
            assert len(path.hops) <= hops
            assert path.amount_out == best


def test_a_router_follows_the_market(toy: Toy) -> None:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 2)]
    with toys.market(*toy, pools, [toys.row(10**9, 10**9), toys.row(10**9, 9 * 10**8)]) as market:
        router = Router(market)
        one, two = toys.address(1), toys.address(2)
        assert router.refresh() == 2
        assert router.refresh() == 0
        first = router.best_venue(one, two, 1000)
        assert first is not None
        assert first.pools == (0,)
        market.apply(toys.block(toys.GENESIS, [toys.event_log(pools[0], 0, 10**9, 8 * 10**8)]))
        second = router.best_venue(one, two, 1000)
        assert second is not None
        assert second.pools == (1,)
        market.roll_back(market.head.hash)
        assert router.best_venue(one, two, 1000) == first
        void = toys.block(toys.GENESIS, [toys.event_log(pools[0], 2)])
        market.apply(void)
        off = router.best_venue(one, two, 1000)
        assert off is not None
        assert off.pools == (1,), "a pool whose row is void takes no part"


@pytest.mark.parametrize("seed", range(4))
def test_the_best_venue_is_the_best_of_all_quotes(toy: Toy, seed: int) -> None:
    """Pools so alike that floats cannot tell which pays most, single units, and more than a pool takes."""
    draw = random.Random(seed)
    pools = [toys.pool(number, 1, 2) for number in range(16)]
    rows = [toys.row(10**20 + draw.randrange(1000), 10**20 + draw.randrange(1000)) for _ in pools[:12]]
    rows += [toys.row(10 ** draw.randint(3, 24), 10 ** draw.randint(3, 24)) for _ in pools[12:]]
    with toys.market(*toy, pools, rows) as market:
        router = Router(market)
        one, two = toys.address(1), toys.address(2)
        for amount in (0, *(int(10 ** draw.uniform(0, 40)) for _ in range(200))):
            best = max(market.quote(pool, 0, 1, amount) for pool in range(len(pools)))
            found = router.best_venue(one, two, amount)
            assert (found.amount_out if found else 0) == best


def test_pools_that_are_left_out_are_not_used(toy: Toy) -> None:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 3), toys.pool(2, 3, 2)]
    with toys.market(*toy, pools, [toys.row(10**12, 10**12)] * 3) as market:
        router = Router(market)
        one, two = toys.address(1), toys.address(2)
        direct = router.best_path(one, two, 1000)
        around = router.best_path(one, two, 1000, without=[0])
        assert direct is not None
        assert around is not None
        assert (direct.pools, around.pools) == ((0,), (1, 2))
        assert router.best_path(one, two, 1000, without=[0, 2]) is None
        assert router.best_path(one, two, 1000) == direct, "a ban holds for one search"


@pytest.mark.parametrize(
    ("amount", "without", "error"),
    [
        (-1, [0], OverflowError),
        (2**256, [0], OverflowError),
        (1e3, [0], TypeError),
        (1000, [0, 3], ConfigError),
        (1000, [0, -1], ConfigError),
        (1000, [0, 0.5], TypeError),
    ],
)
def test_a_question_that_fails_bans_nothing_in_the_next(
    toy: Toy, amount: int, without: list[int], error: type[Exception]
) -> None:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 3), toys.pool(2, 3, 2)]
    with toys.market(*toy, pools, [toys.row(10**12, 10**12)] * 3) as market:
        router = Router(market)
        one, two = toys.address(1), toys.address(2)
        with pytest.raises(error):
            router.best_path(one, two, amount, without=without)
        found = router.best_path(one, two, 1000)
        assert found is not None
        assert found.pools == (0,)


def test_a_split_brings_more_than_one_path_and_no_other_division_brings_more(toy: Toy) -> None:
    pools = [toys.pool(number, 1, 2) for number in range(3)]
    rows = [toys.row(10**12 * (number + 1), 10**12 * (number + 1)) for number in range(3)]
    with toys.market(*toy, pools, rows) as market:
        router = Router(market)
        amount = 10**11
        split = router.best_split(toys.address(1), toys.address(2), amount)
        assert split is not None
        assert split.amount_in == amount
        assert len(split.paths) == 3
        single = router.best_path(toys.address(1), toys.address(2), amount)
        assert single is not None
        assert split.amount_out > single.amount_out
        draw = random.Random(1)
        shares = [path.amount_in for path in split.paths]
        for _ in range(500):
            moved = list(shares)
            give, take = draw.sample(range(3), 2)
            step = draw.randint(1, shares[give] // 2)
            moved[give] -= step
            moved[take] += step
            other = sum(
                router.walk(path, share).amount_out for path, share in zip(split.paths, moved, strict=True)
            )
            assert other <= split.amount_out + 2, "but for the roundings of three pools"


def test_gas_that_costs_more_than_a_split_gains_leaves_one_path(toy: Toy) -> None:
    pools = [toys.pool(number, 1, 2) for number in range(2)]
    with Market(
        toy[0],
        [toys.holding(toy[1], pools, [toys.row(10**12, 10**12)] * 2)],
        toys.GENESIS,
        native=toys.address(2),
    ) as market:
        router = Router(market)
        arguments = toys.address(1), toys.address(2), 10**11
        free = router.best_split(*arguments)
        dear = router.best_split(*arguments, gas_price_wei=1e12)
        assert free is not None
        assert dear is not None
        assert (len(free.paths), len(dear.paths)) == (2, 1)


def test_gas_is_weighed_at_the_prices_of_the_block(toy: Toy) -> None:
    """Also where the pool that tells the price changed before the last `settle`."""
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 2), toys.pool(2, 2, 3)]
    held = [toys.holding(toy[1], pools, [toys.row(10**12, 10**12)] * 3)]
    with Market(toy[0], held, toys.GENESIS, native=toys.address(3)) as market:
        router = Router(market)

        def paths() -> int:
            split = router.best_split(
                toys.address(1), toys.address(2), 10**11, max_hops=1, gas_price_wei=10**6
            )
            assert split is not None
            return len(split.paths)

        assert paths() == 2
        for reserve, settles, expected in ((10**8, False, 1), (10**12, True, 2), (10**8, True, 1)):
            market.apply(toys.block(market.head, [toys.event_log(pools[2], 0, 10**12, reserve)]))
            if settles:
                market.settle()
            assert paths() == expected
        market.roll_back(market.head.hash)
        market.settle()
        assert paths() == 2


def test_cycles_are_sorted_by_what_their_gains_are_worth(toy: Toy) -> None:
    """Token 4 is worth a millionth of the others, so that a cycle through it gains the larger number."""
    ends = (((1, 2), 10**18, 12 * 10**17), ((2, 1), 10**18, 10**18), ((1, 4), 10**18, 10**24))
    pools = [toys.pool(number, *tokens) for number, (tokens, _, _) in enumerate(ends)]
    pools.append(toys.pool(3, 1, 4))
    rows = [toys.row(one, other) for _, one, other in ends] + [toys.row(10**18, 11 * 10**23)]
    held = [toys.holding(toy[1], pools, rows)]
    with Market(toy[0], held, toys.GENESIS, native=toys.address(1)) as market:
        found = market.router.cycles(range(4), max_legs=2)
        worth = [
            (cycle.amount_out - cycle.amount_in)
            * market.prices.native_per_unit[market.shape.pool_tokens[cycle.hops[0].pool][cycle.hops[0].i]]
            for cycle in found
        ]
        assert len(worth) == 4
        assert min(worth) > 0.0
        assert worth == sorted(worth, reverse=True)
        gains = [cycle.amount_out - cycle.amount_in for cycle in found]
        assert gains != sorted(gains, reverse=True)


def test_a_pool_of_many_tokens_is_an_edge_between_each_two(toy: Toy) -> None:
    """The toy quotes by position, so a pool of three tokens has reserves for its first two only."""
    pools = [toys.pool(0, 1, 2, 3)]
    with toys.market(*toy, pools, [toys.row(10**9, 10**9)]) as market:
        path = Router(market).best_path(toys.address(2), toys.address(1), 1000)
        assert path is not None
        assert path.hops == (Hop(0, 1, 0, 1000, market.quote(0, 1, 0, 1000)),)


def test_bad_questions_are_refused(toy: Toy) -> None:
    with toys.market(*toy, [toys.pool(0, 1, 2)], [toys.row(10, 10)]) as market:
        router = Router(market)
        one, two = toys.address(1), toys.address(2)
        with pytest.raises(ConfigError, match="no pool of this market holds the token"):
            router.best_path(one, toys.address(9), 1)
        for bought, hops in ((two, 0), (two, 5), (one, 2)):
            with pytest.raises(ValueError, match="a path has 1 to 4 hops between two tokens"):
                router.best_path(one, bought, 1, max_hops=hops)


def test_cycles_through_dirty_pools_gain_and_more_or_less_gains_less(toy: Toy) -> None:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 2, 3), toys.pool(2, 3, 1), toys.pool(3, 1, 2)]
    rows = [toys.row(10**18, 10**18) for _ in pools]
    rows[1] = toys.row(10**18, 11 * 10**17)
    held = [toys.holding(toy[1], pools, rows)]
    with Market(toy[0], held, toys.GENESIS, native=toys.address(1)) as market:
        router = Router(market)
        found = router.cycles([1])
        (best,) = found
        assert best.pools[:2] == (1, 2)
        assert best.pools[2] in {0, 3}
        gain = best.amount_out - best.amount_in
        for factor in (0.9, 0.99, 1.01, 1.1):
            other = router.walk(best, int(best.amount_in * factor))
            assert other.amount_out - other.amount_in < gain
        assert router.cycles([1], max_legs=2) == []
        assert {cycle.pools[0] for cycle in router.cycles(range(4))} == {0, 1, 2, 3}
        with pytest.raises(ValueError, match="2 to 4 legs"):
            router.cycles([1], max_legs=1)


def test_a_market_at_rest_has_no_cycles(toy: Toy) -> None:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 2)]
    with toys.market(*toy, pools, [toys.row(10**18, 10**18)] * 2) as market:
        assert market.router.cycles([0, 1]) == []
