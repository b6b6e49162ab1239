"""A plugin that looks installed, whose benchmark is a trivial pyperf script."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toy_plugins import CONTRACT_HEAD, write_plugin

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

CONTRACT = f"""{CONTRACT_HEAD}
[[bench]]
name = "{{name}}.twice"
script = "bench.py"
reference = "{{name}}.once"
max_ratio = {{max_ratio}}
"""

MakePlugin = Callable[..., Path]


@pytest.fixture
def make_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakePlugin:
    """Write a package and its metadata into a folder on `sys.path`; return the package folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(name: str, *, max_ratio: float = 2.5, script: str = SCRIPT, contract: str = CONTRACT) -> Path:
        told = contract.format(kind="notifier", name=name, max_ratio=max_ratio)
        return write_plugin(tmp_path, name, {"contract.toml": told, "bench.py": script.format(name=name)})

    return make
