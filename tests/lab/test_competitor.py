"""Whom the lending world's competitor knows: some of Aave's borrowers, in all blocks of a seed the same."""

from __future__ import annotations

from tallyio.lab.lending.facts import Borrower, LendingFacts
from tallyio.lab.lending.moves import WATCHES_PERCENT, _watched
from tallyio.lab.lending.world import BORROWERS
from tallyio.lab.world import account
from tallyio.model.units import ZERO_ADDRESS

FACTS = LendingFacts(
    feeds={},
    aave_provider=ZERO_ADDRESS,
    aave_pool=ZERO_ADDRESS,
    morpho=ZERO_ADDRESS,
    vault=ZERO_ADDRESS,
    pairs=(),
    venus_comptroller=ZERO_ADDRESS,
    venus_oracle=ZERO_ADDRESS,
    vtokens={},
    borrowers=tuple(
        Borrower(account=account(f"{place} {number}"), place=place, collateral="WETH", debt="USDC")
        for place, count in BORROWERS.items()
        for number in range(count)
    ),
    competitor=ZERO_ADDRESS,
)


def test_the_competitor_knows_a_share_of_aaves_borrowers_that_the_seed_alone_chooses() -> None:
    known = {seed: _watched(FACTS, seed) for seed in range(20)}
    assert known == {seed: _watched(FACTS, seed) for seed in known}
    assert {each.place for watched in known.values() for each in watched} == {"aave"}
    assert known[0] != known[1]
    shares = [len(watched) / BORROWERS["aave"] for watched in known.values()]
    assert abs(sum(shares) / len(shares) - WATCHES_PERCENT / 100) < 0.03
    assert 0 < min(shares) < max(shares) < 1
