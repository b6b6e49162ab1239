"""The demo with a world of lending, as a user runs it."""

from __future__ import annotations

import json
import re
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from tests.e2e.harness import tallyio

pytestmark = pytest.mark.node

BLOCKS = 40
PROTOCOLS = {"aave", "morpho", "venus"}
LOANS = {"aave", "morpho", "v2b", "v3"}
"""Who lent for the length of a call, by the names of the configuration."""


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
    lent = {trade["path"].rpartition(", paid with ")[2] for trade in landed if ", paid with " in trade["path"]}
    assert len(landed) >= 8
    assert set(places) == PROTOCOLS
    assert lent == LOANS
    counts = facts["opportunities"]
    assert counts["signed"] == counts["landed"] + counts["died"].get("reverted", 0)
    told = json.loads((await tallyio("why", "--data-dir", tmp_path, "--last", 1_000, "--json")).out)
    lost = [each["reason"] for each in told["opportunities"] if each["gate"] == "reverted"]
    assert lost
    assert all("was there first; its gas is lost, nothing else" in reason for reason in lost)
