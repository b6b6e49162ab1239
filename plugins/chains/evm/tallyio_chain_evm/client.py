"""A live connection to one EVM chain: every question of the engine, answered.

Implements `tallyio.hooks.interfaces.ChainClient`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tallyio.hooks.interfaces import NOTHING, Pretended
from tallyio.model.chain import Block, Fees, Head, Log, LogFilter, Moment, Receipt, StateSlice
from tallyio.model.execution import Call, SignedTransaction
from tallyio.model.units import Address, Hash, Wei
from tallyio_chain_evm import reads, requests, state, submit
from tallyio_chain_evm.feed import BlockFeed
from tallyio_chain_evm.fees import fees_after
from tallyio_chain_evm.link import Link
from tallyio_chain_evm.pending import PendingFeed
from tallyio_chain_evm.settings import EvmSettings


class ClientStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """What the client went through so far."""

    reconnects: int
    faults: int
    """Attempts of the block feeds that failed and were repeated."""


class EvmClient:
    """Built by `EvmChain.open`; several tasks may use it at once."""

    def __init__(self, link: Link, settings: EvmSettings) -> None:
        self._link = link
        self._settings = settings
        self._feeds: list[BlockFeed] = []
        self._state = state.StateReader(link)

    @property
    def chain_id(self) -> int:
        """The id that the node confirmed at every connection."""
        return self._settings.chain_id

    def statistics(self) -> ClientStatistics:
        """Return the counters."""
        return ClientStatistics(
            reconnects=self._link.reconnects, faults=sum(feed.faults for feed in self._feeds)
        )

    async def head(self) -> Head:
        """Return the latest head."""
        return (await self._link.ask(requests.latest_head())).value

    async def call(
        self,
        calls: Sequence[Call],
        *,
        block: Hash | None = None,
        sender: Address | None = None,
        pretend: Pretended = NOTHING,
    ) -> list[bytes | None]:
        """Return each call's return data, or None where it reverted; one batch, in order."""
        foreseen = None if sender or pretend else self._state.foreseen(calls, block)
        if foreseen is not None:
            return await foreseen.answers(calls)
        return await reads.call(self._link, calls, block=block, sender=sender, pretend=pretend)

    async def logs(self, query: LogFilter) -> list[Log]:
        """Return the logs that `query` selects, in chain order; wide ranges are split."""
        return await reads.logs(self._link, query, log_range=self._settings.log_range)

    def blocks(self) -> BlockFeed:
        """Return the blocks from the current head on; each call has a subscription of its own."""
        feed = BlockFeed(self._link, self._settings, self._state)
        self._feeds.append(feed)
        return feed

    def pending(self) -> PendingFeed:
        """Return what comes into the node's mempool from now on; each call has a subscription of its own."""
        return PendingFeed(self._link, patience_s=self._settings.patience_s)

    async def prestate(
        self,
        call: Call,
        *,
        sender: Address,
        block: Hash,
        pretend: Pretended = NOTHING,
        moment: Moment | None = None,
    ) -> StateSlice:
        """Return everything that `call` reads at `block`, as values before the call."""
        return await self._state.prestate(call, sender=sender, block=block, pretend=pretend, moment=moment)

    def watch(self, known: Mapping[Address, Collection[int]]) -> None:
        """Let new blocks bring the slots in `known`, which is looked at then, for `state_after`."""
        self._state.watch(known)

    def foresee(self, calls: Sequence[Call]) -> None:
        """Let new blocks bring along what `calls` return, for `call`."""
        self._state.foresee(calls)

    async def state_after(self, block: Block, known: Mapping[Address, Collection[int]]) -> StateSlice:
        """Return the slots in `known` of every account with an event in `block`, as of `block`."""
        return await self._state.after(block, known)

    async def nonce(self, account: Address) -> int:
        """Return the number of mined transactions of `account`."""
        return (await self._link.ask(requests.nonce(account))).value

    async def balance(self, account: Address) -> Wei:
        """Return the native balance of `account`."""
        return Wei((await self._link.ask(requests.balance(account))).value)

    def fees(self, head: Head) -> Fees:
        """Return what a transaction in the block after `head` pays; exact, without asking the node."""
        return fees_after(head, self._settings)

    async def submit(self, transaction: SignedTransaction) -> Hash:
        """Send `transaction`; "already known" is success. Raises: ChainError: with the node's reason."""
        return await submit.submit(self._link, transaction)

    async def receipt(self, transaction: Hash) -> Receipt | None:
        """Return the receipt, or None while no block includes the transaction."""
        return (await self._link.ask(requests.receipt(transaction))).value
