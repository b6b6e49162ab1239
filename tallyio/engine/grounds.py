"""What an opportunity stands on besides pools and positions, and what its loan changes under others.

Layer: engine. Most loans change nothing: they are free, or their fee goes where nobody's amounts come from.
Some do: a constant-product pool keeps the fee in its reserves, and a lending pool raises the index by which
deposits of the lent asset grow. What was priced on that would meet another state, and mostly revert.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tallyio.engine.slow_lane import SlowLane
from tallyio.model.execution import Borrowing, Ground, Liquidation, Opportunity
from tallyio.model.market import PoolSpec


def ground(opportunity: Opportunity, pools: Sequence[PoolSpec], slow: SlowLane | None) -> Opportunity:
    """Return `opportunity` with its grounds; one that neither borrows nor liquidates is returned as it is."""
    legs = [leg for leg in opportunity.legs if isinstance(leg, Liquidation)]
    loan = opportunity.loan
    disturbs = _disturbed(loan, pools, slow) if loan and loan.fee and loan.offer.disturbs else None
    if slow is None or (not legs and disturbs is None):
        return opportunity
    deposits = frozenset(each for leg in legs for each in _deposits(slow, leg))
    return msgspec.structs.replace(opportunity, deposits=deposits, disturbs=disturbs)


def _deposits(slow: SlowLane, leg: Liquidation) -> list[Ground]:
    position = slow.books.held[leg.book].book.position(leg.key)
    balances = position.balances if position else ()
    return [(leg.book, balance.reserve) for balance in balances if balance.collateral]


def _disturbed(loan: Borrowing, pools: Sequence[PoolSpec], slow: SlowLane | None) -> Ground | None:
    offer = loan.offer
    for number, pool in enumerate(pools):
        if pool.address == offer.lender:
            return number
    for number, held in enumerate(slow.books if slow else ()):
        if held.book.spec.address == offer.lender:
            reserves = held.book.spec.reserves
            return next(((number, k) for k, each in enumerate(reserves) if each.debt == offer.token), None)
    return None
