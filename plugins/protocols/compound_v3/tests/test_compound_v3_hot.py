"""The compiled functions against the reference, over their whole domain and beyond it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tallyio_protocol_compound_v3 import hot, interest, reference
from tallyio_protocol_compound_v3.adapter import CompoundV3
from tallyio_protocol_compound_v3.layout import (
    ABSORB_PAUSED,
    BUY_PAUSED,
    Comet,
    Curve,
    Reserve,
    pack_own,
    pack_reserve,
    unpack_own,
    unpack_reserve,
)

from tallyio.lending import abi
from tallyio.native.jit import warm_all
from tests.comet_desk import Memory, State

NOW = 1_800_000_000
FACTOR = reference.FACTOR
ALL = 2**256 - 1
ASSETS = 3


def sized(bits: int, *, least: int = 0) -> st.SearchStrategy[int]:
    """Return integers of every length up to `bits`."""
    return st.integers(0, bits).flatmap(lambda size: st.integers(least, max((1 << size) - 1, least)))


FACTORS = st.one_of(st.sampled_from((0, FACTOR)), st.integers(0, FACTOR))
CURVES = st.builds(Curve, st.integers(0, FACTOR), sized(45), sized(45), sized(45))
COMETS = st.builds(
    Comet,
    total_supply=sized(105),
    total_borrow=sized(105),
    base_held=sized(110),
    target=sized(104),
    supply_index=st.one_of(st.integers(10**15, 3 * 10**15), sized(63, least=1)),
    borrow_index=st.one_of(st.integers(10**15, 3 * 10**15), sized(63, least=1)),
    last_accrual=st.one_of(st.just(NOW), st.integers(NOW - 10**8, NOW + 1)),
    pauses=st.sampled_from((0, 0, 0, 0, ABSORB_PAUSED, BUY_PAUSED, 7)),
    supply=CURVES,
    borrow=CURVES,
    store_front_factor=FACTORS,
)
PRICES = st.one_of(st.just(0), sized(63, least=1), st.integers(10**6, 10**13))
SCALES = st.sampled_from((10**6, 10**8, 10**18))
COLLATERALS = st.builds(
    Reserve,
    price=PRICES,
    scale=SCALES,
    liquidate_factor=FACTORS,
    liquidation_factor=FACTORS,
    reserves=sized(120),
)
RESERVES = st.tuples(st.builds(Reserve, price=PRICES, scale=SCALES), *[COLLATERALS] * ASSETS)
HELD = st.dictionaries(st.integers(1, ASSETS), sized(128, least=1), max_size=ASSETS)
STATES = st.builds(State, COMETS, RESERVES, sized(105), HELD)


@pytest.fixture(scope="module")
def memory() -> Memory:
    warm_all([hot.values, hot.weight, hot.health, hot.liquidate, interest.accrued])
    return Memory()


@given(COMETS, RESERVES)
def test_rows_hold_what_was_packed(comet: Comet, reserves: Sequence[Reserve]) -> None:
    assert unpack_own(pack_own(comet)) == comet
    assert [unpack_reserve(pack_reserve(each)) for each in reserves] == list(reserves)


@settings(max_examples=150)
@given(COMETS)
def test_indexes_are_the_references(memory: Memory, comet: Comet) -> None:
    memory.put(State(comet, [Reserve(price=1, scale=1)], 1, {}))
    supply_index, borrow_index, is_sound = interest.accrued(memory.own, NOW)
    expected = reference.accrued(comet, NOW)
    assert is_sound == (expected is not None)
    if expected is not None:
        assert (supply_index, borrow_index) == (expected.supply_index, expected.borrow_index)


@settings(max_examples=200)
@given(STATES)
def test_health_is_the_references(memory: Memory, state: State) -> None:
    memory.put(state)
    status = hot.health(memory.book, memory.position, NOW, 0, memory.out.address)
    expected = reference.health(*state, NOW)
    if expected is None:
        assert status == abi.UNKNOWN
        return
    total, debt, is_low = expected
    assert status == (abi.LIQUIDATABLE if is_low else abi.HEALTHY)
    assert memory.numbers(3) == [total, debt, total * FACTOR // debt if debt else ALL]


@settings(max_examples=250)
@given(STATES, st.data())
def test_liquidation_is_the_references(memory: Memory, state: State, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(state.held)))
    repay = data.draw(st.one_of(st.just(ALL), sized(256), sized(60)))
    memory.put(state)
    verdict = hot.liquidate(memory.book, memory.position, place, 0, repay, NOW, 0, memory.out.address)
    reserve = (0, *sorted(state.held))[place]
    expected = closed(state, reserve)
    if expected is None:
        expected = check_sale(memory, state, reserve, repay)
    assert verdict == expected


@settings(max_examples=200)
@given(STATES, st.data())
def test_the_store_front_sells_while_reserves_are_low(
    memory: Memory, state: State, data: st.DataObject
) -> None:
    """Nothing is absorbed; whether there is a debt is whether reserves are below their target."""
    memory.put(state, store_front=True)
    where = (memory.book, memory.position)
    status = hot.health(*where, NOW, 0, memory.out.address)
    grown, base = reference.accrued(state.comet, NOW), state.reserves[0]
    if grown is None or base.price == 0:
        assert status == abi.UNKNOWN
        return
    lacking = max(grown.target - reference.base_reserves(grown), 0)
    stock = any(is_sold(state, state.reserves[number]) for number in state.held)
    assert memory.numbers(2) == [0, lacking * base.price // base.scale]
    assert status == (abi.LIQUIDATABLE if lacking and stock else abi.HEALTHY)
    place = data.draw(st.integers(0, len(state.held)))
    verdict = hot.liquidate(*where, place, 0, ALL, NOW, 0, memory.out.address)
    if verdict == abi.LAWFUL:
        reserve = state.reserves[sorted(state.held)[place - 1]]
        sale = reference.sale(grown, base, reserve, reserve.reserves, ALL)
        assert memory.numbers(5) == [sale.repay, sale.seize, 0, 0, sale.most]
        assert hot.weight(*where, place) == 0.0
    assert verdict != abi.LAWFUL or status == abi.LIQUIDATABLE


@settings(max_examples=150)
@given(STATES)
def test_values_and_weights_make_the_margin_that_health_compares(memory: Memory, state: State) -> None:
    """Within the slacks that the adapter states."""
    memory.put(state)
    expected = reference.health(*state, NOW)
    margin = gross = 0.0
    for k, number in enumerate((0, *sorted(state.held))):
        if hot.values(memory.book, number, NOW, 0, memory.out.address) == abi.UNKNOWN:
            return
        collateral, debt = (float(each) for each in memory.out.view("f8", 2))
        secured = state.held.get(number, 0) * collateral * hot.weight(memory.book, memory.position, k)
        owed = state.principal * debt if number == 0 else 0.0
        margin, gross = margin + secured - owed, gross + secured + owed
    assert expected is not None or state.principal >= reference.MOST_BASE
    if expected is not None:
        slack = CompoundV3.slack_units * (1 + len(state.held)) + 1e-9 * gross
        assert abs(margin - (expected[0] - expected[1])) <= slack


def is_sold(state: State, reserve: Reserve) -> bool:
    """Return whether some amount of the base token buys something of what the Comet owns."""
    if reserve.price == 0 or reference.discounted(state.comet, reserve) == 0:
        return False
    return reference.sale(state.comet, state.reserves[0], reserve, reserve.reserves, ALL).seize > 0


def closed(state: State, reserve: int) -> int | None:
    """Return the gate that is closed, if one is."""
    if reserve == 0:
        return abi.NOT_COLLATERAL
    if state.principal == 0:
        return abi.NOTHING_OWED
    if state.comet.pauses & (ABSORB_PAUSED | BUY_PAUSED):
        return abi.PAUSED
    return abi.NO_PRICE if 0 in {state.reserves[0].price, state.reserves[reserve].price} else None


def check_sale(memory: Memory, state: State, reserve: int, repay: int) -> int:
    """Return the verdict that is due; the numbers written are checked."""
    comet, reserves, principal, held = state
    grown, health = reference.accrued(comet, NOW), reference.health(*state, NOW)
    if grown is None or health is None:
        return abi.OUT_OF_DOMAIN
    if not health[2]:
        return abi.HEALTH_IS_SOUND
    absorbed = reference.absorb(grown, reserves, principal, held)
    if absorbed is None:
        return abi.OUT_OF_DOMAIN
    if not reference.is_for_sale(absorbed.comet):
        return abi.NOT_FOR_SALE
    owned = reserves[reserve].reserves + held[reserve]
    if owned >= 2**128 or reference.discounted(comet, reserves[reserve]) == 0:
        return abi.OUT_OF_DOMAIN
    sale = reference.sale(comet, reserves[0], reserves[reserve], owned, repay)
    paid, seize, fee, written_off, most = memory.numbers(5)
    assert (paid, seize, fee, most) == (sale.repay, sale.seize, 0, sale.most)
    assert written_off == absorbed.written_off
    return abi.LAWFUL if seize else abi.NOTHING_GAINED
