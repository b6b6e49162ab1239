"""The programs of examples/ do what they say; each runs as a user would start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tallyio.cli import main
from tallyio.engine.config import load_config
from tests.policy.modules import ROOT

EXAMPLES = ROOT / "examples"


def printed_by(folder: Path, script: str, *words: str) -> str:
    """Run a program of examples/ in `folder`; return all that it printed."""
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / script), *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120", "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.mark.node
def test_the_bot_on_paper_follows_borrowers_and_sends_nothing(tmp_path: Path) -> None:
    """In the lending world: what the one without borrowers does, and more."""
    said = printed_by(tmp_path, "paper_bot/paper_bot.py", "--world", "lending", "--blocks", "3")
    assert "paper: nothing is signed, nothing is sent" in said
    for protocol in ("aave_v3", "morpho_blue", "venus"):
        assert re.search(rf"{protocol}: \d+ reserves, [1-9]\d* positions", said)
    seen, simulated, signed, landed = re.findall(
        r"(\d+) seen .* (\d+) simulated .* (\d+) signed .* (\d+) landed", said
    )[0]
    assert int(seen) > 0
    assert int(simulated) >= int(signed) == int(landed) == 0
    assert list(tmp_path.iterdir()) == []


def test_a_strategy_in_python_and_its_compiled_twin_agree_to_the_unit(tmp_path: Path) -> None:
    """How much faster it is, is printed and not asserted."""
    said = printed_by(tmp_path, "two_lanes/compare.py", "4")
    assert len(re.findall(r"^block \d+: gains [1-9]\d* wei$", said, re.MULTILINE)) >= 2
    assert re.search(r"^equal answers, [\d,]+ times as fast$", said, re.MULTILINE)


@pytest.mark.parametrize("template", ["arbitrage", "liquidation"])
def test_a_template_is_sound_for_every_plugin_that_it_names(
    template: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bot"
    assert main(["init", str(folder), "--template", template]) == 0
    assert main(["config", "check", str(folder / "tallyio.toml")]) == 0
    assert "sound" in capsys.readouterr().out
    assert template in {each.plugin for each in load_config(folder / "tallyio.toml").strategies}


def test_the_index_lists_every_example() -> None:
    listed = set(re.findall(r"^\| `(\w+)` \|", (EXAMPLES / "README.md").read_text(), re.MULTILINE))
    assert listed == {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
