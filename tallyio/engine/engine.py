"""The run loop: blocks in, opportunities out, outcomes settled.

Layer: engine. One task reads the chain and never waits for a decision; one task decides, block by
block. Blocks that pile up are applied in order, and only the newest is traded on.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from time import perf_counter_ns

import msgspec
import trio

from tallyio.engine.behind import Behind
from tallyio.engine.dispatch import Candidate
from tallyio.engine.doubts import Doubts
from tallyio.engine.grounds import ground
from tallyio.engine.inflight import InFlight
from tallyio.engine.lookahead import Lookahead, Update, told
from tallyio.engine.market_lane import MarketLane
from tallyio.engine.outcomes import Outcomes
from tallyio.engine.pipeline import Pipeline
from tallyio.engine.report import Report
from tallyio.engine.select import choose
from tallyio.engine.slow_lane import Refused, Seen, SlowLane
from tallyio.engine.trace import Arrived, Trace
from tallyio.hooks.interfaces import ChainClient, Notice
from tallyio.ledger.ledger import Ledger
from tallyio.ledger.records import Finding
from tallyio.model.chain import Block, BlockEvent, Head, Rollback
from tallyio.model.errors import ChainError, UnsafeRefused
from tallyio.model.execution import Call, Leg, Liquidation, Opportunity
from tallyio.model.lending import BookSpec
from tallyio.model.market import PoolSpec, Token
from tallyio.model.proposal import Proposal
from tallyio.model.stages import Gate
from tallyio.model.units import ZERO_ADDRESS, Address, Hash, checksum
from tallyio.risk.desk import RiskDesk

BACKLOG = 256
"""Blocks that may wait while one is decided; a chain that is this far ahead is back-filled."""


_OVERTAKEN = (Gate.STALE, "a newer block was here already when it was found")


def _nothing_stands(_: Call) -> bool:
    return False


class Parts(msgspec.Struct, kw_only=True, frozen=True):
    """What the engine runs on; `assembly` builds it."""

    chain: ChainClient
    first: Block
    """The block whose state the market holds."""
    events: AsyncIterator[BlockEvent]
    """Everything after `first`."""
    lane: MarketLane
    slow: SlowLane | None = None
    """Books and the strategies that look at them."""
    ahead: Lookahead | None = None
    """Who looks at price updates that wait in the mempool; None: nobody."""
    order: Mapping[str, int] = {}
    """Strategies that go before others, by rank; 0 first."""
    pools: Sequence[PoolSpec]
    tokens: Mapping[Address, Token]
    books: Sequence[BookSpec] = ()
    reload: Callable[[int, Hash], Awaitable[None]]
    """Loads a pool afresh, as of a block, whose row could not follow its logs."""
    follow: Callable[[BlockEvent], Awaitable[None]]
    """Moves the simulator's state along the chain."""
    stands: Callable[[Call], bool] = _nothing_stands
    """Whether all that a call read, when the node was asked about it, is as it was."""
    pipeline: Pipeline
    outcomes: Outcomes
    ledger: Ledger
    inflight: InFlight
    desk: RiskDesk
    report: Report
    notify: Callable[[Notice], None]
    max_pending: int
    room: Mapping[str, int] = {}
    """By strategy how many of its transactions may be under way at once."""


class Engine:
    """Runs one chain until cancelled, until the chain or the lane fails, or until trading is over.

    Trading that was halted is over when everything sent has settled: a person looks first.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._latest = parts.first.head.hash
        self._head: Head | None = parts.first.head
        """What the books and the market stand at; None: a reorg is not over."""
        self._turn = trio.Lock()
        """Of whoever uses the books: a block, or an update that waits for one."""
        self._behind = (
            Behind(
                parts.ahead,
                parts.chain,
                parts.report,
                notify=parts.notify,
                newest=self._newest,
                take=self._take_behind,
            )
            if parts.ahead is not None
            else None
        )
        self._doubts = Doubts(parts.stands)
        self._next_id = 1
        self._decided = parts.first.head.number
        self._decided_changed = trio.Event()

    @property
    def report(self) -> Report:
        """What happened so far."""
        return self._parts.report

    @property
    def under_way(self) -> int:
        """How many transactions wait for their outcome."""
        return len(self._parts.inflight)

    async def wait_decided(self, number: int) -> None:
        """Wait until everything that block `number` caused has been decided and submitted."""
        while self._decided < number:
            await self._decided_changed.wait()

    async def wait_blocks(self, count: int) -> None:
        """Wait until `count` blocks have been decided."""
        while self.report.blocks < count:
            await self._decided_changed.wait()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled. Raises: ChainError and others that end a run; the state is on disk."""
        send, receive = trio.open_memory_channel[BlockEvent](BACKLOG)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._feed, send)
            if self._behind is not None:
                nursery.start_soon(self._behind.watch, self._turn)
            task_status.started()
            async with receive:
                async for event in receive:
                    async with self._turn:
                        waiting = receive.statistics().current_buffer_used
                        await self._handle(event, trade=waiting == 0)

    async def _feed(self, send: trio.MemorySendChannel[BlockEvent]) -> None:
        async with send:
            async for event in self._parts.events:
                self._latest = event.head.hash if isinstance(event, Block) else event.ancestor
                if self._behind is not None:
                    self._behind.interrupt()
                await send.send(event)
            raise ChainError("the chain plugin has no more blocks", way_out="start again")

    async def _handle(self, event: BlockEvent, *, trade: bool) -> None:
        self._head = None
        if isinstance(event, Rollback):
            await self._roll_back(event)
            return
        await self._apply(event, trade=trade)
        self._head = event.head
        if self._behind is not None:
            await self._behind.again(event)
        self._decided = event.head.number
        self._decided_changed.set()
        self._decided_changed = trio.Event()
        collect_young(event.head.number)

    def _newest(self) -> Head | None:
        """Return what the books and the market stand at, or None: a newer block is here, or a reorg."""
        return self._head if self._head and self._head.hash == self._latest else None

    async def _take_behind(
        self, update: Update, head: Head, seen: tuple[Proposal, ...], since_ns: int
    ) -> None:
        """Take what was found right behind `update`, but for what waits for a transaction of ours already."""
        parts = self._parts
        busy = {use for sent in parts.inflight for use in sent.uses}
        books = parts.slow.books if parts.slow else None
        found = [
            msgspec.structs.replace(
                ground(each.opportunity(number, head), parts.pools, books), trigger=update.trigger
            )
            for number, each in enumerate(seen, self._next_id)
            if busy.isdisjoint(leg.uses for leg in each.legs)
        ]
        self._next_id += len(seen)
        parts.report.found += len(found)
        if found:
            arrived = Arrived(update.transaction.arrived_ns, since_ns, perf_counter_ns())
            await self._trade(head, found, arrived)

    # --- one block

    async def _apply(self, block: Block, *, trade: bool) -> None:
        parts = self._parts
        fees = parts.chain.fees(block.head)
        gas_price_wei = fees.base_fee_wei + fees.priority_fee_wei
        async with trio.open_nursery() as nursery:
            if trade:
                nursery.start_soon(parts.follow, block)
            if parts.slow is not None:
                nursery.start_soon(parts.slow.apply, block)
            result = await parts.lane.apply(block, gas_price_wei=gas_price_wei)
            detected_ns = perf_counter_ns()
        proposals, seen = result.found, Seen()
        if parts.slow is not None and trade:
            seen = parts.slow.search(block.head, gas_price_wei)
            proposals = (*seen.proposals, *proposals)
            detected_ns = perf_counter_ns()
        parts.report.block(block.head, found=len(proposals), detect_ns=result.detect_ns)
        books = parts.slow.books if parts.slow else None
        found = [
            ground(each.opportunity(number, block.head), parts.pools, books)
            for number, each in enumerate(proposals, self._next_id)
        ]
        self._next_id += len(found)
        if trade and found:
            arrived = Arrived(block.bytes_in_ns, block.decoded_ns, detected_ns)
            included = {log.transaction_hash for log in block.logs}
            await self._trade(block.head, found, arrived, included=included)
        elif found:
            await self._record(found, [], dict.fromkeys((each.id for each in found), _OVERTAKEN))
        await self._leave_alone(seen.refused, block.head)
        await self._ask_node(partial(parts.outcomes.settle, block.head))
        await self._reload(result.reload, block.head.hash)
        if parts.slow is not None:
            await self._ask_node(partial(parts.slow.renew, block.head))
        if parts.desk.halted is not None and not parts.inflight:
            raise parts.pipeline.fault or UnsafeRefused(
                f"trading was halted, and everything sent has settled: {parts.desk.halted}",
                way_out="`tallyio why` shows the run; mend the cause, then start again",
            )

    async def _trade(
        self, head: Head, found: Sequence[Opportunity], arrived: Arrived, *, included: Collection[Hash] = ()
    ) -> None:
        """Take the best of what was found in the state of `head`, whose block `included` transactions."""
        parts = self._parts
        under_way = [sent for sent in parts.inflight if sent.transaction.hash not in included]
        busy = {use for sent in under_way for use in sent.uses}
        room = max(parts.max_pending - len(under_way), 0)
        own = Counter(sent.strategy for sent in under_way)
        fates = self._doubts.standing(found, head.number)
        chosen, reasons = choose(
            [each for each in found if each.id not in fates],
            busy=busy,
            most=room,
            order=parts.order,
            room={name: most - own[name] for name, most in parts.room.items()},
            deposits={each for sent in under_way for each in sent.deposits},
            disturbed={sent.disturbs for sent in under_way if sent.disturbs is not None},
        )
        candidates = [
            Candidate(opportunity=each, path=self._path(each), trace=Trace(**arrived._asdict()))
            for each in chosen
        ]
        dead = await parts.pipeline.take(
            candidates, head, pending=len(under_way), is_stale=lambda: self._latest != head.hash
        )
        fates |= {number: (Gate.NOT_CHOSEN, reason) for number, reason in reasons.items()}
        fates |= {candidate.opportunity.id: (gate, reason) for candidate, gate, reason in dead}
        for candidate, gate, reason in dead:
            parts.report.times.add(candidate.trace)
            if gate is Gate.SIMULATION and candidate.plan is not None:
                self._doubts.note(candidate.opportunity, candidate.plan.call, reason)
        await self._record(found, candidates, fates)

    async def _record(
        self,
        found: Sequence[Opportunity],
        candidates: Sequence[Candidate],
        fates: Mapping[int, tuple[Gate, str]],
    ) -> None:
        """Write the block's opportunities and their fates; off the way to the signature."""
        profits = {each.opportunity.id: each.simulation.profit for each in candidates if each.simulation}
        for opportunity in found:
            if opportunity.id in fates:
                self._parts.report.death(opportunity.id, *fates[opportunity.id])
        await self._parts.ledger.record(
            _finding(each, self._path(each), profits.get(each.id), fates.get(each.id)) for each in found
        )

    async def _leave_alone(self, refused: Sequence[Refused], head: Head) -> None:
        """Write what slow strategies left alone, and why; off the way to the signature."""
        if not refused:
            return
        first = self._next_id
        self._next_id += len(refused)
        self._parts.report.found += len(refused)
        for number, each in enumerate(refused, first):
            self._parts.report.death(number, Gate.REFUSED, each.refusal.reason)
        await self._parts.ledger.record(
            _refusal(number, each, self._book(each.refusal.book), head)
            for number, each in enumerate(refused, first)
        )

    def _path(self, opportunity: Opportunity) -> str:
        words = [self._parts.tokens[opportunity.token].symbol]
        for leg in opportunity.legs:
            words += self._step(leg)
        loan, trigger = opportunity.loan, opportunity.trigger
        paid = f", paid with {loan.offer.venue}" if loan else ""
        return " > ".join(words) + paid + (f", behind {told(trigger)}" if trigger else "")

    def _book(self, number: int) -> BookSpec:
        """Return what a book is now: one that was discovered afresh may have more reserves than it had."""
        slow = self._parts.slow
        return slow.books.held[number].book.spec if slow else self._parts.books[number]

    def _step(self, leg: Leg | Liquidation) -> tuple[str, str]:
        """Return in words where a leg trades, and what it brings."""
        parts = self._parts
        if isinstance(leg, Liquidation):
            book = self._book(leg.book)
            return f"{book.venue} liquidation", book.reserves[leg.collateral].symbol
        pool = parts.pools[leg.pool]
        return f"{pool.venue} {pool.fee_pips / 10_000:g}%", parts.tokens[pool.tokens[leg.token_out]].symbol

    async def _roll_back(self, event: Rollback) -> None:
        parts = self._parts
        parts.report.rollbacks += 1
        parts.report.say(f"reorg: {len(event.dropped)} blocks left the chain")
        waiting = await parts.lane.rollback(event)
        if parts.slow is not None:
            await parts.slow.roll_back(event)
        await parts.follow(event)
        await parts.outcomes.roll_back(event)
        await self._reload(waiting, event.ancestor)

    async def _reload(self, pools: Sequence[int], block: Hash) -> None:
        for pool in pools:
            await self._ask_node(partial(self._parts.reload, pool, block))

    async def _ask_node(self, ask: Callable[[], Awaitable[None]]) -> None:
        """Do what the next block repeats; whether a silent node is lost is for the feed to say."""
        try:
            await ask()
        except ChainError as error:
            self._parts.report.say(f"the node did not answer: {error}")


def collect_young(number: int) -> None:
    """Collect garbage after block `number`, so that the collector need not in the middle of one.

    A block makes some hundred containers that live on, and the collector, left alone, comes after some number
    of them. What outlives a block is looked at every sixteenth time, and everything that start-up did not
    freeze every 1,024th.
    """
    gc.collect(2 if number % 1_024 == 0 else 1 if number % 16 == 0 else 0)


def _finding(
    opportunity: Opportunity, path: str, simulated: int | None, fate: tuple[Gate, str] | None
) -> Finding:
    return Finding(
        id=opportunity.id,
        strategy=opportunity.strategy,
        block_number=opportunity.block_number,
        block_hash=opportunity.block_hash,
        path=path,
        token=opportunity.token,
        amount_in=opportunity.amount_in,
        predicted=opportunity.profit,
        net_wei=opportunity.net_wei,
        simulated=simulated,
        gate=fate[0] if fate else None,
        reason=fate[1] if fate else None,
    )


def _refusal(number: int, refused: Refused, book: BookSpec, head: Head) -> Finding:
    refusal = refused.refusal
    debt, collateral = book.reserves[refusal.debt], book.reserves[refusal.collateral]
    owner = checksum(refusal.key.account)
    return Finding(
        id=number,
        strategy=refused.strategy,
        block_number=head.number,
        block_hash=head.hash,
        path=f"{debt.symbol} > {book.venue} liquidation of {owner} > {collateral.symbol}",
        token=debt.debt or ZERO_ADDRESS,
        amount_in=0,
        predicted=0,
        net_wei=0.0,
        simulated=None,
        gate=Gate.REFUSED,
        reason=refusal.reason,
    )
