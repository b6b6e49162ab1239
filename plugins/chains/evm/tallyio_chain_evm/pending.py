"""What waits in the node's mempool, as it comes.

`eth_subscribe newPendingTransactions` tells whole transactions where the node can do that (geth since 1.11,
erigon, reth, anvil), elsewhere their hashes, and then each transaction is asked for, all that came since the
last time in one batch. A node that refuses the subscription for the moment is asked again, for `patience_s`.
A mempool is no ledger: what nobody read in time, what was mined or dropped before it was asked for, and what
came while the connection was down is left out, and nothing is told twice to make up for it. Other nodes'
mempools hold other things.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final, Self

import trio

from tallyio.model.chain import PendingTransaction
from tallyio.model.units import Hash
from tallyio_chain_evm import decode, reads, requests
from tallyio_chain_evm.errors import (
    CallTimeout,
    MalformedReply,
    MessageTooLarge,
    NoPendingTransactions,
    RpcError,
)
from tallyio_chain_evm.link import Link, pauses
from tallyio_chain_evm.rpc import Request, Result, Subscription

TOPIC: Final = "newPendingTransactions"
INVALID_PARAMS: Final = -32_602
_PASSING = (CallTimeout, MalformedReply, MessageTooLarge)


class PendingFeed:
    """Pending transactions from now on; an asynchronous iterator that one task iterates."""

    def __init__(self, link: Link, *, patience_s: float) -> None:
        self._link = link
        self._patience_s = patience_s
        self._notices: Subscription | None = None
        self._ready: deque[PendingTransaction] = deque()
        self._lost = 0
        self.faults = 0
        """Notifications that could not be read, batches that were not answered, and failed subscriptions."""

    @property
    def dropped(self) -> int:
        """How many notifications nobody read in time."""
        return self._lost + (self._notices.dropped if self._notices else 0)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> PendingTransaction:
        """Return the next one. Raises: NoPendingTransactions: this node tells of none. ChainError."""
        while not self._ready:
            self._ready.extend(await self._read())
        return self._ready.popleft()

    async def _read(self) -> list[PendingTransaction]:
        if self._notices is None:
            self._notices = await self._subscribed()
        try:
            notices = [await self._notices.receive(), *self._notices.waiting()]
        except trio.EndOfChannel:
            self._lost, self._notices = self.dropped, None
            return []
        told = [self._decoded(notice) for notice in notices]
        whole = [each for each in told if isinstance(each, PendingTransaction)]
        return whole + await self._fetch([each for each in told if isinstance(each, bytes)])

    async def _subscribed(self) -> Subscription:
        give_up_at = trio.current_time() + self._patience_s
        waits_s = pauses()
        while True:
            try:
                return await self._subscribe()
            except (*_PASSING, RpcError) as fault:
                self.faults += 1
                if isinstance(fault, RpcError) and _lacking(fault):
                    raise NoPendingTransactions(
                        f"{self._link.endpoint} does not tell of pending transactions: {fault.reason}",
                        way_out="use a node with a mempool and `eth_subscribe newPendingTransactions`",
                    ) from None
                if trio.current_time() >= give_up_at:
                    raise
            await trio.sleep(next(waits_s))

    async def _subscribe(self) -> Subscription:
        try:
            return await self._link.subscribe(TOPIC, True)
        except RpcError as fault:
            if reads.too_fast(fault):
                raise
        # It may know the subscription, and not that one can ask for more than hashes.
        return await self._link.subscribe(TOPIC)

    async def _fetch(self, hashes: Sequence[Hash]) -> list[PendingTransaction]:
        try:
            answers = await self._link.ask_all([requests.transaction(each) for each in hashes])
        except _PASSING:
            self.faults += 1
            return []
        found = [self._decoded(Result(*answer)) for answer in answers if not isinstance(answer, RpcError)]
        return [each for each in found if isinstance(each, PendingTransaction)]

    def _decoded(self, notice: Result) -> PendingTransaction | Hash | None:
        request = Request(TOPIC, [], lambda raw: decode.read_pending(raw, notice.arrived_ns))
        try:
            return self._link.decode(request, notice).value
        except MalformedReply:
            self.faults += 1
            return None


def _lacking(fault: RpcError) -> bool:
    return fault.unsupported or fault.rpc_code == INVALID_PARAMS
