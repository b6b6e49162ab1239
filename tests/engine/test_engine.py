"""The run loop: order of blocks, reorgs, silent nodes, the end of trading and the end of the chain."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import msgspec
import trio

from tallyio.lending.loans import own_offer
from tallyio.model.chain import Block, BlockEvent, Head, Rollback
from tallyio.model.errors import ChainError, SignerError, UnsafeRefused, root_of
from tallyio.model.execution import Borrowing, Liquidation
from tallyio.model.lending import PositionKey
from tallyio.model.proposal import Proposal
from tallyio.model.stages import Gate
from tests.engine.looping import (
    BLOCKS,
    FIRST,
    Run,
    block,
    found,
    outcome,
    run,
    words,
)
from tests.engine.trading import LIMITS, POOL, TOKEN, chain_of, simulation, trading


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
