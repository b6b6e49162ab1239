"""The cards in pytest: collected, numbered, skipped by an undeclared capability only, and told in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tallyio import testing

pytest_plugins = ["pytester"]

CARDS = """
import pytest
from tallyio.testing import Cards, card

class TestConformance(Cards):
    plugin, kind = "console", "notifier"

    @card()
    def test_x01_something_holds(self):
        \"\"\"Something holds.\"\"\"
        self.require(True, "it does not", fix="make it")

    @card(needs="flying")
    def test_x02_it_flies(self):
        \"\"\"It flies.\"\"\"
        self.fail("it fell", fix="add wings")

    @card()
    def test_x03_everybody_is_told(self):
        \"\"\"Everybody is told,
        and nobody twice.

        By mail.
        \"\"\"
        self.fail("2 of 3 were", fix="tell them")

    @card()
    def test_x04_it_breaks(self):
        \"\"\"It never breaks.\"\"\"
        raise RuntimeError("broken")

    @card()
    def test_x05_put_off(self):
        \"\"\"It is done today.\"\"\"
        pytest.skip("tomorrow")

    @pytest.mark.skip(reason="too slow")
    @card()
    def test_x06_marked(self):
        \"\"\"It is quick.\"\"\"

    @pytest.mark.xfail(reason="known", strict=True)
    @card()
    def test_x07_expected(self):
        \"\"\"It holds whatever is expected.\"\"\"
        self.fail("it does not", fix="mend it")

    def test_mine(self):
        assert self.contract.name == "console"
"""
RULE = "X03 Everybody is told, and nobody twice: 2 of 3 were. Fix: tell them"
PLAY = "Fix: let the card run; what the plugin cannot do it does not declare in contract.toml"


@pytest.fixture
def played(pytester: pytest.Pytester) -> tuple[pytest.RunResult, list[dict[str, Any]]]:
    """Play the cards as an author does; return the run, and what `--tallyio-cards-json` wrote."""
    pytester.makepyfile(test_conformance=CARDS)
    run = pytester.runpytest_inprocess("--tallyio-cards-json=cards.json", "-p", "no:cacheprovider")
    entries: list[dict[str, Any]] = json.loads((pytester.path / "cards.json").read_text())
    return run, entries


def test_cards_are_collected_numbered_and_told(
    played: tuple[pytest.RunResult, list[dict[str, Any]]],
) -> None:
    run, entries = played
    # The three cards that every kind has, X01, and the author's own test; a mark is an error of the set-up.
    run.assert_outcomes(passed=5, skipped=1, failed=4, errors=1)
    run.stdout.fnmatch_lines(["notifier console: 4 passed, 5 failed (X03 X04 X05 X06 X07), 1 skipped (X02)"])
    (entry,) = entries
    assert (entry["kind"], entry["plugin"]) == ("notifier", "console")
    numbers = ["C01", "C02", "C03", *(f"X0{k}" for k in range(1, 8))]
    assert [each["number"] for each in entry["cards"]] == numbers
    said = {each["number"]: each for each in entry["cards"]}
    assert said["X01"] == {
        "number": "X01",
        "rule": "Something holds",
        "needs": "",
        "outcome": "passed",
        "said": "",
    }
    assert said["X03"]["rule"] == "Everybody is told, and nobody twice"
    assert said["X03"]["said"] == RULE
    assert "RuntimeError: broken" in said["X04"]["said"]
    assert RULE in run.stdout.str()


def test_a_card_is_skipped_by_an_undeclared_capability_and_by_nothing_else(
    played: tuple[pytest.RunResult, list[dict[str, Any]]],
) -> None:
    _, (entry,) = played
    said = {each["number"]: (each["outcome"], each["said"]) for each in entry["cards"]}
    assert said["X02"] == ("skipped", "X02: console declares no capability 'flying' in contract.toml")
    assert said["X05"] == ("failed", f"X05 It is done today: it was skipped: tomorrow. {PLAY}")
    assert said["X06"] == ("failed", f"X06 It is quick: it was skipped: too slow. {PLAY}")
    outcome, expected = said["X07"]
    assert outcome == "failed"
    assert expected.startswith("X07 It holds whatever is expected: it was skipped: a failure was expected")


def test_a_run_without_cards_says_nothing_of_them(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_plain():\n    pass\n")
    run = pytester.runpytest_inprocess("--tallyio-cards-json=cards.json", "-p", "no:cacheprovider")
    assert "conformance cards" not in run.stdout.str()
    assert json.loads(Path(pytester.path / "cards.json").read_text()) == []


@pytest.mark.parametrize(
    "broken", ['def test_x1_short(self):\n        "Rule."', "def test_x01_mute(self): pass"]
)
def test_what_is_no_card_cannot_be_marked_as_one(pytester: pytest.Pytester, broken: str) -> None:
    pytester.makepyfile(
        f"from tallyio.testing import Cards, card\n\nclass TestX(Cards):\n    @card()\n    {broken}\n"
    )
    run = pytester.runpytest_inprocess("-p", "no:cacheprovider")
    run.stdout.fnmatch_lines(["*is no card: name it test_x01_... and give it a docstring*"])


def test_every_name_of_the_kit_is_there() -> None:
    for name in dir(testing):
        assert getattr(testing, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = testing.Nothing
