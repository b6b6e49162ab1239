"""Links lead somewhere, generated parts are fresh, and what exists is documented."""

from __future__ import annotations

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tallyio.cli import COMMANDS, GROUPS
from tallyio.hooks import interfaces, specs
from tallyio.hooks.catalog import Catalog
from tallyio.model.stages import Stage
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, generator, links, text_of

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


@pages
def test_every_internal_link_leads_to_a_page_and_a_heading(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.is_file() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


def test_the_index_leads_to_every_page() -> None:
    index = DOCS / "index.md"
    listed = {(index.parent / link.partition("#")[0]).resolve() for link in links(index)}
    assert listed >= set(DOCS.rglob("*.md")) - {index}


def test_generated_parts_are_fresh() -> None:
    """Asked in a process of its own, where no other test has left anything."""
    command = [sys.executable, "docs/generate.py", "--check"]
    asked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (0, ""), asked.stdout + asked.stderr


def test_a_stale_part_is_noticed() -> None:
    page = text_of(DOCS / "reference" / "exit-codes.md")
    edited = page.replace("| 5 | `unsafe` |", "| 6 | `unsafe` |")
    assert edited != page
    assert generator().render(edited) == page


@pages
def test_every_generated_part_is_closed(page: Path) -> None:
    text = text_of(page)
    assert text.count("<!-- generated: ") == text.count("<!-- end -->")
    assert text.count("<!-- generated: ") == len(re.findall(r"<!-- generated: [^\n]* -->\n\n", text))


def test_the_reference_lists_exactly_the_installed_plugins() -> None:
    page = text_of(DOCS / "reference" / "plugins.md")
    table = page.partition("<!-- generated: plugins -->")[2].partition("<!-- end -->")[0]
    listed = re.findall(r"^\| (\w+) \| `(\w+)` \| (\w+) \|", table, re.MULTILINE)
    installed = [
        (each.kind, each.name, each.contract.state) for each in Catalog.scan().all() if each.contract
    ]
    assert listed == installed


def test_every_quote_keeps_the_promise_of_the_readme() -> None:
    (percent,) = re.findall(r"for an exact quote at most (\d+) %", text_of(ROOT / "README.md"))
    contracts = [each.contract for each in Catalog.scan().all() if each.contract]
    quotes = [bench for each in contracts for bench in each.bench if ".quote" in bench.name]
    assert quotes
    assert [bench.name for bench in quotes if bench.max_ratio > int(percent) / 100] == []


def test_every_hook_and_interface_has_a_heading() -> None:
    hooks = [name for name in vars(specs) if name.startswith("tallyio_")]
    own = [
        name
        for name in interfaces.__all__
        if inspect.isclass(kind := getattr(interfaces, name)) and kind.__module__ == interfaces.__name__
    ]
    assert hooks
    assert {name.lower() for name in (*hooks, *own)} <= anchors(DOCS / "reference" / "hooks.md")


def test_every_command_has_a_heading() -> None:
    apps = {group: importlib.import_module(f"tallyio.cli.{group}").app for group in GROUPS}
    groups = {group: [name for name in app if not name.startswith("-")] for group, app in apps.items()}
    named = [*COMMANDS, *(f"{group}-{name}" for group, names in groups.items() for name in names)]
    assert {f"tallyio-{name}" for name in named} <= anchors(DOCS / "reference" / "cli.md")


def test_every_stage_is_explained() -> None:
    explained = re.findall(r"^\| `(\w+)` \|", text_of(DOCS / "how-to" / "measure.md"), re.MULTILINE)
    assert explained == [stage.value for stage in Stage]


@pages
def test_a_page_says_one_thing_first(page: Path) -> None:
    assert text_of(page).startswith("# ")
