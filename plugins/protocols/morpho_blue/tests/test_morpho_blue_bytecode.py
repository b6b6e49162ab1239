"""Random positions against Morpho's own bytecode: health, what is repaid and seized, and what is refused.

`Morpho` and `AdaptiveCurveIrm` are compiled from their sources; the states of markets and positions are
written into their storage. `TALLYIO_LENDING_CASES` says how many; a night has time for more.
"""

from __future__ import annotations

import os
import random
from collections import Counter

import msgspec
import pytest
from tallyio_protocol_morpho_blue import curve, hot, reference
from tallyio_protocol_morpho_blue.layout import Irm, Market

from tallyio.lab.lending.morpho import MorphoMarket
from tallyio.lending import abi
from tallyio.native.jit import warm_all
from tests.morpho_desk import LLTVS, Memory, MorphoDesk, Paid

CASES = int(os.environ.get("TALLYIO_LENDING_CASES", "5000"))
DAY = 86_400
WAD = curve.WAD


class Case:
    """A market and a position in the contract and in memory, as of the next block."""

    def __init__(self, desk: MorphoDesk, memory: Memory, draw: random.Random) -> None:
        self.desk, self.memory, self.draw, self.time = desk, memory, draw, desk.time
        self.market, self.collateral, self.shares = draw_state(draw, self.time)
        self.there: MorphoMarket = desk.put(self.market, self.collateral, self.shares)
        memory.put(self.market, self.collateral, self.shares)

    def health(self) -> tuple[int, int, int]:
        """Return status, limit and debt as compiled."""
        memory = self.memory
        status = hot.health(memory.book, memory.position, self.time, 0, memory.out.address)
        limit, owed, _ = memory.numbers(3)
        return status, limit, owed

    def liquidate(self, repay: int) -> tuple[int, list[int]]:
        """Return the compiled verdict and its numbers."""
        memory = self.memory
        verdict = hot.liquidate(memory.book, memory.position, 0, 0, repay, self.time, 0, memory.out.address)
        return verdict, memory.numbers(5)

    def paid(self, seize: int, shares: int = 0) -> Paid | None:
        """Return what the contract does."""
        return self.desk.liquidate(self.there, seize, shares)


def draw_state(draw: random.Random, time: int) -> tuple[Market, int, int]:
    """Return a market of any size and a position in it, mostly near the edge of its health."""
    irm, lltv = draw.choice(list(Irm)), draw.choice(LLTVS)
    supply = draw.getrandbits(draw.randrange(2, 105)) + 2
    borrow = max(supply * draw.choice((draw.randrange(1, 1001), 900, 1000)) // 1000, 1)
    shares = borrow * draw.randrange(700_000, 1_000_001) + draw.randrange(10**6)
    rate = draw.choice(
        (0, curve.MIN_RATE, curve.MAX_RATE, curve.INITIAL_RATE, draw.randrange(10**8, 6 * 10**10))
    )
    market = Market(
        supply_assets=supply,
        borrow_assets=borrow,
        borrow_shares=shares,
        last_update=time - draw.choice((0, 12, 3_600, DAY, 30 * DAY, 400 * DAY, draw.randrange(1, 10**8))),
        rate=0 if irm == Irm.NONE else rate,
        irm=irm,
        lltv=lltv,
        incentive=reference.incentive_factor(lltv),
        price=10**36,
    )
    own = max(shares // draw.choice((1, 1, 2, 7, 1_000)), 1)
    collateral = draw.getrandbits(draw.randrange(1, 110)) + 1
    grown = reference.accrued(market, time)
    assert grown is not None
    owed = reference.assets_up(own, grown)
    return priced(draw, market, collateral, owed), collateral, own


def priced(draw: random.Random, market: Market, collateral: int, owed: int) -> Market:
    """Return `market` with a price that puts the position from a half to five quarters of its limit."""
    edge = owed * WAD * 10**36 // (collateral * max(market.lltv, WAD // 100))
    kind = draw.random()
    if kind < 0.1:
        price = edge + draw.randrange(-1, 2)
    elif kind < 0.12:
        price = draw.randrange(2)
    else:
        price = edge * draw.randrange(500, 1_250) // 1_000
    return msgspec.structs.replace(market, price=min(max(price, 0), 2**140))


@pytest.fixture(scope="module")
def memory() -> Memory:
    warm_all([hot.health, hot.liquidate])
    return Memory()


def test_random_positions_equal_the_contract_in_health_and_liquidation(memory: Memory) -> None:
    """Health to the unit; each lawful offer pays and gets what was predicted, one unit more reverts."""
    desk, draw, seen = MorphoDesk(), random.Random(71), Counter[str]()
    for number in range(CASES):
        case = Case(desk, memory, draw)
        told = (number, case.market, case.collateral, case.shares)
        status, limit, owed = case.health()
        assert (limit, owed) == desk.health(case.there), told
        assert status == (abi.LIQUIDATABLE if limit < owed else abi.HEALTHY), told
        verdict, numbers = case.liquidate(2**256 - 1)
        if status == abi.HEALTHY:
            assert verdict == abi.HEALTH_IS_SOUND, told
            assert case.paid(1) is case.paid(0, 1) is None, told
            seen["healthy"] += 1
            continue
        seen[f"all: {abi.VERDICTS[verdict]}"] += 1
        check_all(case, verdict, numbers, seen, told)
        check_part(case, numbers[4], seen, told)
    print(f"\nMorpho Blue: {dict(sorted(seen.items()))}")  # noqa: T201 - shown with -s
    assert seen["healthy"] > CASES // 10
    assert min(seen["bad debt"], seen["debt was the limit"], seen["a part was paid"]) > CASES // 20


def check_all(case: Case, verdict: int, numbers: list[int], seen: Counter[str], told: object) -> None:
    """The largest offer does what was said, and one unit of collateral or share more is refused."""
    repay, seize, _, written_off, most = numbers
    if verdict == abi.NOTHING_GAINED:
        assert case.paid(1) is None, told
        return
    assert verdict == abi.LAWFUL, told
    assert repay == most, told
    paid = case.paid(seize)
    assert paid is not None, told
    assert (paid.repaid, paid.seized, paid.bad_debt) == (repay, seize, written_off), told
    assert case.paid(seize + 1) is None, told
    assert case.paid(0, case.shares + 1) is None, told
    seen["bad debt" if seize == case.collateral else "debt was the limit"] += 1
    # Naming all shares instead costs as much or more, where the collateral is enough for it.
    by_shares = case.paid(0, case.shares)
    if by_shares is not None:
        assert by_shares.seized == seize, told
        assert by_shares.repaid >= repay, told
        seen["shares cost more" if by_shares.repaid > repay else "shares cost the same"] += 1


def check_part(case: Case, most: int, seen: Counter[str], told: object) -> None:
    """A smaller offer pays no more than it says, and the collateral's next unit would cost more."""
    offer = case.draw.randrange(most + 1)
    verdict, (repay, seize, _, written_off, again) = case.liquidate(offer)
    assert again == most, told
    if verdict == abi.NOTHING_GAINED:
        cheapest = case.paid(1)
        assert cheapest is None or cheapest.repaid > offer, told
        seen["a part was too small"] += 1
        return
    assert verdict == abi.LAWFUL, told
    assert repay <= offer, told
    paid = case.paid(seize)
    assert paid is not None, told
    assert (paid.repaid, paid.seized, paid.bad_debt) == (repay, seize, written_off), told
    following = case.paid(seize + 1)
    assert following is None or following.repaid > offer, told
    seen["a part was paid"] += 1
