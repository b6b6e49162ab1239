"""A plugin's tests, and those of any other file, run on one worker: what they set up is set up once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from xdist.remote import Producer

TESTS = [
    "plugins/chains/evm/tests/test_evm_feed.py::test_one",
    "plugins/chains/evm/tests/test_evm_node.py::test_one[plugins/x]",
    "plugins/chains/sol/tests/test_sol.py::TestConformance::test_one",
    "plugins/chains/evm/tests/test_evm_feed.py::test_two",
    "tests/e2e/test_demo.py::test_one",
    "tests/e2e/test_demo.py::test_two",
    "tests/e2e/test_paper.py::test_one",
]


class Worker:
    """Stands for a process that runs tests; `given` has what it was sent."""

    def __init__(self) -> None:
        self.given: list[str] = []
        self.done = 0
        self.gateway = SimpleNamespace(id=f"gw{id(self)}")
        self.shutting_down = False

    def send_runtest_some(self, numbers: list[int]) -> None:
        """Take tests by number."""
        self.given += [TESTS[number] for number in numbers]

    def shutdown(self) -> None:
        """Take no more."""
        self.shutting_down = True


def test_what_is_set_up_together_runs_together(pytestconfig: pytest.Config) -> None:
    workers: list[Any] = [Worker(), Worker()]
    asked = SimpleNamespace(
        getvalue={"tx": ["popen"] * len(workers)}.get, option=SimpleNamespace(loadscopereorder=False)
    )
    scheduler = pytestconfig.hook.pytest_xdist_make_scheduler(
        config=asked, log=Producer("scheduler", enabled=False)
    )
    for worker in workers:
        scheduler.add_node(worker)
    for worker in workers:
        scheduler.add_node_collection(worker, TESTS)
    scheduler.schedule()
    for _ in TESTS:
        worker = max(workers, key=lambda each: len(each.given) - each.done)
        scheduler.mark_test_complete(worker, TESTS.index(worker.given[worker.done]))
        worker.done += 1
    teams = ("plugins/chains/evm", "plugins/chains/sol", "tests/e2e/test_demo.py", "tests/e2e/test_paper.py")
    for team in teams:
        at = [number for number, worker in enumerate(workers) for test in worker.given if team in test]
        assert len(set(at)) == 1, f"{team} ran on workers {at}"
    assert sorted(test for worker in workers for test in worker.given) == sorted(TESTS)
