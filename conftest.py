"""Settings of the whole test suite."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Properties are tried with the same examples each time, so that what fails now and did not before is due to a
# change. `--hypothesis-profile=explore` tries others, and more. There is no deadline: the first example may
# compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1_000)
settings.load_profile("tallyio")

# Nobody sees the errors that numba makes and drops while it looks for types, so they need no colours: that is
# two percent of all compiling. Workers and commands inherit it.
os.environ.setdefault("NUMBA_DISABLE_ERROR_MESSAGE_HIGHLIGHTING", "1")

# Most of what tests hold lives as long as they do: the code of thousands of functions, compilers' types.
# Looking through it again and again would be a twelfth of all processor time.
gc.set_threshold(50_000)

# numpy starts a thread for each core, that waits for matrices by spinning; here nobody multiplies any.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# What is drawn on a terminal is drawn alike, whatever terminal the tests run on.
os.environ["TERM"] = "xterm"

COMPILED = ("plugins", "tests/market", "tests/lending", "tests/engine")
"""Their tests compile what commands and nodes' tests use, and keep it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what compiles come first, then the files that start nodes, which take longest, and last the rest.

    So nobody waits for a compilation with a node at hand, and two workers end together. Files that lend come
    last of those with nodes: their program is compiled meanwhile for the pages' demo, and not twice.
    """
    root = Path(__file__).parent
    with_node = {item.path for item in items if item.get_closest_marker("node")}

    def place(item: pytest.Item) -> int:
        if item.path in with_node:
            return 2 if "lending" in item.path.name else 1
        return 0 if item.path.relative_to(root).as_posix().startswith(COMPILED) else 3

    items.sort(key=place)


class WholeFiles(LoadScopeScheduling):  # type: ignore[misc]  # pytest-xdist has no types
    """Gives a worker all files of a plugin, or one other file, at a time.

    What a file sets up is set up once. And two workers on one plugin would compile the same at the same time.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "/".join(file.split("/")[:3]) if file.startswith("plugins/") else file


@pytest.hookimpl(optionalhook=True)  # there is no such hook with `-p no:xdist`
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> WholeFiles:
    """Return how tests are given to workers."""
    return WholeFiles(config, log)
