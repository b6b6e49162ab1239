"""A plugin from outside the repository: installed as a user would, found, fused, and traded through."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from shutil import copytree

import pytest

from tallyio.lab import Contract, Lab, open_lab
from tallyio.lab.fetch import artifact
from tallyio.lab.recipe import _v2_venue
from tallyio.model.units import Address, checksum
from tests.e2e.harness import Bot, make_bot, running, tallyio

pytestmark = pytest.mark.node

PACKAGE = Path(__file__).parent / "stranger"
PONDS = (("WETH", "USDC", 4_000_000), ("WETH", "WBTC", 3_000_000))


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """Build and install the package into a folder of its own; return the environment that sees it."""
    source = copytree(PACKAGE, tmp_path / "source")
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", str(target), str(source)], check=True)
    paths = [str(target), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {"PYTHONPATH": os.pathsep.join(paths)}


async def dig_ponds(lab: Lab) -> Address:
    """Deploy a third factory with pairs that none of the repository's plugins is told of."""
    tokens = {
        symbol: Contract(artifact("Token"), token.address) for symbol, token in lab.world.tokens.items()
    }
    venue, _ = await lab._backend.run(_v2_venue("pond", PONDS, tokens))
    return venue.factory


def with_ponds(bot: Bot, factory: Address) -> str:
    """Return the demo's configuration with the stranger's plugin in place of the V3 one."""
    text = bot.text()
    start, end = text.index("[protocols.uniswap_v3]"), text.index("[strategies.arbitrage]")
    return f'{text[:start]}[protocols.pond]\nfactory = "{checksum(factory)}"\n\n{text[end:]}'


async def test_a_strangers_plugin_is_listed_fused_and_traded_through(
    installed: dict[str, str], tmp_path: Path
) -> None:
    """Its trades land with the profit that its own compiled quotes predicted, to the last unit."""
    listed = await tallyio("plugins", "list", "--json", env=installed)
    (pond,) = [each for each in json.loads(listed.out)["plugins"] if each["name"] == "pond"]
    assert (pond["kind"], pond["version"], pond["state"]) == ("protocol", "2.3", "experimental")
    assert (pond["distribution"], pond["fault"]) == ("tallyio-protocol-pond", None)
    assert pond["benchmarks"] == ["pond.quote"]

    async with open_lab(seed=7) as lab:
        bot = await make_bot(lab, tmp_path)
        bot.write(with_ponds(bot, await dig_ponds(lab)))
        async with running(*bot.live("--json"), env=installed) as run:
            await run.wait_said("live: 10 pools")
            assert "pond: 2 pools" in run.said
            await bot.trade(run, landed=8)
            await lab.mine()
            ended = await run.stop()
        assert ended.code == 0, ended.err
        through = bot.rows(
            "SELECT o.predicted, o.simulated, i.realised FROM opportunities o JOIN intents i"
            " ON i.run = o.run AND i.opportunity = o.id WHERE i.success = 1 AND o.path LIKE '%> pond %'"
        )
        assert through
        assert all(len(set(amounts)) == 1 for amounts in through)
