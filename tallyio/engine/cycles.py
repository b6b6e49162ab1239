"""Read the legs of an opportunity as cycles, and refuse those that cannot pay.

Layer: engine. Pure.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from tallyio.engine.trades import Trades
from tallyio.model.errors import UnsafeRefused
from tallyio.model.execution import Borrowing, Leg, Liquidation, Opportunity
from tallyio.model.units import ZERO_ADDRESS, Address, checksum


class Cycle(NamedTuple):
    """What is paid first, and what that is sold on."""

    heads: tuple[Leg | Liquidation, ...]
    """One leg, or several liquidations that take the same token and bring the same token."""
    paths: tuple[tuple[Leg | Liquidation, ...], ...]
    """Over which all that the heads bring is sold; none where they bring the token that they take."""

    @property
    def legs(self) -> tuple[Leg | Liquidation, ...]:
        """All of them, in the order in which they are traded."""
        return (*self.heads, *self.rest)

    @property
    def rest(self) -> tuple[Leg | Liquidation, ...]:
        """All but the heads."""
        return tuple(leg for path in self.paths for leg in path)

    @property
    def last(self) -> Leg | Liquidation:
        """The last leg."""
        return self.legs[-1]

    @property
    def amount_in(self) -> int:
        """What the heads are paid."""
        return sum(head.amount_in for head in self.heads)

    @property
    def amount_out(self) -> int:
        """What comes back."""
        ends = [path[-1] for path in self.paths] or self.heads
        return sum(end.amount_out for end in ends)

    def further(self, leg: Leg | Liquidation) -> Cycle:
        """Return the cycle with a leg more on its last path."""
        before, path = (self.paths[:-1], self.paths[-1]) if self.paths else ((), ())
        return Cycle(self.heads, (*before, (*path, leg)))


def find_cycles(opportunity: Opportunity, trades: Trades, *, owner: Address) -> list[Cycle]:
    """Return the cycles in their order.

    One ends where a leg brings the opportunity's token back and the next sells another amount of it. Several
    liquidations of the same two tokens, one after the other, head a cycle together; where the token comes
    back and what they brought is sold once more, the sale is divided.
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
    token = opportunity.token
    cycles: list[Cycle] = []
    held: Address | None = token
    for leg in opportunity.legs:
        sold, bought = trades.sold(leg), trades.bought(leg)
        cycle = cycles[-1] if cycles else None
        middle = trades.bought(cycle.heads[0]) if cycle else None
        if sold is None:
            raise refused(opportunity, "has tokens that do not join into a cycle")
        if cycle is None or (sold == held == token and leg.amount_in != cycle.last.amount_out):
            if sold != token:
                raise refused(opportunity, "has tokens that do not join into a cycle")
            cycles.append(Cycle((leg,), ()))
        elif sold == held:
            cycles[-1] = cycle.further(leg)
        elif sold == token and bought == held and not cycle.paths and _are_liquidations(*cycle.heads, leg):
            cycles[-1] = Cycle((*cycle.heads, leg), ())
        elif sold == middle and held == token and cycle.paths:
            cycles[-1] = Cycle(cycle.heads, (*cycle.paths, (leg,)))
        else:
            raise refused(opportunity, "has tokens that do not join into a cycle")
        held = bought
    if held != token:
        raise refused(opportunity, "has tokens that do not join into a cycle")
    return cycles


def _are_liquidations(*legs: Leg | Liquidation) -> bool:
    return all(isinstance(leg, Liquidation) for leg in legs)


def _check_amounts(opportunity: Opportunity, cycles: list[Cycle]) -> None:
    joined = all(
        earlier.amount_out == later.amount_in
        for cycle in cycles
        for path in cycle.paths
        for earlier, later in pairwise(path)
    )
    sold = all(
        sum(head.amount_out for head in cycle.heads) == sum(path[0].amount_in for path in cycle.paths)
        for cycle in cycles
        if cycle.paths
    )
    ends = (sum(cycle.amount_in for cycle in cycles), sum(cycle.amount_out for cycle in cycles))
    if not joined or not sold or ends != (opportunity.amount_in, opportunity.amount_out):
        amounts = [(leg.amount_in, leg.amount_out) for leg in opportunity.legs]
        raise refused(opportunity, f"has amounts that do not join: {amounts}")


def _check_uses(opportunity: Opportunity, cycle: Cycle) -> None:
    if len({leg.uses for leg in cycle.legs}) < len(cycle.legs):
        raise refused(
            opportunity,
            "uses a pool twice, or a position, and pools refuse that while they wait for payment",
        )


def _check_starts(opportunity: Opportunity, cycles: list[Cycle], trades: Trades) -> None:
    for (first, *others), _ in cycles:
        if others:
            raise refused(opportunity, "takes several liquidations together without a loan")
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
        if cycle.amount_in > held:
            raise refused(opportunity, f"needs {cycle.amount_in} where {held} are left of its loan")
        held += cycle.amount_out - cycle.amount_in


def refused(opportunity: Opportunity, fault: str) -> UnsafeRefused:
    """Return the error that says what is wrong with an opportunity."""
    return UnsafeRefused(
        f"opportunity {opportunity.id} of strategy {opportunity.strategy!r} {fault}",
        way_out="report it to the strategy's author; nothing was signed",
    )
