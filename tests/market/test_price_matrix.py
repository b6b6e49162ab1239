"""Prices of one pair on many chains."""

from __future__ import annotations

import math
import threading
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.market.matrix_layout import COLUMNS
from tallyio.market.price_matrix import Price, PriceMatrix, Spread

NOW: Final = 10**18
AGE: Final = 2 * 10**9
PAIR: Final = "WETH/USDC"
CHAINS: Final = tuple(f"chain {k}" for k in range(COLUMNS))

prices = st.one_of(st.just(0.0), st.floats(1e-12, 1e12))
columns = st.lists(
    st.builds(
        Price,
        bid=prices,
        ask=prices,
        stamp_ns=st.integers(NOW - 2 * AGE, NOW),
        confidence=st.floats(0.0, 1.0),
    ),
    max_size=COLUMNS,
)


def matrix(*pairs: str, min_confidence: float = 0.5) -> PriceMatrix:
    return PriceMatrix(pairs or [PAIR], CHAINS, max_age_ns=AGE, min_confidence=min_confidence)


def write(made: PriceMatrix, chain: int, price: Price, pair: str = PAIR) -> None:
    made.update(pair, CHAINS[chain], **price._asdict())


def expected(written: list[Price]) -> tuple[str, str, float] | None:
    """Compare in plain Python: the first chain wins among equals."""
    usable = [
        (chain, price)
        for chain, price in zip(CHAINS, written, strict=False)
        if price.stamp_ns >= NOW - AGE and price.confidence >= 0.5
    ]
    bids = [(price.bid, chain) for chain, price in usable if price.bid > 0.0]
    asks = [(price.ask, chain) for chain, price in usable if price.ask > 0.0]
    if not bids or not asks:
        return None
    bid, ask = max(bids, key=lambda one: one[0]), min(asks, key=lambda one: one[0])
    return ask[1], bid[1], bid[0] / ask[0]


@given(columns)
def test_the_best_of_fresh_and_believed_prices_are_compared(written: list[Price]) -> None:
    with matrix() as made:
        for chain, price in enumerate(written):
            write(made, chain, price)
        assert made.compare(PAIR, now_ns=NOW) == expected(written)
        for chain, price in enumerate(written):
            assert made.price(PAIR, CHAINS[chain]) == price


def test_a_matrix_that_nobody_wrote_compares_nothing() -> None:
    with matrix() as made:
        assert made.compare(PAIR, now_ns=0) is None
        assert made.scan(now_ns=0) == []


@given(st.floats(1.001, 2.0), st.floats(1e-9, 1e-3), st.floats(1e-9, 1e-3))
def test_a_spread_is_sized_where_the_last_unit_spent_gains_nothing(
    ratio: float, ask_bend: float, bid_bend: float
) -> None:
    ask = 2000.0
    bid = ask * ratio
    with matrix("other", PAIR) as made:
        made.update(PAIR, CHAINS[3], bid=1.0, ask=ask, stamp_ns=NOW, ask_bend=ask_bend)
        made.update(PAIR, CHAINS[5], bid=bid, ask=1e9, stamp_ns=NOW, bid_bend=bid_bend)
        (spread,) = made.scan(now_ns=NOW)

    def gain(spent: float) -> float:
        bought = spent / ask / (1 + ask_bend * spent)
        return bid * bought / (1 + bid_bend * bought) - spent

    assert spread[:3] == (PAIR, CHAINS[3], CHAINS[5])
    assert spread.profit == pytest.approx(gain(spread.amount_in), rel=1e-6)
    for factor in (0.999, 1.001):
        assert gain(spread.amount_in * factor) <= spread.profit * (1 + 1e-9)


def test_spreads_come_best_first_and_without_a_bend_have_no_best_amount() -> None:
    with matrix("a", "b", "c") as made:
        for pair, bid in (("a", 1.1), ("b", 1.3), ("c", 0.9)):
            made.update(pair, CHAINS[0], bid=0.0, ask=1.0, stamp_ns=NOW)
            made.update(pair, CHAINS[1], bid=bid, ask=0.0, stamp_ns=NOW)
        found = made.scan(now_ns=NOW)
        assert [spread.pair for spread in found] == ["b", "a"]
        assert found[0] == Spread("b", CHAINS[0], CHAINS[1], 1.3, math.inf, math.inf)
        assert [spread.pair for spread in made.scan(now_ns=NOW, least_ratio=1.2)] == ["b"]


def test_a_reader_beside_the_writer_never_sees_a_price_of_two_updates() -> None:
    with matrix() as made:
        made.update(PAIR, CHAINS[0], bid=1.0, ask=1.0, stamp_ns=1, confidence=1.0)
        stop, started = threading.Event(), threading.Barrier(2)
        seen: list[Price] = []

        def look() -> None:
            started.wait()
            while not stop.is_set():
                seen.append(made.price(PAIR, CHAINS[0]))

        reader = threading.Thread(target=look)
        reader.start()
        started.wait()
        for number in range(1, 3000):
            made.update(PAIR, CHAINS[0], bid=float(number), ask=float(number), stamp_ns=number)
        stop.set()
        reader.join()
        assert all(price.bid == price.ask == price.stamp_ns for price in seen)


@pytest.mark.parametrize(
    ("pairs", "chains", "confidence", "message"),
    [
        ([PAIR], [str(k) for k in range(COLUMNS + 1)], 0.5, "has 16 columns, which are too few for 17"),
        ([PAIR, PAIR], CHAINS, 0.5, "named twice"),
        ([PAIR], ["a", "a"], 0.5, "named twice"),
        ([PAIR], CHAINS, 0.0, "min_confidence must be above 0 and at most 1, was 0.0"),
    ],
)
def test_an_impossible_matrix_is_refused(
    pairs: list[str], chains: list[str], confidence: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        PriceMatrix(pairs, chains, max_age_ns=1, min_confidence=confidence)


@pytest.mark.parametrize("price", [{"bid": -1.0, "ask": 1.0}, {"bid": 1.0, "ask": math.nan}])
def test_a_price_below_zero_is_refused(price: dict[str, float]) -> None:
    with matrix() as made, pytest.raises(ValueError, match="not negative"):
        made.update(PAIR, CHAINS[0], stamp_ns=NOW, **price)
