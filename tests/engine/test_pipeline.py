"""From an opportunity to bytes on the wire, and each gate in between."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import msgspec
import pytest

from tallyio.engine.trace import TOTAL
from tallyio.model.errors import ChainError, EnvironmentFault, SignerRefused
from tallyio.model.stages import Gate
from tests.engine.trading import (
    GAS_USED,
    LIMITS,
    FakeBatchSigner,
    candidate,
    chain_of,
    simulation,
    trading,
)

BLOCKS = chain_of(10, 4)
FIRST, HEAD = BLOCKS[:2]
GAS_LIMIT = GAS_USED * 5 // 4 * 125 // 100


async def test_what_is_chosen_is_persisted_signed_and_submitted_in_nonce_order(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        assert await desk.take(1, 2, head=HEAD) == []
        assert [each.unsigned.nonce for each in desk.chain.submitted] == [0, 1]
        assert desk.rows("nonce, state, deadline_block") == [(0, "submitted", 13), (1, "submitted", 13)]
        assert await desk.take(3, head=HEAD) == []
        assert [each.unsigned.nonce for each in desk.chain.submitted] == [0, 1, 2]
        assert desk.report.signed == 3


async def test_the_best_is_submitted_before_the_others_are_judged(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.simulated_when = lambda number: number == 1 or len(desk.chain.submitted) == 1
        assert await desk.take(1, 2, 3, head=HEAD) == []
        assert [each.unsigned.nonce for each in desk.chain.submitted] == [0, 1, 2]


async def test_the_others_are_judged_while_the_signer_keeps_the_best_waiting(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.answers_when = lambda: desk.report.simulated == 3
        assert await desk.take(1, 2, 3, head=HEAD) == []
        assert desk.rows("nonce, state") == [(0, "submitted"), (1, "submitted"), (2, "submitted")]


async def test_a_disk_that_refuses_ends_the_run_before_anything_is_signed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    async with trading(tmp_path, first=FIRST) as desk:
        monkeypatch.setattr(os, "fdatasync", refuse)
        says = r"ledger\.sqlite cannot be read or written: .*Input/output error"
        with pytest.RaisesGroup(pytest.RaisesExc(EnvironmentFault, match=says), flatten_subgroups=True):
            await desk.take(1, 2, head=HEAD)
        assert desk.signer.signed == []


async def test_a_block_that_comes_after_the_best_was_signed_stops_the_others(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.simulated_when = lambda number: number == 1 or len(desk.signer.signed) > 0
        candidates = [candidate(number, HEAD, 500) for number in (1, 2, 3)]
        dead = await desk.pipeline.take(
            candidates, HEAD, pending=0, is_stale=lambda: len(desk.signer.signed) > 0
        )
        assert [(each.opportunity.id, gate) for each, gate, _ in dead] == [(2, Gate.STALE), (3, Gate.STALE)]
        assert desk.rows("nonce, state") == [(0, "submitted")]


@pytest.mark.parametrize("judged", ["before", "after"])
async def test_a_signer_that_refuses_the_best_stops_the_others_before_they_take_a_nonce(
    tmp_path: Path, judged: str
) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at, desk.signer.fault = 0, SignerRefused("the signer refuses: too much gas")
        if judged == "after":
            begun = set[int]()

            def is_simulated(number: int) -> bool:
                begun.add(number)
                return number == 1 or desk.pipeline.fault is not None

            desk.simulated_when = is_simulated
            desk.signer.answers_when = lambda: 2 in begun
        else:
            desk.signer.answers_when = lambda: desk.report.simulated == 2
        dead = await desk.take(1, 2, head=HEAD)
        assert [(number, gate) for number, gate, _ in dead] == [(1, Gate.SIGNER), (2, Gate.SIGNER)]
        assert desk.rows("nonce, state") == [(0, "released")]


async def test_a_signer_that_takes_several_is_asked_once_for_a_wave(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST, signer=FakeBatchSigner()) as desk:
        assert await desk.take(1, 2, 3, head=HEAD) == []
        assert [each.unsigned.nonce for each in desk.chain.submitted] == [0, 1, 2]
        assert isinstance(desk.signer, FakeBatchSigner)
        assert desk.signer.messages == [1, 2]


async def test_a_message_without_an_answer_leaves_all_in_it_reserved(tmp_path: Path) -> None:
    """Whether the signer has signed them, and keeps their nonces for that, nobody can say."""
    async with trading(tmp_path, first=FIRST, signer=FakeBatchSigner()) as desk:
        desk.signer.fails_at = 2
        dead = await desk.take(1, 2, 3, head=HEAD)
        assert [number for number, _, _ in dead] == [2, 3]
        assert desk.rows("nonce, state") == [(0, "submitted"), (1, "reserved"), (2, "reserved")]
        assert await desk.ledger.next_nonce(31337, desk.signer.account) == 3


async def test_a_transaction_covers_its_gas_and_every_base_fee_up_to_its_deadline(tmp_path: Path) -> None:
    """Two blocks may each raise a base fee of 10 by an eighth: 12.65, and the tip of 1."""
    async with trading(tmp_path, first=FIRST) as desk:
        await desk.take(1, head=HEAD)
        (sent,) = desk.chain.submitted
        assert sent.unsigned.gas_limit == GAS_LIMIT
        assert (sent.unsigned.max_fee_wei, sent.unsigned.max_priority_fee_wei) == (12 + 1, 1)


async def test_a_newer_block_stops_everything_before_the_signature(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.stale = True
        dead = await desk.take(1, 2, head=HEAD)
        assert [(number, gate) for number, gate, _ in dead] == [(1, Gate.STALE), (2, Gate.STALE)]
        assert desk.rows("nonce") == []
        assert desk.signer.signed == []


async def test_paper_ends_before_anything_is_written_or_signed(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST, paper=True) as desk:
        ((_, gate, reason),) = await desk.take(1, head=HEAD)
        assert (gate, reason) == (Gate.PAPER, "paper mode: not signed, not sent")
        assert desk.report.simulated == 1
        assert desk.rows("nonce") == []


@pytest.mark.parametrize(
    ("answer", "gate", "says"),
    [
        (simulation(HEAD, 0, success=False, reason="too late"), Gate.SIMULATION, "the EVM reverts: too late"),
        (simulation(HEAD, 499), Gate.SIMULATION, "the EVM says profit 499, detection said 500"),
        (ChainError("no answer"), Gate.SIMULATION, "the node did not say what it needs: no answer"),
    ],
)
async def test_the_evm_has_the_last_word(answer: object, gate: Gate, says: str, tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.simulation = answer  # type: ignore[assignment]
        assert await desk.take(1, head=HEAD) == [(1, gate, says)]
        assert desk.rows("nonce") == []


async def test_an_opportunity_that_makes_no_plan_stops_alone(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.unplannable = {1}
        assert await desk.take(1, 2, head=HEAD) == [(1, Gate.REFUSED, "has amounts that do not join")]
        assert desk.rows("nonce, state") == [(0, "submitted")]


async def test_a_profit_below_its_gas_is_left(tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.native = 1.0
        ((_, gate, reason),) = await desk.take(1, head=HEAD)
        assert (gate, reason) == (Gate.GAS, f"gas of {GAS_USED * 11} wei is above the profit of 500 wei")


async def test_limits_hold_and_what_waits_counts(tmp_path: Path) -> None:
    """Five are offered where four may wait."""
    async with trading(tmp_path, first=FIRST) as desk:
        ((number, gate, reason),) = await desk.take(1, 2, 3, 4, 5, head=HEAD)
        assert (number, gate) == (5, Gate.LIMIT)
        assert reason == f"4 transactions are under way, the limit is {LIMITS.max_pending}"


@pytest.mark.parametrize(
    ("most", "says"),
    [
        ({"test": GAS_LIMIT, "another": 1}, ""),
        ({"test": GAS_LIMIT - 1}, f"gas limit {GAS_LIMIT} is above max_gas {GAS_LIMIT - 1} of test"),
    ],
)
async def test_a_strategy_keeps_to_its_own_gas(most: dict[str, int], says: str, tmp_path: Path) -> None:
    async with trading(tmp_path, first=FIRST) as desk:
        desk.pipeline._terms = msgspec.structs.replace(desk.pipeline._terms, max_gas=most)
        assert await desk.take(1, head=HEAD) == ([(1, Gate.LIMIT, says)] if says else [])
        assert len(desk.chain.submitted) == (not says)


async def test_a_refusal_of_the_signer_gives_every_unsigned_nonce_back(tmp_path: Path) -> None:
    """It signed nothing for them, so the nonces are free for others; trading stops."""
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at, desk.signer.fault = 1, SignerRefused("the signer refuses: too much gas")
        dead = await desk.take(1, 2, 3, head=HEAD)
        assert [(number, gate) for number, gate, _ in dead] == [(2, Gate.SIGNER), (3, Gate.SIGNER)]
        assert desk.rows("nonce, state") == [(0, "submitted"), (1, "released"), (2, "released")]
        assert await desk.ledger.next_nonce(31337, desk.signer.account) == 1
        assert desk.desk.halted == "the signer refuses: too much gas"
        assert desk.pipeline.fault is desk.signer.fault
        ((_, gate, reason),) = await desk.take(4, head=HEAD)
        assert (gate, reason) == (Gate.LIMIT, "trading is halted: the signer refuses: too much gas")


async def test_a_signer_that_dies_keeps_the_nonce_that_it_may_have_signed(tmp_path: Path) -> None:
    """The first request without an answer stays reserved for its content; the others are given back."""
    async with trading(tmp_path, first=FIRST) as desk:
        desk.signer.fails_at = 1
        dead = await desk.take(1, 2, 3, head=HEAD)
        assert [number for number, _, _ in dead] == [2, 3]
        assert desk.rows("nonce, state") == [(0, "submitted"), (1, "reserved"), (2, "released")]
        assert await desk.ledger.next_nonce(31337, desk.signer.account) == 2
        assert desk.desk.halted == "the signer is gone"


async def test_a_node_that_does_not_take_a_transaction_leaves_it_to_settlement(tmp_path: Path) -> None:
    """The bytes exist and the nonce is spent: it stays under way, and may land all the same."""
    async with trading(tmp_path, first=FIRST) as desk:
        desk.chain.fault = ChainError("busy")
        assert await desk.take(1, head=HEAD) == []
        assert desk.rows("state") == [("signed",)]
        desk.chain.fault = None
        desk.chain.include(desk.sent(1), BLOCKS[2], gain=500)
        await desk.outcomes.settle(BLOCKS[2])
        assert desk.report.landed == 1
        # Nobody knows when the node took it, so its times end at the signature.
        assert "signed" in desk.report.times.summary_us()
        assert not {"submitted", "included", TOTAL} & set(desk.report.times.summary_us())
