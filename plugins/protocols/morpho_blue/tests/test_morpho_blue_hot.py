"""The compiled functions against the reference, over their whole domain and beyond it."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tallyio_protocol_morpho_blue import curve, hot, rates, reference
from tallyio_protocol_morpho_blue.layout import Irm, Market, pack_row, unpack_row

from tallyio.lending import abi
from tallyio.native.jit import warm_all
from tests.morpho_desk import Memory

NOW = 1_800_000_000
WAD = curve.WAD


def sized(bits: int) -> st.SearchStrategy[int]:
    """Return integers of every length up to `bits`."""
    return st.integers(0, bits).flatmap(lambda size: st.integers(0, (1 << size) - 1))


@st.composite
def markets(draw: st.DrawFn) -> Market:
    supply = draw(sized(128))
    borrow = draw(st.one_of(st.integers(0, supply), sized(128)))
    irm = draw(st.sampled_from(Irm))
    rate = draw(st.one_of(st.just(0), st.integers(curve.MIN_RATE, curve.MAX_RATE)))
    lltv = draw(st.one_of(st.sampled_from((0, 86 * 10**16, 98 * 10**16)), st.integers(0, WAD - 1)))
    return Market(
        supply_assets=supply,
        borrow_assets=borrow,
        borrow_shares=draw(sized(128)),
        last_update=NOW - draw(st.one_of(st.sampled_from((0, 12, 3600)), st.integers(-5, 10**9))),
        rate=rate if irm == Irm.ADAPTIVE else draw(sized(63)),
        irm=irm,
        lltv=lltv,
        incentive=reference.incentive_factor(lltv),
        price=draw(st.one_of(st.none(), sized(256), sized(140))),
    )


@pytest.fixture(scope="module")
def memory() -> Memory:
    warm_all([hot.values, hot.weight, hot.health, hot.liquidate, rates.borrow_rate, rates.exponential])
    return Memory()


@given(markets())
def test_a_row_holds_what_was_packed(market: Market) -> None:
    assert unpack_row(pack_row(market)) == market


@given(st.integers(0, 2**120), st.booleans())
@example(-curve.LN_WEI, True)
@example(-curve.LN_WEI + 1, True)
@example(curve.EXP_UPPER_BOUND, False)
@example(curve.EXP_UPPER_BOUND - 1, False)
@example(curve.LN_2 // 2 + 1, False)
@example(curve.LN_2 // 2, True)
def test_the_exponential_is_the_curves(size: int, negative: bool) -> None:  # noqa: FBT001 - drawn
    assert rates.exponential(size, negative) == curve.exponential(-size if negative else size)


@given(
    st.integers(0, 2**126), st.integers(0, WAD), st.integers(curve.MIN_RATE - 1, curve.MAX_RATE), sized(40)
)
def test_the_borrow_rate_is_the_curves(supply: int, utilization: int, rate: int, elapsed: int) -> None:
    borrow = -(-supply * utilization // WAD)
    rate = 0 if rate < curve.MIN_RATE else rate
    expected, _ = curve.borrow_rate(supply, borrow, rate_at_target=rate, elapsed=elapsed)
    assert rates.borrow_rate(supply, borrow, rate, elapsed) == expected


@settings(max_examples=250)
@given(markets(), sized(128), st.data())
def test_health_is_the_references(
    memory: Memory, market: Market, collateral: int, data: st.DataObject
) -> None:
    shares = data.draw(st.one_of(st.integers(0, market.borrow_shares), sized(128)))
    memory.put(market, collateral, shares)
    status = hot.health(memory.book, memory.position, NOW, 0, memory.out.address)
    expected = reference.health(market, collateral, shares, NOW)
    if expected is None:
        assert status == abi.UNKNOWN
        return
    limit, owed = expected
    assert status == (abi.LIQUIDATABLE if limit < owed else abi.HEALTHY)
    assert memory.numbers(3) == [limit, owed, limit * WAD // owed if owed else 2**256 - 1]


def test_debt_that_has_grown_by_nobody_knows_what_is_not_called_healthy(memory: Memory) -> None:
    """More is lent than was supplied, so that there is no rate; without interest the collateral would do."""
    market = Market(
        supply_assets=0,
        borrow_assets=1,
        borrow_shares=1,
        last_update=NOW - 12,
        rate=0,
        irm=Irm.ADAPTIVE,
        lltv=86 * 10**16,
        incentive=reference.incentive_factor(86 * 10**16),
        price=2 * 10**36,
    )
    for shares, status in ((1, abi.UNKNOWN), (0, abi.HEALTHY)):
        memory.put(market, 1, shares)
        assert hot.health(memory.book, memory.position, NOW, 0, memory.out.address) == status
        assert (reference.health(market, 1, shares, NOW) is None) == (status == abi.UNKNOWN)


@settings(max_examples=250)
@given(markets(), sized(128), st.data())
def test_liquidation_is_the_references(
    memory: Memory, market: Market, collateral: int, data: st.DataObject
) -> None:
    shares = data.draw(st.one_of(st.integers(0, market.borrow_shares), sized(128)))
    repay = data.draw(st.one_of(st.just(2**256 - 1), sized(256), sized(100)))
    memory.put(market, collateral, shares)
    verdict = hot.liquidate(memory.book, memory.position, 0, 0, repay, NOW, 0, memory.out.address)
    health = reference.health(market, collateral, shares, NOW)
    if health is None or reference.accrued(market, NOW) is None:
        assert verdict in {abi.OUT_OF_DOMAIN, abi.NO_PRICE}
        assert (verdict == abi.NO_PRICE) <= (market.price is None)
    elif health[0] >= health[1]:
        assert verdict == (abi.HEALTH_IS_SOUND if shares else abi.NOTHING_OWED)
    elif collateral == 0:
        assert verdict == abi.NOT_COLLATERAL
    else:
        check_terms(memory, verdict, reference.liquidate(market, collateral, shares, repay, NOW))


def check_terms(memory: Memory, verdict: int, terms: reference.Terms | None) -> None:
    repay, seize, fee, written_off, most = memory.numbers(5)
    if terms is None:
        assert verdict == abi.OUT_OF_DOMAIN
    elif terms.seize == 0:
        assert (verdict, repay, seize, most) == (abi.NOTHING_GAINED, 0, 0, terms.most)
    else:
        assert verdict == abi.LAWFUL
        assert (repay, seize, fee, written_off, most) == (
            terms.repay,
            terms.seize,
            0,
            terms.written_off,
            terms.most,
        )


@settings(max_examples=150)
@given(markets(), sized(100), sized(200))
def test_naming_the_collateral_never_costs_more_than_naming_shares(
    market: Market, shares: int, collateral: int
) -> None:
    """What some shares of debt would seize costs no more shares when it is asked for by its own amount."""
    grown = reference.accrued(market, NOW)
    if grown is None or not grown.price:
        return
    assets, all_shares = grown.borrow_assets + 1, grown.borrow_shares + 10**6
    shares = min(shares, grown.borrow_shares)
    seized = shares * assets // all_shares * grown.incentive // WAD * 10**36 // grown.price
    burned, _ = reference.cost_of(grown, seized)
    assert burned <= shares
    paid = reference.assets_up(shares, grown)
    assert reference.most_seized(grown, collateral, grown.borrow_shares, paid) >= min(seized, collateral)


@settings(max_examples=200)
@given(markets(), sized(120), st.data())
def test_values_and_weight_make_the_margin_that_health_compares(
    memory: Memory, market: Market, collateral: int, data: st.DataObject
) -> None:
    """Within the slacks that the adapter states: 1e-9 of both sides, and three units."""
    shares = data.draw(st.integers(0, market.borrow_shares))
    memory.put(market, collateral, shares)
    out = memory.out.address
    expected = reference.health(market, collateral, shares, NOW)
    known = hot.values(memory.book, 0, NOW, 0, out)
    if known == abi.UNKNOWN or expected is None:
        assert known == abi.UNKNOWN or shares == 0 or collateral * (market.price or 0) >= 2**255
        return
    if shares == 0 and collateral * (market.price or 0) >= 2**255:
        return  # what is beyond the domain counts for nothing, and nobody owes anything
    worth, owed = memory.out.view("f8", 2)
    secured = collateral * float(worth) * hot.weight(memory.book, memory.position, 0)
    gross = secured + shares * float(owed)
    assert abs((secured - shares * float(owed)) - (expected[0] - expected[1])) <= 1e-9 * gross + 3.0
