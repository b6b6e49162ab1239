"""Run a plugin's tests, the conformance cards among them, in a process of their own, and read what failed.

Layer: authoring.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import msgspec

from tallyio.authoring.report import Fault, Outcome
from tallyio.model.errors import MissingExtraError, PluginError

FOLDER: Final = "tests"
TIMEOUT_S: Final = 900.0
_CARD: Final = re.compile(r"test_[a-z]\d\d_")
"""How the test of a card is named; see `tallyio.testing.cards`."""
_SAID: Final = re.compile(r"(?P<what>.*)\. Fix: (?P<fix>.*)", re.DOTALL)
"""What a card says when it fails."""
_MOST_SAID: Final = 400


class Case(msgspec.Struct, frozen=True):
    """One test, as JUnit's XML tells it."""

    name: str
    fault: str | None
    skipped: bool

    @property
    def is_card(self) -> bool:
        """Whether it is a conformance card."""
        return _CARD.match(self.name) is not None


def run_cards(hook: str, name: str, folder: Path, *, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Run the tests of the plugin in `folder`, which this process finds as installed.

    `hook` is the contract's, and says which cards there are.

    Raises: MissingExtraError: pytest is not installed. PluginError: there are no tests, no cards among them,
    they did not come to an end, or pytest could not run them.
    """
    if find_spec("pytest") is None:
        raise MissingExtraError("testing", "running the conformance cards")
    if not (folder / FOLDER).is_dir():
        raise _without_cards(hook, name)
    with tempfile.TemporaryDirectory(prefix="tallyio-cards-") as made:
        file = Path(made) / "cards.xml"
        said = _pytest(name, folder, file, timeout_s)
        if not file.is_file():
            raise PluginError(
                name, f"has tests that do not run: {_last_line(said)}", way_out=_by_hand(folder)
            )
        cases = list(read_cases(file))
    faults = tuple(_fault(name, case, folder) for case in cases if case.fault)
    cards = sum(case.is_card for case in cases)
    skipped = sum(case.skipped for case in cases)
    if not cards and not faults:
        raise _without_cards(hook, name)
    facts = f"{cards} cards and {len(cases) - cards} other tests, {len(faults)} failed, {skipped} skipped"
    return Outcome(step="cards", facts=facts, faults=faults)


def read_cases(file: Path) -> Iterator[Case]:
    """Yield the tests that pytest wrote to `file`."""
    # The file is ours: the process that we started wrote it, into a folder that only we may read.
    for case in ET.parse(file).getroot().iter("testcase"):  # noqa: S314 - see above
        wrong = next((each for each in case if each.tag in {"failure", "error"}), None)
        yield Case(
            name=case.get("name", ""),
            fault=None if wrong is None else _told(wrong),
            skipped=any(each.tag == "skipped" for each in case),
        )


def _pytest(name: str, folder: Path, file: Path, timeout_s: float) -> str:
    command = [sys.executable, "-m", "pytest", FOLDER, "-q", "-p", "no:cacheprovider", f"--junitxml={file}"]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise PluginError(
            name, f"has tests that are not done after {timeout_s:g} s", way_out=_by_hand(folder)
        ) from None
    return done.stdout


def _told(wrong: ET.Element) -> str:
    """Return what a failure says, without its traceback."""
    marked = [line[1:].strip() for line in (wrong.text or "").splitlines() if line.startswith("E ")]
    said = " ".join(filter(None, marked)) or (wrong.text or "").strip() or wrong.get("message", "")
    for prefix in ("AssertionError: ", "Failed: "):
        said = said.removeprefix(prefix)
    return said


def _fault(name: str, case: Case, folder: Path) -> Fault:
    card = _SAID.fullmatch(case.fault or "")
    if card is not None:
        return Fault.of(PluginError(name, f"fails card {_short(card['what'])}", way_out=card["fix"]))
    way_out = _by_hand(folder, case.name)
    return Fault.of(PluginError(name, f"fails {case.name}: {_short(case.fault or '')}", way_out=way_out))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]} ..."


def _by_hand(folder: Path, test: str = "") -> str:
    chosen = f" -k {test.partition('[')[0]}" if test else ""
    return f"run it by hand: cd {folder} && python -m pytest{chosen}"


def _without_cards(hook: str, name: str) -> PluginError:
    cards = f"{hook.title().replace('_', '')}Cards"
    return PluginError(
        name,
        "takes no conformance cards",
        way_out=f"add {FOLDER}/test_conformance.py: class TestConformance({cards}) with"
        f" plugin = {name!r}, from tallyio.testing",
    )


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "nothing was said")
