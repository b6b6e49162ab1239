"""A folder of plugin packages that look installed, made by each test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.toy_plugins import CONTRACT_HEAD, write_plugin

GOOD_CONTRACT = f"""{CONTRACT_HEAD}
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
        name: str,
        code: str,
        *,
        kind: str = "notifier",
        contract: str | None = None,
        bench: bool = True,
        entry: str = "",
    ) -> Path:
        told = GOOD_CONTRACT.format(kind=kind, name=name) if contract is None else contract
        files = {"plugin.py": code, "contract.toml": told}
        return write_plugin(
            tmp_path, name, files | ({"bench.py": ""} if bench else {}), kind=kind, entry=entry
        )

    yield make
    for module in set(sys.modules) - before:
        if module.startswith("toy_"):
            del sys.modules[module]
