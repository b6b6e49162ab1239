"""The run loop on a stage: a lane and a view ahead that do as they are told, and a desk to trade at."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import trio

from tallyio.engine.engine import Engine, Parts
from tallyio.engine.lookahead import Lookahead, Update
from tallyio.engine.market_lane import BlockResult, MarketLane
from tallyio.model.chain import Block, BlockEvent, Head, PendingTransaction, Rollback
from tallyio.model.errors import ChainError
from tallyio.model.execution import Leg
from tallyio.model.lending import BookSpec, ReserveSpec
from tallyio.model.market import PoolSpec
from tallyio.model.proposal import Proposal
from tallyio.model.units import Hash
from tests.engine.trading import LIMITS, POOL, TOKEN, Trading, chain_of, trading

BLOCKS = chain_of(10, 12)
FIRST = BLOCKS[0]
BOOK = BookSpec(
    address=POOL,
    venue="bank",
    reserves=(ReserveSpec(symbol="GOLD", collateral=TOKEN, debt=TOKEN),),
    log_sources=(),
)


def found(pool: int, profit: int = 500) -> Proposal:
    """Return what a strategy would find in `pool`."""
    leg = Leg(pool=pool, token_in=0, token_out=0, amount_in=1_000, amount_out=1_000 + profit)
    return Proposal(
        strategy="test",
        token=TOKEN,
        legs=(leg,),
        amount_in=leg.amount_in,
        amount_out=leg.amount_out,
        gas=1,
        net_wei=float(profit),
    )


class FakeLane:
    """A market in which each block holds what a test says."""

    def __init__(self) -> None:
        self.finds: dict[int, tuple[Proposal, ...]] = {}
        """By block number."""
        self.waiting: tuple[int, ...] = ()
        self.applied: list[int] = []
        self.undone: list[Hash] = []

    async def apply(self, block: Block, *, gas_price_wei: int) -> BlockResult:
        """Apply."""
        await trio.lowlevel.checkpoint()
        assert gas_price_wei == 11
        self.applied.append(block.head.number)
        finds = self.finds.get(block.head.number, ())
        return BlockResult(found=finds, dirty=1, reload=self.waiting, apply_ns=1, detect_ns=1)

    async def rollback(self, event: Rollback) -> tuple[int, ...]:
        """Undo."""
        await trio.lowlevel.checkpoint()
        self.undone += event.dropped
        return self.waiting


class FakeAhead:
    """A mempool in which a test puts updates, and what each would allow."""

    def __init__(self) -> None:
        self.tell, self._told = trio.open_memory_channel[PendingTransaction](10)
        self.finds: tuple[Proposal, ...] = ()
        self.fault: ChainError | None = None
        self.slow: set[int] = set()
        """Numbers of the blocks behind which it finds no end."""
        self.looked: list[int] = []
        """Numbers of the blocks behind which an update was looked at."""

    def pending(self) -> AsyncIterator[PendingTransaction]:
        """Return what a test tells."""
        return aiter(self._told)

    def recognise(self, transaction: PendingTransaction) -> Update:
        """Take everything for an update."""
        return Update(transaction=transaction, answers={POOL: 7})

    async def search(self, update: Update, head: Head, gas_price_wei: int) -> tuple[Proposal, ...]:
        """Find what a test says."""
        await trio.lowlevel.checkpoint()
        assert gas_price_wei == 11
        self.looked.append(head.number)
        if self.fault is not None:
            raise self.fault
        if head.number in self.slow:
            await trio.sleep_forever()
        return self.finds


class Run:
    """An engine over fakes; `send` gives it blocks."""

    def __init__(self, desk: Trading, events: AsyncIterator[BlockEvent] | None = None) -> None:
        self.desk = desk
        self.ahead = FakeAhead()
        self.lane = FakeLane()
        self.reloads: list[tuple[int, Hash]] = []
        self.reload_fault: ChainError | None = None
        self.stands = False
        """Whether what refused plans read is as it was."""
        self.send, sent = trio.open_memory_channel[BlockEvent](100)
        pools = [
            PoolSpec(address=POOL, tokens=(TOKEN,), venue=f"venue {k}", fee_pips=3_000, can_flash=True)
            for k in range(4)
        ]
        self.engine = Engine(
            Parts(
                chain=desk.chain.client,
                first=block(FIRST),
                events=aiter(events or sent),
                lane=cast("MarketLane", self.lane),
                ahead=cast("Lookahead", self.ahead),
                pools=pools,
                books=[BOOK],
                tokens=desk.report.tokens,
                reload=self._reload,
                follow=self._follow,
                stands=lambda _: self.stands,
                pipeline=desk.pipeline,
                outcomes=desk.outcomes,
                ledger=desk.ledger,
                inflight=desk.inflight,
                desk=desk.desk,
                report=desk.report,
                notify=desk.notices.append,
                max_pending=LIMITS.max_pending,
            )
        )

    def block(self, head: Head) -> None:
        """Let a block come."""
        self.send.send_nowait(block(head))

    async def decided(self, head: Head) -> None:
        """Let a block come and wait until all that it caused has been done."""
        self.block(head)
        with trio.fail_after(5):
            await self.engine.wait_decided(head.number)

    async def _reload(self, pool: int, at: Hash) -> None:
        await trio.lowlevel.checkpoint()
        if self.reload_fault is not None:
            raise self.reload_fault
        self.reloads.append((pool, at))

    async def _follow(self, _: BlockEvent) -> None:
        await trio.lowlevel.checkpoint()


def block(head: Head) -> Block:
    """Return a block without logs."""
    return Block(head=head, logs=(), bytes_in_ns=0, decoded_ns=1)


@asynccontextmanager
async def run(folder: Path) -> AsyncIterator[Run]:
    """Run an engine for as long as the context lasts."""
    async with trading(folder, first=FIRST) as desk, trio.open_nursery() as nursery:
        made = Run(desk)
        await nursery.start(made.engine.run)
        yield made
        nursery.cancel_scope.cancel()


async def outcome(made: Run) -> BaseException:
    """Run `made` to its end, and return what ended it."""
    with trio.fail_after(5):
        try:
            await made.engine.run()
        except Exception as error:  # noqa: BLE001 - whatever it is, a test looks at it
            return error
    raise AssertionError("returned although nobody had asked it to")


def words(desk: Trading) -> str:
    """Return the recent events."""
    return "\n".join(desk.report.recent)


async def waited(made: Run, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - what the engine did is looked at from outside
            await trio.sleep(0.001)
