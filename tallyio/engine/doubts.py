"""What the EVM refused, and whether anything has changed since that could make it work.

Layer: engine. What is wrong with a token, or with an account, is wrong in the next block too; the search sees
nothing of it and finds the same again. Planned and simulated with every block, it would cost the others time,
and the pools that it shares with them. So it is left alone while every slot that its plan read holds what
it held: of the position, the prices, the pools of its sale, the tokens, the lender. What changes with time
alone, or without an event, nobody sees: it is tried again after some blocks anyway.

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

RETRIED_AFTER: Final = 16
"""Blocks after which it is tried again though nothing was seen to change."""
STANDING: Final = "as in block {block}, since when nothing that it reads has changed: {reason}"

type Mark = tuple[str, frozenset[Use], Address | None]
"""A strategy, pools and positions, and a lender."""


class _Doubt(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal."""

    call: Call
    block: int
    reason: str


class Doubts:
    """The refusals of the last blocks. `stands` says whether what a call read is as it was."""

    def __init__(self, stands: Callable[[Call], bool]) -> None:
        self._stands = stands
        self._held: dict[Mark, _Doubt] = {}

    def note(self, opportunity: Opportunity, call: Call, reason: str) -> None:
        """Keep in mind that the EVM refused `call`, which takes `opportunity`, on the state of its block."""
        if opportunity.trigger is None:
            self._held[_mark(opportunity)] = _Doubt(call=call, block=opportunity.block_number, reason=reason)

    def standing(self, found: Iterable[Opportunity], block: int) -> dict[int, tuple[Gate, str]]:
        """Return which of `found` in a block to leave alone, with gate and reason; forget what is old."""
        self._held = {
            mark: doubt for mark, doubt in self._held.items() if 0 <= block - doubt.block < RETRIED_AFTER
        }
        left: dict[int, tuple[Gate, str]] = {}
        for opportunity in found if self._held else ():
            doubt = self._held.get(_mark(opportunity))
            if doubt is not None and opportunity.trigger is None and self._stands(doubt.call):
                reason = STANDING.format(block=doubt.block, reason=doubt.reason)
                left[opportunity.id] = Gate.SIMULATION, reason
        return left


def _mark(opportunity: Opportunity) -> Mark:
    loan = opportunity.loan
    return opportunity.strategy, opportunity.uses, loan.offer.lender if loan else None
