"""One toy protocol, fused once for all tests, with its machine code in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tallyio.market.fusion import Fused
from tests.market import toys

Toy = tuple[Fused, toys.Compiled]


@pytest.fixture(scope="package", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALLYIO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Toy:
    """Return a fusion of the toy protocol alone."""
    return toys.fused_toy(tmp_path_factory.mktemp("toy"))
