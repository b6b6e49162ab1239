"""The compiled arithmetic against the reference, function by function."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from tallyio.market.concentrated import amounts, reference_math
from tallyio.market.concentrated.stops import rank
from tallyio.native.jit import hot
from tallyio.native.quotient import quotient128, quotient128_short

PRICES = (
    st.integers(32, 160)
    .flatmap(lambda bits: st.integers(1 << (bits - 1), (1 << bits) - 1))
    .map(lambda price: min(max(price, reference_math.LOWEST_LIMIT), reference_math.HIGHEST_LIMIT))
)
LIQUIDITIES = st.integers(0, 128).flatmap(lambda bits: st.integers(1 << bits >> 1, (1 << bits) - 1))


@settings(deadline=None)
@given(prices=st.tuples(PRICES, PRICES), liquidity=LIQUIDITIES)
def test_amounts_between_prices_equal_the_reference(prices: tuple[int, int], liquidity: int) -> None:
    low, high = sorted(prices)
    for down, up, exact in (
        (amounts.amount0_down, amounts.amount0_up, reference_math.get_amount0_delta),
        (amounts.amount1_down, amounts.amount1_up, reference_math.get_amount1_delta),
    ):
        assert down(low, high, liquidity) == exact(low, high, liquidity, round_up=False)
        assert up(low, high, liquidity) == exact(low, high, liquidity, round_up=True)


@settings(deadline=None)
@given(
    price=PRICES, liquidity=LIQUIDITIES.filter(bool), amount=st.integers(0, 192).map(lambda bits: 1 << bits)
)
def test_prices_after_an_input_equal_the_reference(price: int, liquidity: int, amount: int) -> None:
    exact = reference_math.get_next_sqrt_price_from_input
    for added in (amount - 1, amount):
        after = amounts.price_after_amount0(price, liquidity, added)
        assert after == exact(price, liquidity, added, zero_for_one=True)
        reached = exact(price, liquidity, added, zero_for_one=False)
        if reached <= reference_math.HIGHEST_LIMIT:  # a swap stops there
            assert amounts.price_after_amount1(price, liquidity, added) == reached


@settings(deadline=None)
@given(amount=st.integers(0, 2**192 - 1), fee=st.integers(0, 999_999))
def test_the_fee_is_taken_as_the_contract_takes_it(amount: int, fee: int) -> None:
    """`with_fee` is the sum of a full step, and the least input that completes it."""
    taken = amounts.with_fee(amount, fee)
    assert taken == amount + reference_math.ceil_div(amount * fee, 10**6 - fee)
    assert amounts.less_fee(taken, fee) == taken * (10**6 - fee) // 10**6 >= amount
    assert amount == 0 or amounts.less_fee(taken - 1, fee) < amount


def test_every_tick_has_the_ratio_of_the_contract() -> None:
    draw = random.Random(4)
    near = [*range(-300, 301), 230_536, 262_144, 294_762, 524_288]
    for tick in (*near, *(draw.randrange(-887_272, 887_273) for _ in range(3_000)), -887_272, 887_272):
        exact = reference_math.get_sqrt_ratio_at_tick(tick)
        assert amounts.sqrt_ratio_at_tick(tick) == min(
            max(exact, reference_math.LOWEST_LIMIT), reference_math.HIGHEST_LIMIT
        )


@settings(deadline=None)
@given(price=PRICES, liquidity=LIQUIDITIES.filter(bool), share=st.integers(0, 99))
def test_prices_after_an_output_equal_the_reference(price: int, liquidity: int, share: int) -> None:
    """For outputs that the last step of a swap may have: less than what lies on that side of the price."""
    exact = reference_math.get_next_sqrt_price_from_output
    below = reference_math.get_amount1_delta(reference_math.LOWEST_LIMIT, price, liquidity, round_up=False)
    above = reference_math.get_amount0_delta(price, reference_math.HIGHEST_LIMIT, liquidity, round_up=False)
    taken1, taken0 = below * share // 100, above * share // 100
    if taken1 < below:
        after = amounts.price_less_amount1(price, liquidity, taken1)
        assert after == exact(price, liquidity, taken1, zero_for_one=True)
    if taken0 < above:
        after = amounts.price_less_amount0(price, liquidity, taken0)
        assert after == exact(price, liquidity, taken0, zero_for_one=False)


@hot("int64(u256)")
def rank_of(value: int) -> int:
    return rank(value)


WIDE = st.integers(0, 256).flatmap(lambda bits: st.integers(1 << bits >> 1, (1 << bits) - 1))


@settings(deadline=None)
@given(one=WIDE, other=WIDE, near=st.integers(0, 2**20))
def test_ranks_never_fall_while_values_grow(one: int, other: int, near: int) -> None:
    for low, high in (sorted((one, other)), (one, min(one + near, 2**256 - 1))):
        assert rank_of(low) <= rank_of(high)
        if high >> max(0, high.bit_length() - 54) != low >> max(0, high.bit_length() - 54):
            assert rank_of(low) < rank_of(high)


@settings(deadline=None)
@given(
    quotient=st.integers(0, 2**128 - 1), divisor=WIDE.filter(bool), share=st.floats(0, 1, exclude_max=True)
)
def test_short_quotients_are_exact(quotient: int, divisor: int, share: float) -> None:
    rest = min(int(divisor * share), divisor - 1)
    for left in {0, rest, divisor - 1}:
        dividend = quotient * divisor + left
        if dividend < 2**320:
            assert quotient128(dividend, divisor) == (quotient, left == 0)
        if dividend < 2**256 and divisor < 2**128:
            assert quotient128_short(dividend, divisor) == (quotient, left == 0)
