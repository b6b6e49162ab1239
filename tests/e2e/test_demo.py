"""The demo, as a user runs it."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.harness import Ended, running, tallyio

pytestmark = pytest.mark.node

STAGES = {
    "decoded",
    "detected",
    "risk",
    "simulated",
    "planned",
    "persisted",
    "signed",
    "submitted",
    "included",
    "bytes_in_to_signed",
    "total",
}


async def demo(data_dir: Path, *, seed: int, blocks: int = 12) -> Ended:
    """Run the demo for programs."""
    return await tallyio("demo", "--blocks", blocks, "--seed", seed, "--json", "--data-dir", data_dir)


def trades(ended: Ended) -> list[dict[str, Any]]:
    """Return what was traded; the account is new in each run, and so are the hashes."""
    found: list[dict[str, Any]] = json.loads(ended.out)["trades"]
    return [{key: value for key, value in each.items() if key != "transaction"} for each in found]


async def test_the_demo_earns_what_it_predicted_and_proves_it(tmp_path: Path) -> None:
    """One JSON object; at least ten trades across V2 and V3, exact each and in sum; the funnel is kept."""
    ended = await demo(tmp_path, seed=7)
    assert ended.code == 0, ended.err
    (line,) = ended.out.splitlines()
    facts = json.loads(line)
    assert facts["seed"] == 7
    assert facts["chain"]["rollbacks"] == 0
    assert facts["exact"] is True

    found = facts["trades"]
    counts = facts["opportunities"]
    assert counts["landed"] == len(found) >= 10
    assert counts["found"] == counts["landed"] + sum(counts["died"].values())
    assert counts["simulated"] >= counts["signed"] == counts["landed"]
    venues = {word for trade in found for word in trade["path"].split()}
    assert {"v2a", "v2b", "v3"} <= venues
    assert any("v2" in trade["path"] and "v3" in trade["path"] for trade in found)
    for trade in found:
        assert trade["predicted"] == trade["simulated"] == trade["realised"]
        assert Decimal(trade["realised"]) > 0

    change = {token: Decimal(amount) for token, amount in facts["balance_change"].items()}
    for token, profit in facts["profit"].items():
        own = [Decimal(trade["realised"]) for trade in found if trade["token"] == token]
        assert Decimal(profit["realised"]) == sum(own) == change[token]
    assert set(facts["profit"]) == set(change)

    assert set(facts["stages_us"]) == STAGES
    assert all(0 <= figures["p50"] <= figures["p99"] for figures in facts["stages_us"].values())
    assert {lane["lane"] for lane in facts["placement"]["lanes"]} >= {"hot", "control"}
    assert facts["rss_mb"] > 0
    await why_tells(tmp_path, counts)


async def why_tells(data_dir: Path, counts: dict[str, Any]) -> None:
    """Assert that the ledger's funnel, in JSON and in words, is the run's."""
    told = await tallyio("why", "--data-dir", data_dir, "--last", 3, "--json")
    assert told.code == 0, told.err
    funnel = json.loads(told.out)
    assert (funnel["mode"], funnel["seen"], funnel["landed"]) == ("live", counts["found"], counts["landed"])
    assert {death["gate"]: death["count"] for death in funnel["deaths"]} == counts["died"]
    assert len(funnel["opportunities"]) == 3

    words = await tallyio("why", "--data-dir", data_dir)
    assert words.code == 0, words.err
    assert f"{counts['found']} seen" in words.out
    assert f"{counts['landed']} landed" in words.out
    assert "stopped at not_chosen" in words.out


async def test_a_seed_gives_its_own_trades_again_and_another_seed_gives_others(tmp_path: Path) -> None:
    """Path, block and every amount repeat."""
    first = await demo(tmp_path, seed=11, blocks=6)
    again = await demo(tmp_path, seed=11, blocks=6)
    other = await demo(tmp_path, seed=12, blocks=6)
    assert [first.code, again.code, other.code] == [0, 0, 0], (first.err, again.err, other.err)
    assert trades(first)
    assert trades(first) == trades(again)
    assert trades(first) != trades(other)


async def test_the_demo_sums_up_in_words_too(tmp_path: Path) -> None:
    """For people: blocks, profit, whether it is exact, and what to do next."""
    ended = await tallyio("demo", "--blocks", 3, "--data-dir", tmp_path)
    assert ended.code == 0, ended.err
    assert "predicted = simulated = realised" in ended.out
    assert f"tallyio why --data-dir {tmp_path}" in ended.out
    assert "next:" in ended.out


@pytest.mark.parametrize("stage", ["machine:", "live: 12 pools"])
async def test_a_demo_that_is_told_to_stop_leaves_no_key_and_says_nothing_more(
    stage: str, tmp_path: Path
) -> None:
    """While the lab comes up, and while it trades."""
    kept = tmp_path / "tmp"
    kept.mkdir()
    words = ("demo", "--json", "--data-dir", tmp_path / "data")
    async with running(*words, env={"TMPDIR": str(kept)}) as run:
        await run.wait_said(stage)
        ended = await run.stop()
    assert (ended.code, ended.out) == (130, "")
    assert "Traceback" not in ended.err
    assert list(kept.iterdir()) == []
