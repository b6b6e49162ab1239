"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_balancer import abi, hot, reference
from tallyio_protocol_balancer.layout import (
    NO_OWN_TOKEN,
    STABLE_KINDS,
    STABLE_ROUNDED,
    STABLE_TRUNCATED,
    UINT112_MAX,
    WEIGHTED,
    WEIGHTED_POWERS,
    Amp,
    PoolState,
    Rate,
    TokenState,
    pack_row,
)

from tallyio.market.abi import LOG_APPLIED, LOG_IGNORED, LOG_RELOAD
from tallyio.market.fixed import powers
from tallyio.market.fixed import reference as fixed
from tallyio.market.fixed.arithmetic import reciprocal
from tallyio.market.fixed.reference import ONE, Revert
from tallyio.model.units import Address
from tallyio.native.memory import Region
from tests.balancer_states import amount_of, state_of

TOKENS = [Address(bytes([k] * 20)) for k in (1, 2, 3)]
BASES = st.one_of(
    st.integers(powers.LOWEST_BASE, powers.HIGHEST_BASE),
    st.sampled_from([9 * 10**17, 10**18, 11 * 10**17]).flatmap(lambda x: st.integers(x - 3, x + 3)),
    st.integers(-60, 60).map(lambda k: 10**18 + (1 if k > 0 else -1) * 10 ** (abs(k) * 17 // 60)),
)
EXPONENTS = st.one_of(
    st.integers(1, powers.HIGHEST_EXPONENT),
    st.tuples(st.integers(1, 99), st.integers(1, 99)).map(lambda w: w[0] * ONE // w[1]),
    st.sampled_from([ONE, 2 * ONE, 3 * ONE, 4 * ONE, 99 * ONE]),
)


class Row:
    """A row in native memory, and room for a log."""

    def __init__(self) -> None:
        self.memory = Region(8192)
        self.address = self.memory.address

    def put(self, state: PoolState) -> int:
        """Put a pool there; return the row's address."""
        self.size = len(raw := pack_row(state))
        self.memory.view("u1", len(raw))[:] = bytearray(raw)
        return self.address

    @property
    def raw(self) -> bytes:
        """What is there."""
        return self.memory.view("u1", self.size).tobytes()

    def apply(self, event: int, topics: list[bytes], data: bytes) -> int:
        """Apply a log."""
        raw = b"".join(topics) + data
        self.memory.view("u1", len(raw), 4096)[:] = bytearray(raw)
        start = self.address + 4096
        return hot.apply_log(self.address, event, start, start + 32 * len(topics), len(data))


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    made = Row()
    yield made
    made.memory.close()


def stable(kind: int = STABLE_TRUNCATED, **facts: object) -> PoolState:
    tokens = tuple(TokenState(address=token, cash=10**24) for token in TOKENS)
    amp = Amp(start_value=200_000, end_value=200_000)
    return msgspec.structs.replace(PoolState(kind=kind, tokens=tokens, fee=10**15, amp=amp), **facts)


def weighted(
    kind: int = WEIGHTED, balances: tuple[int, int] = (10**24, 10**23), first: int = 5 * 10**17
) -> PoolState:
    weights = (first, ONE - first)
    tokens = tuple(
        TokenState(address=token, cash=cash, weight=weight)
        for token, cash, weight in zip(TOKENS[:2], balances, weights, strict=True)
    )
    return PoolState(kind=kind, tokens=tokens, fee=10**15)


def word(value: int) -> bytes:
    return (value % 2**256).to_bytes(32)


def test_twenty_thousand_seeded_quotes_equal_the_reference(row: Row) -> None:
    draw, answered = random.Random(1), 0
    for _ in range(1250):
        state = state_of(draw)
        address = row.put(state)
        for _ in range(8):
            i, j = draw.sample(range(len(state.tokens)), 2)
            sold, bought = ((token.cash, token.managed) for token in (state.tokens[i], state.tokens[j]))
            amount, wanted = amount_of(draw, sold), amount_of(draw, bought)
            paid, taken = hot.quote(address, i, j, amount), hot.quote_exact_out(address, i, j, wanted)
            assert paid == reference.quote(state, i, j, amount)
            assert taken == reference.quote_exact_out(state, i, j, wanted)
            answered += (paid > 0) + (taken > 0)
    assert answered > 4000


@given(x=BASES, y=EXPONENTS, has_powers=st.booleans())
def test_a_power_equals_the_reference(x: int, y: int, has_powers: bool) -> None:  # noqa: FBT001 - drawn
    assert powers.pow_up(x, y, has_powers) == fixed.pow_up(x, y, has_powers=has_powers)


@pytest.mark.parametrize(
    ("x", "y"), [(powers.LOWEST_BASE - 1, ONE // 2), (powers.HIGHEST_BASE + 1, 1), (ONE, 2**70)]
)
def test_a_power_outside_of_the_domain_is_refused(x: int, y: int) -> None:
    assert powers.pow_up(x, y, False) == 0


@given(divisor=st.integers(1, 2**120), bits=st.integers(1, 256), data=st.data())
def test_division_by_a_constant_is_a_multiplication(divisor: int, bits: int, data: st.DataObject) -> None:
    multiplier, shift = reciprocal(divisor, bits)
    n = data.draw(st.one_of(st.integers(0, 2**bits - 1), st.just(2**bits - 1)))
    n -= data.draw(st.sampled_from([0, n % divisor, (n + 1) % divisor])) % (n + 1)
    assert n * multiplier >> shift == n // divisor


@given(
    amount=st.integers(1, 3 * 10**23),
    first=st.integers(1, 99),
    kind=st.sampled_from([WEIGHTED, WEIGHTED_POWERS]),
)
def test_buying_what_an_input_pays_takes_no_more_than_it_but_for_the_margin(
    row: Row, amount: int, first: int, kind: int
) -> None:
    """The pool's errors are on its own side in both directions, each up to 1e-14 of the power."""
    state = weighted(kind, first=first * 10**16)
    address = row.put(state)
    paid = hot.quote(address, 0, 1, amount)
    taken = hot.quote_exact_out(address, 0, 1, paid)
    slack = 10**24 // 10**13 * max(100 // first, 1) * 2 + amount // 10**8
    if paid > 3 * 10**22:
        assert taken == 0  # more than 30 % of the balance may come out, but not be asked for
    else:
        assert paid == 0 or abs(taken - amount) <= slack


def test_a_larger_input_never_pays_less(row: Row) -> None:
    """By single units and around the bases where the pool changes its series: no decrease is known."""
    draw = random.Random(4)
    for _ in range(1500):
        kind = draw.choice([WEIGHTED, WEIGHTED_POWERS, STABLE_ROUNDED, STABLE_TRUNCATED])
        balances = (int(10 ** draw.uniform(18, 26)), int(10 ** draw.uniform(18, 26)))
        if kind in STABLE_KINDS:
            tokens = tuple(
                TokenState(address=token, cash=cash) for token, cash in zip(TOKENS, balances, strict=False)
            )
            address = row.put(stable(kind, tokens=tokens))
        else:
            address = row.put(weighted(kind, balances, draw.randrange(1, 100) * 10**16))
        edge = draw.choice([0.1111111111111, 0.13314845306682, 0.284025416687741, 0.0644944589178594])
        start = int(balances[0] * draw.choice([edge / 0.999, 10 ** draw.uniform(-12, -0.6)]))
        amounts = sorted(
            start + draw.randrange(-(10 ** draw.randrange(1, 12)), 10 ** draw.randrange(1, 12))
            for _ in range(12)
        )
        quotes = [hot.quote(address, 0, 1, max(0, amount)) for amount in amounts]
        assert quotes == sorted(quotes)


def test_the_float_curve_is_within_its_promise(row: Row) -> None:
    """A quote is between the curve at the amount and at two units less, but for what README.md lists."""
    draw, checked = random.Random(3), 0
    for _ in range(3000):
        state = state_of(draw)
        address = row.put(state)
        i, j = draw.sample(range(len(state.tokens)), 2)
        sold = state.tokens[i]
        amount = amount_of(draw, (sold.cash, sold.managed))
        exact = hot.quote(address, i, j, amount)
        if not exact or UINT112_MAX - sold.cash - sold.managed - amount < 2**70 or not _is_sane(state):
            continue
        high, slope = hot.curve(address, i, j, float(amount))
        low = hot.curve(address, i, j, float(max(0, amount - 2)))[0]
        slack = 1e-9 * exact + 2 + _rounding(state, i, j, amount, exact)
        assert low - slack <= exact <= high + slack
        assert slope >= 0.0
        checked += 1
    assert checked > 500


def _is_sane(state: PoolState) -> bool:
    # The promise for stable pools is for balances within a factor of 100.
    try:
        balances = state.balances()
    except Revert:
        return False
    return state.kind not in STABLE_KINDS or (min(balances) >= 10**9 and max(balances) <= 100 * min(balances))


def _rounding(state: PoolState, i: int, j: int, amount: int, exact: int) -> float:
    """Return what the pool's own rounding may take, in units of the token bought."""
    scale, balances = state.tokens[j].scaling(0) / 1e18, state.balances()
    if state.kind not in STABLE_KINDS:
        exponent = state.tokens[i].weight / state.tokens[j].weight
        return 2 * (1 + exponent) * balances[j] * 1e-18 / scale
    after = [float(balance) for balance in balances]
    after[i] += amount * state.tokens[i].scaling(0) / 1e18
    after[j] = max(1.0, after[j] - exact * scale)
    return (_solved(state, balances, j) + _solved(state, after, j)) / scale


def _solved(state: PoolState, balances: list[int] | list[float], j: int) -> float:
    # The pool rounds c up to a multiple of 1000 balances, and b down to one of 1000; the invariant by a few.
    count, d, y = len(balances), float(state.invariant()), float(balances[j])
    ann = state.amp.at(0) * count / 1000
    c = d * d / (count * ann)
    for k, balance in enumerate(balances):
        c *= d / (count * balance) if k != j else 1.0
    slope = 2 * y + (sum(balances) - y) + d / ann - d
    return (2000 * max(y, float(state.balances()[j])) + 5 * ((count + 1) * c / d + y)) / slope


@pytest.mark.parametrize("state", [weighted(), weighted(WEIGHTED_POWERS, first=8 * 10**17), stable()])
def test_the_slope_is_the_derivative(row: Row, state: PoolState) -> None:
    address = row.put(state)
    low, high = (hot.curve(address, 0, 1, amount)[0] for amount in (1e22 * 0.9999, 1e22 * 1.0001))
    assert hot.curve(address, 0, 1, 1e22)[1] == pytest.approx((high - low) / (1e22 * 0.0002), rel=1e-6)


@pytest.mark.parametrize(("i", "j"), [(0, 0), (2, 2), (0, 3), (3, 0), (-1, 0), (0, -1)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    address = row.put(stable())
    assert hot.quote(address, i, j, 10**18) == hot.quote_exact_out(address, i, j, 10**18) == 0
    assert hot.curve(address, i, j, 1e18) == (0.0, 0.0)


def test_a_paused_pool_pays_nothing_until_its_time(row: Row) -> None:
    address = row.put(stable(paused_until=1000, time=10, gas=77))
    assert hot.quote(address, 0, 1, 10**18) == 0
    assert hot.advance(address, 1000) == LOG_IGNORED
    assert hot.advance(address, 1001) == LOG_APPLIED
    assert hot.quote(address, 0, 1, 10**18) > 0
    assert hot.gas(address, 0, 1, 5) == 77


def test_amp_moves_on_a_line_and_stops(row: Row) -> None:
    ramp = Amp(start_value=100_000, end_value=200_000, start_time=1000, end_time=3000)
    address = row.put(stable(amp=ramp, time=1000))
    assert hot.advance(address, 1000) == LOG_IGNORED
    for time in (1500, 2999, 3000, 9000):
        hot.advance(address, time)
        state = stable(amp=ramp, time=time)
        assert hot.quote(address, 0, 1, 10**23) == reference.quote(state, 0, 1, 10**23)
    assert hot.advance(address, 9999) == LOG_IGNORED


def test_a_live_rate_serves_one_step_and_then_asks_for_a_reload(row: Row) -> None:
    rate = Rate(cached=ONE, live=2 * ONE, expires=1000, duration=50)
    tokens = tuple(
        TokenState(address=token, cash=10**24, rate=rate if token == TOKENS[0] else None) for token in TOKENS
    )
    state = stable(tokens=tokens, time=995)
    address = row.put(state)
    assert hot.advance(address, 1007) == LOG_APPLIED
    assert hot.quote(address, 0, 1, 10**20) == reference.quote(
        msgspec.structs.replace(state, time=1007), 0, 1, 10**20
    )
    assert hot.advance(address, 1007) == LOG_IGNORED
    assert hot.advance(address, 1019) == LOG_RELOAD
    assert row.apply(8, [TOKENS[0].rjust(32, b"\0")], word(3 * ONE)) == LOG_APPLIED
    assert hot.advance(address, 1069) == LOG_IGNORED
    assert hot.advance(address, 1070) == LOG_RELOAD


POOL_ID = bytes(32)
SOLD, BOUGHT, STRANGER = (
    token.rjust(32, b"\0") for token in (TOKENS[0], TOKENS[1], Address(bytes([9] * 20)))
)


@pytest.mark.parametrize(
    ("event", "topics", "data"),
    [
        (0, [POOL_ID, SOLD, STRANGER], word(1) + word(1)),
        (0, [POOL_ID, SOLD, SOLD], word(1) + word(1)),
        (0, [POOL_ID, SOLD, BOUGHT], word(1)),
        (0, [POOL_ID, SOLD, BOUGHT], word(UINT112_MAX) + word(1)),
        (0, [POOL_ID, SOLD, BOUGHT], word(1) + word(10**24 + 1)),
        (0, [POOL_ID, SOLD, BOUGHT], word(2**255) + word(1)),
        (1, [POOL_ID, SOLD], word(96) + word(96) + word(96)),
        (1, [POOL_ID, SOLD], word(96) + word(2**200) + word(96) + word(3) + word(0) * 3),
        (1, [POOL_ID, SOLD], b""),
        (2, [POOL_ID, SOLD, STRANGER], word(0) + word(0)),
        (3, [], word(10**17 + 1)),
        (4, [], word(1000) + word(5_000_001) + word(5) + word(6)),
        (4, [], word(1000) + word(2000) + word(6) + word(5)),
        (5, [], word(0)),
        (6, [word(3)], word(ONE)),
        (7, [STRANGER], word(ONE)),
        (8, [SOLD], word(0)),
        (9, [], word(1)),
        (12, [SOLD, SOLD], word(1)),
        (13, [], b""),
    ],
)
def test_a_log_that_cannot_be_followed_asks_for_a_reload(
    row: Row, event: int, topics: list[bytes], data: bytes
) -> None:
    row.put(stable())
    assert row.apply(event, topics, data) == LOG_RELOAD


def test_events_lead_to_the_row_of_the_state_that_they_describe(row: Row) -> None:
    row.put(stable())
    balances = [10**24] * 3
    assert row.apply(0, [POOL_ID, SOLD, BOUGHT], word(7) + word(5)) == LOG_APPLIED
    arrays = word(96) + word(224) + word(352) + word(3) + word(1) + word(2) + word(3)
    arrays += word(3) + word(10**20) + word(-(10**19)) + word(0) + word(3) + word(9) + word(0) + word(4)
    assert row.apply(1, [POOL_ID, SOLD], arrays) == LOG_APPLIED
    assert row.apply(2, [POOL_ID, SOLD, BOUGHT], word(-100) + word(130)) == LOG_APPLIED
    assert row.apply(3, [], word(5 * 10**15)) == LOG_APPLIED
    assert row.apply(5, [], word(300_000)) == LOG_APPLIED
    balances = [10**24 + 7 + 10**20 - 9, 10**24 - 5 - 10**19 - 100, 10**24 - 4]
    managed = [0, 130, 0]
    tokens = tuple(
        TokenState(address=token, cash=cash, managed=each)
        for token, cash, each in zip(TOKENS, balances, managed, strict=True)
    )
    amp = Amp(start_value=300_000, end_value=300_000)
    assert row.raw == pack_row(stable(tokens=tokens, fee=5 * 10**15, amp=amp))


def test_a_swap_for_the_pools_own_token_moves_the_other_side_only(row: Row) -> None:
    row.put(stable(own_token=1))
    assert row.apply(0, [POOL_ID, SOLD, STRANGER], word(11) + word(10**30)) == LOG_APPLIED
    assert row.apply(6, [word(1)], word(ONE)) == LOG_RELOAD  # the own token has no rate
    first = TokenState(address=TOKENS[0], cash=10**24 + 11)
    assert (
        row.raw[: 192 + 16] == pack_row(stable(own_token=1, tokens=(first, *stable().tokens[1:])))[: 192 + 16]
    )


def test_the_adapter_has_every_event_that_is_followed_in_order() -> None:
    assert len(abi.EVENTS) == len(set(abi.EVENTS)) == 13
    assert NO_OWN_TOKEN > 64


@pytest.mark.parametrize(
    "state",
    [
        stable(fee=10**17 + 1),
        stable(amp=Amp(start_value=0, end_value=0)),
        stable(tokens=stable().tokens[:1]),
        stable(tokens=stable().tokens * 2),
        stable(kind=5),
        weighted(first=10**16 - 1),
        weighted(balances=(1 << 112, 1)),
        weighted(balances=(-1, 1)),
    ],
)
def test_an_impossible_row_is_refused(state: PoolState) -> None:
    with pytest.raises(ValueError, match=r"must be|too few or too many"):
        pack_row(state)
