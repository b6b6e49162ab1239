"""Liquidations whose price is sold at auction: what they count for.

Who buys an update lands his liquidation right behind it, in one piece with it. So whoever only watches comes
second: what he finds is what the buyer left, or what somebody else is about to take.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from tallyio.hooks.search import Scene
from tallyio.model.execution import Liquidation
from tallyio.model.proposal import Proposal, Refusal

HELD: Final = "updates of its price are sold at auction ({kind}): whoever buys one is first"


def has_auctions(scene: Scene) -> bool:
    """Return whether the price of anything in the books is sold."""
    return any(reserve.auction for book in scene.books for reserve in book.spec.reserves)


def weighed(
    scene: Scene, proposals: Sequence[Proposal], share: float
) -> tuple[list[Proposal], list[Refusal]]:
    """Return `proposals`, best first, of which those count for `share` of their net whose price is sold.

    Where that is nothing they are refused instead.
    """
    kept: list[Proposal] = []
    held: list[Refusal] = []
    for each in proposals:
        kind = _auction(scene, each)
        if not kind:
            kept.append(each)
        elif share:
            kept.append(msgspec.structs.replace(each, net_wei=each.net_wei * share))
        else:
            held += [_refusal(leg, kind) for leg in each.legs if isinstance(leg, Liquidation)]
    kept.sort(key=lambda each: -each.net_wei)
    return kept, held


def _auction(scene: Scene, proposal: Proposal) -> str:
    """Return how a price is sold that one of its positions hangs on; empty: none is."""
    for leg in proposal.legs:
        if isinstance(leg, Liquidation):
            book = scene.books[leg.book]
            position = book.position(leg.key)
            kind = position.auction(book.spec) if position else ""
            if kind:
                return kind
    return ""


def _refusal(leg: Liquidation, kind: str) -> Refusal:
    return Refusal(
        book=leg.book,
        key=leg.key,
        collateral=leg.collateral,
        debt=leg.debt,
        reason=HELD.format(kind=kind),
    )
