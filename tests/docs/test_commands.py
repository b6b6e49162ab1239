"""Every command on every page runs, or where it cannot run here, parses; and prints what the page shows."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from cyclopts import CycloptsError

from tests.docs.pages import NOT_RUN, PAGES, ROOT, all_snippets, project, snippets, steps
from tests.docs.session import Demo, Session, install, parse, printed_by, session

BLOCKS = 10


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


class Demos(Mapping[bool, Demo]):
    """The demo in words and the demo as JSON, each run when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ran: dict[bool, Demo] = {}

    def __getitem__(self, json: bool) -> Demo:
        if json not in self._ran:
            words = [
                "tallyio",
                "demo",
                "--blocks",
                "2" if json else str(BLOCKS),
                *(["--json"] if json else []),
            ]
            folder = self._folder / ("json" if json else "text")
            folder.mkdir()
            self._ran[json] = Demo(folder=folder, printed=printed_by(words, folder))
        return self._ran[json]

    def __iter__(self) -> Iterator[bool]:
        return iter(self._ran)

    def __len__(self) -> int:
        return len(self._ran)


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Demos:
    """Return the demos that all pages share."""
    return Demos(tmp_path_factory.mktemp("demos"))


def follow(page: Path, folder: Path, demos: Mapping[bool, Demo]) -> None:
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
