"""One toy protocol, fused once for all tests of a module."""

from __future__ import annotations

import pytest

from tallyio.market.fusion import Fused
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Return a fusion of the toy protocol alone."""
    return toys.fused_toy(tmp_path_factory.mktemp("toy"))
