"""The run loop: order of blocks, reorgs, silent nodes, the end of trading and the end of the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Self, cast

import msgspec
import trio

from tallyio.engine.engine import Engine, Parts
from tallyio.engine.lookahead import Lookahead, Update
from tallyio.engine.market_lane import BlockResult, MarketLane
from tallyio.lending.loans import own_offer
from tallyio.model.chain import Block, BlockEvent, Head, PendingTransaction, Rollback
from tallyio.model.errors import ChainError, SignerError, UnsafeRefused, root_of
from tallyio.model.execution import Borrowing, Leg, Liquidation
from tallyio.model.lending import BookSpec, PositionKey, ReserveSpec
from tallyio.model.market import PoolSpec
from tallyio.model.proposal import Proposal
from tallyio.model.stages import Gate
from tallyio.model.units import Hash, Wei, checksum
from tests.engine.trading import LIMITS, POOL, TOKEN, Trading, chain_of, simulation, trading

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


async def test_blocks_are_traded_on_as_they_come(tmp_path: Path) -> None:
    """The new trade goes first; then what the block did not take is sent again."""
    async with run(tmp_path) as made:
        made.lane.finds = {11: (found(0), found(1)), 12: (found(2),)}
        await made.decided(BLOCKS[1])
        assert made.engine.under_way == 2
        await made.decided(BLOCKS[2])
        assert [each.unsigned.nonce for each in made.desk.chain.submitted] == [0, 1, 2, 0, 1]
        assert made.engine.under_way == 3
        assert made.engine.report.found == 3


async def test_of_blocks_that_pile_up_only_the_newest_is_traded_on(tmp_path: Path) -> None:
    """All are applied, in order; what was found in an old state is not even simulated."""
    async with trading(tmp_path, first=FIRST) as desk, trio.open_nursery() as nursery:
        made = Run(desk)
        made.lane.finds = {head.number: (found(0),) for head in BLOCKS}
        for head in BLOCKS[1:5]:
            made.block(head)
        nursery.start_soon(made.engine.run)
        with trio.fail_after(5):
            await made.engine.wait_decided(14)
        assert made.lane.applied == [11, 12, 13, 14]
        assert len(desk.chain.submitted) == 1
        assert desk.rows("deadline_block") == [(16,)]
        nursery.cancel_scope.cancel()


async def test_a_liquidation_and_its_loan_are_told_in_the_path(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        symbol = made.desk.report.tokens[TOKEN].symbol
        swapping = found(1).opportunity(7, FIRST)
        seize = Liquidation(
            book=0, key=PositionKey(POOL), collateral=0, debt=0, amount_in=1_000, amount_out=1_000
        )
        lent = Borrowing(offer=own_offer(POOL, TOKEN, 1_000), amount=1_000, fee=0)
        both = msgspec.structs.replace(swapping, legs=(seize, *swapping.legs), loan=lent)
        path = f"{symbol} > bank liquidation > GOLD > venue 1 0.3% > {symbol}, paid with own funds"
        assert made.engine._path(both) == path
        assert made.engine._path(swapping) == f"{symbol} > venue 1 0.3% > {symbol}"


# --- updates that wait


def update(number: int = 0, *, max_fee: int = 100, tip: int = 1) -> PendingTransaction:
    """Return an update as it waits."""
    return PendingTransaction(
        hash=Hash(number.to_bytes(32)),
        sender=POOL,
        nonce=number,
        to=POOL,
        data=b"",
        value_wei=Wei(0),
        gas_limit=1,
        max_fee_wei=Wei(max_fee),
        max_priority_fee_wei=Wei(tip),
        arrived_ns=0,
    )


async def waited(made: Run, condition: Callable[[], bool]) -> None:
    """Wait until a condition holds."""
    with trio.fail_after(5):
        while not condition():  # noqa: ASYNC110 - what the engine did is looked at from outside
            await trio.sleep(0.001)


async def test_what_an_update_allows_is_sent_at_once_and_pays_no_more_than_it(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.ahead.finds = (found(0),)
        await made.ahead.tell.send(update(max_fee=12, tip=0))
        await waited(made, lambda: bool(made.desk.opportunities("id")))
        (sent,) = made.desk.chain.submitted
        assert (sent.unsigned.max_fee_wei, sent.unsigned.max_priority_fee_wei) == (12, 0)
        (told,) = made.desk.opportunities("path")
        trigger = f"behind pending oracle update 0x{'00' * 32} of feed {checksum(POOL)}"
        assert str(told[0]).endswith(trigger)
        assert made.ahead.looked == [10]
        assert made.engine.report.found == 1


async def test_an_update_is_looked_at_again_behind_each_block_that_leaves_it_out(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        await made.ahead.tell.send(update())
        await waited(made, lambda: made.ahead.looked == [10])
        made.ahead.finds = (found(0),)
        await made.decided(BLOCKS[1])
        assert len(made.desk.chain.submitted) == 1
        await made.decided(BLOCKS[2])
        assert made.ahead.looked == [10, 11, 12]
        assert made.desk.rows("opportunity") == [(1,)], "its pool waits for that transaction already"
        assert made.engine.report.found == 1


async def test_an_update_that_the_next_block_cannot_take_is_left_alone(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        await made.ahead.tell.send(update(1, max_fee=9))
        await made.ahead.tell.send(update(2, max_fee=10))
        await waited(made, lambda: bool(made.ahead.looked))
        await made.decided(BLOCKS[1])
        assert made.ahead.looked == [10, 11]


async def test_a_block_that_comes_does_not_wait_for_a_search_behind_an_update(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.ahead.slow, made.ahead.finds = {10}, (found(0),)
        await made.ahead.tell.send(update())
        await waited(made, lambda: made.ahead.looked == [10])
        await made.decided(BLOCKS[1])
        assert made.ahead.looked == [10, 11]
        assert len(made.desk.chain.submitted) == 1


async def test_a_node_that_fails_while_looking_ahead_ends_nothing(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.ahead.fault = ChainError("the node is late")
        await made.ahead.tell.send(update())
        await made.decided(BLOCKS[1])
        assert "the node did not answer: the node is late" in words(made.desk)


async def test_a_node_without_a_mempool_is_told_of_and_the_run_goes_on(tmp_path: Path) -> None:
    class Nothing:
        """A mempool that the node does not show."""

        def __aiter__(self) -> Self:
            return self

        async def __anext__(self) -> PendingTransaction:
            raise ChainError("this node tells of none")

    async with trading(tmp_path, first=FIRST) as desk, trio.open_nursery() as nursery:
        made = Run(desk)
        made.ahead.pending = Nothing  # type: ignore[method-assign]
        await nursery.start(made.engine.run)
        made.lane.finds = {11: (found(0),)}
        await made.decided(BLOCKS[1])
        assert "price updates in the mempool are not followed: this node tells of none" in words(desk)
        (notice,) = desk.notices
        assert (notice.level, notice.body) == ("warning", "this node tells of none")
        assert len(desk.chain.submitted) == 1
        nursery.cancel_scope.cancel()


async def test_a_pool_with_a_transaction_under_way_is_left_alone(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.lane.finds = {11: (found(0),), 12: (found(0), found(1))}
        await made.decided(BLOCKS[1])
        await made.decided(BLOCKS[2])
        assert made.desk.rows("opportunity") == [(1,), (3,)]
        assert made.engine.report.died == {Gate.NOT_CHOSEN: 1}


async def test_what_the_evm_refused_makes_room_for_others_while_it_stands(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        better, other = found(0, 900), msgspec.structs.replace(found(0), strategy="another")
        made.lane.finds = {11: (better,), 12: (better,), 13: (better, other)}
        desk = made.desk
        first, second, third = BLOCKS[1:4]
        desk.simulation = simulation(first, 0, success=False, reason="odd")
        made.stands = True
        await made.decided(first)
        await made.decided(second)
        assert made.engine.report.died == {Gate.SIMULATION: 2}
        desk.simulation = None
        await made.decided(third)
        # It is neither simulated again nor in the other's way, and the funnel says why.
        assert (made.engine.report.simulated, made.engine.under_way) == (3, 1)
        assert made.engine.report.died == {Gate.SIMULATION: 3}
        assert "as in block 12, since when nothing" in words(desk)


async def test_a_refusal_that_no_longer_stands_is_tried_at_once(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.lane.finds = {11: (found(0),), 12: (found(0),)}
        made.desk.simulation = simulation(BLOCKS[1], 0, success=False, reason="odd")
        await made.decided(BLOCKS[1])
        made.desk.simulation = None
        await made.decided(BLOCKS[2])
        assert (made.engine.report.simulated, made.engine.under_way) == (2, 1)


async def test_a_transaction_that_has_just_landed_leaves_room_for_the_next(tmp_path: Path) -> None:
    """It is settled after the decision; until then it does not count as waiting."""
    async with run(tmp_path) as made:
        made.lane.finds = {11: tuple(found(pool) for pool in range(4)), 12: (found(0),)}
        await made.decided(BLOCKS[1])
        hashes = [sent.transaction.hash for sent in made.desk.inflight]
        assert len(hashes) == LIMITS.max_pending
        for each in hashes:
            made.desk.chain.include(each, BLOCKS[2], gain=500)
        logs = tuple(log for each in hashes for log in made.desk.chain.receipts[each].logs)
        made.send.send_nowait(Block(head=BLOCKS[2], logs=logs, bytes_in_ns=0, decoded_ns=1))
        with trio.fail_after(5):
            await made.engine.wait_decided(12)
        assert made.engine.report.landed == 4
        assert made.engine.under_way == 1
        assert made.engine.report.died == {}


async def test_what_a_strategy_has_under_way_takes_its_own_room(tmp_path: Path) -> None:
    """A transaction gives its room back once a block holds it, and another strategy's takes none of it."""

    def another(pool: int) -> Proposal:
        return msgspec.structs.replace(found(pool, 400), strategy="another")

    async with run(tmp_path) as made:
        made.engine._parts = msgspec.structs.replace(made.engine._parts, room={"test": 2})
        made.lane.finds = {11: (found(0), another(1)), 12: (found(2, 600), found(3), another(3))}
        made.lane.finds[13] = (found(0), found(1))
        await made.decided(BLOCKS[1])
        await made.decided(BLOCKS[2])
        busy = [(sent.strategy, *sent.uses) for sent in made.desk.inflight]
        assert sorted(busy) == [("another", 1), ("another", 3), ("test", 0), ("test", 2)]
        assert made.engine.report.died == {Gate.NOT_CHOSEN: 1}
        done = [sent.transaction.hash for sent in made.desk.inflight if sent.uses <= {0, 1}]
        for each in done:
            made.desk.chain.include(each, BLOCKS[3], gain=500)
        logs = tuple(log for each in done for log in made.desk.chain.receipts[each].logs)
        made.send.send_nowait(Block(head=BLOCKS[3], logs=logs, bytes_in_ns=0, decoded_ns=1))
        with trio.fail_after(5):
            await made.engine.wait_decided(13)
        # Of four, two wait: there is room for two more, and for one of this strategy.
        assert [sent.opportunity for sent in made.desk.inflight if sent.found_in == 13] == [6]
        assert made.engine.report.died == {Gate.NOT_CHOSEN: 2}


async def test_a_block_that_arrives_during_the_decision_makes_it_stale(tmp_path: Path) -> None:
    await _overtaken(tmp_path, lambda made: made.block(BLOCKS[2]))


async def test_a_reorg_that_arrives_during_the_decision_makes_it_stale(tmp_path: Path) -> None:
    """The new branch is no longer than the old, so its number does not give it away."""

    def reorg(made: Run) -> None:
        made.send.send_nowait(Rollback(dropped=(BLOCKS[1].hash,), ancestor=FIRST.hash))
        made.block(chain_of(11, 1, fork="b", parent=FIRST.hash)[0])

    await _overtaken(tmp_path, reorg)


async def _overtaken(folder: Path, overtake: Callable[[Run], None]) -> None:
    async with run(folder) as made:
        made.lane.finds = {11: (found(0),)}
        simulate = made.desk.pipeline._simulate

        async def slowly(plan: object, head: Head) -> object:
            overtake(made)
            for _ in range(5):
                await trio.lowlevel.checkpoint()
            return await simulate(plan, head)  # type: ignore[arg-type]

        made.desk.pipeline._simulate = slowly  # type: ignore[assignment]
        await made.decided(BLOCKS[1])
        assert made.engine.report.died == {Gate.STALE: 1}
        assert made.desk.rows("nonce") == []


async def test_a_reorg_is_undone_in_the_lane_and_in_the_books(tmp_path: Path) -> None:
    async with run(tmp_path) as made:
        made.lane.finds = {11: (found(0),)}
        await made.decided(BLOCKS[1])
        (sent,) = made.desk.inflight
        made.desk.chain.include(sent.transaction.hash, BLOCKS[2], gain=500)
        await made.decided(BLOCKS[2])
        assert made.engine.report.landed == 1
        made.desk.chain.receipts.clear()
        made.lane.waiting = (3,)
        other = chain_of(12, 2, fork="b", parent=BLOCKS[1].hash)
        made.send.send_nowait(Rollback(dropped=(BLOCKS[2].hash,), ancestor=BLOCKS[1].hash))
        made.block(other[0])
        await made.decided(other[1])
        assert made.lane.undone == [BLOCKS[2].hash]
        assert made.reloads[0] == (3, BLOCKS[1].hash)
        assert (made.engine.report.rollbacks, made.engine.report.landed, made.engine.under_way) == (1, 0, 1)


async def test_a_silent_node_costs_a_block_and_not_the_run(tmp_path: Path) -> None:
    """Whether it is lost for good is for the feed to say; the next block asks again."""
    async with run(tmp_path) as made:
        made.lane.finds = {11: (found(0),)}
        made.lane.waiting = (2,)
        await made.decided(BLOCKS[1])
        made.reload_fault = made.desk.chain.fault = ChainError("busy")
        await made.decided(BLOCKS[2])
        assert words(made.desk).count("the node did not answer: busy") == 2
        made.reload_fault = made.desk.chain.fault = None
        (sent,) = made.desk.inflight
        made.desk.chain.include(sent.transaction.hash, BLOCKS[2], gain=500)
        await made.decided(BLOCKS[3])
        assert made.engine.report.landed == 1
        assert made.reloads == [(2, BLOCKS[1].hash), (2, BLOCKS[3].hash)]


async def test_a_halt_ends_the_run_when_everything_sent_has_settled(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk, trio.open_nursery() as nursery:
        made = Run(desk)
        made.lane.finds = {11: (found(0),), 12: (found(1),)}
        ended: list[BaseException] = []

        async def end() -> None:
            ended.append(await outcome(made))

        nursery.start_soon(end)
        await made.decided(BLOCKS[1])
        desk.desk.halt("on purpose")
        await made.decided(BLOCKS[2])
        assert ended == []
        assert desk.report.died == {Gate.LIMIT: 1}
        (sent,) = desk.inflight
        desk.chain.include(sent.transaction.hash, BLOCKS[3], gain=500)
        made.block(BLOCKS[3])
    refused = root_of(ended[0], UnsafeRefused)
    assert refused is not None
    assert refused.message == "trading was halted, and everything sent has settled: on purpose"
    assert "tallyio why" in refused.way_out


async def test_a_run_whose_signer_died_ends_with_the_signers_own_words(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at = 0
        made = Run(desk)
        made.lane.finds = {11: (found(0),)}
        made.block(BLOCKS[1])
        assert root_of(await outcome(made), SignerError) is desk.signer.fault
        assert [notice.body for notice in desk.notices] == ["the signer is gone"]


async def test_a_chain_that_fails_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:

        async def fail() -> AsyncIterator[BlockEvent]:
            yield block(BLOCKS[1])
            raise ChainError("lost for 5 s")

        made = Run(desk, fail())
        assert str(root_of(await outcome(made), ChainError)) == "lost for 5 s"


async def test_a_chain_that_ends_without_a_word_is_a_failure(tmp_path: Path) -> None:
    """The engine never returns unasked."""
    async with trading(tmp_path, first=FIRST) as desk:
        made = Run(desk)
        await made.send.aclose()
        fault = root_of(await outcome(made), ChainError)
        assert fault is not None
        assert fault.message == "the chain plugin has no more blocks"


async def test_whoever_waits_for_blocks_is_told(tmp_path: Path) -> None:
    async with run(tmp_path) as made, trio.open_nursery() as nursery:
        seen: list[str] = []

        async def wait(what: Callable[[int], object], number: int) -> None:
            await what(number)  # type: ignore[misc]
            seen.append(f"{number}")

        nursery.start_soon(partial(wait, made.engine.wait_blocks, 2))
        await made.decided(BLOCKS[1])
        assert seen == []
        await made.decided(BLOCKS[2])
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["2"]
