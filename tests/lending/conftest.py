"""The toy protocol, fused once for all tests here."""

from __future__ import annotations

import pytest

from tallyio.lending.fusion import FusedLending, fuse_lending
from tests.lending import toys


@pytest.fixture(scope="session")
def fused() -> FusedLending:
    """Return a fusion of the toy protocol alone."""
    return fuse_lending([("toy", toys.COMPILED)])
