"""The search takes the best lawful deals, together where that pays, and says why it takes none."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from random import Random

import msgspec
import pytest
from tallyio_strategy_liquidation.bench_hot import CASH
from tallyio_strategy_liquidation.bench_scene import (
    UNIT,
    MadeUpScene,
    every_pair,
    open_scene,
    position,
    positions,
    token,
)
from tallyio_strategy_liquidation.reading import NO_LOAN, NO_PROFIT, NO_SALE
from tallyio_strategy_liquidation.reference import best_net
from tallyio_strategy_liquidation.strategy import Liquidations

from tallyio.lending.abi import LAWFUL, NO_CASH, VERDICTS
from tallyio.model.errors import ConfigError
from tallyio.model.execution import Leg, Liquidation
from tallyio.model.lending import Position
from tallyio.model.proposal import Proposal

GAS = 480_000
ALONE = {"top_k": 100, "max_batch": 1}


def people(rng: Random, count: int = 20) -> list[Position]:
    """Return positions of one or two collaterals and one or two debts."""
    made = []
    for number in range(count):
        amounts = [(rng.randrange(5 * UNIT), 0) for _ in range(2)] + [(0, rng.randrange(5 * UNIT))] * 2
        made.append(position(number, *((reserve, *each) for reserve, each in enumerate(amounts))))
    return made


def parts(proposal: Proposal) -> tuple[list[Liquidation], list[list[Leg]]]:
    """Return the liquidations of a proposal, and the paths of its sale."""
    heads = [leg for leg in proposal.legs if isinstance(leg, Liquidation)]
    paths: list[list[Leg]] = []
    for leg in proposal.legs[len(heads) :]:
        assert isinstance(leg, Leg)
        if paths and paths[-1][-1].amount_out == leg.amount_in:
            paths[-1].append(leg)
        else:
            paths.append([leg])
    return heads, paths


def check_exact(scene: MadeUpScene, proposal: Proposal) -> None:
    """Ask protocol, pools and lender once more for every amount of a proposal."""
    heads, paths = parts(proposal)
    for head in heads:
        where = {"collateral": head.collateral, "debt": head.debt, "time": scene.time, "number": scene.number}
        repay = head.offer or head.amount_in
        terms = scene.books[head.book].liquidate(head.key, **where, repay=repay)
        assert (terms.verdict, terms.repay, terms.seize) == (LAWFUL, head.amount_in, head.amount_out)
    for path in paths:
        for leg in path:
            assert scene.market.quote(leg.pool, leg.token_in, leg.token_out, leg.amount_in) == leg.amount_out
    check_tokens(scene, proposal)
    assert sum(head.amount_out for head in heads) == sum(path[0].amount_in for path in paths)
    assert len({leg.uses for leg in proposal.legs}) == len(proposal.legs)
    assert proposal.amount_in == sum(head.amount_in for head in heads)
    assert proposal.amount_out == sum(path[-1].amount_out for path in paths)
    fee = proposal.loan.fee if proposal.loan else 0
    if proposal.loan:
        assert proposal.loan.amount == proposal.amount_in
        assert fee == proposal.loan.offer.fee(proposal.amount_in)
    gain = (proposal.amount_out - proposal.amount_in - fee) * scene.native_per_unit(proposal.token)
    assert proposal.net_wei == pytest.approx(gain - proposal.gas * scene.gas_price_wei, rel=1e-9, abs=1e3)


def check_tokens(scene: MadeUpScene, proposal: Proposal) -> None:
    """Look whether every path of the sale begins with what is seized and ends with what is repaid."""
    heads, paths = parts(proposal)
    sides = [scene.books[head.book].spec.reserves for head in heads]
    assert {side[head.debt].debt for side, head in zip(sides, heads, strict=True)} == {proposal.token}
    seized = {side[head.collateral].collateral for side, head in zip(sides, heads, strict=True)}
    assert len(seized) == 1
    for path in paths:
        sold = [scene.pools[leg.pool].tokens[leg.token_in] for leg in path]
        bought = [scene.pools[leg.pool].tokens[leg.token_out] for leg in path]
        assert [*sold, proposal.token] == [*seized, *bought]


@pytest.mark.parametrize("changed", ["collateral", "debt"])
def test_a_proposal_about_other_tokens_than_are_sold_would_be_noticed(changed: str) -> None:
    """All tokens cost the same here, so amounts alone would not give it away."""
    with open_scene([small(3)], ONE_POOL) as scene:
        [proposal] = Liquidations({}).search(scene).proposals
        check_tokens(scene, proposal)
        heads, _ = parts(proposal)
        assert len(heads) > 1
        for wrong in (heads[:1], heads):
            legs = [
                msgspec.structs.replace(leg, **{changed: 3}) if leg in wrong else leg for leg in proposal.legs
            ]
            with pytest.raises(AssertionError):
                check_tokens(scene, msgspec.structs.replace(proposal, legs=tuple(legs)))


@pytest.mark.parametrize("depth", [20, 100, 10_000])
@pytest.mark.parametrize("calls_back", [False, True])
def test_no_amount_of_any_pair_gains_more(depth: int, *, calls_back: bool) -> None:
    with open_scene([people(Random(depth))], every_pair(depth * UNIT), calls_back=calls_back) as scene:
        found = {}
        for proposal in Liquidations(ALONE).search(scene).proposals:
            check_exact(scene, proposal)
            [first], _ = parts(proposal)
            found[first.key] = proposal.net_wei
        for key in scene.books[0].at_risk(0, 0):
            tried = best_net(scene, 0, scene.books[0], key, gas=GAS, steps=50)
            if tried > 0:
                assert found[key] >= tried - abs(tried) * 1e-4
            else:
                assert found.get(key, 0) >= 0


@pytest.mark.parametrize("calls_back", [False, True])
def test_as_much_is_taken_as_the_protocol_can_pay_out(*, calls_back: bool) -> None:
    big = position(1, (0, 5 * CASH, 0), (1, 0, 4 * CASH))
    with open_scene([[big]], [(0, 1, 10**5 * CASH)], reserves=2, calls_back=calls_back) as scene:
        [proposal] = Liquidations({}).search(scene).proposals
        check_exact(scene, proposal)
        [[head], _] = parts(proposal)
        assert 0.999 * CASH < head.amount_out <= CASH
    huge = position(1, (0, 10**5 * CASH, 0), (1, 0, 10**5 * CASH))
    with open_scene([[huge]], [(0, 1, 10**5 * CASH)], reserves=2, calls_back=calls_back) as scene:
        assert [each.reason for each in Liquidations({}).search(scene).refusals] == [VERDICTS[NO_CASH]]


def test_a_sale_is_divided_over_two_paths_where_that_leaves_more_after_gas() -> None:
    big = position(1, (0, 200 * UNIT, 0), (1, 0, 200 * UNIT))
    pools = [(0, 1, 20_000 * UNIT), (0, 1, 19_000 * UNIT)]
    with open_scene([[big]], pools, reserves=2) as scene:
        [proposal] = Liquidations({}).search(scene).proposals
        check_exact(scene, proposal)
        _, (one, other) = parts(proposal)
        whole = scene.best_sale(token(0), token(1), one[0].amount_in + other[0].amount_in)
        assert whole is not None
        assert proposal.amount_out > whole.amount_out
    with open_scene([[big]], pools, reserves=2, gas_price_wei=5 * 10**12) as scene:
        [proposal] = Liquidations({}).search(scene).proposals
        assert len(parts(proposal)[1]) == 1


def small(count: int) -> list[Position]:
    """Return positions of which half a debt of half a unit may be repaid: each brings 0.02 units."""
    return [position(each, (1, UNIT + each, 0), (2, 0, UNIT // 2 + each)) for each in range(1, count + 1)]


ONE_POOL = [(1, 2, 10_000 * UNIT), (0, 2, 10_000 * UNIT)]
"""Where token 1 is sold for token 2, and what prices that."""


def test_positions_too_small_alone_are_taken_together() -> None:
    """Gas of one costs 0.0215 units, of three together 0.048."""
    with open_scene([small(3)], ONE_POOL, gas_price_wei=33 * 10**9) as scene:
        alone = Liquidations(ALONE).search(scene)
        assert alone.proposals == ()
        assert {refusal.reason for refusal in alone.refusals} == {NO_PROFIT}
        together = Liquidations({}).search(scene)
        [proposal] = together.proposals
        assert len(parts(proposal)[0]) == 3
        check_exact(scene, proposal)
        assert together.refusals == ()


def test_a_batch_gains_more_than_its_best_alone_and_keeps_to_its_limits() -> None:
    rng = Random(3)
    for depth, most, gas in ((50, 4, 10_000_000), (1_000, 3, 10_000_000), (1_000, 8, 1_300_000)):
        with open_scene([people(rng), people(rng)], every_pair(depth * UNIT), max_gas=gas) as scene:
            alone = Liquidations(ALONE).search(scene).proposals
            nets = {leg.uses: each.net_wei for each in alone for leg in each.legs}
            found = Liquidations({"max_batch": most, "top_k": 100}).search(scene).proposals
            assert any(len(parts(each)[0]) > 1 for each in found)
            for proposal in found:
                check_exact(scene, proposal)
                heads, _ = parts(proposal)
                assert proposal.net_wei >= max(nets.get(head.uses, 0.0) for head in heads)
                assert len(heads) <= most
                assert len(heads) == 1 or (proposal.gas <= gas and proposal.loan is not None)
            taken = [leg.uses for each in found for leg in each.legs if isinstance(leg, Liquidation)]
            assert len(taken) == len(set(taken))


def test_of_one_book_only_what_does_not_disturb_each_other_goes_together() -> None:
    """The two positions below share both reserves; the same two of two books go together all the same."""
    alike = [position(each, (1, 9 * UNIT, 0), (2, 0, 9 * UNIT)) for each in (1, 2)]

    def batches(books: Sequence[Sequence[Position]], *, is_independent: bool) -> list[int]:
        with open_scene(books, ONE_POOL, is_independent=is_independent) as scene:
            return [len(parts(each)[0]) for each in Liquidations({}).search(scene).proposals]

    assert batches([alike], is_independent=True) == [2]
    assert batches([alike], is_independent=False) == [1, 1]
    assert batches([alike[:1], alike[1:]], is_independent=False) == [2]


def test_where_the_book_calls_back_nothing_is_borrowed() -> None:
    with open_scene([positions(1)], every_pair(1_000 * UNIT), calls_back=True) as scene:
        [proposal] = Liquidations({}).search(scene).proposals
        assert proposal.loan is None


@pytest.mark.parametrize(
    ("pools", "lends", "reason"),
    [
        ([(0, 1, 1_000 * UNIT)], False, NO_LOAN),
        ([(0, 1, UNIT)], True, NO_PROFIT),
        ([(0, 1, 1_000 * UNIT)], True, NO_SALE),
    ],
)
def test_what_is_left_alone_has_its_reason(
    pools: list[tuple[int, int, int]], *, lends: bool, reason: str
) -> None:
    held = position(0, (2 if reason == NO_SALE else 0, 10**12, 0), (1, 0, 10**12))
    with open_scene([[held]], pools, reserves=3, lends=lends) as scene:
        search = Liquidations({}).search(scene)
        assert search.proposals == ()
        [refusal] = search.refusals
        assert (refusal.key, refusal.reason) == (held.key, reason)


def test_one_strategy_looks_at_one_scene_after_the_other() -> None:
    strategy = Liquidations(ALONE)
    with ExitStack() as stack:
        scenes = [
            stack.enter_context(open_scene([people(Random(depth))], every_pair(depth * UNIT)))
            for depth in (50, 500)
        ]
        for scene in (*scenes, scenes[0]):
            found = strategy.search(scene).proposals
            assert found == Liquidations(ALONE).search(scene).proposals
            assert found


def sell(scene: MadeUpScene, reserve: int) -> None:
    """Let updates of the price of `reserve` be sold."""
    book = scene.books[0]
    reserves = list(book.spec.reserves)
    reserves[reserve] = msgspec.structs.replace(reserves[reserve], auction="svr")
    vars(book)["spec"] = msgspec.structs.replace(book.spec, reserves=tuple(reserves))


SOLD = "updates of its price are sold at auction (svr): whoever buys one is first"


@pytest.mark.parametrize(("share", "order"), [(1.0, [1, 2]), (0.1, [2, 1]), (0.0, [2])])
def test_whose_price_is_sold_counts_for_less_or_is_left_alone(share: float, order: list[int]) -> None:
    rich, poor = (
        position(1, (0, 9 * UNIT, 0), (2, 0, 9 * UNIT)),
        position(2, (1, 5 * UNIT, 0), (2, 0, 5 * UNIT)),
    )
    with open_scene([[rich, poor]], every_pair(10_000 * UNIT)) as scene:
        plain = {each.legs[0].uses: each.net_wei for each in Liquidations(ALONE).search(scene).proposals}
        sell(scene, 0)
        search = Liquidations({**ALONE, "auctioned_share": share}).search(scene)
    keys = [parts(each)[0][0].key for each in search.proposals]
    assert keys == [(rich, poor)[number - 1].key for number in order]
    for each, key in zip(search.proposals, keys, strict=True):
        assert each.net_wei == plain[0, key] * (share if key == rich.key else 1)
    assert [(each.key, each.reason) for each in search.refusals] == [(rich.key, SOLD)] * (1 not in order)


def test_a_share_is_a_share() -> None:
    with pytest.raises(ConfigError, match=r"auctioned_share must be 0 to 1, was 1\.5"):
        Liquidations({"auctioned_share": 1.5})


def test_a_setting_out_of_range_is_refused_by_its_name() -> None:
    with pytest.raises(ConfigError, match=r"strategies.liquidation\] top_k must be at least 1, was 0"):
        Liquidations({"top_k": 0})
