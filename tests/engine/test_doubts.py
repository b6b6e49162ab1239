"""What the EVM refused is left alone while nothing that its plan reads has changed."""

from __future__ import annotations

import msgspec

from tallyio.engine.doubts import LONGEST, STANDING, Doubts
from tallyio.lending.loans import own_offer
from tallyio.model.execution import Borrowing, Call, Leg, Liquidation, Opportunity
from tallyio.model.lending import PositionKey
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash

ZERO = Address(bytes(20))
REFUSED = Call(to=ZERO, data=b"first")
BLOCK = 10


def liquidation(number: int, *, block: int = BLOCK, amount: int = 5, pool: int = 1) -> Opportunity:
    """Return a liquidation, which repays more with every block, and a sale."""
    leg = Leg(pool=pool, token_in=0, token_out=1, amount_in=amount, amount_out=amount + 1)
    taken = Liquidation(
        book=0, key=PositionKey(ZERO), collateral=0, debt=1, amount_in=amount, amount_out=amount
    )
    return Opportunity(
        id=number,
        strategy="s",
        block_hash=Hash(bytes(32)),
        block_number=block,
        token=ZERO,
        legs=(taken, leg),
        amount_in=amount,
        amount_out=amount + 1,
        gas=1,
        net_wei=1.0,
    )


class Chain:
    """Says what stands."""

    def __init__(self) -> None:
        self.is_as_it_was = True
        self.asked: list[Call] = []

    def stands(self, call: Call) -> bool:
        """Return what a test says."""
        self.asked.append(call)
        return self.is_as_it_was


def refused_twice(chain: Chain) -> Doubts:
    """Return the doubts after a refusal in two blocks, one after the other."""
    doubts = Doubts(chain.stands)
    doubts.note(liquidation(1, block=BLOCK - 1), REFUSED, "a token is odd")
    doubts.note(liquidation(1), REFUSED, "a token is odd")
    return doubts


def test_a_refusal_stands_with_its_reason_while_what_it_read_does() -> None:
    chain = Chain()
    doubts = refused_twice(chain)
    reason = STANDING.format(block=BLOCK, reason="a token is odd")
    later = liquidation(7, block=BLOCK + 1, amount=6)
    assert doubts.standing([later], BLOCK + 1) == {7: (Gate.SIMULATION, reason)}
    assert chain.asked == [REFUSED]
    chain.is_as_it_was = False
    assert doubts.standing([later], BLOCK + 1) == {}
    chain.is_as_it_was = True
    assert doubts.standing([later], BLOCK + 1) != {}


def test_another_sale_another_lender_and_another_strategy_are_other_opportunities() -> None:
    doubts, refused = refused_twice(Chain()), liquidation(1)
    loan = Borrowing(offer=own_offer(ZERO, ZERO, 9), amount=5, fee=0)
    others = [
        liquidation(2, pool=2),
        msgspec.structs.replace(refused, id=3, loan=loan),
        msgspec.structs.replace(refused, id=4, strategy="t"),
    ]
    assert doubts.standing(others, BLOCK + 1) == {}


def test_what_nobody_sees_change_is_tried_in_the_next_block_and_then_ever_more_seldom() -> None:
    doubts, tried = Doubts(Chain().stands), list[int]()
    for block in range(60):
        found = liquidation(block, block=block)
        if found.id not in doubts.standing([found], block):
            doubts.note(found, REFUSED, "no")
            tried.append(block)
    assert tried == [0, 1, 3, 7, 15, 31, 47]
    assert tried[-1] - tried[-2] == LONGEST


def test_what_was_refused_long_ago_is_tried_as_if_it_were_new() -> None:
    doubts = refused_twice(Chain())
    late = BLOCK + LONGEST + 1
    assert doubts.standing([liquidation(2, block=late)], late) == {}
    doubts.note(liquidation(2, block=late), REFUSED, "no")
    assert doubts.standing([liquidation(3, block=late + 1)], late + 1) == {}


def test_a_branch_that_goes_back_behind_a_refusal_knows_nothing_of_it() -> None:
    doubts = refused_twice(Chain())
    assert doubts.standing([liquidation(2)], BLOCK - 1) == {}
    assert doubts.standing([liquidation(2)], BLOCK) == {}
