"""The ledger as Trio tasks use it: one call at a time, in call order, mostly in a worker thread.

Layer: ledger.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import trio

from tallyio.ledger.journal import Journal
from tallyio.ledger.records import Finding, Intent, Mode, NewIntent, Settlement
from tallyio.model.errors import EnvironmentFault
from tallyio.model.execution import SignedTransaction
from tallyio.model.stages import Gate
from tallyio.model.units import Address, Hash

LEDGER_FILE = "ledger.sqlite"


class Ledger:
    """Writes what happens, durably where money depends on it; see `Journal` for the guarantees.

    A call that has begun runs to its end even when its task is cancelled: a nonce is never
    reserved on disk and unknown in memory because somebody pressed Ctrl-C in between.

    Every call raises EnvironmentFault when the disk refuses.
    """

    def __init__(self, journal: Journal, run: int) -> None:
        self._journal = journal
        self._one_at_a_time = trio.CapacityLimiter(1)
        self.run = run

    async def record(self, findings: Iterable[Finding]) -> None:
        """Write or overwrite what is known of these opportunities."""
        await self._do(partial(self._journal.record, self.run, tuple(findings)))

    async def kill(self, opportunity: int, gate: Gate, reason: str, *, run: int) -> None:
        """Note what stopped an opportunity of this run or an earlier one."""
        await self._do(partial(self._journal.kill, run, opportunity, gate, reason))

    async def reserve(self, account: Address, intents: Sequence[NewIntent]) -> list[int]:
        """Make the intents durable before anything is signed. Raises as `Journal.reserve`."""
        return await self._do_here(partial(self._journal.reserve, self.run, account, intents))

    async def signed(self, transactions: Mapping[int, SignedTransaction]) -> None:
        """Keep the signed bytes, by intent, before they leave the machine."""
        await self._do_here(partial(self._journal.signed, transactions))

    async def submitted(self, intents: Iterable[int]) -> None:
        """Note that a node took the transactions."""
        await self._do_here(partial(self._journal.submitted, intents))

    async def release(self, intents: Iterable[int]) -> None:
        """Give back nonces that were never signed, all or none."""
        await self._do(partial(self._journal.release, tuple(intents)))

    async def settle(self, intent: int, outcome: Settlement) -> None:
        """Note the outcome that a block holds."""
        await self._do(partial(self._journal.settle, intent, outcome))

    async def gains(self, account: Address, block_hash: Hash) -> list[tuple[Address, int]]:
        """Return what each transaction of `account` that has settled in a block earned, with its token."""
        return await self._do(partial(self._journal.gains, account, block_hash))

    async def replaced(self, intent: int) -> None:
        """Note that another transaction has the nonce."""
        await self._do(partial(self._journal.replaced, intent))

    async def unsettle(self, block_hash: Hash) -> list[int]:
        """Undo the settlements of a block that left the chain."""
        return await self._do(partial(self._journal.unsettle, block_hash))

    async def open_intents(self, chain_id: int, account: Address) -> list[Intent]:
        """Return the intents whose outcome is unknown, by nonce."""
        return await self._do(partial(self._journal.open_intents, chain_id, account))

    async def next_nonce(self, chain_id: int, account: Address) -> int:
        """Return the first nonce after all that are taken here."""
        return await self._do(partial(self._journal.next_nonce, chain_id, account))

    async def _do_here[R](self, work: Callable[[], R]) -> R:
        """Do `work` in the calling thread: what somebody waits for on the way to the chain.

        The way to another thread and back takes longer than to write a row, and as long as the disk.
        """
        turn = self._one_at_a_time
        try:
            turn.acquire_nowait()  # no round of the loop before what somebody waits for is written
        except trio.WouldBlock:
            with trio.CancelScope(shield=True):
                await turn.acquire()
        try:
            with self._journal.faults_told():
                return work()
        finally:
            turn.release()

    async def _do[R](self, work: Callable[[], R]) -> R:
        # `run_sync` waits for its thread even when cancelled; the shield covers the wait for a turn.
        with trio.CancelScope(shield=True), self._journal.faults_told():
            result = await trio.to_thread.run_sync(work, limiter=self._one_at_a_time)
        return result  # noqa: RET504 - mypy takes a `with` for one that may swallow


@asynccontextmanager
async def open_ledger(
    data_dir: Path, *, mode: Mode, chain_id: int, account: Address, record: dict[str, object]
) -> AsyncIterator[Ledger]:
    """Open (or create) the ledger in `data_dir`, begin a run, and note how the run ends.

    Raises: EnvironmentFault: the disk refuses.
    """
    with Journal(data_dir / LEDGER_FILE) as journal:
        with journal.faults_told():
            run = journal.begin_run(mode=mode, chain_id=chain_id, account=account, record=record)
        try:
            yield Ledger(journal, run)
        except BaseException as error:
            outcome = "stopped" if isinstance(error, trio.Cancelled) else f"failed: {error}"
            with suppress(EnvironmentFault), journal.faults_told():  # why the run ended goes before this
                journal.end_run(run, outcome)
            raise
        with journal.faults_told():
            journal.end_run(run, "ended")
