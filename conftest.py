"""Settings of the whole test suite."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# The first example of a property may compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None)
settings.load_profile("tallyio")


COMPILED = ("plugins", "tests/market", "tests/lending", "tests/engine")
"""Their tests compile what commands and nodes' tests use, and keep it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what compiles come first, then the files that start nodes, which take longest, and last the rest.

    So nobody waits for a compilation with a node at hand, and two workers end together. A plugin's files go
    to one worker, one after the other: at the same time, two would compile the same.
    """
    root = Path(__file__).parent
    with_node = {item.path for item in items if item.get_closest_marker("node")}

    def place(item: pytest.Item) -> int:
        if item.path in with_node:
            return 1
        return 0 if item.path.relative_to(root).as_posix().startswith(COMPILED) else 2

    def team(item: pytest.Item) -> str:
        path = item.path.relative_to(root)
        is_plugins = path.parts[0] == "plugins" and item.path not in with_node
        return "/".join(path.parts[:3]) if is_plugins else path.as_posix()

    items.sort(key=place)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(team(item)))
