"""`tallyio run` on paper, and what it wants before it goes live."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

from tallyio.engine.executor import deployment
from tallyio.lab import open_lab
from tallyio.lab.world import account
from tallyio.model.units import checksum
from tests.e2e.harness import PATIENCE_S, make_bot, running, tallyio

pytestmark = pytest.mark.node


def without_parties(text: str) -> str:
    """Leave account and executor out of a configuration."""
    lines = text.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(("account = ", "executor = ")))


@pytest.mark.parametrize("executor", ["deployed", "not yet"])
async def test_paper_signs_and_sends_nothing_and_tells_what_it_would_have_done(
    executor: str, tmp_path: Path
) -> None:
    """Opportunities pass every gate up to the signature; no signer runs, the account never appears."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        if executor == "not yet":
            bot.write(without_parties(bot.text()))
        async with running("run", bot.config, "--blocks", 6, "--json") as run:
            await run.wait_said("paper: 12 pools")
            assert "nothing is signed" in run.said
            assert ("one that is not deployed" in run.said) == (executor == "not yet")
            assert run.children() == []
            with trio.fail_after(PATIENCE_S):
                while not run.ended:
                    await lab.step()
                    assert await bot.waiting() == 0
                    await trio.sleep(0.1)
            ended = await run.wait()
        assert ended.code == 0, ended.err
        facts = json.loads(ended.out)
        assert (facts["mode"], facts["opportunities"]["signed"]) == ("paper", 0)
        assert facts["opportunities"]["died"]["paper"] > 0
        assert await bot.mined() == []
        assert int(await lab.rpc("eth_getTransactionCount", checksum(bot.account), "pending"), 16) == 0
        assert not bot.has_signer
        assert bot.rows("SELECT count(*) FROM intents") == [(0,)]

        told = await tallyio("why", "--data-dir", bot.data_dir, "--json")
        funnel = json.loads(told.out)
        assert (funnel["mode"], funnel["signed"]) == ("paper", 0)
        assert funnel["simulated"] >= facts["opportunities"]["died"]["paper"]


async def test_a_key_is_opened_by_its_password_and_by_one_signer_at_a_time(tmp_path: Path) -> None:
    """A second engine with the same key is refused while the first one trades; so is a wrong password."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        async with running(*bot.live()) as run:
            await run.wait_said("live: 12 pools")
            second = await tallyio(*bot.live("--json"))
            assert (second.code, second.error["code"]) == (5, "unsafe")
            assert "another signer holds" in second.error["message"]
            await bot.trade(run, landed=1)
            assert (await run.stop()).code == 0
        bot.password.write_text("guess\n")
        wrong = await tallyio(*bot.live())
        assert wrong.code == 3
        assert f"the password in {bot.password} does not open {bot.keystore}" in wrong.complaint
        assert "put the right password into the file" in wrong.complaint
        assert "guess" not in wrong.err


async def test_a_run_that_is_told_to_stop_prints_what_happened_as_soon_as_it_runs(tmp_path: Path) -> None:
    """Before that it is interrupted."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        for stage, code in (("LIVE:", 130), ("live: 12 pools", 0)):
            async with running(*bot.live("--json")) as run:
                await run.wait_said(stage)
                ended = await run.stop()
            assert (ended.code, bool(ended.out)) == (code, code == 0), ended.err
            assert "Traceback" not in ended.err
        assert json.loads(ended.out)["mode"] == "live"


async def test_live_is_refused_without_what_it_needs(tmp_path: Path) -> None:
    """No limits, a stranger's executor or none: refused before anything is signed."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        whole = bot.text()
        without_limits = whole.replace("[limits]\nmax_fee_gwei = 200.0\n", "")
        foreign = await lab.deploy(deployment(account("somebody else")))
        cases = (
            (without_parties(whole), 3, "--live needs account and executor in [execution]"),
            (without_limits, 5, "--live needs a table [limits]"),
            (bot.text(executor=checksum(foreign)), 5, "the executor belongs to"),
            (bot.text(executor=checksum(lab.world.weth)), 3, "is no executor contract"),
            (bot.text(account=checksum(account("somebody else"))), 5, "the executor belongs to"),
        )
        for text, code, message in cases:
            bot.write(text)
            ended = await tallyio(*bot.live())
            assert (ended.code, message in ended.complaint) == (code, True), ended.err
            assert "way out: " in ended.complaint
            assert "Traceback" not in ended.err
        assert await bot.mined() == []
        assert not bot.has_signer
