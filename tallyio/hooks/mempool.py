"""What a chain client may tell besides: transactions that wait for a block.

Layer: hooks. A chain plugin whose client does names the capability "pending" in its contract. Nobody
subscribes unless the configuration asks for it: a mempool is a lot to read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

from tallyio.model.chain import PendingTransaction


@runtime_checkable
class PendingSource(Protocol):
    """A chain client that tells what comes into its node's mempool."""

    def pending(self) -> AsyncIterator[PendingTransaction]:
        """Yield each transaction that comes to wait, from now on; some may be left out.

        Bounded: who reads slowly loses the oldest. Raises: ChainError: the node tells of none, or it was lost
        for good.
        """
