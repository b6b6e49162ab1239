"""Pools from Python: single quotes, quotes in batches, prices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

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
