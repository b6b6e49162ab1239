"""Every command on every page runs, or where it cannot run here, parses; and prints what the page shows."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from tests.docs.pages import NOT_RUN, PAGES, ROOT, all_snippets, project, snippets, steps, text_of
from tests.docs.session import Demo, Session, install, parse, printed_by, session


def page_id(page: Path) -> str:
    """Return a page's name for test ids."""
    return str(page.relative_to(ROOT))


def needs_node(page: Path) -> bool:
    """Return whether a page's commands need a node."""
    return any("demo" in step.command or step.is_behind for step in steps(page) if step.is_run)


def builds_project(page: Path) -> bool:
    """Return whether a page builds a distribution."""
    return any(each.path == "pyproject.toml" for each in snippets(page))


WITH_COMMANDS = [page for page in PAGES if steps(page)]
PLAIN = [page for page in WITH_COMMANDS if not needs_node(page)]
ON_A_NODE = [page for page in WITH_COMMANDS if needs_node(page)]
PROJECTS = [page for page in WITH_COMMANDS if builds_project(page)]


DEMOS = {
    "pools": ["--blocks", "10"],
    "json": ["--blocks", "2", "--json"],
    "lending": ["--blocks", "12", "--world", "lending"],
}
"""The demos that pages show, with as many blocks as they need to look alike."""


class Demos(Mapping[str, Demo]):
    """Each demo, run when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ran: dict[str, Demo] = {}

    def __getitem__(self, kind: str) -> Demo:
        if kind not in self._ran:
            folder = self._folder / kind
            folder.mkdir()
            words = ["tallyio", "demo", *DEMOS[kind]]
            self._ran[kind] = Demo(folder=folder, printed=printed_by(words, folder))
        return self._ran[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(DEMOS)

    def __len__(self) -> int:
        return len(DEMOS)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Demos:
    """Return the demos that all pages share."""
    return Demos(tmp_path_factory.mktemp("demos"))


def follow(page: Path, folder: Path, demos: Mapping[str, Demo]) -> None:
    """Do what the page says, as if in a checkout."""
    (folder / "examples").symlink_to(ROOT / "examples")
    project(page, folder)
    environment = install(folder) if builds_project(page) else {}
    with session(folder, demos, **environment) as opened:
        for step in steps(page):
            opened.take(step)


@pytest.mark.parametrize("page", PLAIN, ids=page_id)
def test_the_commands_of_a_page_do_what_it_shows(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path, {})


@pytest.mark.node
@pytest.mark.parametrize("page", ON_A_NODE, ids=page_id)
def test_the_commands_of_a_page_do_what_it_shows_on_a_node(page: Path, tmp_path: Path, demos: Demos) -> None:
    follow(page, tmp_path, demos)


@pytest.mark.parametrize("page", PROJECTS, ids=page_id)
def test_the_benchmark_of_a_page_measures_what_its_contract_names(page: Path, tmp_path: Path) -> None:
    project(page, tmp_path)
    environment = install(tmp_path)
    (contract,) = tmp_path.glob("*/contract.toml")
    (promise,) = tomllib.loads(contract.read_text())["bench"]
    script = str(contract.parent / promise["script"])
    words = ["python", "-P", script, "--quiet", "--copy-env", "--debug-single-value"]
    printed = printed_by(words, tmp_path, **environment)
    assert [line.partition(": ")[0] for line in printed.splitlines() if ": " in line] == [
        promise["name"],
        promise["reference"],
    ]


@pytest.mark.node
def test_the_report_has_exactly_the_keys_that_its_page_lists(demos: Demos) -> None:
    printed = json.loads(demos["json"].printed.splitlines()[-1])
    page = text_of(ROOT / "docs" / "reference" / "report.md").partition("## `run` alone")[0]
    listed = set(re.findall(r"^\| `([^`]+)` \| ", page, re.MULTILINE))
    assert set(keys(printed)) == listed


def keys(value: object, above: str = "") -> Iterator[str]:
    """Yield the paths of a report's leaves; names of tokens, gates and stages become capitals."""
    if isinstance(value, list):
        yield from {path for each in value for path in keys(each, f"{above}[]")}
    elif not isinstance(value, dict) or above == "placement":
        yield above
    else:
        kind = KINDS.get(above)
        inner = {
            path
            for key, each in value.items()
            for path in keys(each, ".".join(filter(None, (above, kind or key))))
        }
        yield from inner


KINDS = {
    "opportunities.died": "GATE",
    "profit": "TOKEN",
    "balance_change": "TOKEN",
    "stages_us": "STAGE",
}
"""Objects whose keys are names."""


def test_what_is_not_run_says_why() -> None:
    unexplained = [
        each.name
        for each in all_snippets("console", "sh")
        if "not run" in each.text and not each.text.removeprefix(NOT_RUN).partition("\n")[0]
    ]
    assert not unexplained


def test_a_command_that_no_longer_parses_is_noticed(tmp_path: Path) -> None:
    step = steps(ROOT / "docs" / "how-to" / "run-on-paper.md")[1]
    assert not step.is_run
    with pytest.raises(CycloptsError):
        parse(["run", "my-bot/tallyio.toml", "--blox", "3"])
    Session(tmp_path, {}).take(step)
