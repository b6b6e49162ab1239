"""The newest published blocks, so that a reorg finds its common ancestor.

Invariant: every head but the oldest is a child of the one before it.
"""

from __future__ import annotations

from tallyio.model.chain import Head
from tallyio.model.units import Hash


class Window:
    """At most `size` + 1 heads: the tip and `size` ancestors, so a reorg of `size` blocks joins."""

    def __init__(self, size: int) -> None:
        self._size = size
        # Insertion order is chain order.
        self._heads: dict[Hash, Head] = {}

    def __contains__(self, block: Hash) -> bool:
        return block in self._heads

    def __getitem__(self, block: Hash) -> Head:
        return self._heads[block]

    def __len__(self) -> int:
        return len(self._heads)

    @property
    def tip(self) -> Head:
        """The newest head; there must be one."""
        return next(reversed(self._heads.values()))

    @property
    def oldest(self) -> Head:
        """The oldest head that is still here; there must be one."""
        return next(iter(self._heads.values()))

    def push(self, head: Head) -> None:
        """Append a child of the tip and forget what is too old."""
        self._heads[head.hash] = head
        if len(self._heads) > self._size + 1:
            del self._heads[self.oldest.hash]

    def rewind(self, ancestor: Hash) -> tuple[Hash, ...]:
        """Drop the heads above `ancestor`, which is here, and return their hashes, newest first."""
        dropped: list[Hash] = []
        while self.tip.hash != ancestor:
            dropped.append(self._heads.popitem()[0])
        return tuple(dropped)
