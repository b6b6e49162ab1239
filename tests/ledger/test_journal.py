"""The ledger: durable before signing, one transaction per nonce, every death explained."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tallyio.ledger import journal as module
from tallyio.ledger.journal import LOG_BYTES, Journal
from tallyio.ledger.records import Finding, NewIntent, Settlement
from tallyio.model.errors import EnvironmentFault, UnsafeRefused
from tallyio.model.execution import SignedTransaction, UnsignedTransaction
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash, Wei

ACCOUNT = Address(bytes([7]) * 20)
BLOCK = Hash(bytes([1]) * 32)


def unsigned(nonce: int, value: int = 0) -> UnsignedTransaction:
    return UnsignedTransaction(
        chain_id=31337,
        nonce=nonce,
        max_priority_fee_wei=Wei(1),
        max_fee_wei=Wei(2**70),
        gas_limit=10**6,
        to=Address(bytes(20)),
        value_wei=Wei(value),
        data=b"\x01\x02",
    )


def intent(nonce: int, opportunity: int = 1) -> NewIntent:
    return NewIntent(
        opportunity=opportunity,
        unsigned=unsigned(nonce),
        signing_hash=Hash(bytes([nonce]) * 32),
        token=ACCOUNT,
        predicted=2**200,
        deadline_block=10,
    )


def finding(number: int, **fate: object) -> Finding:
    fields: dict[str, object] = {
        "id": number,
        "strategy": "s",
        "block_number": 5,
        "block_hash": BLOCK,
        "path": "a > b",
        "token": ACCOUNT,
        "amount_in": 10**30,
        "predicted": 2**200,
        "net_wei": 1.5,
    }
    return Finding(**(fields | fate))  # type: ignore[arg-type]


def settlement(*, success: bool) -> Settlement:
    return Settlement(
        block_number=6,
        block_hash=BLOCK,
        success=success,
        gas_used=1,
        gas_price_wei=Wei(1),
        realised=2**200 if success else 0,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "ledger.sqlite") as opened:
        opened.begin_run(mode="live", chain_id=31337, account=ACCOUNT, record={})
        yield opened


def test_a_nonce_belongs_to_one_transaction(journal: Journal) -> None:
    journal.reserve(1, ACCOUNT, [intent(0), intent(1)])
    with pytest.raises(UnsafeRefused, match="a nonce among 2, 1 of 0x0707"):
        journal.reserve(1, ACCOUNT, [intent(2), intent(1)])
    assert journal.next_nonce(31337, ACCOUNT) == 2, "the refused batch left nothing behind"


def test_a_released_nonce_may_be_taken_again(journal: Journal) -> None:
    (number,) = journal.reserve(1, ACCOUNT, [intent(0)])
    journal.release([number])
    assert journal.next_nonce(31337, ACCOUNT) == 0
    journal.reserve(1, ACCOUNT, [intent(0)])


def test_a_signed_nonce_is_never_released(journal: Journal) -> None:
    (number,) = journal.reserve(1, ACCOUNT, [intent(0)])
    signed = SignedTransaction(unsigned=unsigned(0), sender=ACCOUNT, raw=b"raw", hash=BLOCK)
    journal.signed({number: signed})
    journal.release([number])
    assert [(open_.state, open_.raw, open_.hash) for open_ in journal.open_intents(31337, ACCOUNT)] == [
        ("signed", b"raw", BLOCK)
    ]


def test_an_open_intent_comes_back_as_it_was(journal: Journal) -> None:
    journal.reserve(1, ACCOUNT, [intent(3)])
    (found,) = journal.open_intents(31337, ACCOUNT)
    assert found.unsigned == unsigned(3)
    assert (found.state, found.token, found.predicted) == ("reserved", ACCOUNT, 2**200)


def test_settlement_is_undone_when_its_block_leaves_the_chain(journal: Journal) -> None:
    (number,) = journal.reserve(1, ACCOUNT, [intent(0)])
    journal.settle(number, settlement(success=True))
    assert journal.open_intents(31337, ACCOUNT) == []
    assert journal.gains(ACCOUNT, BLOCK) == [(ACCOUNT, 2**200)]
    assert journal.unsettle(BLOCK) == [number]
    assert journal.gains(ACCOUNT, BLOCK) == []
    assert [open_.id for open_ in journal.open_intents(31337, ACCOUNT)] == [number]


def test_an_intent_whose_nonce_another_transaction_has_is_settled_without_a_block(journal: Journal) -> None:
    (number,) = journal.reserve(1, ACCOUNT, [intent(0)])
    journal.replaced(number)
    assert journal.open_intents(31337, ACCOUNT) == []
    assert journal.next_nonce(31337, ACCOUNT) == 1
    assert journal.funnel(1).landed == 0


def test_what_landed_after_all_died_of_nothing(journal: Journal) -> None:
    """Its receipt came late, or a reorg took its revert back."""
    journal.record(1, [finding(1, simulated=1), finding(2, simulated=1)])
    (number, _) = journal.reserve(1, ACCOUNT, [intent(0), intent(1, opportunity=2)])
    for opportunity in (1, 2):
        journal.kill(1, opportunity, Gate.NOT_INCLUDED, "no block took it")
    journal.settle(number, settlement(success=True))
    assert [(death.gate, death.count) for death in journal.funnel(1).deaths] == [(Gate.NOT_INCLUDED, 1)]
    assert [row["gate"] for row in journal.latest(1, 2)] == [None, "not_included"]


def test_the_funnel_counts_each_stage_and_names_each_gate(journal: Journal) -> None:
    journal.record(
        1,
        [
            finding(1, gate=Gate.GAS, reason="gas is dear"),
            finding(2, gate=Gate.SIMULATION, simulated=0, reason="reverted"),
            finding(3, simulated=2**200),
        ],
    )
    (number,) = journal.reserve(1, ACCOUNT, [intent(0, opportunity=3)])
    signed = SignedTransaction(unsigned=unsigned(0), sender=ACCOUNT, raw=b"raw", hash=BLOCK)
    journal.signed({number: signed})
    journal.settle(
        number,
        Settlement(
            block_number=6, block_hash=BLOCK, success=True, gas_used=1, gas_price_wei=Wei(1), realised=5
        ),
    )
    funnel = journal.funnel(1)
    counts = (funnel.seen, funnel.priced, funnel.simulated, funnel.signed, funnel.landed)
    assert counts == (3, 2, 2, 1, 1)
    assert [(death.gate, death.reason) for death in funnel.deaths] == [
        (Gate.GAS, "gas is dear"),
        (Gate.SIMULATION, "reverted"),
    ]
    assert [row["id"] for row in journal.latest(1, 2)] == [2, 3]
    assert journal.latest(1, 1)[0]["realised"] == "5"


def test_amounts_beyond_64_bits_survive(journal: Journal) -> None:
    journal.record(1, [finding(1)])
    assert journal.latest(1, 1)[0]["predicted"] == str(2**200)


def test_a_later_format_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(EnvironmentFault, match="has format 99"):
        Journal(path)


def test_a_ledger_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").mkdir()
    with pytest.raises(EnvironmentFault, match=r"ledger\.sqlite cannot be opened"):
        Journal(tmp_path / "ledger.sqlite")


def test_kill_nine_right_after_reserve_forgets_nothing(tmp_path: Path) -> None:
    """The child dies by SIGKILL the moment `reserve` returns; the intent is there afterwards."""
    program = f"""
        import os, signal, sys
        from pathlib import Path
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from test_journal import ACCOUNT, Journal, intent
        journal = Journal(Path({str(tmp_path / "l.sqlite")!r}))
        run = journal.begin_run(mode="live", chain_id=31337, account=ACCOUNT, record={{}})
        journal.reserve(run, ACCOUNT, [intent(4)])
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=False, env=dict(os.environ))
    assert done.returncode == -signal.SIGKILL
    with Journal(tmp_path / "l.sqlite") as reopened:
        assert [found.unsigned.nonce for found in reopened.open_intents(31337, ACCOUNT)] == [4]


def test_intents_are_written_over_what_the_log_has_already(tmp_path: Path) -> None:
    """Also after the log has moved into the database: it begins again in the same file, as long as before."""
    log = tmp_path / "ledger.sqlite-wal"
    with Journal(tmp_path / "ledger.sqlite") as journal:
        run = journal.begin_run(mode="live", chain_id=31337, account=ACCOUNT, record={})
        for nonce in range(3):
            before = log.read_bytes()
            journal.reserve(run, ACCOUNT, [intent(nonce)])
            after = log.read_bytes()
            assert after != before
            assert len(after) == len(before) == LOG_BYTES
            journal._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def test_the_log_that_is_synced_is_the_one_that_holds_the_intents(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of the sync it is all there; SQLite's own commits sync nothing."""
    synced: list[tuple[int, bool]] = []

    def look(descriptor: int) -> None:
        written = b'"nonce":7' in os.pread(descriptor, LOG_BYTES, 0)
        synced.append((os.fstat(descriptor).st_ino, written))

    monkeypatch.setattr(os, "fdatasync", look)
    journal.reserve(1, ACCOUNT, [intent(7)])
    assert synced == [((tmp_path / "ledger.sqlite-wal").stat().st_ino, True)]


def test_the_log_moves_into_the_database_now_and_then(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where blocks are recorded, and at no commit that somebody waits for."""
    monkeypatch.setattr(module, "RECORDS_PER_CHECKPOINT", 2)
    database = tmp_path / "ledger.sqlite"
    sizes = []
    for number in (1, 2):
        journal.record(1, [finding(10 * number + each) for each in range(9)])
        sizes.append(database.stat().st_size)
    assert sizes[0] < sizes[1]
