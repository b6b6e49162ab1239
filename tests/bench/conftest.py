"""A plugin that looks installed, whose benchmark is a trivial pyperf script."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pytest

GLANCE = ("--processes=1", "--values=3", "--warmups=0", "--loops=1")
"""pyperf options that measure almost nothing: enough for what has to be read back."""

SCRIPT = """
import time
import pyperf

def steady(seconds):
    return lambda loops: loops * seconds

runner = pyperf.Runner()
runner.bench_time_func("{name}.twice", steady(0.002))
runner.bench_time_func("{name}.once", steady(0.001))
"""
"""Two benchmarks whose times are made up, so that the ratio is 2 on any machine."""

CONTRACT = """
kind = "notifier"
name = "{name}"
hook_api = 1
state = "stable"
owners = ["nobody"]
summary = "A plugin of a test."

[[bench]]
name = "{name}.twice"
script = "bench.py"
reference = "{name}.once"
max_ratio = {max_ratio}
"""

MakePlugin = Callable[..., Path]


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """Write a package and its metadata into a folder on `sys.path`; return the package folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, *, max_ratio: float = 2.5, script: str = SCRIPT, contract: str = CONTRACT) -> Path:
        folder = tmp_path / f"toy_{name}"
        folder.mkdir()
        (folder / "__init__.py").write_text("")
        (folder / "contract.toml").write_text(contract.format(name=name, max_ratio=max_ratio))
        (folder / "bench.py").write_text(script.format(name=name))
        info = tmp_path / f"toy_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: toy_{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[tallyio.notifier]\n{name} = toy_{name}.plugin\n")
        importlib.invalidate_caches()
        return folder

    return make
