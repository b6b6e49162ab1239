"""The documentation as the tests read it: pages, links, headings, snippets, sessions.

A snippet whose first line is a comment `not run in the tests: …` is only checked to parse, and so is a
`{screen}`, which runs when the pages are built. A Python, TOML or Vyper snippet whose first line is a comment
with a path is a file of the project that its page builds.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Final

import msgspec

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
PAGES: Final = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *(ROOT / name for name in ("examples/README.md", "perf/README.md")),
    *sorted(ROOT.glob("plugins/*/*/README.md")),
    *sorted(DOCS.rglob("*.md")),
)

NOT_RUN: Final = "# not run in the tests: "
BEHIND: Final = "# run in the tests, in the background"
SCREEN: Final = "{screen}"

_FENCE: Final = re.compile(
    r"^(?P<indent> *)```(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)
_ASIDE: Final = re.compile(r"# |:\w+:")
"""Comments, and options of a directive."""
_GENERATED: Final = re.compile(r"<!-- generated: .*?<!-- end -->", re.DOTALL)
_PATH_LINE: Final = re.compile(r"# (?P<path>[\w./-]+\.(?:py|toml|vy))\n")
_LINK: Final = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#+ (?P<text>.*)$", re.MULTILINE)


class Snippet(msgspec.Struct, frozen=True, kw_only=True):
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str
    is_generated: bool
    """Whether `docs/generate.py` wrote it."""

    @property
    def name(self) -> str:
        """Page and line, for test ids."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def path(self) -> str | None:
        """Where the snippet belongs in the project of its page, if it is a file."""
        found = _PATH_LINE.match(self.text)
        return found["path"] if found else None

    @property
    def is_run(self) -> bool:
        """Whether its commands are run, and not only parsed."""
        return self.why_not is None and self.language != SCREEN

    @property
    def why_not(self) -> str | None:
        """The reason why it is not run here, if there is one."""
        first = self.text.partition("\n")[0]
        return first.removeprefix(NOT_RUN) if first.startswith(NOT_RUN) else None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One command of a page, and what the page says that it prints."""

    where: str
    command: str
    shown: str
    is_run: bool
    is_behind: bool


def text_of(page: Path) -> str:
    """Return a page's text."""
    return page.read_text(encoding="utf-8")


@cache
def snippets(page: Path) -> tuple[Snippet, ...]:
    """Return the fenced blocks of a page."""
    text = text_of(page)
    generated = [found.span() for found in _GENERATED.finditer(text)]
    return tuple(
        Snippet(
            is_generated=any(start < found.start() < end for start, end in generated),
            page=page,
            line=text.count("\n", 0, found.start()) + 1,
            language=found["language"],
            text="\n".join(line.removeprefix(found["indent"]) for line in found["text"].split("\n")),
        )
        for found in _FENCE.finditer(text)
    )


def all_blocks() -> list[Snippet]:
    """Return the blocks of all pages."""
    return [each for page in PAGES for each in snippets(page)]


def all_snippets(*languages: str) -> list[Snippet]:
    """Return the blocks in `languages` on all pages."""
    return [each for each in all_blocks() if each.language in languages]


def steps(page: Path) -> list[Step]:
    """Return the commands of a page in order."""
    return [step for each in snippets(page) for step in _steps(each)]


def _steps(snippet: Snippet) -> Iterator[Step]:
    if snippet.language not in {"console", "sh", SCREEN}:
        return
    lines = [line for line in snippet.text.splitlines() if not _ASIDE.match(line)]
    if snippet.language == "sh":
        lines = [f"$ {line}" for line in lines if line]
    for part in re.split(r"^\$ ", "\n".join(lines), flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield Step(
            where=snippet.name,
            command=command,
            shown=shown,
            is_run=snippet.is_run,
            is_behind=snippet.text.startswith(BEHIND),
        )


def links(page: Path) -> list[str]:
    """Return the targets of a page's links that are not on the web."""
    text = _FENCE.sub("", text_of(page))
    return [found["target"] for found in _LINK.finditer(text) if "://" not in found["target"]]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as code hosts make them."""
    text = _FENCE.sub("", text_of(page))
    return {_anchor(found["text"]) for found in _HEADING.finditer(text)}


def _anchor(heading: str) -> str:
    kept = re.sub(r"[^\w\- ]", "", heading.lower())
    return kept.replace(" ", "-")


def project(page: Path, folder: Path) -> Path:
    """Write the files that a page builds into `folder`, with the metadata that an installer would write."""
    for snippet in snippets(page):
        if snippet.path is not None:
            path = folder / snippet.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(snippet.text, encoding="utf-8")
    for path in folder.glob("tallyio_*"):
        (path / "__init__.py").touch()
    return folder


@cache
def generator() -> ModuleType:
    """Return `docs/generate.py` as a module."""
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_generate"] = module
    spec.loader.exec_module(module)
    return module
