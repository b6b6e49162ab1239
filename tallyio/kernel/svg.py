"""Draw a machine with its lanes as an SVG for a slide: cards per L3, cells per core, lines per ring.

Layer: kernel. The file needs nothing else: no script, no font, no picture. Dark on light; roles differ
in colour and are named, so that it can be read without colours, too. `svg_layout` knows where things
go, `svg_rings` how lines run, `svg_legend` what stands below.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallyio.kernel.draw import size_in_words
from tallyio.kernel.machine import Core, Machine
from tallyio.kernel.placement import LanePlacement, Placement
from tallyio.kernel.svg_layout import (
    DETAILED_UP_TO_CORES,
    PILL_HEIGHT,
    PILL_WIDTH,
    arrange,
    cell_size,
    pill_at,
)
from tallyio.kernel.svg_legend import COLOURS, legend
from tallyio.kernel.svg_parts import FAINT, FONT, HEADS, INK, PAPER, QUIET, haloed, rect, text
from tallyio.kernel.svg_rings import Cells, ring_lines

_MARGIN = 36.0
_TITLE = 104.0
_LEAST_WIDTH = 1_200.0
_BOXES = {"package": "#eef0ee", "numa": "#e3e8ea", "l3": "#ffffff"}


def draw_svg(machine: Machine, placement: Placement, *, title: str = "") -> str:
    """Return the whole SVG document; `title` stands above, else the machine's model or name."""
    return _Drawing(machine, placement, title or machine.model or machine.name).document()


class _Drawing:
    def __init__(self, machine: Machine, placement: Placement, title: str) -> None:
        self._machine = machine
        self._placement = placement
        self._title = title
        self._detailed = len(machine.cores) <= DETAILED_UP_TO_CORES
        self._lanes_of = {
            core: [lane for lane in placement.lanes if not set(core.pus).isdisjoint(lane.cpuset)]
            for core in machine.cores
        }
        self._idle = {pu for lane in placement.lanes for pu in lane.idle_siblings}
        self._size = cell_size(machine, max(map(len, self._lanes_of.values())))
        self._root = arrange(machine, self._size, size_in_words)
        self._cells = {core: at for box in self._root.walk() for core, at in box.cells.items()}
        self._width = max(self._root.width, _LEAST_WIDTH) + 2 * _MARGIN

    def document(self) -> str:
        """Return the document."""
        lines = ring_lines(
            self._placement, Cells(self._size, self._cells, self._lanes_of), labelled=self._detailed
        )
        # Lines run under small cells, like the wires of a board, and over large ones, under their labels.
        cells = [*self._frames(), *lines] if self._detailed else [*lines, *self._frames()]
        below, height = legend(
            self._machine, self._placement, _MARGIN, _TITLE + self._root.height + 30, self._width
        )
        size = f'viewBox="0 0 {self._width:.0f} {height:.0f}" width="{self._width:.0f}" height="{height:.0f}"'
        inside = [*self._boxes(), *cells, *self._labels(), *self._titles()]
        left = (self._width - self._root.width) / 2
        parts = (
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="{FONT}" fill="{INK}">',
            HEADS,
            f'<rect width="100%" height="100%" fill="{PAPER}"/>',
            *self._heading(),
            f'<g transform="translate({left:.1f} {_TITLE:.1f})">',
            *inside,
            "</g>",
            *below,
            "</svg>\n",
        )
        return "\n".join(parts)

    def _heading(self) -> Iterator[str]:
        machine = self._machine
        counts = (
            (len(machine.packages), "package"),
            (len(machine.numa_nodes), "NUMA node"),
            (len(machine.l3_groups), "L3 group"),
            (len(machine.cores), "core"),
            (len(machine.pus), "PU"),
        )
        said = [f"{number} {what}{'s' * (number != 1)}" for number, what in counts if number]
        said += [size_in_words(machine.memory_bytes)] * bool(machine.memory_bytes)
        yield text(_MARGIN, 52, self._title, size=30, weight=700)
        words = f"{', '.join(said)}  ·  profile {self._placement.profile}"
        yield text(_MARGIN, 80, words, size=16, fill=QUIET)

    def _boxes(self) -> Iterator[str]:
        for box in self._root.walk():
            if box.title:
                more = f' stroke="{FAINT}"'
                yield rect((box.x, box.y), box.width, box.height, radius=12, fill=_BOXES[box.kind], more=more)

    def _titles(self) -> Iterator[str]:
        for box in self._root.walk():
            if box.title:
                right = box.x + box.width - 16
                yield haloed(box.x + 16, box.y + 23, box.title, size=15, weight=700)
                yield haloed(right, box.y + 23, box.note, size=14, fill=QUIET, anchor="end")

    def _frames(self) -> Iterator[str]:
        for core, at in self._cells.items():
            width, height = self._size.width, self._size.height
            yield rect(at, width, height, radius=8, fill="#ffffff")
            yield rect(at, width, height, radius=7.9, fill=self._fill(core), more=self._outline(core))

    def _fill(self, core: Core) -> str:
        lanes = self._lanes_of[core]
        if self._machine.allowed.isdisjoint(core.pus):
            return "#e9e7e2"
        return COLOURS[lanes[0].role] if lanes else "#ffffff"

    def _outline(self, core: Core) -> str:
        lanes = self._lanes_of[core]
        own = bool(lanes) and lanes[0].level == "cores"
        strength = 1.0 if not lanes else 0.0 if self._detailed else 0.26 if own else 0.10
        colour = COLOURS[lanes[0].role] if lanes else FAINT
        return f' fill-opacity="{strength:g}" stroke="{colour}" stroke-width="{2.2 if own else 1.1}"'

    def _labels(self) -> Iterator[str]:
        for core, (x, y) in self._cells.items():
            yield from self._chips(core, x, y)
            yield from self._pills(core, x, y) if self._detailed else self._name(core, x, y)

    def _name(self, core: Core, x: float, y: float) -> Iterator[str]:
        lanes = self._lanes_of[core]
        if lanes:
            words = lanes[0].lane if len(lanes) == 1 else f"{lanes[0].lane} +{len(lanes) - 1}"
            size = min(14.0, (self._size.width - 8) / (0.58 * len(words)))
            yield text(
                x + self._size.width / 2, y + 24, words, size=size, weight=_weight(lanes[0]), anchor="middle"
            )

    def _pills(self, core: Core, x: float, y: float) -> Iterator[str]:
        for number, lane in enumerate(self._lanes_of[core]):
            left, middle = pill_at(x, y, number)
            at, colour = (left, middle - PILL_HEIGHT / 2), COLOURS[lane.role]
            more = f' fill-opacity="0.22" stroke="{colour}" stroke-width="1.6"'
            yield rect(at, PILL_WIDTH, PILL_HEIGHT, radius=7, fill="#ffffff")
            yield rect(at, PILL_WIDTH, PILL_HEIGHT, radius=7, fill=colour, more=more)
            centre = left + PILL_WIDTH / 2
            yield text(centre, middle + 5, lane.lane, size=15, weight=_weight(lane), anchor="middle")
        if not self._lanes_of[core]:
            words = "not ours" if self._machine.allowed.isdisjoint(core.pus) else "free"
            yield text(x + 14, y + 64, words, size=14, fill=QUIET)

    def _chips(self, core: Core, x: float, y: float) -> Iterator[str]:
        if self._detailed:
            name = "" if core.os_index is None else f"core {core.os_index}"
            yield haloed(x + 14, y + 29, name, size=14, fill=QUIET)
            room, top = 40.0, y + 12
            left = x + self._size.width - 8 - room * len(core.pus)
        else:
            room, top, left = (self._size.width - 8) / len(core.pus), y + 36, x + 4
        for number, pu in enumerate(core.pus):
            yield from self._chip(pu, left + number * room + 2, top, room - 4)

    def _chip(self, pu: int, x: float, y: float, width: float) -> Iterator[str]:
        lanes = [lane for lane in self._placement.lanes if pu in lane.cpuset]
        stroke, ink, fill = FAINT, "#8b95a1", "#ffffff"
        if lanes:
            stroke, ink, fill = COLOURS[lanes[0].role], "#ffffff", COLOURS[lanes[0].role]
        elif pu in self._idle:
            stroke, ink = f'{QUIET}" stroke-dasharray="3 3', QUIET
        strike = "" if pu in self._machine.allowed else ' text-decoration="line-through"'
        size = min(13.0, (width - 4) / (0.6 * len(str(pu))))
        yield rect((x, y), width, 24, radius=5, fill=fill, more=f' stroke="{stroke}"')
        yield text(x + width / 2, y + 16.5, str(pu), size=size, fill=ink, anchor="middle", more=strike)


def _weight(lane: LanePlacement) -> int:
    return 700 if lane.level == "cores" else 500
