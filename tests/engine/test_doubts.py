"""What the EVM refused is left alone while nothing that its plan reads has changed."""

from __future__ import annotations

import msgspec

from tallyio.engine.doubts import RETRIED_AFTER, STANDING, Doubts
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


def test_a_refusal_stands_with_its_reason_while_what_it_read_does() -> None:
    chain = Chain()
    doubts = Doubts(chain.stands)
    assert doubts.standing([liquidation(1)], BLOCK) == {}
    doubts.note(liquidation(1), REFUSED, "a token is odd")
    reason = STANDING.format(block=BLOCK, reason="a token is odd")
    later = liquidation(7, block=BLOCK + 1, amount=6)
    assert doubts.standing([later], BLOCK + 1) == {7: (Gate.SIMULATION, reason)}
    assert chain.asked == [REFUSED]
    chain.is_as_it_was = False
    assert doubts.standing([later], BLOCK + 1) == {}
    chain.is_as_it_was = True
    assert doubts.standing([later], BLOCK + 1) != {}


def test_another_sale_another_lender_and_another_strategy_are_other_opportunities() -> None:
    doubts = Doubts(Chain().stands)
    refused = liquidation(1)
    doubts.note(refused, REFUSED, "no")
    loan = Borrowing(offer=own_offer(ZERO, ZERO, 9), amount=5, fee=0)
    others = [
        liquidation(2, pool=2),
        msgspec.structs.replace(refused, id=3, loan=loan),
        msgspec.structs.replace(refused, id=4, strategy="t"),
    ]
    assert doubts.standing(others, BLOCK + 1) == {}


def test_what_nobody_sees_change_is_tried_again_after_some_blocks() -> None:
    doubts = Doubts(Chain().stands)
    doubts.note(liquidation(1), REFUSED, "no")
    last = BLOCK + RETRIED_AFTER - 1
    assert doubts.standing([liquidation(2)], last) != {}
    assert doubts.standing([liquidation(2)], last + 1) == {}
    assert doubts.standing([liquidation(2)], last) == {}


def test_a_branch_that_goes_back_behind_a_refusal_knows_nothing_of_it() -> None:
    doubts = Doubts(Chain().stands)
    doubts.note(liquidation(1), REFUSED, "no")
    assert doubts.standing([liquidation(2)], BLOCK - 1) == {}
    assert doubts.standing([liquidation(2)], BLOCK) == {}
