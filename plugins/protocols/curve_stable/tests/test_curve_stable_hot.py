"""The compiled functions against the reference and their own promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_curve_stable import hot, hot_newton, reference
from tallyio_protocol_curve_stable.events import MEANINGS, TOPICS, WORDS, Event
from tallyio_protocol_curve_stable.hot_state import rebuild
from tallyio_protocol_curve_stable.layout import (
    MAX_FEE,
    UINT128_MAX,
    Ramp,
    State,
    pack_row,
    row_bytes,
    unpack_balances,
    unpack_d,
)
from tallyio_protocol_curve_stable.loading import pool_of
from tallyio_protocol_curve_stable.templates import TEMPLATES, Flag

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

DATA = 4096
UINT128 = st.one_of(st.integers(0, UINT128_MAX), st.integers(0, 128).map(lambda bits: (1 << bits) - 1))
AMOUNT = st.one_of(UINT128, st.integers(0, 2**256 - 1))


class Row:
    """A row in native memory."""

    def __init__(self) -> None:
        self.memory = Region(2 * DATA)
        self.address = self.memory.address

    def set(self, state: State) -> int:
        """Put a complete row there; return its address."""
        raw = pack_row(state)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        rebuild(self.address)
        return self.address

    def raw(self, coins: int = 2) -> bytes:
        """Return the row's bytes."""
        return self.memory.view("u1", row_bytes(coins)).tobytes()

    def apply(self, meaning: Event, *words: int) -> int:
        """Apply an event with these words of data."""
        data = b"".join(word.to_bytes(32) for word in words)
        self.memory.view("u1", len(data), DATA)[:] = bytearray(data)
        event = MEANINGS.index(meaning)
        status: int = hot.apply_log(self.address, event, 0, self.address + DATA, len(data))
        return status


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.curve, hot.gas, hot.apply_log, hot.advance, hot.get_dx])
    made = Row()
    yield made
    made.memory.close()


def state_of(kind: str = "base", /, **changes: object) -> State:
    """Return a pool of two coins with 18 and 6 decimals."""
    template = TEMPLATES[kind]
    amp = 100 * template.a_precision
    facts: dict[str, object] = {
        "template": template,
        "balances": (2 * 10**24, 10**12),
        "rates": (10**18, 10**30),
        "ramp": Ramp(amp, amp),
        "fee": 4_000_000,
        "admin_fee": 5 * 10**9,
        "offpeg_fee_multiplier": 2 * 10**10 if kind == "ng" else 0,
        "supply": 3 * 10**24,
        "time": 1_000,
    }
    return State(**{**facts, **changes})  # type: ignore[arg-type]  # facts are State's own fields


@st.composite
def states(draw: st.DrawFn) -> State:
    """Return any pool that a row may hold."""
    template = TEMPLATES[draw(st.sampled_from(sorted(TEMPLATES)))]
    two = Flag.SAVES_PRICE in template.flags or Flag.BASE_RATE in template.flags
    coins = 2 if two else draw(st.integers(2, 8 if Flag.DYNAMIC_ARRAYS in template.flags else 4))
    fee, amp = draw(st.integers(0, MAX_FEE)), draw(st.integers(1, 10**6)) * template.a_precision
    most = min(2**256 - 1, MAX_FEE * 10**10 // fee) if fee else 2**256 - 1
    multiplier = draw(st.integers(0, most)) if Flag.DYNAMIC_FEE in template.flags else 0
    rate = st.one_of(st.integers(0, 18).map(lambda places: 10 ** (36 - places)), st.integers(1, UINT128_MAX))
    rates = draw(st.tuples(*[rate] * coins))
    return State(
        template=template,
        balances=draw(st.tuples(*[UINT128] * coins)),
        rates=rates,
        ramp=Ramp(amp, amp),
        fee=fee,
        admin_fee=draw(st.integers(0, 10**10)),
        offpeg_fee_multiplier=multiplier,
        supply=0,
        time=1_000,
        cache_time=1_000 if Flag.CACHES_BASE_RATE in template.flags else 0,
        base_rate_now=rates[-1],
    )


@given(state=states(), i=st.integers(-1, 8), j=st.integers(-1, 8), amount=AMOUNT)
def test_a_quote_equals_the_reference(row: Row, state: State, i: int, j: int, amount: int) -> None:
    assert hot.quote(row.set(state), i, j, amount) == reference.quote(pool_of(state), i, j, amount)


@given(state=states())
def test_the_invariant_equals_the_reference(row: Row, state: State) -> None:
    row.set(state)
    pool = pool_of(state)
    try:
        expected = reference.get_d(pool.template, pool.xp, pool.amp)
    except reference.Revert:
        expected = 2**256 - 1
    assert unpack_d(row.raw(len(state.balances))) == expected


@given(
    initial=st.integers(1, 10**8),
    future=st.integers(1, 10**8),
    started=st.integers(0, 2**33),
    lasts=st.integers(1, 2**33),
    passed=st.integers(0, 2**34),
)
def test_a_moves_as_the_reference_says(
    row: Row, initial: int, future: int, started: int, lasts: int, passed: int
) -> None:
    ramp = Ramp(initial, future, started, started + lasts)
    row.set(state_of(ramp=ramp, time=started))
    hot.advance(row.address, started + passed)
    amp = reference.amplification(initial, future, started, started + lasts, started + passed)
    moved = row.raw()
    row.set(state_of(ramp=Ramp(amp, amp), time=started + passed))
    assert unpack_d(moved) == unpack_d(row.raw())
    assert int.from_bytes(moved[32:40], "little") == amp


def drawn_state(draw: random.Random) -> State:
    """Return a pool that people would trade with, leaning by up to a factor of 10,000."""
    kind = draw.choice(sorted(TEMPLATES))
    template = TEMPLATES[kind]
    coins = draw.randrange(2, 9) if kind == "ng" else 2 if kind in {"ema", "meta"} else draw.randrange(2, 5)
    decimals = [draw.choice((0, 2, 6, 8, 18)) for _ in range(coins)]
    lean, scale = draw.choice((0.0, 0.5, 1.0, 2.0)), draw.uniform(3, 10)
    fee = draw.choice((0, 1, 10**6, 4 * 10**6, draw.randrange(MAX_FEE)))
    multiplier = draw.choice((0, 2 * 10**10, 10**11)) if kind.startswith("ng") else 0
    amp = draw.choice((1, 10, 100, 2000, 10**5, 10**6 - 1)) * template.a_precision
    rates = tuple(10 ** (36 - places) for places in decimals)
    return State(
        template=template,
        balances=tuple(int(10 ** (scale + draw.uniform(-lean, lean) + places)) + 1 for places in decimals),
        rates=rates,
        ramp=Ramp(amp, amp),
        fee=fee,
        admin_fee=0,
        offpeg_fee_multiplier=multiplier if fee * multiplier <= MAX_FEE * 10**10 else 0,
        supply=0,
        time=1_000,
        cache_time=1_000 if kind == "meta" else 0,
        base_rate_now=rates[-1],
    )


def test_the_shortcut_ends_where_the_loop_does() -> None:
    """Equations of any size; where rounding could decide, it declines."""
    draw, taken = random.Random(16), 0
    for _ in range(20_000):
        d = draw.getrandbits(draw.randrange(1, 129))
        b = d + draw.randrange(-d // 2, d + 1) // draw.choice((1, 10, 10**6, 10**12)) if d else 0
        c = draw.getrandbits(draw.randrange(1, max(2, min(256, 2 * d.bit_length() + 3))))
        y = hot_newton.shortcut(b, c, d)
        if y != hot_newton.REVERTED:
            taken += 1
            assert y == hot_newton.walk(b, c, d, 0)
    print(f"the shortcut was taken {taken} times in 20000")  # noqa: T201 - shown with -s
    assert taken > 5_000


@given(y=st.integers(1, 2**100), lean=st.integers(-(2**100), 2**100), off=st.integers(-3, 3))
def test_the_shortcut_is_right_beside_whole_roots(y: int, lean: int, off: int) -> None:
    """Where y is a root, and next to it, a rounding either way is at stake."""
    d = 2**102
    c = y * y + lean * y + off
    if not 0 < c < 2**254:
        return
    answer = hot_newton.shortcut(d + lean, c, d)
    assert answer in {hot_newton.REVERTED, hot_newton.walk(d + lean, c, d, 0)}


def test_the_float_curve_is_within_its_promise(row: Row) -> None:
    """1e-9 of the output, two units of it, and two scaled units of the input at the first price."""
    draw = random.Random(17)
    for _ in range(4_000):
        state = drawn_state(draw)
        i, j = draw.sample(range(len(state.balances)), 2)
        amount = max(1, int(state.balances[i] * 10 ** draw.uniform(-12, 1)))
        address = row.set(state)
        exact = hot.quote(address, i, j, amount)
        out, slope = hot.curve(address, i, j, float(amount))
        steepest = hot.curve(address, i, j, 0.0)[1]
        assert abs(out - exact) <= 1e-9 * exact + 2 + 2 * steepest * 1e18 / state.rates[i]
        assert slope >= 0.0


def test_the_slope_is_the_derivative(row: Row) -> None:
    draw = random.Random(18)
    for _ in range(500):
        state = drawn_state(draw)
        i, j = draw.sample(range(len(state.balances)), 2)
        amount = state.balances[i] * 10 ** draw.uniform(-3, 0.5)
        address = row.set(state)
        low, high = (hot.curve(address, i, j, amount * near)[0] for near in (0.9999, 1.0001))
        slope = hot.curve(address, i, j, amount)[1]
        if low > 1e6:
            assert slope == pytest.approx(
                (high - low) / (amount * 0.0002), rel=1e-2, abs=1e-9 * high / amount
            )


def test_a_larger_input_pays_more_or_misses_by_a_scaled_unit(row: Row) -> None:
    draw, fell = random.Random(19), 0
    for _ in range(2_000):
        state = drawn_state(draw)
        i, j = draw.sample(range(len(state.balances)), 2)
        amount = max(1, int(state.balances[i] * 10 ** draw.uniform(-9, 0)))
        address = row.set(state)
        low, high = (hot.quote(address, i, j, amount + more) for more in (0, draw.randrange(1, 1000)))
        # One scaled unit of the solution, and one of what is rounded after it.
        assert high >= low - 2 - 2 * 10**18 // state.rates[j]
        fell += high < low
    print(f"a larger input paid less {fell} times in 2000")  # noqa: T201 - shown with -s


def test_gas_is_what_the_row_says(row: Row) -> None:
    assert hot.gas(row.set(state_of(gas=123_456)), 0, 1, 5) == 123_456


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (1, -1)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    address = row.set(state_of())
    assert hot.quote(address, i, j, 10**18) == 0
    assert hot.get_dx(address, i, j, 10**6) == 0
    assert hot.curve(address, i, j, 1e18) == (0.0, 0.0)


def test_an_empty_pool_pays_nothing(row: Row) -> None:
    address = row.set(state_of(balances=(0, 0)))
    assert hot.quote(address, 0, 1, 10**18) == 0
    assert hot.curve(address, 0, 1, 1e18) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("meaning", "words", "ramp"),
    [
        (Event.RAMP, (20_000, 30_000, 500, 1_500), Ramp(20_000, 30_000, 500, 1_500)),
        (Event.STOP_RAMP, (25_000, 900), Ramp(25_000, 25_000, 900, 900)),
    ],
)
def test_a_ramp_sets_how_a_moves(row: Row, meaning: Event, words: tuple[int, ...], ramp: Ramp) -> None:
    row.set(state_of(ramp=ramp))
    expected = row.raw()
    row.set(state_of())
    assert row.apply(meaning, *words) == LOG_APPLIED
    assert row.raw() == expected


@pytest.mark.parametrize(
    ("meaning", "words", "changes"),
    [
        (Event.NEW_FEE, (7, 9), {"fee": 7, "admin_fee": 9}),
        (Event.APPLY_FEE, (7, 9), {"fee": 7, "offpeg_fee_multiplier": 9}),
        (Event.APPLY_PLAIN_FEE, (7,), {"fee": 7}),
        (Event.APPLY_ADMIN_FEE, (9,), {"admin_fee": 9}),
        (Event.NEW_PARAMETERS, (200, 7, 9), {"ramp": Ramp(200, 200), "fee": 7, "admin_fee": 9}),
    ],
)
def test_a_fee_event_sets_what_it_says_and_nothing_else(
    row: Row, meaning: Event, words: tuple[int, ...], changes: dict[str, object]
) -> None:
    row.set(state_of(**changes))
    expected = row.raw()
    row.set(state_of())
    assert row.apply(meaning, *words) == LOG_APPLIED
    assert row.raw() == expected


@pytest.mark.parametrize("meaning", sorted(WORDS))
def test_settings_that_no_pool_can_have_ask_for_a_reload(row: Row, meaning: Event) -> None:
    for words in ([2**256 - 1] * WORDS[meaning], [1] * (WORDS[meaning] + 1), []):
        row.set(state_of())
        before = row.raw()
        assert row.apply(meaning, *words) == LOG_RELOAD
        assert row.raw() == before


@pytest.mark.parametrize("event", [-1, len(TOPICS), 2**62])
def test_an_event_that_is_none_asks_for_a_reload(row: Row, event: int) -> None:
    assert hot.apply_log(row.set(state_of()), event, 0, row.address + DATA, 128) == LOG_RELOAD


def test_what_says_too_little_asks_for_a_reload(row: Row) -> None:
    row.set(state_of())
    assert row.apply(Event.BEYOND, 0, 10**18, 1, 10**6) == LOG_RELOAD


def test_an_exchange_that_pays_nothing_asks_for_a_reload(row: Row) -> None:
    """The quote cannot tell it from a revert, so the row does not know how the balances moved."""
    row.set(state_of())
    assert row.apply(Event.EXCHANGE, 0, 1, 1, 0) == LOG_RELOAD
    assert unpack_balances(row.raw()) == state_of().balances


def test_time_outside_of_what_is_proven_asks_for_a_reload(row: Row) -> None:
    row.set(state_of())
    assert [hot.advance(row.address, time) for time in (-1, 2**40 + 1, 2**40)] == [
        LOG_RELOAD,
        LOG_RELOAD,
        LOG_IGNORED,
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"balances": (2**128, 1)}, "balances must be"),
        ({"balances": (1,), "rates": (1,)}, "2 to 8 coins"),
        ({"rates": (0, 1)}, "rates must be"),
        ({"ramp": Ramp(0, 1)}, "A must be"),
        ({"ramp": Ramp(1, 1, 0, 2**41)}, "times must be"),
        ({"fee": MAX_FEE + 1}, "fee must be"),
        ({"admin_fee": 10**10 + 1}, "admin's part of the fee must be"),
        ({"fee": 10**9, "offpeg_fee_multiplier": 10**11}, "fee times multiplier must be"),
    ],
)
def test_an_impossible_state_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack_row(state_of(**changes))
