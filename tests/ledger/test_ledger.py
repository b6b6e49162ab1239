"""The ledger as tasks use it: a disk that refuses is told in words, whatever was asked."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tallyio.ledger.ledger import Ledger, open_ledger
from tallyio.ledger.records import Settlement
from tallyio.model.errors import ChainError, EnvironmentFault
from tallyio.model.execution import SignedTransaction
from tallyio.model.stages import Gate
from tallyio.model.units import Wei
from tests.ledger.test_journal import ACCOUNT, BLOCK, finding, intent, unsigned

SAYS = r"ledger\.sqlite cannot be read or written: .*; make room on the disk"
OUTCOME = Settlement(
    block_number=6, block_hash=BLOCK, success=True, gas_used=1, gas_price_wei=Wei(1), realised=5
)
SIGNED = SignedTransaction(unsigned=unsigned(0), sender=ACCOUNT, raw=b"raw", hash=BLOCK)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Ledger, sqlite3.Connection]]:
    async with open_ledger(folder, mode="live", chain_id=31337, account=ACCOUNT, record={}) as ledger:
        yield ledger, ledger._journal._db


@pytest.mark.parametrize(
    "write",
    [
        lambda ledger: ledger.record([finding(1)]),
        lambda ledger: ledger.kill(1, Gate.GAS, "gas is dear", run=1),
        lambda ledger: ledger.reserve(ACCOUNT, [intent(1)]),
        lambda ledger: ledger.signed({1: SIGNED}),
        lambda ledger: ledger.submitted([1]),
        lambda ledger: ledger.release([1]),
        lambda ledger: ledger.settle(1, OUTCOME),
        lambda ledger: ledger.unsettle(BLOCK),
    ],
    ids=["record", "kill", "reserve", "signed", "submitted", "release", "settle", "unsettle"],
)
async def test_a_disk_that_refuses_is_told(
    write: Callable[[Ledger], Awaitable[object]], tmp_path: Path
) -> None:
    async with opened(tmp_path) as (ledger, database):
        await ledger.reserve(ACCOUNT, [intent(0)])
        database.execute("PRAGMA query_only=ON")
        with pytest.raises(EnvironmentFault, match=SAYS):
            await write(ledger)
        database.execute("PRAGMA query_only=OFF")
        await write(ledger)


async def test_a_full_disk_leaves_what_it_had_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as (ledger, database):
        await ledger.record([finding(1)])
        (pages,) = database.execute("PRAGMA page_count").fetchone()
        database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(EnvironmentFault, match="database or disk is full"):
            await ledger.record(finding(number) for number in range(2, 200))
        database.execute("PRAGMA max_page_count=100000")
        await ledger.record([finding(200)])
        assert database.execute("SELECT id FROM opportunities").fetchall() == [(1,), (200,)]


async def run_that_ends(folder: Path, fault: Exception | None) -> None:
    """Open a ledger whose disk refuses at the end, which `fault` brings."""
    async with opened(folder) as (_, database):
        database.execute("PRAGMA query_only=ON")
        if fault is not None:
            raise fault


async def test_why_a_run_ended_goes_before_that_the_disk_does_not_keep_it(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="the node is gone"):
        await run_that_ends(tmp_path, ChainError("the node is gone"))
    with pytest.raises(EnvironmentFault, match=SAYS):
        await run_that_ends(tmp_path, None)
    async with opened(tmp_path) as (_, database):
        assert database.execute("SELECT outcome FROM runs").fetchall() == [(None,), (None,), (None,)]
