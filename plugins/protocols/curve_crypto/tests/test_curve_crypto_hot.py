"""The compiled functions beside the reference, the float curve beside the quotes, and the row."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_curve_crypto import hot, hot_cube_root, hot_words, reference_words
from tallyio_protocol_curve_crypto.events import TOPICS
from tallyio_protocol_curve_crypto.layout import MAX_TIME, Ramp, State, pack_row, unpack_d
from tallyio_protocol_curve_crypto.loading import pool_of
from tallyio_protocol_curve_crypto.reference import exchange, invariant, quote
from tallyio_protocol_curve_crypto.reference_newton import cbrt
from tallyio_protocol_curve_crypto.reference_words import Revert
from tallyio_protocol_curve_crypto.samples import NOW, Row, draw_amount, draw_state, usual_state
from tallyio_protocol_curve_crypto.templates import TEMPLATES

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD

EDGES = (0, 1, 2, 2**127, 2**128 - 1, 2**128, 2**254, 2**255 - 1, 2**255, 2**255 + 1, 2**256 - 1)
WORDS = st.one_of(st.sampled_from(EDGES), st.integers(0, 2**256 - 1), st.integers(0, 2**130))
INTS = WORDS.map(reference_words.unsafe_int).filter(lambda value: value != -(2**255))


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    row = Row()
    yield row
    row.close()


def checked(result: int | None, of_reverted: int) -> int:
    return of_reverted if result is None else result


def or_none(compute: object, *args: int) -> int | None:
    try:
        return compute(*args)  # type: ignore[operator, no-any-return]
    except Revert:
        return None


@given(a=WORDS, b=WORDS)
def test_unsigned_arithmetic_reverts_where_vypers_does(a: int, b: int) -> None:
    fit, none = reference_words.fit, hot_words.REVERTED
    for compiled, plain in (
        (hot_words.mul, lambda: fit(a * b)),
        (hot_words.add, lambda: fit(a + b)),
        (hot_words.sub, lambda: fit(a - b)),
        (hot_words.div, lambda: reference_words.div(a, b)),
    ):
        expected = none if none in (a, b) else checked(or_none(plain), none)
        assert compiled(a, b) == expected


@given(a=INTS, b=INTS)
def test_signed_arithmetic_reverts_where_vypers_does(a: int, b: int) -> None:
    fit = reference_words.int_fit
    for compiled, plain in (
        (hot_words.int_mul, lambda: fit(a * b)),
        (hot_words.int_add, lambda: fit(a + b)),
        (hot_words.int_sub, lambda: fit(a - b)),
        (hot_words.int_div, lambda: reference_words.int_div(a, b)),
        (hot_words.unsafe_int_div, lambda: reference_words.unsafe_int_div(a, b)),
        (hot_words.unsafe_int_mul, lambda: reference_words.unsafe_int(a * b)),
    ):
        expected = checked(or_none(plain), hot_words.BROKEN) % 2**256
        assert compiled(a % 2**256, b % 2**256) == expected


@given(a=WORDS)
def test_what_is_computed_from_a_revert_is_a_revert(a: int) -> None:
    for compiled in (hot_words.mul, hot_words.add, hot_words.sub, hot_words.div):
        assert compiled(hot_words.REVERTED, a) == hot_words.REVERTED
        if a > 0 or compiled in (hot_words.mul, hot_words.div):
            assert compiled(a, hot_words.REVERTED) == hot_words.REVERTED
    for compiled in (hot_words.int_mul, hot_words.int_add, hot_words.int_sub, hot_words.unsafe_int_div):
        assert compiled(hot_words.BROKEN, a) == hot_words.BROKEN
        assert compiled(a, hot_words.BROKEN) == hot_words.BROKEN


@given(x=WORDS)
def test_the_cube_root_is_the_contracts(x: int) -> None:
    assert hot_cube_root.cbrt(x) == cbrt(x)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_quote_and_d_are_the_references(row: Row, kind: str) -> None:
    draw = random.Random(f"hot {kind}")
    for _ in range(1_000):
        state = draw_state(draw, kind)
        pool, coins = pool_of(state), state.template.coins
        i, j = draw.sample(range(coins), 2)
        amount = draw_amount(draw, state.balances[i])
        assert hot.quote(row.set(state), i, j, amount) == quote(pool, i, j, amount)
        d = or_none(lambda pool=pool: invariant(pool))
        assert unpack_d(row.raw(coins)) == checked(d, hot_words.REVERTED)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_float_curve_is_within_its_promise(row: Row, kind: str) -> None:
    """1e-9 of the output, two units of it, and what the contract's own walk may be off: 1e-14 of the pool."""
    draw, compared = random.Random(f"float {kind}"), 0
    for _ in range(1_000):
        state = usual_fees(draw, draw_state(draw, kind))
        i, j = draw.sample(range(state.template.coins), 2)
        amount = max(1, int(state.balances[i] * 10 ** draw.uniform(-12, 1)))
        address = row.set(state)
        exact = hot.quote(address, i, j, amount)
        out, slope = hot.curve(address, i, j, float(amount))
        if exact == 0 or out == 0.0:
            continue
        compared += 1
        assert abs(out - exact) <= 1e-9 * exact + 2 + 1e-14 * worth_of_all(state, j)
        assert slope >= 0.0
    assert compared > 500


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_float_curve_of_a_usual_pool_is_closer(row: Row, kind: str) -> None:
    """1e-9 of the output, two units of it, and 1e-17 of the balance that is bought from."""
    draw = random.Random(f"usual {kind}")
    for _ in range(1_000):
        state = usual_state(draw, kind)
        i, j = draw.sample(range(state.template.coins), 2)
        amount = max(1, int(state.balances[i] * 10 ** draw.uniform(-12, 0.5)))
        address = row.set(state)
        exact, out = hot.quote(address, i, j, amount), hot.curve(address, i, j, float(amount))[0]
        assert abs(out - exact) <= 1e-9 * exact + 2 + 1e-17 * state.balances[j]


def worth_of_all(state: State, j: int) -> float:
    """Return all that the pool holds, in units of coin `j`."""
    prices = (10**18, *state.price_scale)
    units = [price * precision for price, precision in zip(prices, state.precisions, strict=True)]
    whole = sum(balance * unit for balance, unit in zip(state.balances, units, strict=True))
    return whole / units[j]


def usual_fees(draw: random.Random, state: State) -> State:
    """Return `state` with fees that pools have."""
    return msgspec.structs.replace(
        state,
        mid_fee=draw.choice((0, 10**6, 26 * 10**6)),
        out_fee=draw.choice((26 * 10**6, 45 * 10**7)),
        fee_gamma=draw.choice((10**12, 23 * 10**13, 5 * 10**15)),
    )


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_slope_is_the_derivative(row: Row, kind: str) -> None:
    draw = random.Random(f"slope {kind}")
    for _ in range(300):
        state = usual_state(draw, kind)
        i, j = draw.sample(range(state.template.coins), 2)
        amount = state.balances[i] * 10 ** draw.uniform(-3, 0.3)
        address = row.set(state)
        low, high = (hot.curve(address, i, j, amount * near)[0] for near in (0.99999, 1.00001))
        slope = hot.curve(address, i, j, amount)[1]
        if low > 1e6:
            assert slope == pytest.approx(
                (high - low) / (amount * 0.00002), rel=1e-3, abs=1e-8 * high / amount
            )


@pytest.mark.parametrize("kind", TEMPLATES)
def test_the_curve_pays_where_the_pool_does(row: Row, kind: str) -> None:
    draw = random.Random(f"both {kind}")
    for _ in range(300):
        state = usual_state(draw, kind)
        i, j = draw.sample(range(state.template.coins), 2)
        amount = int(state.balances[i] * 10 ** draw.uniform(-6, 3))
        address = row.set(state)
        exact, out = hot.quote(address, i, j, amount), hot.curve(address, i, j, float(amount))[0]
        assert (exact == 0) == (out < 1.0)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_larger_input_pays_more_or_misses_by_the_solutions_units(row: Row, kind: str) -> None:
    draw, fell = random.Random(f"larger {kind}"), 0
    for _ in range(1_000):
        state = usual_state(draw, kind)
        i, j = draw.sample(range(state.template.coins), 2)
        amount = max(1, int(state.balances[i] * 10 ** draw.uniform(-9, 0)))
        address = row.set(state)
        low, high = (hot.quote(address, i, j, amount + more) for more in (0, draw.randrange(1, 1000)))
        assert high >= low - 2 - state.balances[j] // 10**17
        fell += high < low
    print(f"{kind}: a larger input paid less {fell} times in 1000")  # noqa: T201 - shown with -s


def test_nothing_pays_nothing(row: Row) -> None:
    for kind in TEMPLATES:
        address = row.set(usual_state(random.Random(1), kind))
        assert hot.quote(address, 0, 1, 0) == 0
        out, slope = hot.curve(address, 0, 1, 0.0)
        assert (out, slope > 0.0) == (0.0, True)
        assert hot.curve(address, 0, 1, -1.0) == (0.0, 0.0)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (1, -1)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    address = row.set(usual_state(random.Random(1), "twocrypto"))
    assert hot.quote(address, i, j, 10**18) == 0
    assert hot.curve(address, i, j, 1e18) == (0.0, 0.0)
    with pytest.raises(Revert):
        exchange(pool_of(usual_state(random.Random(1), "twocrypto")), i, j, 10**18)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_an_empty_pool_pays_nothing(row: Row, kind: str) -> None:
    state = usual_state(random.Random(1), kind)
    empty = msgspec.structs.replace(state, balances=(0,) * state.template.coins, d=0)
    address = row.set(empty)
    assert hot.quote(address, 0, 1, 10**18) == 0
    assert hot.curve(address, 0, 1, 1e18) == (0.0, 0.0)


@pytest.mark.parametrize("kind", TEMPLATES)
def test_a_ramp_moves_with_time_as_the_reference_says(row: Row, kind: str) -> None:
    """And a pool of the old kinds computes D anew until somebody exchanges after the ramp."""
    state = usual_state(random.Random(2), kind)
    first = state.ramp
    ramp = Ramp(
        first.initial_a, first.initial_gamma, first.initial_a * 2, first.initial_gamma // 2, NOW, NOW + 100
    )
    address = row.set(msgspec.structs.replace(state, ramp=ramp))
    statuses = []
    for time in (NOW, NOW + 1, NOW + 50, NOW + 99, NOW + 100, NOW + 500):
        statuses.append(hot.advance(address, time))
        moved = msgspec.structs.replace(state, ramp=ramp, time=time)
        fresh = Row()
        fresh.set(moved)
        assert row.raw(state.template.coins) == fresh.raw(state.template.coins)
        amount = state.balances[0] // 50
        assert hot.quote(address, 0, 1, amount) == quote(pool_of(moved), 0, 1, amount)
        fresh.close()
    assert statuses == [LOG_IGNORED, *[LOG_APPLIED] * 4, LOG_IGNORED]


def test_time_outside_of_what_is_proven_asks_for_a_reload(row: Row) -> None:
    address = row.set(usual_state(random.Random(1), "twocrypto"))
    assert [hot.advance(address, time) for time in (-1, MAX_TIME + 1, MAX_TIME)] == [
        LOG_RELOAD,
        LOG_RELOAD,
        LOG_IGNORED,
    ]


@pytest.mark.parametrize("event", [*range(len(TOPICS)), -1, 2**62])
def test_every_event_asks_for_a_reload(row: Row, event: int) -> None:
    address = row.set(usual_state(random.Random(1), "tricrypto_ng"))
    assert hot.apply_log(address, event, 0, 0, 0) == LOG_RELOAD


def test_gas_is_what_the_row_says(row: Row) -> None:
    state = msgspec.structs.replace(usual_state(random.Random(1), "twocrypto"), gas=123_456)
    assert hot.gas(row.set(state), 0, 1, 5) == 123_456


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"balances": (1, 2, 3)}, "a twocrypto pool must have 2 coins"),
        ({"balances": (2**128, 1)}, "balances must be"),
        ({"price_scale": (0,)}, "price scales must be"),
        ({"precisions": (0, 1)}, "precisions must be"),
        ({"ramp": Ramp(2**61, 1, 1, 1)}, "A and gamma must be"),
        ({"ramp": Ramp(1, 1, 1, 1, 0, 2**41)}, "times must be"),
        ({"mid_fee": 10**10 + 1}, "fees must be"),
        ({"fee_gamma": 10**18 + 1}, "fee gamma must be"),
        ({"d": 2**128}, "D must be"),
    ],
)
def test_an_impossible_state_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_row(msgspec.structs.replace(usual_state(random.Random(1), "twocrypto"), **changes))
