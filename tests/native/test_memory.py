"""Regions have a fixed, aligned address and clear errors."""

import numpy as np
import pytest

from tallyio.native.memory import PAGE, Region


def test_a_region_is_zeroed_aligned_and_whole_pages() -> None:
    with Region(5000) as region:
        assert region.address % PAGE == 0
        assert region.size == 2 * PAGE
        assert not region.view(np.uint8, region.size).any()


def test_views_share_the_memory() -> None:
    with Region(64) as region:
        region.view(np.int64, 4, 8)[:] = (1, 2, 3, 4)
        assert list(region.view("i8", 5)) == [0, 1, 2, 3, 4]
        assert region.view("u4", 1, 16).ctypes.data == region.address + 16


def test_a_record_type_is_a_view_too() -> None:
    record = np.dtype([("kind", "i8"), ("price", "f8")])
    with Region(64) as region:
        region.view(record, 2)["price"] = 1.5
        assert list(region.view("f8", 4)) == [0, 1.5, 0, 1.5]


@pytest.mark.parametrize(("count", "offset"), [(PAGE + 1, 0), (1, PAGE), (-1, 0), (1, -1)])
def test_a_view_outside_is_refused(count: int, offset: int) -> None:
    with Region(1) as region, pytest.raises(ValueError, match="does not lie in a region of 4096 bytes"):
        region.view(np.uint8, count, offset)


def test_a_closed_region_says_so() -> None:
    region = Region(1)
    view = region.view(np.uint8, 1)
    region.close()
    region.close()
    assert region.closed
    for use in (lambda: region.address, lambda: region.view(np.uint8, 1)):
        with pytest.raises(ValueError, match="the region is closed"):
            use()
    view[0] = 1  # a forgotten view is safe


def test_an_empty_region_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 byte, not 0"):
        Region(0)
