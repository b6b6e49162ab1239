"""Draw a machine with its lanes: one box per L3 group, one cell per PU, a legend below.

Layer: kernel. `MachineMap` is a rich renderable, for commands and for the live view; it fits
the width it is given, and falls back to ASCII where the terminal knows no Unicode.
`draw_text` gives the same as plain text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from itertools import batched, groupby

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.machine import Domain, Machine
from tallyio.kernel.placement import LanePlacement, Placement
from tallyio.kernel.profile import LANES

DETAILED_UP_TO_CORES = 8
"""Machines of this size get a line per PU with the names of its lanes."""

_CORES_PER_ROW = 16
_BORDERS = 2
_COLOURS = (
    "red",
    "cyan",
    "yellow",
    "bright_red",
    "green",
    "magenta",
    "bright_cyan",
    "blue",
)
_STYLES = dict(zip(LANES, _COLOURS, strict=True))
"""Of each role. Their initials differ, too."""
_WAITS = {"park": "parks", "hybrid": "hybrid", "poll": "polls"}
_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))

_Row = tuple[str, Text]
"""A label, such as the PUs of the row, and what stands beside it."""


class _Glyphs:
    """The signs that the terminal can show."""

    def __init__(self, *, ascii_only: bool) -> None:
        self.free = "." if ascii_only else "·"
        self.idle = "-" if ascii_only else "○"
        self.forbidden = "x"
        self.dot = "-" if ascii_only else "·"
        self.to = ".." if ascii_only else "…"
        self.loss = "!" if ascii_only else "▲"


class MachineMap:
    """A renderable map of `machine`, with the lanes of `placement` if there is one.

    A cell shows its most urgent lane's initial: upper case where the lane is alone, lower
    case where lanes share the PU. `explain=False` leaves out the reasons, for a small space.
    """

    def __init__(self, machine: Machine, placement: Placement | None = None, *, explain: bool = True) -> None:
        self._machine = machine
        self._lanes: tuple[LanePlacement, ...] = placement.lanes if placement else ()
        self._explain = explain
        self._roles = {lane.lane: lane.role for lane in self._lanes}
        self._idle = frozenset(pu for lane in self._lanes for pu in lane.idle_siblings)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        glyphs = _Glyphs(ascii_only=options.ascii_only)
        yield self._title(glyphs)
        yield from self._boxes(glyphs, options.max_width)
        if self._lanes:
            yield self._legend(glyphs)
            yield self._keys(glyphs)

    def _title(self, glyphs: _Glyphs) -> Text:
        machine = self._machine
        counts = (
            (len(machine.packages), "package"),
            (len(machine.numa_nodes), "NUMA node"),
            (len(machine.l3_groups), "L3 group"),
            (len(machine.cores), "core"),
            (len(machine.pus), "PU"),
        )
        said = [f"{number} {what}{'' if number == 1 else 's'}" for number, what in counts if number]
        memory = size_in_words(machine.memory_bytes)
        model = f" {glyphs.dot} {machine.model}" if machine.model else ""
        return Text.assemble(
            (machine.name, "bold"), model, "\n", ", ".join([*said, *([memory] * bool(memory))])
        )

    def _boxes(self, glyphs: _Glyphs, width: int) -> Iterator[RenderableType]:
        """Yield a grid of boxes per package, or one grid where a package is one box."""
        detailed = len(self._machine.cores) <= DETAILED_UP_TO_CORES
        draw = self._named_rows if detailed else self._cell_rows
        rows = {domain: draw(domain, glyphs) for domain in self._machine.domains}
        inside = _aligned(rows, margin=" " if detailed else "")
        titles = [len(title) + 4 for domain in rows for title in (_title(domain, glyphs), self._numa(domain))]
        inner = max(*titles, *(line.cell_len for lines in inside.values() for line in lines))
        box_width = min(inner + _BORDERS, width)
        for heading, domains in self._sections():
            if heading:
                yield Text(heading, style="dim")
            panels = [self._panel(domain, inside[domain], glyphs, box_width) for domain in domains]
            grid = Table.grid(padding=(0, 1, 0, 0))
            for row in batched(panels, max(1, (width + 1) // (box_width + 1))):
                grid.add_row(*row)
            yield grid

    def _sections(self) -> Iterator[tuple[str, list[Domain]]]:
        domains = self._machine.domains
        if len(domains) <= max(1, len(self._machine.packages)):
            yield "", list(domains)
            return
        for heading, members in groupby(domains, key=self._package_name):
            yield (heading if len(self._machine.packages) > 1 else ""), list(members)

    def _package_name(self, domain: Domain) -> str:
        package = self._machine.package_of(domain.cores[0].pus[0])
        return f"package {package.os_index}" if package else ""

    def _panel(self, domain: Domain, lines: list[Text], glyphs: _Glyphs, width: int) -> Panel:
        return Panel(
            Group(*lines),
            box=box.ROUNDED,
            title=_title(domain, glyphs),
            title_align="left",
            subtitle=self._numa(domain) or None,
            subtitle_align="left",
            padding=0,
            width=width,
            border_style="dim",
        )

    def _numa(self, domain: Domain) -> str:
        """Return the NUMA node around `domain`, "" where the machine has but one."""
        around = [node for node in self._machine.numa_nodes if node.pus.issuperset(domain.pus)]
        nearest = min(around, key=lambda node: len(node.pus), default=None)
        return f"NUMA node {nearest.os_index}" if nearest and len(self._machine.numa_nodes) > 1 else ""

    def _cell_rows(self, domain: Domain, glyphs: _Glyphs) -> list[_Row]:
        """Return cells with cores side by side, the PUs of a core below each other."""
        rows: list[_Row] = []
        for cores in batched(domain.cores, _CORES_PER_ROW):
            for thread in range(max(len(core.pus) for core in cores)):
                pus = [core.pus[thread] if thread < len(core.pus) else None for core in cores]
                cells = [Text(" ") if pu is None else self._cell(pu, glyphs) for pu in pus]
                rows.append((_range([pu for pu in pus if pu is not None], glyphs), Text(" ").join(cells)))
        return rows

    def _named_rows(self, domain: Domain, glyphs: _Glyphs) -> list[_Row]:
        """Return one row per PU, with the names of its lanes."""
        rows: list[_Row] = []
        digits = len(str(max(self._machine.pus)))
        for core in domain.cores:
            name = "" if core.os_index is None else f"core {core.os_index}"
            for pu in core.pus:
                label = f"{name if pu == core.pus[0] else '':{len(name)}}  PU {pu:>{digits}} "
                rows.append((label, Text("  ").join([self._cell(pu, glyphs), self._names(pu)])))
        return rows

    def _cell(self, pu: int, glyphs: _Glyphs) -> Text:
        if pu not in self._machine.allowed:
            return Text(glyphs.forbidden, style="dim")
        if pu in self._idle:
            return Text(glyphs.idle, style="dim")
        lanes = self._lanes_on(pu)
        if not lanes:
            return Text(glyphs.free, style="dim")
        initial = lanes[0][0].upper() if len(lanes) == 1 else lanes[0][0]
        return Text(initial, style=f"bold {_STYLES[self._roles[lanes[0]]]}")

    def _names(self, pu: int) -> Text:
        if pu not in self._machine.allowed:
            return Text("not ours", style="dim")
        if pu in self._idle:
            return Text("left idle", style="dim")
        lanes = self._lanes_on(pu)
        return (
            Text(" ").join(Text(lane, style=_STYLES[self._roles[lane]]) for lane in lanes)
            if lanes
            else Text("free")
        )

    def _lanes_on(self, pu: int) -> list[str]:
        return [lane.lane for lane in self._lanes if pu in lane.cpuset]

    def _legend(self, glyphs: _Glyphs) -> Table:
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", max_width=24)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for lane in self._lanes:
            table.add_row(
                Text(f"{lane.lane[0].upper()} {lane.lane}", style=f"bold {_STYLES[lane.role]}"),
                f"PU {format_cpuset(lane.cpuset)}",
                _WAITS[lane.wait],
                _reasons(lane, glyphs) if self._explain else "",
            )
        return table

    def _keys(self, glyphs: _Glyphs) -> Text:
        allowed = self._machine.allowed
        keys = (
            (any(len(self._lanes_on(pu)) > 1 for pu in allowed), "lower case", "shared"),
            (bool(self._idle), glyphs.idle, "left idle for its neighbour"),
            (any(not self._lanes_on(pu) for pu in allowed - self._idle), glyphs.free, "free"),
            (allowed != self._machine.pus, glyphs.forbidden, "not ours"),
        )
        return Text("   ".join(f"{sign} {meaning}" for shown, sign, meaning in keys if shown), style="dim")


def draw_text(machine: Machine, placement: Placement | None = None, *, width: int = 80) -> str:
    """Return the map as plain text of at most `width` columns, without colours."""
    console = Console(
        file=io.StringIO(), width=width, color_system=None, markup=False, emoji=False, highlight=False
    )
    with console.capture() as captured:
        console.print(MachineMap(machine, placement))
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


def _aligned(rows: dict[Domain, list[_Row]], *, margin: str) -> dict[Domain, list[Text]]:
    """Join labels and cells with the labels equally wide in all boxes."""
    label_width = max(len(label) for lines in rows.values() for label, _ in lines)
    return {
        domain: [
            Text.assemble((margin + label.rjust(label_width), "dim"), " ", cells, margin)
            for label, cells in lines
        ]
        for domain, lines in rows.items()
    }


def _reasons(lane: LanePlacement, glyphs: _Glyphs) -> Text:
    gained, *lost = lane.reasons
    # What is lost stands on lines of its own, so that it is seen.
    return Text.assemble(
        gained,
        *((f"\n{choice}", "dim") for choice in lane.choices),
        *((f"\n{glyphs.loss} {reason}", "yellow") for reason in lost),
    )


def _title(domain: Domain, glyphs: _Glyphs) -> str:
    return f"{domain.name} {glyphs.dot} {size_in_words(domain.l3_bytes)}" if domain.l3_bytes else domain.name


def _range(pus: Sequence[int], glyphs: _Glyphs) -> str:
    """Return the PUs of a row in short: their list, or first and last where that is long."""
    listed, ends = format_cpuset(pus), f"{pus[0]}{glyphs.to}{pus[-1]}"
    return listed if len(listed) <= max(len(ends), 5) else ends


def size_in_words(count: int) -> str:
    """Return a size in bytes for people: "32 MiB", "378 GiB", "" for nothing."""
    for unit, name in _SIZES:
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return ""
