"""What an earlier run left open, carried to its end by the next."""

from __future__ import annotations

from pathlib import Path

import pytest
from trio.testing import MockClock

from tallyio.engine.recovery import recover
from tallyio.model.chain import Rollback
from tallyio.model.errors import ChainError, EnvironmentFault, SignerRefused, UnsafeRefused
from tests.engine.trading import ACCOUNT, GAS_USED, TOKEN, Trading, chain_of, trading

BLOCKS = chain_of(10, 30)
FIRST, HEAD = BLOCKS[:2]
LATER = BLOCKS[15]


async def recovered(desk: Trading) -> int:
    """Recover at `desk`; return the next nonce."""
    return await recover(
        chain=desk.chain.client,
        signer=desk.signer.client,
        ledger=desk.ledger,
        inflight=desk.inflight,
        account=ACCOUNT,
    )


async def test_a_fresh_ledger_starts_where_the_chain_is(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.chain.mined = 5
        assert await recovered(desk) == 5


async def test_signed_bytes_are_sent_again_as_they_are(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        before = [each.raw for each in desk.chain.submitted]
    async with trading(tmp_path, first=LATER) as desk:
        assert await recovered(desk) == 2
        assert [each.raw for each in desk.chain.submitted] == before
        assert desk.signer.signed == []


async def test_a_reserved_nonce_is_signed_again_for_the_same_content(tmp_path: Path) -> None:
    """Its signer died on the way: whether it had signed or not, these are the bytes."""
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at = 0
        await desk.take(1, head=HEAD)
        assert desk.rows("state, raw") == [("reserved", None)]
    async with trading(tmp_path, first=LATER) as desk:
        assert await recovered(desk) == 1
        (signed,) = desk.signer.signed
        assert signed.nonce == 0
        assert desk.rows("state, raw") == [("signed", desk.chain.submitted[0].raw)]


async def test_a_wave_whose_nonces_could_not_all_be_given_back_is_taken_over(tmp_path: Path) -> None:
    """None was: a gap below one that is still taken would look like a nonce that has settled."""
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at, desk.signer.fault = 1, SignerRefused("the signer refuses")
        ledger = desk.ledger._journal._db
        ledger.execute(
            "CREATE TRIGGER stopped BEFORE UPDATE ON intents WHEN new.nonce = 2"
            " BEGIN SELECT RAISE(ABORT, 'the process ends here'); END"
        )
        with pytest.RaisesGroup(EnvironmentFault):
            await desk.take(1, 2, 3, head=HEAD)
        ledger.execute("DROP TRIGGER stopped")
        assert desk.rows("nonce, state")[1:] == [(1, "reserved"), (2, "reserved")]
        signed = desk.sent(1)
    async with trading(tmp_path, first=LATER) as desk:
        desk.chain.mined = 1
        desk.chain.include(signed, BLOCKS[3], gain=500)
        assert await recovered(desk) == 3


async def test_what_landed_meanwhile_is_settled_in_the_ledger_and_left_out_of_the_report(
    tmp_path: Path,
) -> None:
    """A trade that paid and one that reverted, both in blocks before this run's first."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        paid, reverted = desk.sent(1), desk.sent(2)
    async with trading(tmp_path, first=LATER) as desk:
        desk.chain.mined = 2
        desk.chain.include(paid, BLOCKS[3], gain=500)
        desk.chain.include(reverted, BLOCKS[4], gain=0, success=False)
        await recovered(desk)
        assert desk.chain.submitted == []
        await desk.outcomes.settle(BLOCKS[16])
        assert desk.rows("state, success, block_number, realised") == [
            ("settled", 1, 13, "500"),
            ("settled", 0, 14, "0"),
        ]
        assert len(desk.inflight) == 0
        assert (desk.report.landed, desk.report.profit, desk.report.died) == (0, {}, {})


async def test_late_reverts_of_an_earlier_run_do_not_halt_this_one(tmp_path: Path) -> None:
    """Their deadline has passed, so that is what they are expected to do."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, 3, 4, head=HEAD)
        hashes = [desk.sent(number) for number in (1, 2, 3, 4)]
    async with trading(tmp_path, first=LATER) as desk:
        await recovered(desk)
        for each in hashes:
            desk.chain.include(each, BLOCKS[16], gain=0, success=False)
        await desk.outcomes.settle(BLOCKS[16])
        assert len(desk.inflight) == 0
        assert desk.desk.halted is None


async def test_what_landed_in_the_first_block_is_proven_by_its_balances(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction = desk.sent(1)
    async with trading(tmp_path, first=LATER) as desk:
        await recovered(desk)
        desk.chain.include(transaction, LATER, gain=500)
        desk.chain.balances[LATER.hash] += 7
        await desk.outcomes.settle(BLOCKS[16])
        assert desk.desk.halted is not None
        assert "changed by 507, our receipts say 500" in desk.desk.halted


async def test_what_an_earlier_run_settled_in_a_block_belongs_to_its_proof(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        one, two = desk.sent(1), desk.sent(2)
        desk.chain.include(one, BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
    async with trading(tmp_path, first=BLOCKS[2]) as desk:
        desk.chain.mined = 2
        desk.chain.include(one, BLOCKS[2], gain=500)
        desk.chain.include(two, BLOCKS[2], gain=0, success=False)
        assert await recovered(desk) == 2
        await desk.outcomes.settle(BLOCKS[3])
        assert (len(desk.inflight), desk.desk.halted) == (0, None)


async def test_what_an_earlier_run_settled_is_followed_again_when_its_block_leaves_the_chain(
    tmp_path: Path,
) -> None:
    """This run begins at that block; the new branch holds it later."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction = desk.sent(1)
        desk.chain.include(transaction, BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
    async with trading(tmp_path, first=BLOCKS[2]) as desk:
        desk.chain.mined = 1
        assert await recovered(desk) == 1
        desk.chain.mined = 0
        await desk.outcomes.roll_back(Rollback(dropped=(BLOCKS[2].hash,), ancestor=HEAD.hash))
        assert [each.hash for each in desk.chain.submitted] == [transaction]
        assert (len(desk.inflight), desk.rows("state")) == (1, [("submitted",)])

        other, another = chain_of(12, 2, fork="b", parent=HEAD.hash)
        await desk.outcomes.settle(other)
        desk.chain.include(transaction, another, gain=500)
        await desk.outcomes.settle(another)
        assert (len(desk.inflight), desk.rows("state, block_number")) == (0, [("settled", 13)])
        assert (desk.report.landed, desk.report.gas_cost_wei) == (0, GAS_USED * 11)


async def test_a_node_that_does_not_take_it_again_does_not_stop_the_start(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
    async with trading(tmp_path, first=LATER) as desk:

        async def refuse(_: object) -> None:
            raise ChainError("fee too low")

        desk.chain.submit = refuse  # type: ignore[assignment,method-assign]
        assert await recovered(desk) == 1
        assert len(desk.inflight) == 1


async def test_a_nonce_that_somebody_else_used_is_refused(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
    async with trading(tmp_path, first=LATER) as desk:
        desk.chain.mined = 2
        with pytest.raises(UnsafeRefused, match=r"mined 2 transactions of 0xaa+, this ledger knows 1"):
            await recovered(desk)


async def test_an_open_nonce_that_somebody_else_used_is_refused(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    """A wallet replaced the first of two; nothing is sent, for a person has to look."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
    async with trading(tmp_path, first=LATER) as desk:
        desk.chain.mined = 1
        with pytest.raises(UnsafeRefused, match=r"mined nonce 0 of 0xaa+.* no receipt of 0x") as refused:
            await recovered(desk)
        assert "another instance or wallet" in refused.value.way_out
        assert desk.chain.submitted == []
        assert desk.rows("state") == [("submitted",), ("submitted",)]


async def test_a_receipt_that_lags_behind_the_nonce_is_waited_for(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        transaction = desk.sent(1)
    async with trading(tmp_path, first=LATER) as desk:
        desk.chain.mined = 1
        desk.chain.include(transaction, BLOCKS[3], gain=500)
        desk.chain.late = 2
        assert await recovered(desk) == 1
        assert desk.chain.late == 0
        assert desk.chain.submitted == []


async def test_a_settled_nonce_that_the_chain_lacks_is_refused(tmp_path: Path) -> None:
    """A reorg while nobody looked, or a chain that began anew: a gap would stop all later ones."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, 2, head=HEAD)
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.profit[TOKEN].trades == 1
    async with trading(tmp_path, first=LATER) as desk:
        with pytest.raises(UnsafeRefused, match=r"nonce 0 of 0xaa+ has settled here, .* mined 0 only"):
            await recovered(desk)
