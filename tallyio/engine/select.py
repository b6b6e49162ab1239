"""Which of a block's opportunities to take together.

Layer: engine. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from tallyio.model.execution import Opportunity

BUSY = "one of its pools waits for a transaction of ours"
OUTBID = "shares a pool with opportunity {best}, which pays more"


def choose(
    found: Iterable[Opportunity], *, busy: AbstractSet[int], most: int
) -> tuple[list[Opportunity], dict[int, str]]:
    """Return the opportunities to take, best net first, and for each other id the reason in words.

    No two of them share a pool, and none touches a pool in `busy`: each was priced on the state
    that it will meet, whatever order the block puts them in. Greedy by net profit, which is at
    least 1/legs of the best such set, since one choice excludes at most one better-paying set per
    pool it uses.
    """
    taken: dict[int, int] = {}
    chosen: list[Opportunity] = []
    reasons: dict[int, str] = {}
    for opportunity in sorted(found, key=lambda each: -each.net_wei):
        pools = {leg.pool for leg in opportunity.legs}
        rival = next((taken[pool] for pool in pools if pool in taken), None)
        if pools & busy:
            reasons[opportunity.id] = BUSY
        elif rival is not None:
            reasons[opportunity.id] = OUTBID.format(best=rival)
        elif len(chosen) == most:
            reasons[opportunity.id] = f"{most} transactions are under way already"
        else:
            chosen.append(opportunity)
            taken |= dict.fromkeys(pools, opportunity.id)
    return chosen, reasons
