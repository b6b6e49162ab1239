"""The compiled functions against the reference, and both against their promises."""

from __future__ import annotations

import random
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tallyio_protocol_balancer_v3 import hot, reference
from tallyio_protocol_balancer_v3.layout import pack_row
from tallyio_protocol_balancer_v3.state import MOST, PoolState, TokenState

from tallyio.native.jit import warm_all
from tallyio.native.memory import Region

AMOUNT = st.one_of(st.integers(0, 2**256 - 1), st.integers(0, 130).map(lambda bits: 1 << bits))


class Row:
    """A row in native memory."""

    def __init__(self) -> None:
        self.memory = Region(4096)
        self.address = self.memory.address

    def set(self, state: PoolState, **upkeep: int) -> None:
        """Put a fresh row there."""
        raw = pack_row(state, **upkeep)
        self.memory.view("u1", len(raw))[:] = bytearray(raw)


@pytest.fixture(scope="module")
def row() -> Iterator[Row]:
    warm_all([hot.quote, hot.quote_exact_out, hot.curve, hot.gas])
    made = Row()
    yield made
    made.memory.close()


def draw_state(draw: random.Random, *, sane: bool = False) -> PoolState:
    """Return a pool in any state; a sane one has balances of about the same worth, and not a few units."""
    amp = draw.choice((0, 1_000, 200_000, 50_000_000))
    count = draw.randrange(2, 6)
    cuts = [0, *sorted(draw.sample(range(1, 100), count - 1)), 100]
    worth = 10**27 if sane else draw.getrandbits(draw.randrange(20, 128)) + 1
    tokens = []
    for k in range(count):
        scaling = 10 ** (18 - draw.choice((6, 8, 18)))
        rate = draw.choice((10**18, draw.randrange(5 * 10**17, 2 * 10**18)))
        live = worth * draw.randrange(3_000, 10_000) // 10_000
        if not sane and draw.random() < 0.2:
            live = draw.getrandbits(draw.randrange(1, 129))
        tokens.append(
            TokenState(
                live=live,
                raw=min(MOST, live * 10**18 // (scaling * rate) + draw.randrange(2)),
                rate=rate,
                scaling=scaling,
                weight=0 if amp else (cuts[k + 1] - cuts[k]) * 10**16,
                least_live=0 if amp or sane else draw.choice((0, 10**6, live, live + 2)),
            )
        )
    fee = draw.choice((0, 10**12, 10**15, 10**17, 10**18 - 1))
    return PoolState(
        tokens=tuple(tokens),
        fee=min(fee, 10**17) if sane else fee,
        amp=amp,
        least=0 if sane else draw.choice((0, 10**6)),
        more=0 if amp else draw.randrange(2),
    )


@given(seed=st.integers(0, 2**32), amount=AMOUNT)
def test_quotes_equal_the_reference(row: Row, seed: int, amount: int) -> None:
    draw = random.Random(seed)
    state = draw_state(draw)
    row.set(state)
    i, j = draw.sample(range(len(state.tokens)), 2)
    for asked in (amount, state.tokens[i].raw // draw.randrange(1, 1_000), state.tokens[j].raw // 5):
        assert hot.quote(row.address, i, j, asked) == reference.quote(state, i, j, asked)
        exact = reference.quote_exact_out(state, i, j, asked)
        assert hot.quote_exact_out(row.address, i, j, asked) == exact


def test_a_larger_input_never_pays_less_while_the_pool_takes_it(row: Row) -> None:
    draw = random.Random(3)
    for _ in range(1_000):
        state = draw_state(draw, sane=True)
        row.set(state)
        i, j = draw.sample(range(len(state.tokens)), 2)
        low = state.tokens[i].raw // draw.randrange(5, 10**6)
        high = low + draw.choice((1, 2, low // 1_000, low // 9))
        assert hot.quote(row.address, i, j, low) <= hot.quote(row.address, i, j, high)


def test_the_float_curve_is_within_its_promise(row: Row) -> None:
    """Beside 1e-9 and two units: how finely the pool knows a power, or the remainder of its coefficient."""
    draw, compared = random.Random(4), 0
    for _ in range(2_000):
        state = draw_state(draw, sane=True)
        row.set(state)
        i, j = draw.sample(range(len(state.tokens)), 2)
        amount = state.tokens[i].raw // draw.randrange(5, 10**5)
        exact = hot.quote(row.address, i, j, amount)
        out, slope = hot.curve(row.address, i, j, float(amount))
        bought = state.tokens[j]
        power = 0.0 if state.amp else 2 * (1 + state.tokens[i].weight / bought.weight) * 1e-18 * bought.raw
        assert abs(out - exact) <= 1e-9 * exact + 2 + power
        assert slope > 0.0
        compared += exact > 0
    assert compared > 1_900


@pytest.mark.parametrize(("i", "j"), [(0, 0), (1, 1), (0, 2), (2, 0), (-1, 0), (2, 3)])
def test_a_direction_that_is_none_pays_nothing(row: Row, i: int, j: int) -> None:
    token = TokenState(live=10**20, raw=10**20, rate=10**18, scaling=1)
    row.set(PoolState(tokens=(token, token), fee=10**15, amp=10**5), gas=77)
    assert hot.quote(row.address, i, j, 10**18) == hot.quote_exact_out(row.address, i, j, 10**18) == 0
    assert hot.curve(row.address, i, j, 1e18) == (0.0, 0.0)
    assert hot.gas(row.address, 0, 1, 10**18) == 77


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"fee": 10**18}, "must be below"),
        ({"amp": 50_000_001}, "must be below"),
        ({"more": 2}, "must be below"),
        ({"least": 1 << 63}, "least amount"),
        ({"tokens": ()}, "too few or too many"),
        ({"amp": 0}, "a weight must be"),
    ],
)
def test_an_impossible_pool_is_refused(wrong: dict[str, object], message: str) -> None:
    token = TokenState(live=10**20, raw=10**20, rate=10**18, scaling=1)
    pool = PoolState(tokens=(token, token), fee=10**15, amp=10**5)
    with pytest.raises(ValueError, match=message):
        pack_row(msgspec.structs.replace(pool, **wrong))


@pytest.mark.parametrize("wrong", [{"live": MOST + 1}, {"raw": -1}, {"rate": 0}, {"scaling": 10**19}])
def test_an_impossible_token_is_refused(wrong: dict[str, int]) -> None:
    token = TokenState(live=10**20, raw=10**20, rate=10**18, scaling=1)
    pool = PoolState(tokens=(token, msgspec.structs.replace(token, **wrong)), fee=10**15, amp=10**5)
    with pytest.raises(ValueError, match=r"must be below|out of range"):
        pack_row(pool)
