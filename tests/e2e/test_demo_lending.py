"""The demo with a world of lending, as a user runs it."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path
from string import Template

import pytest

from tallyio.kernel.resources import data_path
from tallyio.lab import open_lab
from tests.e2e.harness import tallyio

pytestmark = pytest.mark.node

BLOCKS = 40
PROTOCOLS = {"aave", "morpho", "venus"}
LOANS = {"aave", "balancer", "morpho", "own funds", "v2", "v3"}
"""Every source of loans that there is, by the names of the configuration; the two factories of V2 are one."""


async def test_liquidations_land_over_three_protocols_paid_by_every_lender(tmp_path: Path) -> None:
    """Exact each and in sum, and where the competitor was first the ledger says so."""
    words = ("--world", "lending", "--blocks", BLOCKS, "--seed", 7, "--json", "--data-dir", tmp_path)
    ended = await tallyio("demo", *words)
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["exact"] is True
    landed = [trade for trade in facts["trades"] if "liquidation" in trade["path"]]
    for trade in landed:
        assert trade["predicted"] == trade["simulated"] == trade["realised"]
        assert Decimal(trade["realised"]) > 0
    places = Counter(re.findall(r"(\w+) liquidation", " ".join(trade["path"] for trade in landed)))
    lent = {lender for trade in landed if (lender := trade["path"].partition(", paid with ")[2])}
    assert len(landed) >= 8
    assert set(places) == PROTOCOLS
    assert {re.sub("^v2[ab]$", "v2", lender) for lender in lent} == LOANS
    counts = facts["opportunities"]
    assert counts["lost"]
    assert counts["died"]["lost"] == len(counts["lost"])
    assert counts["signed"] == counts["landed"] + len(counts["lost"])
    told = json.loads((await tallyio("why", "--data-dir", tmp_path, "--last", 1_000, "--json")).out)
    lost = {each["id"]: each["reason"] for each in told["opportunities"] if each["gate"] == "lost"}
    assert {each["opportunity"]: each["reason"] for each in counts["lost"]} == lost
    for reason in lost.values():
        assert re.search("0x[0-9a-f]{64} was there first; its gas is lost, nothing else$", reason)


async def test_positions_shows_who_is_near_and_what_it_would_bring(tmp_path: Path) -> None:
    async with open_lab(seed=7, kind="lending") as lab:
        for _ in range(12):
            await lab.step()
        config = tmp_path / "tallyio.toml"
        facts = {**lab.world.variables, "keys": str(tmp_path), "data_dir": str(tmp_path)}
        text = (data_path("examples") / "demo" / "lending.toml").read_text(encoding="utf-8")
        config.write_text(Template(text).substitute(facts, executor="", account=""), encoding="utf-8")
        ended = await tallyio("positions", config, "--top", 30, "--json")
        risky = await tallyio("positions", config, "--at-risk")
    assert ended.code == 0, ended.err
    facts = json.loads(ended.out)
    assert facts["positions"] == 250
    near = facts["near"]
    assert len(near) == 30
    assert [each["health"] for each in near] == sorted(each["health"] for each in near)
    for each in near:
        assert each["liquidatable"] == (each["health"] < 1)
        assert each["dies_at"] is None or (each["dies_at"] > 1) == each["liquidatable"]
    assert any(each["profit"] and int(each["profit"]) > 0 for each in near)
    assert risky.code == 0, risky.err
    assert near[0]["account"][:20] in risky.out
