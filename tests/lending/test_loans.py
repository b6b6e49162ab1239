"""The cheapest loan that fits."""

from __future__ import annotations

import random
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.lending.loans import OWN_FUNDS, choose_loan, own_offer
from tallyio.model.execution import Borrowing
from tallyio.model.lending import LoanOffer
from tallyio.model.units import Address

TOKEN, OTHER, OWNER = (Address(bytes([letter]) * 20) for letter in b"tox")
Rounds = Literal["down", "half_up", "up"]


def offer(number: int, **fields: Any) -> LoanOffer:
    facts: dict[str, Any] = {
        "lender": Address(bytes([number]) * 20),
        "venue": f"lender {number}",
        "token": TOKEN,
        "available": 10_000,
        "fee_numerator": 9,
        "fee_denominator": 10_000,
        "fee_rounds": "up",
        "gas": 80_000,
    }
    return LoanOffer(**(facts | fields))


def choose(*offers: LoanOffer, amount: int = 1_000, **fields: Any) -> Borrowing | None:
    facts: dict[str, Any] = {"native_per_unit": 10.0**9, "gas_price_wei": 1.0}
    return choose_loan(offers, TOKEN, amount, **(facts | fields))


def lender(chosen: Borrowing | None) -> str | None:
    return None if chosen is None else chosen.offer.venue


def test_the_fee_is_weighed_with_the_gas_at_their_prices() -> None:
    free, cheap = offer(1, fee_numerator=0, gas=200_000), offer(2, gas=50_000)
    assert lender(choose(cheap, free)) == "lender 1"
    assert lender(choose(cheap, free, gas_price_wei=10_000.0)) == "lender 2"
    assert lender(choose(cheap, free, native_per_unit=1.0)) == "lender 2"


def test_the_owners_own_funds_are_the_cheapest_where_they_suffice() -> None:
    free, own = offer(1, fee_numerator=0), own_offer(OWNER, TOKEN, 999)
    assert lender(choose(free, own, amount=999)) == OWN_FUNDS
    assert lender(choose(free, own, amount=1_000)) == "lender 1"


@pytest.mark.parametrize(
    ("fields", "amount"),
    [({"available": 999}, 1_000), ({"token": OTHER}, 1_000), ({}, 0), ({}, 10_001)],
)
def test_what_does_not_fit_is_left(fields: dict[str, Any], amount: int) -> None:
    assert choose(offer(1, **fields), amount=amount) is None
    assert choose() is None


def test_a_lender_that_the_trade_needs_is_left() -> None:
    first, second = offer(1), offer(2, gas=90_000)
    assert lender(choose(first, second, locked={first.lender})) == "lender 2"
    assert choose(first, locked={first.lender}) is None


def test_equal_offers_are_chosen_alike_in_any_order() -> None:
    offers = [offer(number) for number in range(1, 9)]
    for seed in range(10):
        random.Random(seed).shuffle(offers)
        assert lender(choose(*offers)) == "lender 1"


drawn = st.lists(
    st.tuples(
        st.integers(1, 2_000),
        st.integers(0, 50),
        st.integers(1, 1_000),
        st.sampled_from(("down", "half_up", "up")),
        st.integers(0, 200_000),
    ),
    max_size=8,
)


@given(drawn, st.integers(1, 2_000), st.floats(0, 1e12), st.floats(0, 1e12))
def test_nobody_who_fits_is_cheaper_and_the_fee_is_the_offers_own(
    facts: list[tuple[int, int, int, Rounds, int]], amount: int, native: float, gas_price: float
) -> None:
    offers = [
        offer(number, available=most, fee_numerator=top, fee_denominator=bottom, fee_rounds=rounds, gas=gas)
        for number, (most, top, bottom, rounds, gas) in enumerate(facts)
    ]
    chosen = choose(*offers, amount=amount, native_per_unit=native, gas_price_wei=gas_price)
    costs = [each.fee(amount) * native + each.gas * gas_price for each in offers if each.available >= amount]
    if chosen is None:
        assert not costs
    else:
        assert chosen.fee == chosen.offer.fee(amount)
        assert chosen.fee * native + chosen.offer.gas * gas_price == min(costs)


@pytest.mark.parametrize(
    ("rounds", "amounts"),
    [
        ("down", {0: 0, 1_999: 0, 2_000: 1, 3_000: 1}),
        ("half_up", {0: 0, 999: 0, 1_000: 1, 2_999: 1, 3_000: 2}),
        ("up", {0: 0, 1: 1, 2_000: 1, 2_001: 2}),
    ],
)
def test_a_fee_is_rounded_as_the_lender_does(rounds: Rounds, amounts: dict[int, int]) -> None:
    made = offer(1, fee_numerator=5, fee_rounds=rounds)
    assert {amount: made.fee(amount) for amount in amounts} == amounts
