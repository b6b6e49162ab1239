"""What became of transactions: receipts, books, reverts, reorgs, bytes sent again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.engine.outcomes import HEADS_KEPT
from tallyio.model.chain import Rollback
from tallyio.model.errors import ChainError
from tallyio.model.stages import Gate
from tallyio.model.units import Hash
from tests.engine.trading import GAS_USED, LIMITS, TOKEN, Trading, chain_of, trading

BLOCKS = chain_of(10, 20)
FIRST, HEAD = BLOCKS[:2]
COST = GAS_USED * 11
RIVAL = Hash(bytes([7]) * 32)


def block(number: int) -> int:
    """Return the position of block `number`."""
    return number - FIRST.number


async def settle_up_to(desk: Trading, number: int) -> None:
    """Let blocks come after `HEAD`, up to `number`."""
    for head in BLOCKS[block(HEAD.number) : block(number) + 1]:
        await desk.outcomes.settle(head)


async def test_a_receipt_and_the_balances_settle_a_trade(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        for number in (1, 2):
            desk.chain.include(desk.sent(number), BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.rows("state, success, realised") == [("settled", 1, "500")] * 2
        assert (desk.report.landed, desk.report.profit[TOKEN].realised) == (2, 1_000)
        assert desk.report.gas_cost_wei == 2 * COST
        assert len(desk.inflight) == 0
        assert desk.desk.halted is None
        assert [notice.title for notice in desk.notices] == ["opportunity 1 landed", "opportunity 2 landed"]


async def test_books_that_do_not_balance_halt_trading_and_say_so_once(tmp_path: Path) -> None:
    """The token's event says 500, the balance says 499."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        desk.chain.balances[BLOCKS[2].hash] -= 1
        await settle_up_to(desk, 14)
        assert desk.desk.halted is not None
        assert "the books do not balance: in block 12" in desk.desk.halted
        assert "changed by 499, our receipts say 500" in desk.desk.halted
        (told,) = [notice for notice in desk.notices if notice.level == "error"]
        assert (told.title, told.body) == ("trading halted", desk.desk.halted)


async def test_a_trade_that_paid_less_than_predicted_halts_trading(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=400)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.desk.halted == "opportunity 1 realised 400, predicted 500"


async def test_reverts_in_a_row_halt_trading_and_cost_gas_only(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, 3, head=HEAD)
        for number in (1, 2, 3):
            desk.chain.include(desk.sent(number), BLOCKS[2], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.died == {Gate.REVERTED: 3}
        assert (desk.report.landed, desk.report.gas_cost_wei) == (0, 3 * COST)
        assert desk.desk.halted == f"{LIMITS.max_reverts} transactions in a row reverted on the chain"
        assert desk.rows("success, realised") == [(0, "0")] * 3
        assert desk.notices[-1].title == "trading halted"


async def test_who_was_first_at_what_a_reverted_transaction_wanted_is_named(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(RIVAL, BLOCKS[2], gain=0)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=0, success=False)
        desk.rival = RIVAL
        await desk.outcomes.settle(BLOCKS[2])
        (lost,) = desk.report.lost.values()
        assert lost.endswith(
            f"in block 12 reverted: transaction 0x{'07' * 32} was there first; its gas is lost, nothing else"
        )
        assert desk.report.died == {Gate.LOST: 1}
        assert desk.report.gas_cost_wei == COST


async def test_who_was_first_blocks_ago_is_remembered(tmp_path: Path) -> None:
    """No block took ours in time, and the rival's had touched what it wanted."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(RIVAL, BLOCKS[2], gain=0)
        desk.rival = RIVAL
        await desk.outcomes.settle(BLOCKS[2])
        desk.rival = None
        desk.chain.include(desk.sent(1), BLOCKS[3], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[3])
        assert desk.report.died == {Gate.LOST: 1}


async def test_nobody_is_named_who_came_before_the_price_or_after_ours(tmp_path: Path) -> None:
    """What happened in the block that ours was priced on is in its price; what is behind it did no harm."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.rival = RIVAL
        await desk.outcomes.settle(HEAD)
        desk.rival = None
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[2])
        await desk.take(2, head=BLOCKS[2])
        desk.chain.include(desk.sent(2), BLOCKS[3], gain=0, success=False)
        desk.chain.include(RIVAL, BLOCKS[3], gain=0)
        desk.rival = RIVAL
        await desk.outcomes.settle(BLOCKS[3])
        assert desk.report.died == {Gate.REVERTED: 2}
        assert desk.report.lost == {}


async def test_a_rival_whose_block_left_the_chain_is_forgotten(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(RIVAL, BLOCKS[2], gain=0)
        desk.rival = RIVAL
        await desk.outcomes.settle(BLOCKS[2])
        desk.rival = None
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[2].hash,), ancestor=HEAD.hash))
        (head,) = chain_of(12, 1, fork="b", parent=HEAD.hash)
        desk.chain.include(desk.sent(1), head, gain=0, success=False)
        await desk.outcomes.settle(head)
        assert desk.report.died == {Gate.REVERTED: 1}


async def test_a_silent_node_leaves_everything_for_the_next_block(tmp_path: Path) -> None:
    """Nothing is half settled, whichever question it did not answer."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        desk.chain.fault = ChainError("busy")
        with pytest.raises(ChainError, match="busy"):
            await desk.outcomes.settle(BLOCKS[2])
        assert (desk.report.landed, len(desk.inflight)) == (0, 1)
        desk.chain.fault = None
        await desk.outcomes.settle(BLOCKS[3])
        assert (desk.report.landed, len(desk.inflight)) == (1, 0)
        assert desk.rows("block_number") == [(12,)]


async def test_a_node_that_is_silent_for_hundreds_of_blocks_tells_of_the_first_afterwards(
    tmp_path: Path,
) -> None:
    """And what it tells is proven; what is that long ago and was answered is forgotten."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        desk.chain.fault = ChainError("transaction indexing is in progress")
        heads = chain_of(12, HEADS_KEPT + 50, parent=HEAD.hash)
        for head in heads:
            with pytest.raises(ChainError, match="indexing"):
                await desk.outcomes.settle(head)
        desk.chain.fault = None
        (head,) = chain_of(heads[-1].number + 1, 1, parent=heads[-1].hash)
        await desk.outcomes.settle(head)
        assert (desk.report.landed, len(desk.inflight), desk.desk.halted) == (1, 0, None)
        assert desk.rows("block_number") == [(12,)]
        assert len(desk.outcomes._heads) < len(heads)


async def test_a_receipt_that_lags_a_block_is_no_contradiction(tmp_path: Path) -> None:
    """Two of ours in one block: the balances hold both, the receipts only one at first."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        one, two = desk.sent(1), desk.sent(2)
        for transaction in (one, two):
            desk.chain.include(transaction, BLOCKS[2], gain=500)
        late = desk.chain.receipts.pop(two)
        await desk.outcomes.settle(BLOCKS[2])
        assert (desk.report.landed, len(desk.inflight)) == (0, 2)
        desk.chain.receipts[two] = late
        await desk.outcomes.settle(BLOCKS[3])
        assert (desk.report.landed, desk.desk.halted) == (2, None)


async def test_a_block_is_proven_with_all_of_ours_that_it_holds(tmp_path: Path) -> None:
    """The second receipt comes when the first is settled, for it says of nothing but gas."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        one, two = desk.sent(1), desk.sent(2)
        desk.chain.include(one, BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.landed == 1
        desk.chain.include(two, BLOCKS[2], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[3])
        assert (len(desk.inflight), desk.desk.halted) == (0, None)


async def test_a_contradiction_waits_only_for_what_the_block_could_hold(tmp_path: Path) -> None:
    """Ours that was found in that block or later is in none before, and what is too late moves nothing."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=FIRST)  # deadline 12
        await desk.take(2, head=BLOCKS[2])
        await desk.take(3, head=BLOCKS[3])
        desk.chain.include(desk.sent(2), BLOCKS[3], gain=500)
        desk.chain.balances[BLOCKS[3].hash] -= 1
        await desk.outcomes.settle(BLOCKS[3])
        assert desk.desk.halted is not None
        assert "changed by 499, our receipts say 500" in desk.desk.halted


async def test_a_receipt_that_never_comes_explains_a_contradiction_for_some_blocks(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        for head in BLOCKS[2:]:
            desk.chain.balances[head.hash] = 499
        await settle_up_to(desk, 14)
        assert (desk.report.landed, desk.desk.halted) == (0, None)
        await desk.outcomes.settle(BLOCKS[5])
        assert desk.report.landed == 1
        assert "the books do not balance: in block 12" in str(desk.desk.halted)


async def test_balances_that_the_node_never_tells_halt_trading(tmp_path: Path) -> None:
    """It has dropped the state: after some blocks the receipts are believed, and a person looks."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)

        async def no_state(*_: object, **__: object) -> list[bytes | None]:
            raise ChainError("no state of that block")

        desk.chain.call = no_state  # type: ignore[method-assign]
        for head in BLOCKS[2:5]:
            with pytest.raises(ChainError, match="no state"):
                await desk.outcomes.settle(head)
        await desk.outcomes.settle(BLOCKS[5])
        assert desk.report.landed == 1
        assert desk.desk.halted is not None
        assert "the node does not tell the balances at block 12: no state of that block" in desk.desk.halted


async def test_a_block_without_it_brings_the_same_bytes_again(tmp_path: Path) -> None:
    """In time at every block; after the deadline now and then, for the nonce has to be used."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)  # block 11, deadline 13
        again = {}
        for head in BLOCKS[1:10]:
            before = len(desk.chain.submitted)
            await desk.outcomes.settle(head)
            again[head.number] = len(desk.chain.submitted) - before
        assert again == {11: 0, 12: 1, 13: 1, 14: 1, 15: 0, 16: 0, 17: 1, 18: 0, 19: 0}
        assert len({each.raw for each in desk.chain.submitted}) == 1
        assert desk.report.died == {Gate.NOT_INCLUDED: 1}
        assert len(desk.inflight) == 1

        desk.chain.include(desk.sent(1), BLOCKS[10], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[10])
        assert desk.report.died == {Gate.REVERTED: 1}
        assert len(desk.inflight) == 0


async def test_a_nonce_that_another_transaction_took_halts_trading_and_is_settled(tmp_path: Path) -> None:
    """A wallet replaced the first of two: after its deadline it is looked at twice, and the run can end."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)  # block 11, deadline 13
        desk.chain.mined = 1
        await settle_up_to(desk, 16)
        assert (len(desk.inflight), desk.desk.halted) == (2, None)
        await desk.outcomes.settle(BLOCKS[7])
        (left,) = desk.inflight
        assert left.opportunity == 2
        reason = f"another transaction than ours has nonce 0 of 0x{'aa' * 20}"
        assert desk.desk.halted == f"{reason}: another instance or wallet uses the account"
        assert desk.notices[-1].title == "trading halted"
        assert desk.report.died == {Gate.NOT_INCLUDED: 2}
        assert desk.rows("state, block_number") == [("settled", None), ("submitted", None)]

        desk.chain.include(desk.sent(2), BLOCKS[8], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[8])
        assert len(desk.inflight) == 0


async def test_a_receipt_that_lags_behind_the_nonce_is_no_other_transaction(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.mined = 1
        await settle_up_to(desk, 16)
        desk.chain.include(desk.sent(1), BLOCKS[4], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[7])
        assert (len(desk.inflight), desk.desk.halted) == (0, None)


async def test_a_nonce_that_one_look_finds_taken_and_the_next_does_not_is_ours(tmp_path: Path) -> None:
    """Nodes behind one endpoint disagree, or a reorg took the other transaction back."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        for number, mined in ((14, 1), (17, 0), (20, 1)):
            desk.chain.mined = mined
            await desk.outcomes.settle(BLOCKS[block(number)])
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[10].hash,), ancestor=BLOCKS[9].hash))
        await desk.outcomes.settle(BLOCKS[block(23)])
        assert (len(desk.inflight), desk.desk.halted) == (1, None)
        assert desk.rows("state") == [("submitted",)]


async def test_a_receipt_of_a_block_that_has_not_come_yet_waits_for_it(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[3], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert len(desk.inflight) == 1
        assert len(desk.chain.submitted) == 1
        await desk.outcomes.settle(BLOCKS[3])
        assert len(desk.inflight) == 0


async def test_a_reorg_opens_what_it_took_and_counts_it_once(tmp_path: Path) -> None:
    """The trade is taken back, sent again, and counted where the new branch has it."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction = desk.sent(1)
        desk.chain.include(transaction, BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.landed == 1

        del desk.chain.receipts[transaction]
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[2].hash,), ancestor=HEAD.hash))
        assert (desk.report.landed, desk.report.profit[TOKEN].realised, desk.report.gas_cost_wei) == (0, 0, 0)
        assert desk.rows("state, block_hash, realised") == [("submitted", None, None)]
        assert [each.hash for each in desk.chain.submitted] == [transaction, transaction]

        other, another = chain_of(12, 2, fork="b", parent=HEAD.hash)
        await desk.outcomes.settle(other)
        desk.chain.include(transaction, another, gain=500)
        await desk.outcomes.settle(another)
        assert (desk.report.landed, desk.report.profit[TOKEN].realised) == (1, 500)
        assert desk.report.gas_cost_wei == COST
        assert desk.report.died == {}
        assert desk.rows("state, block_number") == [("settled", 13)]


async def test_a_revert_that_a_reorg_takes_back_counts_once(tmp_path: Path) -> None:
    """The same transaction reverts on three branches: that is one revert, and its gas."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction, head = desk.sent(1), BLOCKS[2]
        for fork in "abc":
            desk.chain.include(transaction, head, gain=0, success=False)
            await desk.outcomes.settle(head)
            await desk.outcomes.roll_back(Rollback(dropped=(head.hash,), ancestor=HEAD.hash))
            (head,) = chain_of(12, 1, fork=fork, parent=HEAD.hash)
        assert desk.desk.halted is None


async def test_a_trade_on_the_new_branch_did_not_die_on_the_old_one(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction = desk.sent(1)
        desk.chain.include(RIVAL, BLOCKS[2], gain=0)
        desk.chain.include(transaction, BLOCKS[2], gain=0, success=False)
        desk.rival = RIVAL
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.died == {Gate.LOST: 1}
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[2].hash,), ancestor=HEAD.hash))
        (head,) = chain_of(12, 1, fork="b", parent=HEAD.hash)
        desk.chain.include(transaction, head, gain=500)
        await desk.outcomes.settle(head)
        assert (desk.report.landed, desk.report.died, desk.report.lost) == (1, {}, {})


async def test_what_no_branch_takes_again_died_of_the_reorg(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        desk.chain.receipts.clear()
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[2].hash,), ancestor=HEAD.hash))
        for head in chain_of(12, 3, fork="b", parent=HEAD.hash):
            await desk.outcomes.settle(head)
        assert desk.report.died == {Gate.REORGED: 1}
