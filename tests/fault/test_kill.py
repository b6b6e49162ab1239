"""kill -9 of the node, of the signer and of the engine, at any moment of a live run.

TALLYIO_KILL_POINTS=1000 .venv/bin/python -m pytest tests/fault/test_kill.py -k engine --timeout=0
kills the engine as often as that; TALLYIO_KILL_SEED chooses the moments.
"""

from __future__ import annotations

import gzip
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import trio

from tallyio.lab import Lab, open_lab
from tallyio.lab.anvil import HOST, open_anvil
from tallyio.lab.fetch import anvil_path, fetch, silent
from tallyio.lab.node import NodeBackend
from tallyio.lab.rpc import open_rpc
from tests.e2e.harness import MOST_STEPS, POLL_S, Bot, Running, make_bot, running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.node

KILL_POINTS = int(os.environ.get("TALLYIO_KILL_POINTS", "5"))
KILL_SEED = int(os.environ.get("TALLYIO_KILL_SEED", "7"))
LATEST_S = 0.06
"""The engine is killed so long after a block at most; most often while it decides, within milliseconds."""


async def settle(bot: Bot) -> None:
    """Start again, let the world go on until nothing is open, stop, and compare ledger and chain."""
    async with running(*bot.live()) as run:
        await run.wait_said("live: 12 pools")
        for _ in range(MOST_STEPS):
            await bot.lab.mine()
            await trio.sleep(0.1)
            if not bot.open_intents():
                break
        assert not bot.open_intents(), run.said
        ended = await run.stop()
    assert ended.code == 0, ended.err
    await bot.check_books()


def check_kept(bot: Bot) -> None:
    """Assert that the ledger is whole."""
    assert bot.rows("PRAGMA integrity_check") == [("ok",)]


def runs(pid: int) -> bool:
    """Return whether there is a process of that id that has not ended; whoever adopted it may not bury it."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


# --- the node


async def test_a_node_that_dies_for_good_ends_the_run_in_order(tmp_path: Path) -> None:
    """One message that says so, exit code 4, and a ledger that knows what is open."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        bot.write(bot.text().replace("patience_s = 5.0", "patience_s = 0.5"))
        async with running(*bot.live()) as run:
            await run.wait_said("live: 12 pools")
            await bot.trade(run, landed=2)
            await bot.step(run)
            signer = run.children()
            await lab.kill()
            ended = await run.wait()
    assert ended.code == 4
    assert "was lost for 0.5 s" in ended.complaint
    assert "way out: start or check the node" in ended.complaint
    assert ended.err.count("tallyio: ") == 1
    assert "Traceback" not in ended.err
    assert not any(map(runs, signer))
    check_kept(bot)
    assert bot.landed() >= 2
    ((outcome,),) = bot.rows("SELECT outcome FROM runs")
    assert "was lost for" in outcome


@asynccontextmanager
async def reborn(lab: Lab, state: bytes, folder: Path) -> AsyncIterator[Lab]:
    """Run a new node at the address of a dead one, with its blocks and states."""
    kept, program = folder / "state.json", folder / "node"
    kept.write_bytes(state)
    program.write_text(f'#!/bin/sh\nexec {anvil_path(await fetch(silent))} "$@" --load-state {kept}\n')
    program.chmod(0o700)
    async with open_anvil(program, lab._anvil.port) as anvil, open_rpc(HOST, anvil.port) as rpc:
        yield Lab(anvil, NodeBackend(rpc), lab.world, lab.seed)


async def test_a_node_that_comes_back_is_traded_on_again(tmp_path: Path) -> None:
    """It lost what waited in it: that is sent again, the run goes on, and the books stay exact."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        async with running(*bot.live()) as run:
            await run.wait_said("live: 12 pools")
            await bot.trade(run, landed=2)
            assert await bot.waiting()
            state: str = await lab.rpc("anvil_dumpState", True)  # with the states of earlier blocks
            await lab.kill()
            async with reborn(lab, gzip.decompress(bytes.fromhex(state[2:])), tmp_path) as bot.lab:
                await bot.trade(run, landed=3)
                ended = await run.stop()
                assert ended.code == 0, ended.err
                assert "Traceback" not in ended.err
                await settle(bot)


# --- the signer


async def test_a_signer_that_dies_ends_trading_and_no_nonce_is_used_twice(tmp_path: Path) -> None:
    """What was sent settles, then the run ends with the reason; the next start goes on cleanly."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        async with running(*bot.live()) as run:
            await run.wait_said("live: 12 pools")
            await bot.trade(run, landed=2)
            (signer,) = run.children()
            os.kill(signer, signal.SIGKILL)
            await end(bot, run)
            ended = await run.wait()
        assert ended.code == 4
        assert "✗ trading halted: the signer process ended with exit code -9" in ended.err
        assert ended.complaint.startswith("tallyio: the signer process ended with exit code -9")
        assert "Traceback" not in ended.err
        check_kept(bot)
        await settle(bot)


async def end(bot: Bot, run: Running) -> None:
    """Let the world go on until the run has ended."""
    for _ in range(MOST_STEPS):
        await bot.step(run)
        if run.ended:
            return
    raise AssertionError(f"still runs:\n{run.said}")


# --- the engine


async def kill_before_the_signature(bot: Bot, run: Running) -> None:
    """Kill the engine after it has asked for a signature; the signer signs, and nobody hears it."""
    (signer,) = run.children()
    os.kill(signer, signal.SIGSTOP)
    for _ in range(MOST_STEPS):
        await bot.lab.step()
        await trio.sleep(0.1)
        if reserved(bot):
            break
    await run.kill()
    assert reserved(bot)
    os.kill(signer, signal.SIGCONT)
    while runs(signer):  # noqa: ASYNC110 - not our child
        await trio.sleep(POLL_S)
    bot.check_signatures()


def reserved(bot: Bot) -> int:
    """Return how many nonces are promised, with no signature that the engine knows of."""
    return len(bot.rows("SELECT id FROM intents WHERE state = 'reserved'"))


async def test_an_engine_that_is_killed_anywhere_loses_nothing_and_doubles_nothing(tmp_path: Path) -> None:
    """Every signature had its durable intent, no nonce has two contents, and the next start settles all."""
    random = Random(KILL_SEED)
    async with open_lab(seed=KILL_SEED) as lab:
        bot = await make_bot(lab, tmp_path)
        for point in range(KILL_POINTS):
            async with running(*bot.live()) as run:
                await run.wait_said("live: 12 pools")
                for _ in range(random.randrange(3)):
                    await bot.step(run)
                if point % 3 == 1:
                    await kill_before_the_signature(bot, run)
                else:
                    await lab.step()
                    await trio.sleep(LATEST_S * random.random() ** 3)
                    await run.kill()
            check_kept(bot)
            bot.check_signatures()
            if point % 2:  # sometimes the world goes on before the next start
                await lab.mine()
        await settle(bot)
        assert await bot.mined()
