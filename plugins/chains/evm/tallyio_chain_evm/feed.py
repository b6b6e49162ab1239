"""Heads become complete blocks, in order, each on its parent.

A head is only an announcement. A block is published once its parent was published and its logs
add up to its header; so gaps are filled by walking the parent hashes back to a published block,
and a branch replaces another only after every block of it has been read and checked.

Liveness is data: pings of a frozen node are answered, its heads stop. After `max_silence_s`
without a head the node is asked for its height, and a node that is ahead of what it announced
(or does not answer) is connected anew.

Whatever goes wrong with a block (a list cut short, an answer that is late, a block that a reorg
took away in between, a head too old to join), the cure is the same: ask for the newest head and
join that. After `attempts` in a row the feed raises. Many endpoints are several nodes, of which the
one that is asked may lag behind the one that told: a newest head that is older than the one whose
reading failed is asked for again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, Self

import trio

from tallyio.model.chain import Block, BlockEvent, Head, Log, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.units import Hash
from tallyio_chain_evm import requests
from tallyio_chain_evm.bloom import check_logs
from tallyio_chain_evm.errors import (
    CallTimeout,
    ConnectionLost,
    IncompleteBlock,
    MalformedReply,
    MessageTooLarge,
    NoAncestor,
    RpcError,
)
from tallyio_chain_evm.link import Link
from tallyio_chain_evm.reads import Slices
from tallyio_chain_evm.rpc import Request, Subscription
from tallyio_chain_evm.settings import EvmSettings
from tallyio_chain_evm.state import StateReader
from tallyio_chain_evm.window import Window

_PASSING = (
    CallTimeout,
    ConnectionLost,
    IncompleteBlock,
    MalformedReply,
    MessageTooLarge,
    NoAncestor,
    RpcError,
)
"""Faults that another attempt may cure."""
_NOTICE: Request[Head] = Request("newHeads", [], requests.latest_head().read)


class _Announced(NamedTuple):
    head: Head
    arrived_ns: int


class BlockFeed:
    """The blocks of one chain from the current head on; an asynchronous iterator.

    One task iterates. A cancelled step loses nothing: the next one joins the newest head.
    """

    def __init__(self, link: Link, settings: EvmSettings, state: StateReader) -> None:
        self._link = link
        self._settings = settings
        self._state = state
        self._window = Window(settings.window)
        self._slices = Slices(link, settings.batch_size)
        self._ready: deque[BlockEvent] = deque()
        self._heads: Subscription | None = None
        self._behind = True
        """Whether the newest head has to be asked for: at first, and after every fault."""
        self._sought = 0
        """Height of the highest head that was not joined."""
        self.faults = 0
        """How many attempts failed so far."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> BlockEvent:
        while not self._ready:
            self._ready.extend(await self._advance())
        return self._ready.popleft()

    async def _advance(self) -> list[BlockEvent]:
        pause = self._settings.retry_pause_s
        self._slices = Slices(self._link, self._settings.batch_size)
        for attempt in range(1, self._settings.attempts + 1):
            try:
                return await self._step()
            except _PASSING as fault:
                self.faults += 1
                self._behind = True
                if attempt == self._settings.attempts:
                    raise self._exhausted(fault) from fault
                if isinstance(fault, CallTimeout):
                    await self._link.drop()
            await trio.sleep(pause)
            pause *= 2
        raise AssertionError("the last attempt returns or raises")

    async def _step(self) -> list[BlockEvent]:
        announced = await self._next_head()
        # Until the block is published, a fault or a cancellation leaves us behind.
        self._behind, self._sought = True, max(self._sought, announced.head.number)
        events = await self._join(announced)
        if announced.head.number == self._sought:
            self._behind, self._sought = False, 0
        return events

    # --- heads -----------------------------------------------------------------------------

    async def _next_head(self) -> _Announced:
        while True:
            if self._heads is None:
                self._heads = await self._link.subscribe("newHeads")
                self._behind = True
            if self._behind:
                return await self._newest()
            with trio.move_on_after(self._settings.max_silence_s) as silence:
                try:
                    return _Announced(*self._link.decode(_NOTICE, await self._heads.receive()))
                except trio.EndOfChannel:
                    self._heads = None
            if silence.cancelled_caught:
                await self._break_silence()

    async def _newest(self) -> _Announced:
        pause = self._settings.retry_pause_s
        for _ in range(self._settings.attempts):
            newest = _Announced(*await self._link.ask(requests.latest_head()))
            if newest.head.number >= self._sought or newest.head.hash not in self._window:
                return newest
            await trio.sleep(pause)
            pause *= 2
        self._sought = 0  # a reorg took it away, or else the next head brings it along
        return newest

    async def _break_silence(self) -> None:
        try:
            frozen = (await self._link.ask(requests.block_number())).value > self._window.tip.number
        except (CallTimeout, MalformedReply, RpcError):
            frozen = True
        if frozen:
            self._heads = None
            await self._link.drop()

    # --- joining a head to what was published ------------------------------------------------

    async def _join(self, announced: _Announced) -> list[BlockEvent]:
        if announced.head.hash in self._window:
            return []
        branch = await self._branch(announced) if len(self._window) else [announced]
        self._state.announced(announced.head)
        logs = await self._logs([link.head for link in branch])
        return self._publish(branch, logs, decoded_ns=time.perf_counter_ns())

    async def _branch(self, announced: _Announced) -> list[_Announced]:
        """Return the blocks from above the common ancestor to `announced`, oldest first."""
        between = await self._between(announced.head)
        branch = [announced]
        while (parent := branch[-1].head.parent_hash) not in self._window:
            child = branch[-1].head
            if child.number <= self._window.oldest.number + 1:
                raise self._too_deep(announced.head)
            found = between.get(parent) or await self._ask_parent(child)
            branch.append(found)
        branch.reverse()
        self._check_numbers(branch)
        return branch

    async def _between(self, head: Head) -> dict[Hash, _Announced]:
        """Return, by hash, the blocks that the node has between our tip and `head`."""
        missing = range(self._window.tip.number + 1, head.number)
        if len(missing) > self._settings.max_backfill:
            raise ChainError(
                f"{self._link.endpoint} is {len(missing)} blocks ahead of block {self._window.tip.number},"
                f" more than `max_backfill` = {self._settings.max_backfill}",
                way_out="restart to begin at the newest block, or raise `max_backfill`",
            )
        answers = await self._slices.ask_all([requests.head_by_number(number) for number in missing])
        found = [answer for answer in answers if not isinstance(answer, RpcError)]
        return {head.hash: _Announced(head, arrived_ns) for head, arrived_ns in found if head is not None}

    async def _ask_parent(self, child: Head) -> _Announced:
        head, arrived_ns = await self._link.ask(requests.head_by_hash(child.parent_hash))
        if head is None or head.hash != child.parent_hash:
            raise IncompleteBlock(
                f"{self._link.endpoint} does not have block 0x{child.parent_hash.hex()},"
                f" the parent of block {child.number}"
            )
        return _Announced(head, arrived_ns)

    def _check_numbers(self, branch: Sequence[_Announced]) -> None:
        # Also bounds the walk: every step back costs one height.
        first = branch[0].head
        ancestor = self._window[first.parent_hash]
        heights = [ancestor.number, *[link.head.number for link in branch]]
        if heights != list(range(ancestor.number, ancestor.number + len(heights))):
            raise MalformedReply(
                f"{self._link.endpoint} gives the heights {heights} to blocks that follow each other"
            )

    async def _logs(self, heads: Sequence[Head]) -> list[tuple[Log, ...]]:
        answers = await self._slices.ask_all([requests.logs_of_block(head.hash) for head in heads])
        checked: list[tuple[Log, ...]] = []
        for head, answer in zip(heads, answers, strict=True):
            if isinstance(answer, RpcError):
                raise answer
            check_logs(head, answer.value, bloom=self._settings.check_bloom)
            checked.append(answer.value)
        return checked

    def _publish(
        self, branch: Sequence[_Announced], logs: Sequence[tuple[Log, ...]], *, decoded_ns: int
    ) -> list[BlockEvent]:
        # No await in here: a cancellation sees all of it or nothing.
        events: list[BlockEvent] = []
        ancestor = branch[0].head.parent_hash
        if len(self._window) and (dropped := self._window.rewind(ancestor)):
            events.append(Rollback(dropped=dropped, ancestor=ancestor))
        for (head, arrived_ns), of_block in zip(branch, logs, strict=True):
            self._window.push(head)
            events.append(Block(head=head, logs=of_block, bytes_in_ns=arrived_ns, decoded_ns=decoded_ns))
        return events

    def _too_deep(self, head: Head) -> NoAncestor:
        oldest = self._window.oldest
        return NoAncestor(
            f"{self._link.endpoint}: block {head.number} (0x{head.hash.hex()}) shares no ancestor with the"
            f" {len(self._window)} blocks kept from block {oldest.number} on: a reorg deeper than is undone",
            way_out="check which branch is right, then restart to begin at the newest block;"
            " `window` keeps more blocks",
        )

    def _exhausted(self, fault: ChainError) -> ChainError:
        return ChainError(
            f"{self._link.endpoint}: no complete block in {self._settings.attempts} attempts:"
            f" {fault.message}",
            way_out=fault.way_out or "try another endpoint, or raise `attempts`",
        )
