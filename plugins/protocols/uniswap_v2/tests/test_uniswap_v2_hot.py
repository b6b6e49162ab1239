"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_uniswap_v2 import hot, reference
from tallyio_protocol_uniswap_v2.layout import ROW_BYTES, UINT112_MAX, pack_row, unpack_reserves

from tallyio.market.abi import LOG_APPLIED, LOG_RELOAD
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

FEES = ((997, 1000), (9975, 10000), (998, 1000), (999_999, 1_000_000), (1, 1), (1, 1_000_000))
UINT112 = st.one_of(
    st.integers(0, UINT112_MAX), st.integers(0, 112).map(lambda bits: min(1 << bits, UINT112_MAX))
)
AMOUNT = st.one_of(UINT112, st.integers(0, 2**256 - 1))


class Row:
    """A row in native memory."""

    def __init__(self) -> None:
        self.memory = Region(4096)
        self.address = self.memory.address
        self.data = self.address + ROW_BYTES

    def set(self, reserves: tuple[int, int], fees: tuple[tuple[int, int], int], *, gas: int = 0) -> None:
        """Put a fresh row there."""
        raw = pack_row(reserves, fee_numerators=fees[0], fee_denominator=fees[1], gas=gas)
        self.memory.view("u1", ROW_BYTES)[:] = bytearray(raw)

    @property
    def reserves(self) -> tuple[int, int]:
        """The reserves in the row."""
        return unpack_reserves(self.memory.view("u1", ROW_BYTES).tobytes())

    def apply(self, data: bytes, *, event: int = 0) -> int:
        """Apply a log with this data."""
        self.memory.view("u1", len(data), ROW_BYTES)[:] = bytearray(data)
        status: int = hot.apply_log(self.address, event, 0, self.data, len(data))
        return status


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.quote_exact_out, hot.curve, hot.gas, hot.apply_log])
    made = Row()
    yield made
    made.memory.close()


def expected(reserves: tuple[int, int], fees: tuple[tuple[int, int], int], i: int, amount_in: int) -> int:
    return reference.quote(
        reserves[i], reserves[1 - i], amount_in, fee_numerator=fees[0][i], fee_denominator=fees[1]
    )


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), i=st.integers(0, 1), amount=AMOUNT)
def test_a_quote_equals_the_reference(
    row: Row, reserves: tuple[int, int], fee: tuple[int, int], i: int, amount: int
) -> None:
    fees = ((fee[0], fee[0]), fee[1])
    row.set(reserves, fees)
    assert hot.quote(row.address, i, 1 - i, amount) == expected(reserves, fees, i, amount)


def test_twenty_thousand_seeded_quotes_equal_the_reference(row: Row) -> None:
    draw = random.Random(11)
    for _ in range(20_000):
        fee = draw.choice(FEES)
        fees = ((fee[0], max(1, fee[0] - 1)), fee[1])
        reserves = (draw.getrandbits(draw.randrange(1, 113)), draw.getrandbits(draw.randrange(1, 113)))
        amount, i = draw.getrandbits(draw.randrange(1, 114)), draw.randrange(2)
        row.set(reserves, fees)
        assert hot.quote(row.address, i, 1 - i, amount) == expected(reserves, fees, i, amount)


def expected_in(reserves: tuple[int, int], fees: tuple[tuple[int, int], int], i: int, amount_out: int) -> int:
    return reference.quote_exact_out(
        reserves[i], reserves[1 - i], amount_out, fee_numerator=fees[0][i], fee_denominator=fees[1]
    )


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), i=st.integers(0, 1), amount=AMOUNT)
def test_an_exact_output_equals_the_reference(
    row: Row, reserves: tuple[int, int], fee: tuple[int, int], i: int, amount: int
) -> None:
    fees = ((fee[0], fee[0]), fee[1])
    row.set(reserves, fees)
    assert hot.quote_exact_out(row.address, i, 1 - i, amount) == expected_in(reserves, fees, i, amount)


def test_twenty_thousand_seeded_exact_outputs_equal_the_reference(row: Row) -> None:
    draw = random.Random(12)
    for _ in range(20_000):
        fee = draw.choice(FEES)
        fees = ((fee[0], max(1, fee[0] - 1)), fee[1])
        reserves = (draw.getrandbits(draw.randrange(1, 113)), draw.getrandbits(draw.randrange(1, 113)))
        i = draw.randrange(2)
        amount = draw.choice((draw.getrandbits(draw.randrange(1, 113)), reserves[1 - i] - draw.randrange(3)))
        row.set(reserves, fees)
        amount = max(amount, 0)
        assert hot.quote_exact_out(row.address, i, 1 - i, amount) == expected_in(reserves, fees, i, amount)


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), amount=UINT112)
def test_an_exact_output_costs_enough_and_at_most_one_unit_too_much(
    row: Row, reserves: tuple[int, int], fee: tuple[int, int], amount: int
) -> None:
    row.set(reserves, ((fee[0], fee[0]), fee[1]))
    cost = hot.quote_exact_out(row.address, 0, 1, amount)
    if cost:
        assert hot.quote(row.address, 0, 1, cost) >= amount
        assert hot.quote(row.address, 0, 1, max(cost - 2, 0)) < amount


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), amount=UINT112)
def test_the_pair_accepts_whatever_the_library_computes_unless_it_is_nothing_or_too_much(
    reserves: tuple[int, int], fee: tuple[int, int], amount: int
) -> None:
    numerator, denominator = fee
    fees = {"fee_numerator": numerator, "fee_denominator": denominator}
    out = reference.get_amount_out(amount, *reserves, **fees)
    fits = out > 0 and reserves[0] + amount <= UINT112_MAX
    assert reference.pair_accepts(amount, out, *reserves, **fees) is fits


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), amounts=st.tuples(UINT112, UINT112))
def test_a_larger_input_never_pays_less_while_the_pair_can_hold_it(
    row: Row, reserves: tuple[int, int], fee: tuple[int, int], amounts: tuple[int, int]
) -> None:
    row.set(reserves, ((fee[0], fee[0]), fee[1]))
    low, high = sorted(amount % max(1, UINT112_MAX - reserves[0]) for amount in amounts)
    assert hot.quote(row.address, 0, 1, low) <= hot.quote(row.address, 0, 1, high)


@given(reserves=st.tuples(UINT112, UINT112), fee=st.sampled_from(FEES), i=st.integers(0, 1), amount=UINT112)
def test_the_float_curve_is_within_its_promise(
    row: Row, reserves: tuple[int, int], fee: tuple[int, int], i: int, amount: int
) -> None:
    row.set(reserves, ((fee[0], fee[0]), fee[1]))
    exact = hot.quote(row.address, i, 1 - i, amount)
    out, slope = hot.curve(row.address, i, 1 - i, float(amount))
    if reserves[i] == 0 or amount + reserves[i] >= UINT112_MAX - 2**60:
        return  # no curve, or too near the limit for a float to tell the side
    assert abs(out - exact) <= 1e-9 * exact + 2
    assert slope >= 0.0


def test_the_slope_is_the_derivative(row: Row) -> None:
    row.set((10**24, 3 * 10**21), ((997, 997), 1000))
    low, high = (hot.curve(row.address, 0, 1, amount)[0] for amount in (1e22 * 0.9999, 1e22 * 1.0001))
    assert hot.curve(row.address, 0, 1, 1e22)[1] == pytest.approx((high - low) / (1e22 * 0.0002), rel=1e-6)


def test_the_slope_at_nothing_is_the_price_after_the_fee(row: Row) -> None:
    row.set((10**12, 4 * 10**12), ((997, 997), 1000))
    out, slope = hot.curve(row.address, 0, 1, 0.0)
    assert out == 0.0
    assert slope == pytest.approx(4 * 0.997)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (2, 3)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set((10**12, 10**12), ((997, 997), 1000))
    assert hot.quote(row.address, i, j, 1000) == 0
    assert hot.quote_exact_out(row.address, i, j, 1000) == 0
    assert hot.curve(row.address, i, j, 1000.0) == (0.0, 0.0)


def test_gas_is_what_the_row_says(row: Row) -> None:
    row.set((10**12, 10**12), ((997, 997), 1000), gas=81_234)
    assert hot.gas(row.address, 0, 1, 5) == 81_234


def test_a_sync_sets_the_reserves_and_nothing_else(row: Row) -> None:
    row.set((1, 2), ((997, 996), 1000), gas=3)
    assert row.apply((7).to_bytes(32) + UINT112_MAX.to_bytes(32)) == LOG_APPLIED
    assert row.reserves == (7, UINT112_MAX)
    assert hot.gas(row.address, 0, 1, 5) == 3


@pytest.mark.parametrize(
    ("data", "event"),
    [(bytes(63), 0), (bytes(96), 0), (bytes(64), 1), ((1 << 112).to_bytes(32) + bytes(32), 0), (b"", 0)],
)
def test_a_log_that_is_no_sync_asks_for_a_reload_and_changes_nothing(
    row: Row, data: bytes, event: int
) -> None:
    row.set((5, 6), ((997, 997), 1000))
    assert row.apply(data, event=event) == LOG_RELOAD
    assert row.reserves == (5, 6)


@pytest.mark.parametrize(
    ("reserves", "numerators", "denominator"),
    [
        ((1 << 112, 0), (997, 997), 1000),
        ((-1, 0), (997, 997), 1000),
        ((1, 1), (0, 1), 1000),
        ((1, 1), (2, 1), 1),
    ],
)
def test_an_impossible_row_is_refused(
    reserves: tuple[int, int], numerators: tuple[int, int], denominator: int
) -> None:
    with pytest.raises(ValueError, match="must be"):
        pack_row(reserves, fee_numerators=numerators, fee_denominator=denominator, gas=0)
