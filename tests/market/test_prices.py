"""Native prices of tokens."""

from __future__ import annotations

import random

import pytest

from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.model.errors import ConfigError
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]
NATIVE = toys.address(1)


def make(toy: Toy, *pools: tuple[int, int, int, int]) -> Market:
    """Return a market of pools (token, token, reserve, reserve), token 1 being the native one."""
    specs = [toys.pool(number, one, other) for number, (one, other, _, _) in enumerate(pools)]
    rows = [toys.row(reserve, to_reserve) for _, _, reserve, to_reserve in pools]
    return Market(toy[0], [toys.holding(toy[1], specs, rows)], toys.GENESIS, native=NATIVE)


def refresh(toy: Toy, market: Market) -> dict[int, float]:
    """Return wei per unit by the number in the token's address."""
    toy[0].load("tallyio.market.prices").refresh_prices(market.state)
    prices = zip(market.shape.tokens, market.prices.native_per_unit, strict=True)
    return {int.from_bytes(token): price for token, price in prices}


def test_the_native_token_is_worth_one_and_others_their_ratio(toy: Toy) -> None:
    with make(toy, (1, 2, 10**21, 4 * 10**21)) as market:
        assert refresh(toy, market) == {1: 1.0, 2: pytest.approx(0.25)}


def test_the_deepest_pool_prices_a_token(toy: Toy) -> None:
    with make(toy, (1, 2, 10**18, 10**18), (2, 1, 5 * 10**20, 10**21), (1, 2, 10**19, 10**18)) as market:
        assert refresh(toy, market)[2] == pytest.approx(2.0)


def test_a_token_without_a_native_pool_is_priced_through_one_hop(toy: Toy) -> None:
    pools = ((1, 2, 10**21, 4 * 10**21), (2, 3, 10**20, 10**12), (3, 4, 10**18, 10**18))
    with make(toy, *pools) as market:
        prices = refresh(toy, market)
        assert prices[3] == pytest.approx(0.25 * 10**8)
        assert prices[4] == 0.0


def test_prices_follow_blocks_and_pools_that_wait_do_not_price(toy: Toy) -> None:
    with make(toy, (1, 2, 10**21, 10**21), (1, 2, 10**20, 10**19)) as market:
        assert refresh(toy, market)[2] == pytest.approx(1.0)
        market.settle()
        pool = market.shape.pools[0]
        market.apply(toys.block(market.head, [toys.event_log(pool, 0, 10**21, 5 * 10**20)]))
        assert refresh(toy, market)[2] == pytest.approx(2.0)
        market.settle()
        market.apply(toys.block(market.head, [toys.event_log(pool, 2)]))
        assert refresh(toy, market)[2] == pytest.approx(10.0)


def test_prices_after_many_blocks_are_those_of_a_new_market(toy: Toy) -> None:
    """Exactly where a token shares a pool with the native one; within two thousandths where it does not."""
    draw = random.Random(5)
    ends = [(1, 2), (1, 2), (3, 1), (1, 3), (2, 4), (4, 3), (2, 5), (5, 6), (6, 2), (3, 6)]
    pools = [(*pair, draw.randrange(10**18, 10**21), draw.randrange(10**18, 10**21)) for pair in ends]
    with make(toy, *pools) as market:
        refresh(toy, market)
        for _ in range(200):
            market.settle()
            logs = []
            for pool in draw.sample(range(len(ends)), draw.randrange(1, 4)):
                one, other, *held = pools[pool]
                moved = [int(each * draw.uniform(0.999, 1.001)) for each in held]
                pools[pool] = (one, other, moved[0], moved[1])
                logs.append(toys.event_log(market.shape.pools[pool], 0, *moved))
            market.apply(toys.block(market.head, logs))
            prices = refresh(toy, market)
            with make(toy, *pools) as anew:
                expected = refresh(toy, anew)
            assert {token: prices[token] for token in (1, 2, 3)} == {
                token: expected[token] for token in (1, 2, 3)
            }
            assert prices == pytest.approx(expected, rel=2e-3)


def test_an_empty_pool_prices_nothing(toy: Toy) -> None:
    with make(toy, (1, 2, 0, 0)) as market:
        assert refresh(toy, market)[2] == 0.0


def test_an_unknown_native_token_is_refused(toy: Toy) -> None:
    with pytest.raises(ConfigError, match="no pool holds the wrapped native token"):
        Market(toy[0], [], toys.GENESIS, native=toys.address(9))
