"""How Sphinx builds the pages: `make docs`.

The source folder is the repository, so that a relative link means the same here and on the code host,
and the README of a plugin is a page like any other. The lists of `docs/index.md` are the table of contents.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Final

from sphinx.application import Sphinx

ROOT: Final = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

project = "TallyIO"
author = "The TallyIO developers"
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_parser", "docs.screens"]

root_doc = "docs/index"
include_patterns = [
    "docs/**.md",
    "plugins/*/*/README.md",
    "perf/README.md",
    "examples/**README.md",
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
]
exclude_patterns = [".*", "docs/build", "**/node_modules"]
nitpicky = True
myst_heading_anchors = 4

html_theme = "furo"
html_title = f"TallyIO {version}"
html_copy_source = False
html_theme_options: dict[str, list[str]] = {"top_of_page_buttons": []}

_SECTION: Final = re.compile(r"^## (?P<name>.*)\n(?P<text>(?:(?!## ).*\n?)*)", re.MULTILINE)
_LINK: Final = re.compile(r"\[(?P<title>[^\]]+)\]\((?P<page>[^)#:]+)\.md\)")
_INSIDE: Final = {"docs/reference/plugins": "/plugins/*/*/README", "examples/README": "*/README"}
"""Pages that lead to many others."""


def toctree(caption: str, pages: list[str]) -> str:
    """Return a table of contents that only the side bar shows."""
    listed = "\n".join(pages)
    return f"\n```{{toctree}}\n:hidden:\n:glob:\n:titlesonly:\n:caption: {caption}\n\n{listed}\n```\n"


def contents(index: str) -> str:
    """Return one table of contents for each section of the index, from the links in it."""
    found = {part["name"]: _LINK.findall(part["text"]) for part in _SECTION.finditer(index)}
    lists = {name: [f"{title} <{page}>" for title, page in links] for name, links in found.items()}
    return "".join(toctree(name, pages) for name, pages in lists.items() if pages)


def add_contents(_: Sphinx, page: str, source: list[str]) -> None:
    """Give a page that leads to others its table of contents."""
    if page == root_doc:
        source[0] += contents(source[0])
    elif page in _INSIDE:
        source[0] += toctree("Inside", [_INSIDE[page]])


def setup(app: Sphinx) -> None:
    """Connect the above."""
    app.connect("source-read", add_contents)
