"""Pools from Python: single quotes, quotes in batches, prices."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from typing import Final, cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tallyio.market.fusion import Fused
from tallyio.market.market import Market
from tallyio.market.pools import integers, words
from tallyio.model.errors import ConfigError
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]

A: Final = toys.address(1)
B: Final = toys.address(2)
C: Final = toys.address(3)
amounts = st.lists(st.integers(0, 2**256 - 1), max_size=20)


@pytest.fixture
def market(toy: Toy) -> Iterator[Market]:
    pools = [toys.pool(0, 1, 2), toys.pool(1, 1, 2, 3)]
    with toys.market(*toy, pools, [toys.row(10**18, 10**20, gas=77)] * 2) as made:
        yield made


@given(amounts)
def test_integers_survive_the_way_through_an_array(given_amounts: list[int]) -> None:
    assert integers(words(given_amounts)) == given_amounts


@pytest.mark.parametrize("amount", [-1, 2**256])
def test_what_no_contract_could_take_is_refused(amount: int) -> None:
    with pytest.raises(OverflowError):
        words([amount])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(0, 10**30), max_size=20))
def test_a_batch_equals_its_single_quotes(market: Market, wanted: list[int]) -> None:
    pool = market.pool(0)
    single = [pool.quote_exact_in(A, amount) for amount in wanted]
    assert integers(pool.quotes_exact_in(A, words(wanted))) == single
    assert [pool.quoter(A)(amount) for amount in wanted] == single
    exact = [pool.quote_exact_out(B, amount) for amount in wanted]
    assert integers(pool.quotes_exact_out(B, words(wanted))) == exact


def test_the_input_for_an_output_is_the_least_that_pays_it(market: Market) -> None:
    pool = market.pool(market.shape.pools[0].address)
    needed = pool.quote_exact_out(B, 10**18)
    assert pool.quote_exact_in(A, needed) >= 10**18 > pool.quote_exact_in(A, needed - 1)


def test_price_impact_grows_from_the_spot_price_on(market: Market) -> None:
    pool = market.pool(0)
    assert pool.spot_price(A) == pytest.approx(99.7)
    assert pool.spot_price(B) == pytest.approx(0.997 / 100)
    impacts = [pool.price_impact(A, amount) for amount in (0, 10**12, 10**17, 10**18)]
    assert impacts == sorted(impacts)
    assert impacts[-1] == pytest.approx(1 - 1 / 1.997, rel=1e-6)
    assert pool.gas(A, 1) == 77


def test_a_pool_of_three_tokens_wants_both_named(market: Market) -> None:
    pool = market.pool(1)
    assert pool.quote_exact_in(A, 10**9, B) == market.pool(0).quote_exact_in(A, 10**9)
    with pytest.raises(ConfigError, match="holds 3 tokens"):
        pool.quote_exact_in(A, 1)


def test_tokens_that_the_pool_does_not_trade_are_refused(market: Market) -> None:
    for sold, bought in ((C, None), (A, C), (A, A)):
        with pytest.raises(ConfigError, match="sells no"):
            market.pool(0).quote_exact_in(sold, 1, bought)
    with pytest.raises(ConfigError, match="this market holds no pool"):
        market.pool(toys.address(1))


def test_amounts_of_another_shape_are_refused(market: Market) -> None:
    with pytest.raises(ValueError, match=r"shape \(n, 4\), not \(3,\)"):
        market.pool(0).quotes_exact_in(A, np.zeros(3, np.uint64))


def test_a_quoter_keeps_its_market(toy: Toy) -> None:
    pool = toys.pool(0, 1, 2)
    market = toys.market(*toy, [pool], [toys.row(10**18, 10**20)])
    expected = market.quote(0, 0, 1, 10**9)
    quoter = market.pool(0).quoter(A)
    del market
    gc.collect()
    assert quoter(10**9) == expected > 0


ASKED: Final[dict[str, Callable[[Market], object]]] = {
    "state": lambda market: market.state,
    "address": lambda market: market.address,
    "head": lambda market: market.head,
    "dirty": lambda market: market.dirty,
    "prices": lambda market: market.prices,
    "is_enabled": lambda market: market.is_enabled(0),
    "pool_address": lambda market: market.pool_address(0),
    "row": lambda market: market.row(0),
    "quote": lambda market: market.quote(0, 0, 1, 1),
    "quote_exact_out": lambda market: market.quote_exact_out(0, 0, 1, 1),
    "quoter": lambda market: market.quoter(0, 0, 1),
    "curve": lambda market: market.curve(0, 0, 1, 1.0),
    "gas": lambda market: market.gas(0, 0, 1, 1),
    "apply": lambda market: market.apply(toys.block(toys.GENESIS, [])),
    "roll_back": lambda market: market.roll_back(toys.GENESIS.hash),
    "reload": lambda market: market.reload(0, toys.row(1, 1), block=toys.GENESIS.hash),
    "refresh_prices": lambda market: market.refresh_prices(),
    "settle": lambda market: market.settle(),
    "statistics": lambda market: market.statistics(),
    "router": lambda market: market.router,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_closed_market_says_so(market: Market, asked: str) -> None:
    market.close()
    with pytest.raises(ValueError, match="the market is closed"):
        ASKED[asked](market)
    market.close()


def test_what_was_made_of_a_market_says_so_once_it_is_closed(market: Market) -> None:
    pool, router, quoter = market.pool(0), market.router, market.pool(0).quoter(A)
    assert quoter(10**9) > 0
    market.close()
    questions: list[Callable[[], object]] = [
        lambda: quoter(10**9),
        lambda: pool.quoter(A),
        lambda: pool.quote_exact_in(A, 10**9),
        lambda: pool.quotes_exact_in(A, words([10**9])),
        lambda: pool.quotes_exact_out(B, words([10**9])),
        lambda: pool.spot_price(A),
        lambda: pool.gas(A, 1),
        router.refresh,
        lambda: router.best_path(A, B, 10**9),
        lambda: router.best_venue(A, B, 10**9),
        lambda: router.best_split(A, B, 10**9),
        lambda: router.cycles([0]),
    ]
    for question in questions:
        with pytest.raises(ValueError, match="the market is closed"):
            question()


@pytest.mark.parametrize("number", [-1, 2, 10**8])
def test_a_number_that_no_pool_has_is_refused(market: Market, number: int) -> None:
    questions: list[Callable[[], object]] = [
        lambda: market.pool(number),
        lambda: market.pool_address(number),
        lambda: market.row(number),
        lambda: market.is_enabled(number),
        lambda: market.quote(number, 0, 1, 1),
        lambda: market.quote_exact_out(number, 0, 1, 1),
        lambda: market.curve(number, 0, 1, 1.0),
        lambda: market.gas(number, 0, 1, 1),
        lambda: market.quoter(number, 0, 1),
        lambda: market.reload(number, toys.row(1, 1), block=toys.GENESIS.hash),
        lambda: market.router.best_path(A, B, 1, without=[0, number]),
        lambda: market.router.cycles([0, number]),
    ]
    for question in questions:
        with pytest.raises(ConfigError, match=f"this market holds no pool {number}"):
            question()
    assert market.pool(cast("int", np.int64(1))).number == 1


@pytest.mark.parametrize(("i", "j"), [(0, 2), (2, 0), (-1, 0), (0, 10**7), (1, 1)])
def test_a_place_that_no_token_has_is_refused(market: Market, i: int, j: int) -> None:
    questions: list[Callable[[], object]] = [
        lambda: market.quote(0, i, j, 1),
        lambda: market.quote_exact_out(0, i, j, 1),
        lambda: market.curve(0, i, j, 1.0),
        lambda: market.gas(0, i, j, 1),
        lambda: market.quoter(0, i, j),
    ]
    for question in questions:
        with pytest.raises(ConfigError, match=f"pool 0 sells no token {i} for a token {j}: it holds 2"):
            question()
