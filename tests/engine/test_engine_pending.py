"""The run loop and updates that wait in the mempool."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import trio

from tallyio.model.chain import PendingTransaction
from tallyio.model.errors import ChainError
from tallyio.model.units import Hash, Wei, checksum
from tests.engine.looping import (
    BLOCKS,
    FIRST,
    Run,
    found,
    run,
    waited,
    words,
)
from tests.engine.trading import POOL, trading


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
