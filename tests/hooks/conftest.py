"""A folder of plugin packages that look installed, made by each test."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

GOOD_CONTRACT = """
kind = "{kind}"
name = "{name}"
hook_api = 1
state = "stable"
owners = ["nobody"]
summary = "A plugin of a test."

[[bench]]
name = "b"
script = "bench.py"
reference = "r"
max_ratio = 1.0
"""

MakePlugin = Callable[..., Path]


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePlugin]:
    """Write a package and its metadata into a folder on `sys.path`; return the package folder."""
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)

    def make(
        name: str, code: str, *, kind: str = "notifier", contract: str | None = None, bench: bool = True
    ) -> Path:
        package = f"toy_{name}"
        folder = tmp_path / package
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "plugin.py").write_text(code)
        (folder / "contract.toml").write_text(
            GOOD_CONTRACT.format(kind=kind, name=name) if contract is None else contract
        )
        if bench:
            (folder / "bench.py").write_text("")
        info = tmp_path / f"{package}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[tallyio.{kind}]\n{name} = {package}.plugin\n")
        importlib.invalidate_caches()
        return folder

    yield make
    for module in set(sys.modules) - before:
        if module.startswith("toy_"):
            del sys.modules[module]
