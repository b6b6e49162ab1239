"""What the EVM refused, and whether anything has changed since that could make it work.

Layer: engine. What is wrong with a token, or with an account, is wrong in the next block too; the search sees
nothing of it and finds the same again. Planned and simulated with every block, it would cost the others time,
and the pools that it shares with them. So it is left alone while every slot that its plan read holds what
it held: of the position, the prices, the pools of its sale, the tokens, the lender. What changes with time
alone, or without an event, nobody sees, such as the age of a price. So it is tried again whatever was seen:
in the next block, and then after twice as many blocks as the last time.

What waits for an update in the mempool is refused, or not, on a state that may never come. It is neither kept
in mind nor left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from tallyio.model.execution import Call, Opportunity, Use
from tallyio.model.stages import Gate
from tallyio.model.units import Address

LONGEST: Final = 16
"""Blocks after which it is tried again, at the latest, though nothing was seen to change."""
STANDING: Final = "as in block {block}, since when nothing that it reads has changed: {reason}"

type Mark = tuple[str, frozenset[Use], Address | None]
"""A strategy, pools and positions, and a lender."""


class _Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal."""

    call: Call
    block: int
    reason: str
    patience: int
    """Blocks after which it is tried again."""


class Doubts:
    """The refusals of the last blocks. `stands` says whether what a call read is as it was."""

    def __init__(self, stands: Callable[[Call], bool]) -> None:
        self._stands = stands
        self._held: dict[Mark, _Doubt] = {}

    def note(self, opportunity: Opportunity, call: Call, reason: str) -> None:
        """Keep in mind that the EVM refused `call`, which takes `opportunity`, on the state of its block."""
        if opportunity.trigger is not None:
            return
        mark, block = _mark(opportunity), opportunity.block_number
        before = self._held.get(mark)
        patience = min(2 * before.patience, LONGEST) if before else 1
        self._held[mark] = _Doubt(call=call, block=block, reason=reason, patience=patience)

    def standing(self, found: Iterable[Opportunity], block: int) -> dict[int, tuple[Gate, str]]:
        """Return which of `found` in a block to leave alone, with gate and reason; forget what is old."""
        # One whose time has come is kept for a while: it may be refused again.
        self._held = {
            mark: doubt for mark, doubt in self._held.items() if 0 <= block - doubt.block <= LONGEST
        }
        left: dict[int, tuple[Gate, str]] = {}
        for opportunity in found if self._held else ():
            doubt = self._held.get(_mark(opportunity))
            if doubt is None or opportunity.trigger is not None or block - doubt.block >= doubt.patience:
                continue
            if self._stands(doubt.call):
                reason = STANDING.format(block=doubt.block, reason=doubt.reason)
                left[opportunity.id] = Gate.SIMULATION, reason
        return left


def _mark(opportunity: Opportunity) -> Mark:
    loan = opportunity.loan
    return opportunity.strategy, opportunity.uses, loan.offer.lender if loan else None
