"""The search takes the best lawful deal of each position, and says why it takes none."""

from __future__ import annotations

from random import Random

import pytest
from tallyio_strategy_liquidation.bench_scene import UNIT, MadeUpBook, MadeUpScene, positions
from tallyio_strategy_liquidation.reference import best_net
from tallyio_strategy_liquidation.strategy import NO_LOAN, NO_PROFIT, NO_SALE, Liquidations

from tallyio.model.errors import ConfigError
from tallyio.model.execution import Liquidation
from tallyio.model.lending import Balance, Position, PositionKey
from tallyio.model.units import Address

GAS = 480_000


def random_book(rng: Random) -> MadeUpBook:
    made = []
    for number in range(20):
        amounts = [(rng.randrange(5 * UNIT), 0) for _ in range(2)] + [(0, rng.randrange(5 * UNIT))] * 2
        balances = tuple(
            Balance(reserve=reserve, collateral=c, debt=d) for reserve, (c, d) in enumerate(amounts) if c or d
        )
        made.append(Position(key=PositionKey(Address(number.to_bytes(20, "big"))), balances=balances))
    return MadeUpBook(made, reserves=4)


@pytest.mark.parametrize("depth", [20, 100, 10_000])
@pytest.mark.parametrize("calls_back", [False, True])
def test_no_amount_of_any_pair_gains_more(depth: int, *, calls_back: bool) -> None:
    rng = Random(depth)
    book = random_book(rng)
    scene = MadeUpScene(book, depth=depth * UNIT, calls_back=calls_back)
    found = {}
    for proposal in Liquidations({"top_k": 100}).search(scene).proposals:
        first = proposal.legs[0]
        assert isinstance(first, Liquidation)
        found[first.key] = proposal.net_wei
    for key in book.at_risk(0, 0):
        tried = best_net(scene, 0, book, key, gas=GAS, steps=200)
        if tried > 0:
            assert found[key] >= tried - abs(tried) * 1e-4
        else:
            assert found.get(key, 0) >= 0


def test_a_proposal_joins_into_a_cycle_that_ends_in_the_debts_token() -> None:
    scene = MadeUpScene(MadeUpBook(positions(3), reserves=4), depth=1_000 * UNIT)
    proposals = Liquidations({}).search(scene).proposals
    assert len(proposals) == 3
    for proposal in proposals:
        liquidation, sale = proposal.legs
        assert isinstance(liquidation, Liquidation)
        assert liquidation.amount_out == sale.amount_in
        assert (proposal.amount_in, proposal.amount_out) == (liquidation.amount_in, sale.amount_out)
        assert proposal.token == scene.books[0].spec.reserves[liquidation.debt].debt
        assert proposal.loan is not None
        assert proposal.loan.amount == liquidation.amount_in


def test_where_the_book_calls_back_nothing_is_borrowed() -> None:
    scene = MadeUpScene(MadeUpBook(positions(1), reserves=4), depth=1_000 * UNIT, calls_back=True)
    [proposal] = Liquidations({}).search(scene).proposals
    assert proposal.loan is None


@pytest.mark.parametrize(
    ("depth", "lends", "reason"), [(0, True, NO_SALE), (1_000, False, NO_LOAN), (1, True, NO_PROFIT)]
)
def test_what_is_left_alone_has_its_reason(depth: int, *, lends: bool, reason: str) -> None:
    held = Position(
        key=PositionKey(Address(bytes(20))),
        balances=(Balance(reserve=0, collateral=10**12), Balance(reserve=1, debt=10**12)),
    )
    scene = MadeUpScene(MadeUpBook([held], reserves=2), depth=depth * UNIT, lends=lends)
    search = Liquidations({}).search(scene)
    assert search.proposals == ()
    [refusal] = search.refusals
    assert (refusal.key, refusal.reason) == (held.key, reason)


def test_a_setting_out_of_range_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"strategies.liquidation\] top_k must be at least 1, was 0"):
        Liquidations({"top_k": 0})
