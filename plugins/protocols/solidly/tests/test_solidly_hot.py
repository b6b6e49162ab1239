"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tallyio_protocol_solidly import hot, hot_stable, reference
from tallyio_protocol_solidly.layout import (
    CLOSED,
    ROW_BYTES,
    SOLVER_SOLIDLY,
    SOLVER_SUPERCHAIN,
    SOLVER_VELODROME_V2,
    UINT256_MAX,
    VOLATILE,
    pack_row,
    unpack_reserves,
)
from tallyio_protocol_solidly.reference import E18, Pool

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.model.units import Address
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

STABLE = (SOLVER_SOLIDLY, SOLVER_VELODROME_V2, SOLVER_SUPERCHAIN)
KINDS = (VOLATILE, *STABLE)
POOL = Address(bytes(range(20)))
ADDRESS_WORD = POOL.rjust(32, b"\0")

WORD = st.one_of(
    st.integers(0, UINT256_MAX),
    st.integers(0, 256).flatmap(lambda bits: st.integers(0, (1 << bits) - 1)),
    st.sampled_from([0, 1, 2**112 - 1, 2**128 - 1, 2**128, UINT256_MAX // E18, UINT256_MAX]),
)
DECIMALS = st.sampled_from([0, 6, 8, 18, 24, 77])
FEES = st.sampled_from(
    [(0, 10_000), (1, 10_000), (30, 10_000), (10_000, 10_000), (3 * 10**15, E18), (7, 1_000)]
)


def pools(reserve: st.SearchStrategy[int], kinds: tuple[int, ...] = KINDS) -> st.SearchStrategy[Pool]:
    return st.builds(
        lambda reserves, decimals, kind, fee: Pool(
            reserves, (10 ** decimals[0], 10 ** decimals[1]), kind, fee[0], fee[1]
        ),
        st.tuples(reserve, reserve),
        st.tuples(DECIMALS, DECIMALS),
        st.sampled_from(kinds),
        FEES,
    )


class Row:
    """A row in native memory."""

    def __init__(self) -> None:
        self.memory = Region(4096)
        self.address = self.memory.address

    def set(self, pool: Pool, *, gas: int = 0) -> None:
        """Put a fresh row there."""
        raw = pack_row(
            pool.reserves,
            units=pool.units,
            kind=pool.kind,
            fee_numerator=pool.fee_numerator,
            fee_denominator=pool.fee_denominator,
            gas=gas,
            pool=POOL,
        )
        self.memory.view("u1", ROW_BYTES)[:] = bytearray(raw)

    @property
    def reserves(self) -> tuple[int, int]:
        """The reserves in the row."""
        return unpack_reserves(self.memory.view("u1", ROW_BYTES).tobytes())

    def apply(self, data: bytes, *, event: int = 0, topics: bytes = bytes(32)) -> int:
        """Apply a log with this data and topics after topic 0."""
        self.memory.view("u1", 32, ROW_BYTES)[:] = bytearray(topics)
        self.memory.view("u1", len(data), ROW_BYTES + 32)[:] = bytearray(data)
        place = self.address + ROW_BYTES
        status: int = hot.apply_log(self.address, event, place, place + 32, len(data))
        return status


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.curve, hot.gas, hot.apply_log])
    made = Row()
    yield made
    made.memory.close()


# --- quote -----------------------------------------------------------------------------------


@given(pool=pools(WORD), i=st.integers(0, 1), amount=WORD)
def test_a_quote_of_any_state_equals_the_reference(row: Row, pool: Pool, i: int, amount: int) -> None:
    row.set(pool)
    assert hot.quote(row.address, i, 1 - i, amount) == reference.quote(pool, i, amount)


def drawn(draw: random.Random, kind: int, tokens: tuple[float, float], ratio: float) -> tuple[Pool, int, int]:
    """Draw a pool of that many tokens (powers of ten) and that imbalance, a side, and an amount."""
    units = (10 ** draw.choice((0, 6, 8, 18, 24)), 10 ** draw.choice((0, 6, 8, 18, 24)))
    first = int(10 ** draw.uniform(*tokens) * units[0])
    reserves = (first, int(first * units[1] * 10 ** draw.uniform(-ratio, ratio)) // units[0])
    i = draw.randrange(2)
    amount = int(reserves[i] * 10 ** draw.uniform(-9, 3)) + draw.randrange(3)
    return Pool(reserves, units, kind, *draw.choice(((1, 10_000), (5, 10_000), (30, 10_000)))), i, amount


def said(pool: Pool, i: int, amount: int) -> int | None:
    """Return what `getAmountOut` says; None where it reverts."""
    try:
        return reference.get_amount_out(pool, i, amount)
    except reference.Reverts:
        return None


@pytest.mark.parametrize("kind", KINDS)
def test_five_thousand_seeded_quotes_equal_the_reference(row: Row, kind: int) -> None:
    draw, paid = random.Random(kind), 0
    for number in range(5_000):
        pool, i, amount = drawn(draw, kind, *(((3, 9), 2) if number % 2 else ((-12, 14), 12)))
        row.set(pool)
        quoted = hot.quote(row.address, i, 1 - i, amount)
        assert quoted == reference.quote(pool, i, amount)
        paid += quoted > 0
    assert paid > 1_500


@given(n=WORD)
def test_division_by_ten_to_the_eighteen_rounds_down(n: int) -> None:
    assert hot_stable.over_e18(n) == n // E18


@given(x=WORD, xy=WORD, y=WORD, decimals=st.tuples(DECIMALS, DECIMALS), kind=st.sampled_from(STABLE))
def test_the_solvers_equal_the_reference_from_any_start(
    x: int, xy: int, y: int, decimals: tuple[int, int], kind: int
) -> None:
    units = (10 ** decimals[0], 10 ** decimals[1])
    if kind == SOLVER_SOLIDLY:
        found = hot_stable.get_y_solidly(x, xy, y)
    else:
        asked = units if kind == SOLVER_VELODROME_V2 else (E18, E18)
        found = hot_stable.get_y_velodrome(x, xy, y, *asked)
    try:
        expected = reference.get_y(Pool((0, 0), units, kind), x, xy, y)
    except reference.Reverts:
        assert found == UINT256_MAX
    else:
        assert found == expected or expected >= 2**128 > y


@given(reserves=st.tuples(WORD, WORD), amounts=st.tuples(WORD, WORD), fee=FEES)
def test_a_volatile_pool_never_pays_less_for_more_while_it_does_not_revert(
    row: Row, reserves: tuple[int, int], amounts: tuple[int, int], fee: tuple[int, int]
) -> None:
    row.set(Pool(reserves, (1, 1), VOLATILE, *fee))
    low, high = (hot.quote(row.address, 0, 1, amount) for amount in sorted(amounts))
    assert low <= high or high == 0


@pytest.mark.parametrize("kind", STABLE)
def test_a_stable_pool_of_common_size_never_pays_less_for_more(row: Row, kind: int) -> None:
    """From a thousand tokens on, 1:100 at most: the README names where Newton's rounding breaks this."""
    draw = random.Random(kind)
    for _ in range(3_000):
        pool, i, amount = drawn(draw, kind, (3, 8), 2)
        more = amount + draw.choice((1, 2, 1 + amount // 10**6, 1 + amount))
        row.set(pool)
        low, high = hot.quote(row.address, i, 1 - i, amount), hot.quote(row.address, i, 1 - i, more)
        assert low <= high or said(pool, i, more) is None  # hundreds of times the reserve overflow


@pytest.mark.parametrize("kind", STABLE)
def test_a_stable_pool_of_common_size_accepts_what_it_says(kind: int) -> None:
    """K holds for every amount that `getAmountOut` gives, so that a quote of 0 means 0."""
    draw = random.Random(kind + 10)
    for _ in range(1_500):
        pool, i, amount = drawn(draw, kind, (3, 8), 2)
        assert reference.quote(pool, i, amount) == (said(pool, i, amount) or 0)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (2, 3)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    row.set(Pool((10**24, 10**24), kind=SOLVER_SOLIDLY))
    assert hot.quote(row.address, i, j, 10**18) == 0
    assert hot.curve(row.address, i, j, 1e18) == (0.0, 0.0)


def test_a_closed_pool_pays_nothing(row: Row) -> None:
    row.set(Pool((10**24, 10**24), kind=CLOSED))
    assert hot.quote(row.address, 0, 1, 10**18) == 0
    assert hot.curve(row.address, 0, 1, 1e18) == (0.0, 0.0)


def test_the_solvers_differ_where_their_sources_do(row: Row) -> None:
    """The same pool, in which Solidly stops one step early, and Velodrome's first check overflows."""
    draw, differ = random.Random(3), dict.fromkeys(STABLE, 0)
    for _ in range(6_000):
        pool, i, amount = drawn(draw, SOLVER_SUPERCHAIN, (-4, 1), 2)
        row.set(pool)
        usual = hot.quote(row.address, i, 1 - i, amount)
        for kind in STABLE:
            row.set(Pool(pool.reserves, pool.units, kind, pool.fee_numerator))
            differ[kind] += hot.quote(row.address, i, 1 - i, amount) != usual
    assert differ[SOLVER_SUPERCHAIN] == 0
    assert min(differ[SOLVER_SOLIDLY], differ[SOLVER_VELODROME_V2]) > 5


# --- curve -----------------------------------------------------------------------------------


def step(pool: Pool, i: int, amount: int) -> float:
    """Return the step of a pool in units of its output, as `hot_curve` has it."""
    unit_in, unit_out = pool.units[i], pool.units[1 - i]
    if pool.kind == VOLATILE:
        return 1.0
    x = (pool.reserves[i] + amount) / unit_in
    y = (pool.reserves[1 - i] - reference.quote(pool, i, amount)) / unit_out
    plateau = 2e-18 * (1 + (x + y) ** 2) / (3 * x * y * y + x**3)
    return max(1.0, unit_out * max(1e-18, plateau))


@pytest.mark.parametrize("kind", KINDS)
def test_the_float_curve_is_within_its_promise(row: Row, kind: int) -> None:
    draw, compared = random.Random(kind + 20), 0
    for number in range(4_000):
        pool, i, amount = drawn(draw, kind, (-2, 9), 12 if number % 2 else 2)
        row.set(pool)
        exact = hot.quote(row.address, i, 1 - i, amount)
        out, slope = hot.curve(row.address, i, 1 - i, float(amount))
        assert slope >= 0.0
        if exact:
            assert abs(out - exact) <= 1e-9 * exact + 2 * step(pool, i, amount), (pool, i, amount)
            compared += 1
    assert compared > 1_500


@pytest.mark.parametrize("kind", KINDS)
def test_the_slope_is_the_derivative(row: Row, kind: int) -> None:
    row.set(Pool((10**12, 3 * 10**24), (10**6, E18), kind, 0))
    low, high = (hot.curve(row.address, 0, 1, amount)[0] for amount in (1e11 * 0.9999, 1e11 * 1.0001))
    assert hot.curve(row.address, 0, 1, 1e11)[1] == pytest.approx((high - low) / (1e11 * 0.0002), rel=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_slope_at_nothing_is_the_price_after_the_fee(row: Row, kind: int) -> None:
    row.set(Pool((10**24, 10**24), kind=kind))
    out, slope = hot.curve(row.address, 0, 1, 0.0)
    assert out == 0.0
    assert slope == pytest.approx(0.997)


@given(pool=pools(WORD), i=st.integers(0, 1), amount=st.floats(allow_nan=True, allow_infinity=True))
def test_the_curve_of_any_state_is_a_number(row: Row, pool: Pool, i: int, amount: float) -> None:
    assume(0.0 <= amount <= 1e77)
    row.set(pool)
    out, slope = hot.curve(row.address, i, 1 - i, amount)
    assert out >= 0.0
    assert slope >= 0.0


# --- gas, logs, layout -------------------------------------------------------------------------


def test_gas_is_what_the_row_says(row: Row) -> None:
    row.set(Pool((10**12, 10**12)), gas=81_234)
    assert hot.gas(row.address, 0, 1, 5) == 81_234


def test_a_sync_sets_the_reserves_and_nothing_else(row: Row) -> None:
    row.set(Pool((1, 2), kind=SOLVER_SOLIDLY), gas=3)
    assert row.apply((7).to_bytes(32) + UINT256_MAX.to_bytes(32)) == LOG_APPLIED
    assert row.reserves == (7, UINT256_MAX)
    assert hot.gas(row.address, 0, 1, 5) == 3


@pytest.mark.parametrize("event", range(5))
def test_any_event_of_a_closed_pool_asks_for_a_reload(row: Row, event: int) -> None:
    row.set(Pool((5, 6), kind=CLOSED))
    assert row.apply(bytes(64), event=event, topics=ADDRESS_WORD) == LOG_RELOAD
    assert row.reserves == (5, 6)


@pytest.mark.parametrize(
    ("data", "event"), [(bytes(63), 0), (bytes(96), 0), (b"", 0), (bytes(32), 2), (bytes(32), 3), (b"", 4)]
)
def test_a_log_that_is_no_sync_asks_for_a_reload_and_changes_nothing(
    row: Row, data: bytes, event: int
) -> None:
    row.set(Pool((5, 6)))
    assert row.apply(data, event=event) == LOG_RELOAD
    assert row.reserves == (5, 6)


@pytest.mark.parametrize(
    ("topic", "status"), [(ADDRESS_WORD, LOG_RELOAD), (bytes(32), LOG_IGNORED), (b"\1" * 32, LOG_IGNORED)]
)
def test_a_custom_fee_concerns_the_pool_that_it_names(row: Row, topic: bytes, status: int) -> None:
    row.set(Pool((5, 6)))
    assert row.apply((77).to_bytes(32), event=1, topics=topic) == status


@pytest.mark.parametrize(
    "wrong",
    [
        {"reserves": (1 << 256, 0)},
        {"reserves": (-1, 0)},
        {"units": (10**18, 0)},
        {"units": (10**18, 20)},
        {"units": (10**78, 1)},
        {"fee_numerator": 10_001},
        {"fee_numerator": -1},
        {"fee_denominator": 0, "fee_numerator": 0},
        {"fee_denominator": E18 + 1},
        {"kind": 5},
        {"kind": -1},
    ],
)
def test_an_impossible_row_is_refused(wrong: dict[str, object]) -> None:
    right = {"reserves": (1, 1), "units": (1, E18), "kind": 0, "fee_numerator": 1, "fee_denominator": 10_000}
    fields = {**right, **wrong}
    with pytest.raises(ValueError, match="must be"):
        pack_row(fields.pop("reserves"), **fields)  # type: ignore[arg-type]
