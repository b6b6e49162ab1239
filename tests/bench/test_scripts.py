"""The benchmarks that installed plugins promise something about: each can still be run.

pyperf is not typed, so nothing else says that what a script measures has other parameters by now.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from typing import Any

import pyperf
import pytest

from tallyio.bench.records import Job
from tallyio.bench.select import select
from tallyio.hooks.catalog import Catalog

JOBS, FAULTS = select(Catalog.scan().all())


class Once:
    """Stands where pyperf's runner stands, and makes one call of each benchmark."""

    def __init__(self) -> None:
        self.ran: set[str] = set()

    def bench_func(self, name: str, func: Callable[..., object], *args: object, **_: Any) -> None:
        """Call what would be timed."""
        func(*args)
        self.ran.add(name)

    def bench_time_func(self, name: str, time_func: Callable[..., float], *args: object, **_: Any) -> None:
        """Let it time a single turn."""
        assert time_func(1, *args) > 0
        self.ran.add(name)


def test_every_installed_plugin_has_a_contract() -> None:
    assert JOBS
    assert not FAULTS


@pytest.mark.parametrize("job", JOBS, ids=lambda job: f"{job.subject}: {job.script.name}")
def test_a_script_runs_what_its_contract_promises(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    once = Once()
    monkeypatch.setattr(pyperf, "Runner", lambda: once)
    runpy.run_path(str(job.script), run_name="__main__")
    assert {name for each in job.promises for name in (each.name, each.reference)} <= once.ran
