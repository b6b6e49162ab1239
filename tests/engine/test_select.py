"""Which opportunities of a block are taken together."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tallyio.engine.select import BUSY, DISTURBED, choose
from tallyio.model.execution import Ground, Leg, Liquidation, Opportunity
from tallyio.model.lending import PositionKey
from tallyio.model.units import Address, Hash


def opportunity(number: int, net: float, *pools: int) -> Opportunity:
    return Opportunity(
        id=number,
        strategy="s",
        block_hash=Hash(bytes(32)),
        block_number=1,
        token=Address(bytes(20)),
        legs=tuple(Leg(pool=pool, token_in=0, token_out=1, amount_in=1, amount_out=2) for pool in pools),
        amount_in=1,
        amount_out=2,
        gas=1,
        net_wei=net,
    )


def test_the_best_goes_first_and_its_rivals_know_by_whom_they_were_beaten() -> None:
    found = [opportunity(1, 5, 0, 1), opportunity(2, 9, 1, 2), opportunity(3, 1, 3, 4)]
    chosen, reasons = choose(found, busy=set(), most=9)
    assert [each.id for each in chosen] == [2, 3]
    assert reasons == {1: "shares a pool with opportunity 2, which pays more"}


def test_a_pool_that_waits_for_our_transaction_is_left_alone() -> None:
    chosen, reasons = choose([opportunity(1, 5, 0, 1)], busy={1}, most=9)
    assert (chosen, reasons) == ([], {1: BUSY})


def liquidating(number: int, net: float, part: int, *pools: int) -> Opportunity:
    """Return an opportunity that liquidates position `part` of an account in book 3, and then trades."""
    key = PositionKey(Address(bytes(20)), part)
    first = Liquidation(book=3, key=key, collateral=0, debt=1, amount_in=1, amount_out=1)
    found = opportunity(number, net, *pools)
    return msgspec.structs.replace(found, legs=(first, *found.legs))


def test_a_position_is_liquidated_by_one_transaction_at_a_time() -> None:
    found = [liquidating(1, 5, 0, 1), liquidating(2, 9, 0, 2), liquidating(3, 1, 1, 3)]
    chosen, reasons = choose(found, busy=set(), most=9)
    assert [each.id for each in chosen] == [2, 3]
    assert reasons == {1: "shares a position with opportunity 2, which pays more"}
    busy = {use for each in found[2:] for use in each.uses}
    assert choose(found[2:], busy=busy, most=9) == ([], {3: BUSY})
    assert choose(found[2:], busy={3}, most=9) == ([], {3: BUSY})  # the pool
    assert choose(found[2:], busy=set(), most=9)[0] == found[2:]


def lent(number: int, net: float, ground: Ground, *pools: int) -> Opportunity:
    """Return an opportunity whose loan's fee changes `ground`."""
    return msgspec.structs.replace(opportunity(number, net, *pools), disturbs=ground)


def test_a_loan_whose_fee_changes_a_pool_and_a_trade_in_it_do_not_go_together() -> None:
    lending, trading = lent(1, 9, 5, 1), opportunity(2, 5, 5, 6)
    this, another = (DISTURBED.format(what=what) for what in ("this", "another"))
    assert choose([lending, trading], busy=set(), most=9) == ([lending], {2: this})
    dearer = msgspec.structs.replace(trading, net_wei=10)
    assert choose([lending, dearer], busy=set(), most=9) == ([dearer], {1: another})
    assert choose([lending], busy={5}, most=9) == ([], {1: another})
    assert choose([trading], busy=set(), most=9, disturbed={5}) == ([], {2: this})


def test_loans_whose_fees_change_the_same_pool_go_together() -> None:
    found = [lent(1, 9, 5, 1), lent(2, 5, 5, 2)]
    assert choose(found, busy=set(), most=9, disturbed={5}) == (found, {})


def test_a_loan_that_makes_deposits_grow_spares_whoever_is_secured_by_them() -> None:
    secured = msgspec.structs.replace(liquidating(2, 5, 0, 4), deposits=frozenset({(3, 7), (3, 8)}))
    lending = lent(1, 9, (3, 8), 1)
    this, another = (DISTURBED.format(what=what) for what in ("this", "another"))
    assert choose([lending, secured], busy=set(), most=9) == ([lending], {2: this})
    assert choose([lending], busy=set(), most=9, deposits={(3, 8)}) == ([], {1: another})
    elsewhere = lent(1, 9, (3, 9), 1)
    assert choose([elsewhere, secured], busy=set(), most=9) == ([elsewhere, secured], {})


def test_no_more_are_taken_than_there_is_room_for() -> None:
    found = [opportunity(number, number, number) for number in range(1, 5)]
    chosen, reasons = choose(found, busy=set(), most=2)
    assert [each.id for each in chosen] == [4, 3]
    assert reasons[1] == "2 transactions are under way already"


found_lists = st.lists(
    st.tuples(st.floats(0, 1e9), st.lists(st.integers(0, 12), min_size=2, max_size=3, unique=True)),
    max_size=20,
)


@given(found_lists, st.sets(st.integers(0, 12)), st.integers(0, 8))
def test_the_chosen_never_share_a_pool_and_everybody_else_has_a_reason(
    drawn: list[tuple[float, list[int]]], busy: set[int], most: int
) -> None:
    found = [opportunity(number, net, *pools) for number, (net, pools) in enumerate(drawn)]
    chosen, reasons = choose(found, busy=busy, most=most)
    used = [leg.uses for each in chosen for leg in each.legs]
    assert len(used) == len(set(used))
    assert not set(used) & busy
    assert len(chosen) <= most
    assert {each.id for each in chosen} | reasons.keys() == {each.id for each in found}
    assert not {each.id for each in chosen} & reasons.keys()
