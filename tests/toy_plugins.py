"""Plugin packages that look installed, without an installer."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

CONTRACT_HEAD = """
kind = "{kind}"
name = "{name}"
hook_api = 1
state = "stable"
owners = ["nobody"]
summary = "A plugin of a test."
"""
"""A contract without benchmarks, to be formatted."""


def write_plugin(
    folder: Path, name: str, files: Mapping[str, str], *, kind: str = "notifier", entry: str = ""
) -> Path:
    """Write package `toy_NAME` with `files` into a folder of `sys.path`, and the metadata of its wheel.

    `entry` is what its entry point names, the module `plugin` by default. Return the package's own folder.
    """
    package = folder / f"toy_{name}"
    info = folder / f"toy_{name}-1.2.dist-info"
    texts = {
        package / "__init__.py": "",
        **{package / file: text for file, text in files.items()},
        info / "METADATA": f"Metadata-Version: 2.1\nName: toy_{name}\nVersion: 1.2\n",
        info / "entry_points.txt": f"[tallyio.{kind}]\n{name} = {entry or f'toy_{name}.plugin'}\n",
    }
    for made in (package, info):
        made.mkdir()
    for path, text in texts.items():
        path.write_text(text)
    importlib.invalidate_caches()
    return package
