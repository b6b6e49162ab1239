"""A baseline changes for a reason that the changelog gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from tallyio.bench.baseline import Baseline
from tallyio.hooks.catalog import Catalog
from tests.policy.modules import ROOT, require_none, told

FOLDER = ROOT / "perf" / "baselines"


def faults(path: Path, changelog: str, promised: set[str]) -> Iterator[str]:
    """Yield what is wrong with a baseline."""
    baseline = msgspec.json.decode(path.read_bytes(), type=Baseline)
    if path.stem != baseline.profile:
        yield f"{path.name}:1: is about profile {baseline.profile}; name the file for it"
    if len(baseline.changelog.split()) < 2 or baseline.changelog not in changelog:
        yield f"{path.name}:1: names {baseline.changelog!r}, which CHANGELOG.md does not say; write the line"
    for name in sorted(set(baseline.ratios) - promised):
        yield f"{path.name}:1: keeps {name}, which no contract promises any more; keep the baseline anew"


def test_every_baseline_names_a_line_of_the_changelog_and_promises_that_exist() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    contracts = [each.contract for each in Catalog.scan().all() if each.contract]
    promised = {bench.name for contract in contracts for bench in contract.bench}
    paths = sorted(FOLDER.glob("*.json"))
    assert paths
    require_none(fault for path in paths for fault in faults(path, changelog, promised))


def test_a_wrong_baseline_is_found(tmp_path: Path) -> None:
    path = tmp_path / "laptop.json"
    raw = msgspec.json.decode(next(FOLDER.glob("*.json")).read_bytes())
    path.write_bytes(msgspec.json.encode(raw | {"profile": "ci", "changelog": "words that nobody wrote"}))
    found = told(faults(path, "# Changelog\n", set()))
    assert "is about profile ci" in found
    assert "'words that nobody wrote', which CHANGELOG.md does not say" in found
    assert "which no contract promises any more" in found
