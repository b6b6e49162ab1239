"""Which of a block's opportunities to take together.

Layer: engine. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from tallyio.model.execution import Ground, Opportunity, Use

NO_ORDER: Final[Mapping[str, int]] = MappingProxyType({})

BUSY = "one of its pools or positions waits for a transaction of ours"
DISTURBED = "the fee of a loan would change what {what} was computed from"
OUTBID = "shares a {what} with opportunity {best}, which pays more"


def choose(
    found: Iterable[Opportunity],
    *,
    busy: AbstractSet[Use],
    most: int,
    order: Mapping[str, int] = NO_ORDER,
    deposits: AbstractSet[Ground] = frozenset(),
    disturbed: AbstractSet[Ground] = frozenset(),
) -> tuple[list[Opportunity], dict[int, str]]:
    """Return the opportunities to take, best net first, and for each other id the reason in words.

    No two of them share a pool or a position, and none touches one in `busy`: each was priced on the
    state that it will meet, whatever order the block puts them in. Greedy by net profit, which is at
    least 1/legs of the best such set, since one choice excludes at most one better-paying set per
    pool or position it uses. `order` ranks strategies: what one of a lower rank found goes first, whatever
    it pays.

    A loan's fee that changes its lender's other business is a use of another kind: such loans do not harm
    each other, but whoever trades in that pool, or has deposits in that reserve. `deposits` and `disturbed`
    say of what is under way what `Opportunity` says.
    """
    taken: dict[Use, int] = {}
    moved: set[Ground | None] = set(disturbed)
    chosen: list[Opportunity] = []
    reasons: dict[int, str] = {}
    for opportunity in sorted(found, key=lambda each: (order.get(each.strategy, 0), -each.net_wei)):
        uses = opportunity.uses
        shared = next((leg.uses for leg in opportunity.legs if leg.uses in taken), None)
        if uses & busy:
            reasons[opportunity.id] = BUSY
        elif moved and opportunity.is_disturbed_by(moved):
            reasons[opportunity.id] = DISTURBED.format(what="this")
        elif _disturbs(opportunity, (busy, deposits), chosen):
            reasons[opportunity.id] = DISTURBED.format(what="another")
        elif shared is not None:
            what = "pool" if isinstance(shared, int) else "position"
            reasons[opportunity.id] = OUTBID.format(what=what, best=taken[shared])
        elif len(chosen) == most:
            reasons[opportunity.id] = f"{most} transactions are under way already"
        else:
            chosen.append(opportunity)
            taken |= dict.fromkeys(uses, opportunity.id)
            if opportunity.disturbs is not None:
                moved.add(opportunity.disturbs)
    return chosen, reasons


def _disturbs(
    opportunity: Opportunity, occupied: Iterable[AbstractSet[object]], chosen: Iterable[Opportunity]
) -> bool:
    ground = opportunity.disturbs
    return ground is not None and (
        any(ground in each for each in occupied) or any(each.is_disturbed_by({ground}) for each in chosen)
    )
