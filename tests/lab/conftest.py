"""Worlds for the tests of the lab."""

import pytest

from tallyio.lab import RevmWorld, build_revm_world


@pytest.fixture
def revm() -> RevmWorld:
    """A fresh world in this process."""
    return build_revm_world()
