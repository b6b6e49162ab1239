"""Settings of the whole test suite."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# The first example of a property may compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None)
settings.load_profile("tallyio")


COMPILED = ("plugins", "tests/market", "tests/lending", "tests/engine")
"""Their tests compile what commands and nodes' tests use, and keep it."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what compiles come first, then the files that start nodes, which take longest, and last the rest.

    So nobody waits for a compilation with a node at hand, and two workers end together.
    """
    root = Path(__file__).parent
    with_node = {item.path for item in items if item.get_closest_marker("node")}

    def place(item: pytest.Item) -> int:
        if item.path in with_node:
            return 1
        return 0 if item.path.relative_to(root).as_posix().startswith(COMPILED) else 2

    items.sort(key=place)
