"""Price updates that wait for a block, until one takes them or nobody would wait any longer.

Layer: engine.
"""

from __future__ import annotations

from typing import Final

from tallyio.engine.lookahead import Update
from tallyio.model.chain import Block
from tallyio.model.units import Hash

MOST: Final = 64
"""Updates that are held; the oldest goes first."""
PATIENCE: Final = 5
"""Blocks after which an update is given up: dropped, replaced, or of a price that nobody waits for."""


class Waiting:
    """The updates seen, oldest first."""

    def __init__(self) -> None:
        self._seen: dict[Hash, tuple[Update, int]] = {}

    def add(self, update: Update) -> None:
        """Hold an update."""
        self._seen[update.transaction.hash] = update, PATIENCE
        while len(self._seen) > MOST:
            del self._seen[next(iter(self._seen))]

    def after(self, block: Block) -> list[Update]:
        """Return what still waits after `block`, and forget the rest.

        An update that a block took shows by its events; one that failed there is tried again, and fails.
        """
        landed = {log.transaction_hash for log in block.logs}
        self._seen = {
            mark: (update, left - 1)
            for mark, (update, left) in self._seen.items()
            if mark not in landed and left > 1
        }
        return [update for update, _ in self._seen.values()]
