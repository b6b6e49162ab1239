"""The SQLite file behind the ledger: every statement of ours is here.

Layer: ledger. Synchronous; one thread at a time.

Guarantees
- `reserve` returns only after the intents are on disk (the write-ahead log is synced): kill -9 or power
  loss after it cannot forget a nonce. All other writes survive kill -9 of the process and are
  repaired from the chain after power loss, so they need not wait for the disk.
- One nonce, one transaction: a unique index, not a convention.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

import msgspec

from tallyio.ledger.records import (
    Death,
    Finding,
    Funnel,
    Intent,
    Mode,
    NewIntent,
    Settlement,
)
from tallyio.ledger.rows import finding_row, intent_of, pack, read_bytes
from tallyio.ledger.schema import SCHEMA, VERSION
from tallyio.model.errors import EnvironmentFault, UnsafeRefused
from tallyio.model.execution import SignedTransaction
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash, hex_text

RECORDS_PER_CHECKPOINT: Final = 32
"""Blocks with opportunities between two moves of the write-ahead log into the database."""

LOG_BYTES: Final = 8 << 20
"""How long the log is from the start: twice what so many blocks of one or two transactions write."""


class Journal:
    """An open ledger file; use it as a context manager.

    Raises: sqlite3.Error, OSError: the disk refuses; inside of `faults_told` they are EnvironmentFault.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = _connect(path)
            self._prepare()
            self._log: int | None = None
            self._recorded = 0
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentFault(
                f"the ledger {path} cannot be opened: {error}",
                way_out="check the folder's permissions and free space, or set [run] data_dir",
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._log is not None:
            os.close(self._log)
        self._db.close()

    @contextmanager
    def faults_told(self) -> Iterator[None]:
        """Say in words that the disk refuses what is done inside. Raises: EnvironmentFault."""
        try:
            yield
        except (OSError, sqlite3.Error) as error:
            raise EnvironmentFault(
                f"the ledger {self._path} cannot be read or written: {error}",
                way_out="make room on the disk, or have it checked, and start again;"
                " what is open is taken over first",
            ) from error

    # --- runs

    def begin_run(self, *, mode: Mode, chain_id: int, account: Address, record: dict[str, object]) -> int:
        """Start a run; return its id."""
        row = self._db.execute(
            "INSERT INTO runs (started_at, mode, chain_id, account, record) VALUES (?, ?, ?, ?, ?)",
            (_now(), mode, chain_id, hex_text(account), msgspec.json.encode(record).decode()),
        )
        self._open_log()
        return int(row.lastrowid or 0)

    def end_run(self, run: int, outcome: str) -> None:
        """Note how a run ended."""
        self._db.execute("UPDATE runs SET ended_at = ?, outcome = ? WHERE id = ?", (_now(), outcome, run))

    # --- opportunities

    def record(self, run: int, findings: Iterable[Finding]) -> None:
        """Write or overwrite what is known of these opportunities."""
        with _transaction(self._db):
            self._db.executemany(
                "INSERT OR REPLACE INTO opportunities VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
                [finding_row(run, finding) for finding in findings],
            )
        # Here nobody waits; a commit that somebody waits for moves nothing (`_connect`).
        self._recorded += 1
        if self._recorded % RECORDS_PER_CHECKPOINT == 0:
            self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def kill(self, run: int, opportunity: int, gate: Gate, reason: str) -> None:
        """Note what stopped an opportunity that was recorded alive."""
        self._db.execute(
            "UPDATE opportunities SET gate = ?, reason = ? WHERE run = ? AND id = ?",
            (gate.value, reason, run, opportunity),
        )

    # --- intents

    def reserve(self, run: int, account: Address, intents: Sequence[NewIntent]) -> list[int]:
        """Make the intents durable, all or none, before anything is signed; return their ids.

        Raises: UnsafeRefused: a nonce already belongs to another transaction. When the disk refuses, intents
        that it may hold all the same are taken over by the next start.
        """
        assert self._log is not None, "begin_run() first"  # noqa: S101 - a wrong call, not bad data
        try:
            with _transaction(self._db):
                numbers = [self._reserve(run, account, intent) for intent in intents]
            os.fdatasync(self._log)
        except sqlite3.IntegrityError:
            nonces = ", ".join(str(intent.unsigned.nonce) for intent in intents)
            raise UnsafeRefused(
                f"a nonce among {nonces} of {hex_text(account)} already belongs to another transaction",
                way_out="is a second instance using this key? stop it, then start again",
            ) from None
        return numbers

    def signed(self, transactions: Mapping[int, SignedTransaction]) -> None:
        """Keep the signed bytes, by intent; call this before they leave the machine."""
        with _transaction(self._db):
            self._db.executemany(
                "UPDATE intents SET state = 'signed', raw = ?, hash = ? WHERE id = ?",
                [(each.raw, hex_text(each.hash), intent) for intent, each in transactions.items()],
            )

    def submitted(self, intents: Iterable[int]) -> None:
        """Note that a node took the transactions."""
        with _transaction(self._db):
            self._db.executemany(
                "UPDATE intents SET state = 'submitted' WHERE id = ? AND state = 'signed'",
                [(intent,) for intent in intents],
            )

    def release(self, intents: Iterable[int]) -> None:
        """Give nonces back that were reserved but never signed, all or none.

        A gap below one that is still taken would look to the next start like a nonce that has settled.
        """
        with _transaction(self._db):
            self._db.executemany(
                "UPDATE intents SET state = 'released' WHERE id = ? AND state = 'reserved'",
                [(intent,) for intent in intents],
            )

    def settle(self, intent: int, outcome: Settlement) -> None:
        """Note the outcome that a block holds; with success, no gate stopped its opportunity after all."""
        with _transaction(self._db):
            self._db.execute(
                "UPDATE intents SET state = 'settled', block_number = ?, block_hash = ?, success = ?,"
                " gas_used = ?, gas_price_wei = ?, realised = ? WHERE id = ?",
                (
                    outcome.block_number,
                    hex_text(outcome.block_hash),
                    int(outcome.success),
                    outcome.gas_used,
                    str(outcome.gas_price_wei),
                    str(outcome.realised),
                    intent,
                ),
            )
            if outcome.success:
                self._db.execute(
                    "UPDATE opportunities SET gate = NULL, reason = NULL"
                    " WHERE (run, id) = (SELECT run, opportunity FROM intents WHERE id = ?)",
                    (intent,),
                )

    def gains(self, account: Address, block_hash: Hash) -> list[tuple[Address, int]]:
        """Return the token and the profit of each transaction of `account` that has settled in a block."""
        rows = self._db.execute(
            "SELECT token, realised FROM intents WHERE account = ? AND block_hash = ?",
            (hex_text(account), hex_text(block_hash)),
        )
        return [(Address(read_bytes(token)), int(realised)) for token, realised in rows]

    def replaced(self, intent: int) -> None:
        """Note that another transaction has the nonce: settled, and no block will ever hold it."""
        self._db.execute("UPDATE intents SET state = 'settled' WHERE id = ?", (intent,))

    def unsettle(self, block_hash: Hash) -> list[int]:
        """Undo the settlements of a block that left the chain; return the intents concerned."""
        rows = self._db.execute(
            "UPDATE intents SET state = 'submitted', block_number = NULL, block_hash = NULL, success = NULL,"
            " gas_used = NULL, gas_price_wei = NULL, realised = NULL WHERE block_hash = ? RETURNING id",
            (hex_text(block_hash),),
        )
        return [row[0] for row in rows]

    def open_intents(self, chain_id: int, account: Address) -> list[Intent]:
        """Return the intents whose outcome is unknown, by nonce: what a restart has to settle first."""
        rows = self._db.execute(
            "SELECT id, run, opportunity, token, predicted, unsigned, state, deadline_block, raw, hash"
            " FROM intents WHERE state NOT IN ('settled', 'released') AND chain_id = ? AND account = ?"
            " ORDER BY nonce",
            (chain_id, hex_text(account)),
        )
        return [intent_of(account, row) for row in rows]

    def next_nonce(self, chain_id: int, account: Address) -> int:
        """Return the first nonce after all that are taken here (0 if none is)."""
        row = self._db.execute(
            "SELECT max(nonce) FROM intents WHERE state <> 'released' AND chain_id = ? AND account = ?",
            (chain_id, hex_text(account)),
        ).fetchone()
        return 0 if row[0] is None else int(row[0]) + 1

    # --- questions

    def last_run(self) -> int | None:
        """Return the id of the latest run, or None."""
        row = self._db.execute("SELECT max(id) FROM runs").fetchone()
        return None if row[0] is None else int(row[0])

    def has_run(self, run: int) -> bool:
        """Return whether there is a run of that number."""
        return self._db.execute("SELECT 1 FROM runs WHERE id = ?", (run,)).fetchone() is not None

    def funnel(self, run: int) -> Funnel:
        """Return how far the opportunities of `run` came, and what stopped the others."""
        mode = self._db.execute("SELECT mode FROM runs WHERE id = ?", (run,)).fetchone()[0]
        seen, priced, simulated = self._db.execute(
            "SELECT count(*), count(CASE WHEN gate IS NOT 'gas' THEN 1 END), count(simulated)"
            " FROM opportunities WHERE run = ?",
            (run,),
        ).fetchone()
        signed, landed = self._db.execute(
            "SELECT count(raw), count(CASE WHEN success = 1 THEN 1 END) FROM intents WHERE run = ?", (run,)
        ).fetchone()
        deaths = self._db.execute(
            "SELECT gate, min(reason), count(*) FROM opportunities WHERE run = ? AND gate IS NOT NULL"
            " GROUP BY gate ORDER BY count(*) DESC, gate",
            (run,),
        )
        return Funnel(
            run=run,
            mode=mode,
            seen=seen,
            priced=priced,
            simulated=simulated,
            signed=signed,
            landed=landed,
            deaths=tuple(Death(gate=Gate(gate), reason=reason, count=n) for gate, reason, n in deaths),
        )

    def latest(self, run: int, count: int) -> list[dict[str, object]]:
        """Return the last `count` opportunities of `run` with their fate, oldest first."""
        rows = self._db.execute(
            "SELECT o.id, o.block_number, o.strategy, o.path, o.token, o.predicted, o.simulated, i.realised,"
            " o.gate, o.reason, i.hash, i.nonce FROM opportunities o"
            " LEFT JOIN intents i ON i.run = o.run AND i.opportunity = o.id AND i.state <> 'released'"
            " WHERE o.run = ? ORDER BY o.id DESC LIMIT ?",
            (run, count),
        )
        names = [column[0] for column in rows.description]
        return [dict(zip(names, row, strict=True)) for row in reversed(rows.fetchall())]

    # --- inside

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode=WAL")
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == VERSION:
            return
        if version != 0:
            raise EnvironmentFault(
                f"the ledger {self._path} has format {version}, this TallyIO writes {VERSION}",
                way_out="use the TallyIO that wrote it, or set another [run] data_dir",
            )
        with _transaction(self._db):
            for statement in SCHEMA.split(";\n"):
                if statement.strip():
                    self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version={VERSION}")

    def _open_log(self) -> None:
        """Open the write-ahead log, which exists now, and make its length and its name durable."""
        if self._log is None:
            self._log = os.open(f"{self._path}-wal", os.O_RDWR | os.O_CLOEXEC)
            _lengthen(self._log)
            _sync_folder(self._path.parent)

    def _reserve(self, run: int, account: Address, intent: NewIntent) -> int:
        row = self._db.execute(
            "INSERT INTO intents (run, opportunity, chain_id, account, nonce, signing_hash, token,"
            " predicted, unsigned, deadline_block, state) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'reserved')",
            (
                run,
                intent.opportunity,
                intent.unsigned.chain_id,
                hex_text(account),
                intent.unsigned.nonce,
                hex_text(intent.signing_hash),
                hex_text(intent.token),
                str(intent.predicted),
                pack(intent.unsigned),
                intent.deadline_block,
            ),
        )
        return int(row.lastrowid or 0)


def _lengthen(log: int) -> None:
    """Fill `log` with zeros up to `LOG_BYTES`, durably.

    SQLite begins the log anew after a checkpoint and keeps its length, and takes zeros for its end. So a
    commit overwrites what the file has already: to sync that, the file system need not write its own journal,
    and with it what everybody else has written.
    """
    length = os.fstat(log).st_size
    if length < LOG_BYTES:
        os.pwrite(log, bytes(LOG_BYTES - length), length)
        os.fsync(log)


def _sync_folder(path: Path) -> None:
    folder = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _connect(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA synchronous=NORMAL")
    db.execute("PRAGMA wal_autocheckpoint=0")
    db.execute("PRAGMA foreign_keys=ON")
    return db


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # where the disk is full, SQLite itself may have ended it
            db.execute("ROLLBACK")
        raise


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
