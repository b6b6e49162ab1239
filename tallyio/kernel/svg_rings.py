"""How the lines of rings run through the drawing of a machine.

Layer: kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tallyio.kernel.machine import Core
from tallyio.kernel.placement import LanePlacement, Placement, RingPlacement
from tallyio.kernel.svg_layout import PILL_WIDTH, CellSize, pill_at
from tallyio.kernel.svg_parts import arrow, curve

_Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Cells:
    """Where the cells of cores are, and whose they are."""

    size: CellSize
    corner: dict[Core, _Point]
    lanes: dict[Core, list[LanePlacement]]

    def of(self, lane: str) -> list[Core]:
        """Return the cores of a lane."""
        return [core for core, lanes in self.lanes.items() if lane in {each.lane for each in lanes}]

    def pill(self, core: Core, lane: str) -> _Point:
        """Return the middle of the left edge of a lane's label in a large cell."""
        number = [each.lane for each in self.lanes[core]].index(lane)
        return pill_at(*self.corner[core], number)


def ring_lines(placement: Placement, cells: Cells, *, labelled: bool) -> Iterator[str]:
    """Yield a line for each two lanes that talk, as thick as they do.

    `labelled` cells are large, with a label per lane; lines then lead from label to label. Between
    small cells they lead from cell to cell, and lanes on one core have none.
    """
    merged: dict[frozenset[str], list[RingPlacement]] = {}
    for ring in placement.rings:
        merged.setdefault(frozenset({ring.source, ring.target}), []).append(ring)
    for rings in merged.values():
        path = _between_labels(rings[0], cells) if labelled else _between_cells(rings[0], cells)
        if path:
            width = min(4.5, 1.2 + 0.25 * sum(ring.traffic for ring in rings))
            yield arrow(path, width=width, near=rings[0].one_cache, both_ways=len(rings) > 1)


def _between_cells(ring: RingPlacement, cells: Cells) -> str:
    """Return the line between the closest cells of both ends, "" where they share one."""
    sources, targets = cells.of(ring.source), cells.of(ring.target)
    if set(sources) & set(targets):
        return ""
    pairs = ((cells.corner[here], cells.corner[there]) for here in sources for there in targets)
    start, end = min(
        pairs, key=lambda pair: abs(pair[0][0] - pair[1][0]) + 1.5 * abs(pair[0][1] - pair[1][1])
    )
    return _arc(start, end, cells.size) if abs(start[1] - end[1]) < 1 else _drop(start, end, cells.size)


def _arc(start: _Point, end: _Point, size: CellSize) -> str:
    """Return a line over the cells of a row, in the band above them."""
    (ax, y), (bx, _) = start, end
    # What leads to the right leaves and arrives on the inner sides, so that lines seldom touch.
    shift = 9 if ax < bx else -9
    left, right = ax + size.width / 2 + shift, bx + size.width / 2 - shift
    lift = min(26.0, 12 + abs(ax - bx) * 0.05) * 4 / 3
    return curve((left, y), (left, y - lift), (right, y - lift), (right, y))


def _drop(start: _Point, end: _Point, size: CellSize) -> str:
    """Return a line from one row of cells to another."""
    ax, bx = start[0] + size.width / 2, end[0] + size.width / 2
    down = end[1] > start[1]
    ay, by = (start[1] + size.height, end[1]) if down else (start[1], end[1] + size.height)
    bend = (by - ay) / 2
    return curve((ax, ay), (ax, ay + bend), (bx, by - bend), (bx, by))


def _between_labels(ring: RingPlacement, cells: Cells) -> str:
    """Return the line between two labels: beside those of one cell, or from cell to cell."""
    sources, targets = cells.of(ring.source), cells.of(ring.target)
    shared = [core for core in sources if core in targets]
    here, there = (shared or sources)[0], (shared or targets)[0]
    (ax, ay), (bx, by) = cells.pill(here, ring.source), cells.pill(there, ring.target)
    if abs(ax - bx) < 1:
        right = ax + PILL_WIDTH
        bulge = right + 12 + min(36.0, abs(ay - by) * 7 / 30)
        return curve((right, ay), (bulge, ay), (bulge, by), (right, by))
    left, right = (ax + PILL_WIDTH, bx) if ax < bx else (ax, bx + PILL_WIDTH)
    bend = 60 if ax < bx else -60
    # Over the labels of the cells between.
    lift = 46 * max(0, round(abs(ax - bx) / (cells.size.width + cells.size.gap)) - 1)
    return curve((left, ay), (left + bend, ay - lift), (right - bend, by - lift), (right, by))
