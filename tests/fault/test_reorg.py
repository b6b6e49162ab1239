"""Blocks that leave the chain, with trades of ours in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallyio.lab import open_lab
from tests.e2e.harness import make_bot, running
from tests.fault.test_kill import settle

pytestmark = pytest.mark.node


async def test_a_reorg_is_followed_and_the_books_stay_exact(tmp_path: Path) -> None:
    """Trades in the lost blocks are open again and settle as the new branch has them; trading goes on."""
    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        bot.write(bot.text().replace("[limits]", "[limits]\nmax_reverts = 100"))
        async with running(*bot.live("--json")) as run:
            await run.wait_said("live: 12 pools")
            await bot.trade(run, landed=4)
            for depth in (1, 2):
                before = bot.landed()
                await lab.reorg(depth)
                await bot.trade(run, landed=before - bot.landed() + 3)
            ended = await run.stop()
        assert ended.code == 0, ended.err
        assert '"rollbacks":2' in ended.out
        await settle(bot)
