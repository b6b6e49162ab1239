"""Settings of the whole test suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import settings

if TYPE_CHECKING:
    import pytest

# The first example of a property may compile the function under test, which takes seconds.
settings.register_profile("tallyio", deadline=None)
settings.load_profile("tallyio")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that start nodes: they take longest, and two at a time end together that way."""
    with_node = {item.path for item in items if item.get_closest_marker("node")}
    items.sort(key=lambda item: item.path not in with_node)
