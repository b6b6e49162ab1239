"""Read the legs of an opportunity as cycles, and refuse those that cannot pay.

Layer: engine. Pure.
"""

from __future__ import annotations

from itertools import pairwise

from tallyio.engine.trades import Trades
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Borrowing, Leg, Liquidation, Opportunity
from tallyio.model.units import ZERO_ADDRESS, Address, checksum

Cycle = tuple[Leg | Liquidation, ...]


def find_cycles(opportunity: Opportunity, trades: Trades, *, owner: Address) -> list[Cycle]:
    """Return the cycles in their order.

    One ends where a leg brings the opportunity's token back and the next sells another amount of it.
    `owner` may lend to its own executor.

    Raises: UnsafeRefused: they do not pay or do not join, one trades twice on the same pool or position,
    one starts at what cannot pay first, or the loan does not fit.
    """
    if not opportunity.legs or opportunity.profit <= 0:
        raise refused(opportunity, f"gains {opportunity.profit} over {len(opportunity.legs)} legs")
    if opportunity.token == ZERO_ADDRESS:
        raise refused(opportunity, "gains native currency, and the executor measures tokens")
    cycles = _split(opportunity, trades)
    _check_amounts(opportunity, cycles)
    for cycle in cycles:
        _check_uses(opportunity, cycle)
    if opportunity.loan is None:
        _check_starts(opportunity, cycles, trades)
    else:
        _check_loan(opportunity, opportunity.loan, cycles, trades, owner=owner)
    return cycles


def _split(opportunity: Opportunity, trades: Trades) -> list[Cycle]:
    cycles: list[Cycle] = []
    cycle: Cycle = ()
    held: Address | None = opportunity.token
    for leg in opportunity.legs:
        sold = trades.sold(leg)
        if sold is None or sold != held:
            raise refused(opportunity, "has tokens that do not join into a cycle")
        if sold == opportunity.token and cycle and leg.amount_in != cycle[-1].amount_out:
            cycles.append(cycle)
            cycle = ()
        held = trades.bought(leg)
        cycle = (*cycle, leg)
    if held != opportunity.token:
        raise refused(opportunity, "has tokens that do not join into a cycle")
    return [*cycles, cycle]


def _check_amounts(opportunity: Opportunity, cycles: list[Cycle]) -> None:
    joined = all(
        earlier.amount_out == later.amount_in for cycle in cycles for earlier, later in pairwise(cycle)
    )
    ends = (sum(cycle[0].amount_in for cycle in cycles), sum(cycle[-1].amount_out for cycle in cycles))
    if not joined or ends != (opportunity.amount_in, opportunity.amount_out):
        amounts = [(leg.amount_in, leg.amount_out) for leg in opportunity.legs]
        raise refused(opportunity, f"has amounts that do not join: {amounts}")


def _check_uses(opportunity: Opportunity, cycle: Cycle) -> None:
    if len({leg.uses for leg in cycle}) < len(cycle):
        raise refused(
            opportunity,
            "uses a pool twice, or a position, and pools refuse that while they wait for payment",
        )


def _check_starts(opportunity: Opportunity, cycles: list[Cycle], trades: Trades) -> None:
    for first, *_ in cycles:
        if not trades.pays_first(first):
            raise refused(opportunity, f"starts at {trades.name(first)}, which cannot flash, without a loan")


def _check_loan(
    opportunity: Opportunity, loan: Borrowing, cycles: list[Cycle], trades: Trades, *, owner: Address
) -> None:
    offer = loan.offer
    if offer.token != opportunity.token or not 0 < loan.amount <= offer.available:
        raise refused(opportunity, f"borrows {loan.amount} from {offer.venue}, which has no such loan")
    if loan.fee != offer.fee(loan.amount):
        raise refused(opportunity, f"expects fee {loan.fee} of a loan that costs {offer.fee(loan.amount)}")
    if offer.lender != owner and offer.lender not in trades.lending.lenders:
        raise refused(opportunity, f"borrows from {checksum(offer.lender)}, which no plugin knows")
    if any(offer.lender in trades.locks(leg) for leg in opportunity.legs):
        raise refused(opportunity, f"trades at {checksum(offer.lender)} while it lends, which it refuses")
    held = loan.amount
    for cycle in cycles:
        if cycle[0].amount_in > held:
            raise refused(opportunity, f"needs {cycle[0].amount_in} where {held} are left of its loan")
        held += cycle[-1].amount_out - cycle[0].amount_in


def refused(opportunity: Opportunity, fault: str) -> UnsafeRefused:
    """Return the error that says what is wrong with an opportunity."""
    return UnsafeRefused(
        f"opportunity {opportunity.id} of strategy {opportunity.strategy!r} {fault}",
        way_out="report it to the strategy's author; nothing was signed",
    )
