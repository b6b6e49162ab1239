"""Cells are taken and given back as a model in Python does, and nothing else is believed to be one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallyio.native.cells import Cells, cells_give, cells_take
from tallyio.native.jit import entry

SIZES = (1, 16, 17, 24, 64, 72, 288, 1_000)


@given(st.sampled_from(SIZES), st.lists(st.one_of(st.none(), st.integers(0, 20)), max_size=80))
def test_cells_come_last_in_first_out(size: int, steps: list[int | None]) -> None:
    """None takes a cell; a number gives back the one that was taken at that place in time, taken or not."""
    with Cells(8, size) as cells:
        free: list[int] = []
        ever: list[int] = []
        taken: set[int] = set()
        highest = refused = 0
        for step in steps:
            if step is None:
                cell = cells_take(cells.address)
                if len(taken) == 8:
                    assert cell == 0
                    refused += 1
                    continue
                assert cell == free.pop() if free else cell not in ever
                taken.add(cell)
                ever.append(cell)
                highest = max(highest, len(taken))
            elif step < len(ever):
                assert cells_give(cells.address, ever[step]) is (ever[step] in taken)
                if ever[step] in taken:
                    taken.remove(ever[step])
                    free.append(ever[step])
        found = cells.statistics()
        assert (found.count, found.taken, found.highest, found.refused) == (8, len(taken), highest, refused)


@pytest.mark.parametrize("size", SIZES)
def test_cells_lie_one_after_the_other_from_a_cache_line_on(size: int) -> None:
    with Cells(5, size) as cells:
        places = [cells_take(cells.address) for _ in range(5)]
        assert cells.cell_bytes >= max(size, 16)
        assert cells.cell_bytes % 8 == places[0] % 64 == 0
        assert places == [places[0] + k * cells.cell_bytes for k in range(5)]


@pytest.mark.parametrize("size", SIZES)
def test_an_address_that_is_no_cell_is_refused(size: int) -> None:
    draw = random.Random(size)
    with Cells(50, size) as cells:
        places = {cells_take(cells.address) for _ in range(40)}
        first, stride = min(places), cells.cell_bytes
        give = entry(cells_give)
        near = [place + step for place in places for step in (-8, -1, 1, 7, 8, stride - 8)]
        far = [draw.randrange(-(2**63), 2**63) for _ in range(2_000)]
        never_taken = [first + k * stride for k in (-1, 40, 49, 50, 51)]
        for address in (*near, *far, *never_taken, 0, cells.address):
            if address not in places:
                assert not give(cells.address, address), address
        assert cells.statistics().taken == 40
        assert all(give(cells.address, place) for place in places)
        assert not any(give(cells.address, place) for place in places)


def test_every_cell_of_many_is_known_by_its_address() -> None:
    """The index comes from a multiplication in place of a division: right for the last one, too."""
    with Cells(100_000, 24) as cells:
        take, give = entry(cells_take), entry(cells_give)
        places = [take(cells.address) for _ in range(100_000)]
        assert all(give(cells.address, place) for place in places[::7])
        assert cells.statistics().taken == 100_000 - len(places[::7])


@pytest.mark.parametrize(("count", "size"), [(0, 8), (1, 0), (1, -1), (1 << 29, 64)])
def test_cells_that_cannot_be_are_refused(count: int, size: int) -> None:
    with pytest.raises(ValueError, match="at least 1, and less than 32 GiB"):
        Cells(count, size)


def test_closed_cells_say_so() -> None:
    cells = Cells(1, 1)
    cells.close()
    with pytest.raises(ValueError, match="the region is closed"):
        cells.statistics()
