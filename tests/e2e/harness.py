"""A bot on a lab: an account, its executor, its configuration, and the `tallyio` processes that run it."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import trio

from tallyio.engine.executor import deployment
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.kernel.resources import data_path
from tallyio.lab import Lab
from tallyio.model.erc20 import balance_of
from tallyio.model.units import Address, checksum, hex_text

TALLYIO = [sys.executable, "-c", "import sys; from tallyio.cli import main; sys.exit(main())"]
"""The installed command, whatever the environment is called."""

POLL_S = 0.02
PATIENCE_S = 300.0
"""For what may first have to be compiled; a test that waits this long has failed."""
MOST_STEPS = 40
UNHURRIED = "deadline_s = 30.0"
"""For answers: a busy machine is not the fault that these tests are about."""
GAS_MONEY_WEI = 10**20


class Ended(NamedTuple):
    """What a finished process left."""

    code: int
    out: str
    err: str

    @property
    def error(self) -> dict[str, Any]:
        """The error object of `--json`."""
        error: dict[str, Any] = json.loads(self.out)["error"]
        return error

    @property
    def complaint(self) -> str:
        """The one message on standard error, progress and warnings left out."""
        lines = self.err.splitlines()
        start = next(number for number, line in enumerate(lines) if line.startswith("tallyio: "))
        return "\n".join(lines[start:])


class Running:
    """A `tallyio` process under way. `said` is its standard error so far."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._texts = {"out": "", "err": ""}
        self._heard_all = trio.Event()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def said(self) -> str:
        """Standard error so far."""
        return self._texts["err"]

    @property
    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    async def wait_said(self, text: str) -> None:
        """Wait until standard error holds `text`."""
        with trio.fail_after(PATIENCE_S):
            while text not in self.said:
                assert not self.ended, f"ended without saying {text!r}:\n{self.said}"
                await trio.sleep(POLL_S)

    async def wait(self) -> Ended:
        """Wait for the end."""
        with trio.fail_after(PATIENCE_S):
            code = await self._process.wait()
            await self._heard_all.wait()
        return Ended(code, self._texts["out"], self._texts["err"])

    async def stop(self) -> Ended:
        """Ask it to stop, as a service manager would, and wait."""
        self._process.send_signal(signal.SIGTERM)
        return await self.wait()

    async def kill(self) -> None:
        """End it at once, as a crash would."""
        if not self.ended:
            self._process.kill()
        await self._process.wait()

    def children(self) -> list[int]:
        """Return the ids of the processes that it started and that run."""
        tasks = Path(f"/proc/{self.pid}/task").glob("*/children")
        return [int(word) for task in tasks for word in task.read_text().split()]

    async def listen(self) -> None:
        """Collect what it says until its end."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._collect, self._process.stdout, "out")
            nursery.start_soon(self._collect, self._process.stderr, "err")
        self._heard_all.set()

    async def _collect(self, stream: trio.abc.ReceiveStream | None, name: str) -> None:
        assert stream is not None
        async for data in stream:
            self._texts[name] += data.decode()


@asynccontextmanager
async def running(*words: object, env: Mapping[str, str] | None = None) -> AsyncIterator[Running]:
    """Run `tallyio WORDS`; kill it at the end if it still runs."""
    command = [*TALLYIO, *map(str, words)]
    process = await trio.lowlevel.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    run = Running(process)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(run.listen)
        try:
            yield run
        finally:
            with trio.CancelScope(shield=True):
                await run.kill()


async def tallyio(*words: object, env: Mapping[str, str] | None = None) -> Ended:
    """Run `tallyio WORDS` to its end."""
    async with running(*words, env=env) as run:
        return await run.wait()


class Bot:
    """An account with an executor on `lab`, and a configuration in `folder` that fits both."""

    def __init__(self, lab: Lab, folder: Path, account: Address, executor: Address) -> None:
        self.lab = lab
        self.folder = folder
        self.account = account
        self.executor = executor
        self.keystore = folder / "key.json"
        self.password = folder / "password"
        self.data_dir = folder / "data"
        self.config = folder / "tallyio.toml"
        self.write()

    def text(self, **facts: str) -> str:
        """Return the demo's configuration with the facts of this bot, or `facts` instead."""
        known = {
            **self.lab.world.variables,
            "keys": str(self.folder),
            "data_dir": str(self.data_dir),
            "executor": checksum(self.executor),
            "account": checksum(self.account),
        }
        source = data_path("examples") / "demo" / "tallyio.toml"
        text = Template(source.read_text()).substitute({**known, **facts})
        for table in ("[chains.lab]", "[signers.lab]"):
            text = text.replace(table, f"{table}\n{UNHURRIED}")
        return text

    def write(self, text: str = "", **facts: str) -> Path:
        """Write the configuration: `text`, or the demo's with `facts`."""
        self.config.write_text(text or self.text(**facts))
        return self.config

    def live(self, *words: object) -> tuple[object, ...]:
        """Return the words that run it live."""
        return ("run", self.config, "--live", *words)

    # --- what happened

    @property
    def has_ledger(self) -> bool:
        """Whether a run began."""
        return (self.data_dir / "ledger.sqlite").exists()

    @property
    def has_signer(self) -> bool:
        """Whether a signer ever opened the key."""
        return self._nonces.exists()

    @property
    def _nonces(self) -> Path:
        return self.folder / "key.json.nonces"

    def rows(self, question: str, *values: object) -> list[Any]:
        """Return what the ledger answers to an SQL question."""
        with closing(sqlite3.connect(f"file:{self.data_dir}/ledger.sqlite?mode=ro", uri=True)) as db:
            return db.execute(question, values).fetchall()

    def landed(self) -> int:
        """Return how many transactions the ledger knows to have paid."""
        if not self.has_ledger:
            return 0
        return int(self.rows("SELECT count(*) FROM intents WHERE success = 1")[0][0])

    def open_intents(self) -> int:
        """Return how many transactions the ledger calls under way."""
        return int(self.rows("SELECT count(*) FROM intents WHERE state NOT IN ('settled', 'released')")[0][0])

    async def trade(self, run: Running, *, landed: int) -> None:
        """Let the world go on until `landed` more transactions of ours have paid."""
        wanted = self.landed() + landed
        for _ in range(MOST_STEPS):
            await self.step(run)
            assert not run.ended, run.said
            if self.landed() >= wanted:
                return
        raise AssertionError(f"only {self.landed()} of {wanted} landed:\n{run.said}")

    async def step(self, run: Running) -> None:
        """Mine a block with traders, then wait until the bot has sent something, or plainly sends nothing."""
        await self.lab.step()
        with trio.move_on_after(0.5):
            while not run.ended and not await self.waiting():  # noqa: ASYNC110 - another process decides
                await trio.sleep(POLL_S)

    async def waiting(self) -> int:
        """Return how many transactions wait in the node."""
        return int((await self.lab.rpc("txpool_status"))["pending"], 16)

    # --- the chain's side

    async def mined(self) -> list[dict[str, Any]]:
        """Return the receipts of all transactions of the account on the chain, in order."""
        head = int((await self.lab.head())["number"], 16)
        blocks = [await self.lab.rpc("eth_getBlockReceipts", hex(number)) for number in range(head + 1)]
        return [each for block in blocks for each in block if each["from"] == hex_text(self.account)]

    async def balances(self) -> dict[str, int]:
        """Return what the account holds of each token, by the token's address as text."""
        held = {
            hex_text(token.address): int.from_bytes(
                await self.lab.call(balance_of(token.address, self.account))
            )
            for token in self.lab.world.tokens.values()
        }
        return {token: amount for token, amount in held.items() if amount}

    async def check_books(self) -> None:
        """Assert that ledger and chain tell the same story, and that no nonce was used twice.

        One transaction per nonce, each written down before it was signed, the mined ones settled as
        the chain has them, and their profits the account's whole balance.
        """
        self.check_signatures()
        kept = self.rows("SELECT nonce, hash, block_hash, success, gas_used, realised, token FROM intents")
        settled = {row[0]: row for row in kept if row[2] is not None}
        mined = await self.mined()
        assert sorted(settled) == list(range(len(mined)))
        earned: dict[str, int] = {}
        for nonce, receipt in enumerate(mined):
            _, digest, block, success, gas_used, realised, token = settled[nonce]
            assert digest == receipt["transactionHash"]
            assert block == receipt["blockHash"]
            assert (success, gas_used) == (int(receipt["status"], 16), int(receipt["gasUsed"], 16))
            earned[token] = earned.get(token, 0) + int(realised)
        assert {token: amount for token, amount in earned.items() if amount} == await self.balances()

    def check_signatures(self) -> None:
        """Assert that whatever the signer signed was written down before, once per nonce."""
        lines = [line.split() for line in self._nonces.read_text().splitlines()]
        signed = {int(nonce): f"0x{digest}" for _, nonce, digest in lines}
        assert len(signed) == len(lines)
        kept = dict(self.rows("SELECT nonce, signing_hash FROM intents WHERE state <> 'released'"))
        assert signed.items() <= kept.items()
        raws = self.rows("SELECT nonce, count(DISTINCT raw) FROM intents GROUP BY nonce")
        assert all(count <= 1 for _, count in raws)


async def make_bot(lab: Lab, folder: Path) -> Bot:
    """Make a key in a process of its own, fund its account, and deploy its executor."""
    settings = {
        "keystore": str(folder / "key.json"),
        "password_file": str(folder / "password"),
        "scrypt_n": 1_024,
    }
    account = await PluginHost(Catalog.scan()).signer("local_key", settings).create()
    await lab.fund(account, GAS_MONEY_WEI)
    return Bot(lab, folder, account, await lab.deploy(deployment(account)))
