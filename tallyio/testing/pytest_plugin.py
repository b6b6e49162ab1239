"""The cards in pytest's report: what passed, failed or was skipped, per plugin, and as JSON.

Layer: testing. pytest loads it in every project where TallyIO is installed, so it imports nothing of ours
before a card has run.

The file that `--tallyio-cards-json` writes is a list, with an entry per class of cards:

    {"plugin": "...", "kind": "...", "cards": [{"number": "P01", "rule": "...", "needs": "",
     "outcome": "passed" | "failed" | "skipped", "said": "why, unless it passed"}]}
"""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import pytest

_CARD: Final = "__tallyio_card__"
_OPTION: Final = "--tallyio-cards-json"
_PLAY: Final = "let the card run; what the plugin cannot do it does not declare in contract.toml"

type Entry = dict[str, Any]


class Report:
    """What the cards of this run said, wherever they ran."""

    def __init__(self, target: str | None) -> None:
        self._target = target
        self._plugins: dict[tuple[str, str], dict[str, Entry]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what a card said; what a later phase of it says replaces that."""
        for name, said in report.user_properties:
            if name == _CARD:
                entry: Entry = dict(said)  # type: ignore[call-overload]  # pytest knows it as an object
                key = entry.pop("kind"), entry.pop("plugin")
                self._plugins.setdefault(key, {})[entry["number"]] = entry

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show a line per plugin, and write the file."""
        entries = self.entries()
        if self._target is not None:
            Path(self._target).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        if entries:
            terminalreporter.section("conformance cards of TallyIO")
        for entry in entries:
            terminalreporter.write_line(_line(entry))

    def entries(self) -> list[Entry]:
        """Return everything, by plugin, cards by number."""
        return [
            {"kind": kind, "plugin": plugin, "cards": [cards[number] for number in sorted(cards)]}
            for (kind, plugin), cards in sorted(self._plugins.items())
        ]


def _fail(report: pytest.TestReport, said: str) -> None:
    report.outcome, report.longrepr = "failed", said
    if hasattr(report, "wasxfail"):
        del report.wasxfail  # what was expected no longer counts


def _said(report: pytest.TestReport) -> str:
    if hasattr(report, "wasxfail"):
        return f"a failure was expected: {report.wasxfail or report.longreprtext}"
    if isinstance(report.longrepr, tuple):  # of a skip: file, line, reason
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    return report.longreprtext


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    parser.getgroup("tallyio").addoption(
        _OPTION, metavar="FILE", help="write what the conformance cards said to FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Begin a report."""
    config.pluginmanager.register(Report(config.getoption(_OPTION)), "tallyio-cards-report")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let what a card said travel with its report: with pytest-xdist that is made in another process.

    A card that is skipped by anything but a capability that the contract does not declare has failed.
    """
    report = yield
    cards, made = getattr(item, "cls", None), getattr(getattr(item, "obj", None), _CARD, None)
    if cards is not None and made is not None and (report.when == "call" or not report.passed):
        if report.skipped and not _said(report).startswith(f"{made.number}: "):
            _fail(report, f"{made.number} {made.rule}: it was skipped: {_said(report)}. Fix: {_PLAY}")
        entry = {
            "plugin": cards.plugin,
            "kind": cards.kind,
            "number": made.number,
            "rule": made.rule,
            "needs": made.needs,
            "outcome": report.outcome,
            "said": "" if report.passed else _said(report),
        }
        report.user_properties.append((_CARD, entry))
    return report


def _line(entry: Entry) -> str:
    numbers: dict[str, list[str]] = {"passed": [], "failed": [], "skipped": []}
    for each in entry["cards"]:
        numbers[each["outcome"]].append(each["number"])
    counts = f"{len(numbers['passed'])} passed"
    for outcome in ("failed", "skipped"):
        if numbers[outcome]:
            counts += f", {len(numbers[outcome])} {outcome} ({' '.join(numbers[outcome])})"
    return f"{entry['kind']} {entry['plugin']}: {counts}"
