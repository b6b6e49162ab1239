"""Sphinx builds every page without a warning, and the tools draw their pictures."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from docs.conf import contents
from docs.screens import ScreenError, run, steady, terminal
from tests.docs.pages import DOCS, PAGES, ROOT, SCREEN, snippets, text_of


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the built pages; screens that need a node stay text."""
    folder = tmp_path_factory.mktemp("site")
    words = ["--fail-on-warning", "--keep-going", "--quiet", "-D", "screens_on_a_node=0", "-c", "docs"]
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words, "-d", str(folder / "trees"), ".", str(folder / "html")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


class Addresses(HTMLParser):
    """What a page has the browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep sources of images and programs, and style sheets."""
        facts = dict(attrs)
        if tag in {"img", "script"} and facts.get("src"):
            self.loaded.append(facts["src"] or "")
        elif tag == "link" and facts.get("rel") == "stylesheet":
            self.loaded.append(facts["href"] or "")


def loaded_by(page: Path) -> list[str]:
    """Return the addresses that a built page loads."""
    parser = Addresses()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.loaded


def test_every_page_is_built_and_in_the_side_bar(site: Path) -> None:
    sidebar = text_of(site / "docs" / "index.html")
    for page in [*DOCS.rglob("*.md"), ROOT / "CONTRIBUTING.md"]:
        place = page.relative_to(ROOT).with_suffix(".html")
        assert (site / place).is_file()
        leaf = str(place).removeprefix("docs/")
        assert place.name == "index.html" or f'{leaf}"' in sidebar, f"{place} is in no list of docs/index.md"


def test_a_reader_without_a_network_misses_nothing(site: Path) -> None:
    for page in site.rglob("*.html"):
        for address in loaded_by(page):
            assert "://" not in address, f"{page.name} loads {address}"
            assert (page.parent / address.partition("?")[0]).is_file(), f"{page.name} lacks {address}"


def test_the_tools_drew_the_machines(site: Path) -> None:
    asked = [each for each in snippets(DOCS / "gallery.md") if each.language == SCREEN]
    here = [each for each in asked if ":node:" not in each.text and ":lab:" not in each.text]
    drawn = list((site / "docs" / "gallery").glob("*.svg"))
    assert len(drawn) == len(here) > 0
    assert any("AMD EPYC 9454P" in text_of(each) for each in drawn)
    assert not any(re.search(r"(?:src|href)=.https?:|url\(.?http", text_of(each)) for each in drawn)


def test_screens_have_one_place_each() -> None:
    with_screens = {page for page in PAGES if any(each.language == SCREEN for each in snippets(page))}
    assert with_screens == {DOCS / "gallery.md"}


def test_a_screen_has_nothing_that_differs_from_run_to_run() -> None:
    one, other = (
        f"· machine: this system; {why}\n· chain: a node of your own at ws://127.0.0.1:{port}, 12 pools\n"
        f"{lines}✔ 62 blocks · signed p50 {p50} ms\n"
        for why, port, lines, p50 in (
            ("it fits", 41883, "block 12/60: 86 found, 25 landed\n", 13.5),
            ("it is small", 33955, "", 9.25),
        )
    )
    assert steady(one) == steady(other)
    assert "✔ 62 blocks" in steady(one)
    assert steady("block 191: 250 positions\n") == "block 191: 250 positions\n"


def test_a_screen_shows_its_command_and_what_it_printed() -> None:
    drawn = terminal("tallyio why", "\x1b[1mrun 1\x1b[0m (live)\n").replace("&#160;", " ")
    assert "tallyio why" in drawn
    assert "run 1" in drawn
    assert "font-face" not in drawn


def test_a_screen_whose_command_fails_stops_the_build(tmp_path: Path) -> None:
    with pytest.raises(ScreenError, match="there is no ledger"):
        run("tallyio why", tmp_path, progress=False)


def test_the_lists_of_the_index_are_the_table_of_contents() -> None:
    made = contents("# T\n\n[a](a.md)\n\n## Learn\n\n- [b](x/b.md)\n- [c](../c.md): c\n\n## Words\n\nnone\n")
    assert ":caption: Learn\n\nb <x/b>\nc <../c>\n" in made
    assert "Words" not in made
    assert made.count("toctree") == 1
