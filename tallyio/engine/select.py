"""Which of a block's opportunities to take together.

Layer: engine. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from types import MappingProxyType
from typing import Final

from tallyio.model.execution import Opportunity, Use

NO_ORDER: Final[Mapping[str, int]] = MappingProxyType({})

BUSY = "one of its pools or positions waits for a transaction of ours"
OUTBID = "shares a {what} with opportunity {best}, which pays more"


def choose(
    found: Iterable[Opportunity], *, busy: AbstractSet[Use], most: int, order: Mapping[str, int] = NO_ORDER
) -> tuple[list[Opportunity], dict[int, str]]:
    """Return the opportunities to take, best net first, and for each other id the reason in words.

    No two of them share a pool or a position, and none touches one in `busy`: each was priced on the
    state that it will meet, whatever order the block puts them in. Greedy by net profit, which is at
    least 1/legs of the best such set, since one choice excludes at most one better-paying set per
    pool or position it uses. `order` ranks strategies: what one of a lower rank found goes first, whatever
    it pays.
    """
    taken: dict[Use, int] = {}
    chosen: list[Opportunity] = []
    reasons: dict[int, str] = {}
    for opportunity in sorted(found, key=lambda each: (order.get(each.strategy, 0), -each.net_wei)):
        uses = opportunity.uses
        shared = next((leg.uses for leg in opportunity.legs if leg.uses in taken), None)
        if uses & busy:
            reasons[opportunity.id] = BUSY
        elif shared is not None:
            what = "pool" if isinstance(shared, int) else "position"
            reasons[opportunity.id] = OUTBID.format(what=what, best=taken[shared])
        elif len(chosen) == most:
            reasons[opportunity.id] = f"{most} transactions are under way already"
        else:
            chosen.append(opportunity)
            taken |= dict.fromkeys(uses, opportunity.id)
    return chosen, reasons
