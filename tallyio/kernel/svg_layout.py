"""Where everything goes in the drawing of a machine: boxes in boxes, cells in the innermost.

Layer: kernel. Knows sizes, no colours. Packages hold NUMA nodes, these hold L3 groups ("cards"), these
hold cores ("cells"). A level that the machine does not have is left out. Of all ways to put them
into rows, the one nearest to a slide's shape is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, product
from math import ceil, log

from tallyio.kernel.machine import Core, Domain, Machine, NumaNode

GAP = 18.0
PAD = 16.0
HEAD = 34.0
SLIDE = 16 / 9
"""Width to height that is aimed at, with heading and legend."""
AROUND = 330.0
"""The height of heading and legend, about."""

DETAILED_UP_TO_CORES = 8
"""Machines of this size have large cells, with a label for every lane."""

PILL_WIDTH, PILL_HEIGHT = 160.0, 26.0
"""A lane's label in a large cell."""

_TOO_WIDE = 12


@dataclass(frozen=True, slots=True)
class CellSize:
    """The measures of a core's cell."""

    width: float
    height: float
    band: float
    """Room above each row of cells, for the lines of rings."""
    gap: float


@dataclass(slots=True)
class Box:
    """A rectangle with a heading, and boxes or cells inside; `x` and `y` are set by `arrange`."""

    kind: str
    """"machine", "package", "numa" or "l3"."""
    title: str
    note: str
    children: list[Box] = field(default_factory=list)
    cores: tuple[Core, ...] = ()
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0
    cells: dict[Core, tuple[float, float]] = field(default_factory=dict)
    """The upper left corner of each core's cell."""

    def walk(self) -> Iterator[Box]:
        """Yield this box and all inside, outer ones first."""
        yield self
        for child in self.children:
            yield from child.walk()


def cell_size(machine: Machine, lanes_per_core: int) -> CellSize:
    """Return how large cells are: with a label per lane on small machines, else with one label."""
    if len(machine.cores) <= DETAILED_UP_TO_CORES:
        return CellSize(width=236, height=58 + 30 * max(1, lanes_per_core), band=8, gap=64)
    threads = machine.threads_per_core
    return CellSize(width=84 if threads <= 2 else 30 * threads, height=66, band=28, gap=8)  # noqa: PLR2004 - two PU chips fit


def pill_at(x: float, y: float, number: int) -> tuple[float, float]:
    """Return the middle of the left edge of label `number` in the large cell whose corner is at x, y."""
    return x + 14, y + 46 + 30 * number + PILL_HEIGHT / 2


def arrange(machine: Machine, cell: CellSize, size_of: Callable[[int], str]) -> Box:
    """Return the machine as boxes with their places; `size_of` puts bytes into words."""
    root = _tree(machine, size_of)
    depth = _by_kind(root)
    rows = [
        _columns(max((len(box.children) or len(box.cores) for box in boxes), default=1)) for boxes in depth
    ]
    best = min(product(*rows), key=lambda columns: _badness(root, columns, cell))
    _measure(root, best, cell)
    _place(root, 0.0, 0.0, best, cell)
    return root


def _tree(machine: Machine, size_of: Callable[[int], str]) -> Box:
    """Return the nesting, every branch of equal depth: machine, package, NUMA node, L3 group."""

    def cards(domains: Iterable[Domain]) -> list[Box]:
        return [
            Box(kind="l3", title=domain.name, note=size_of(domain.l3_bytes), cores=domain.cores)
            for domain in domains
        ]

    root = Box(kind="machine", title="", note="")
    for package, within in groupby(machine.domains, key=lambda domain: _package(machine, domain)):
        outer = Box(kind="package", title=package, note="")
        for node, members in groupby(within, key=lambda domain: _node(machine, domain)):
            name = f"NUMA node {node.os_index}" if node and len(machine.numa_nodes) > 1 else ""
            note = size_of(node.memory_bytes) if node and name else ""
            outer.children.append(Box(kind="numa", title=name, note=note, children=cards(members)))
        root.children.append(outer)
    return root


def _package(machine: Machine, domain: Domain) -> str:
    package = machine.package_of(domain.cores[0].pus[0])
    return f"package {package.os_index}" if package and len(machine.packages) > 1 else ""


def _node(machine: Machine, domain: Domain) -> NumaNode | None:
    around = [node for node in machine.numa_nodes if node.pus.issuperset(domain.pus)]
    return min(around, key=lambda node: len(node.pus), default=None)


def _by_kind(root: Box) -> list[list[Box]]:
    boxes = list(root.walk())
    return [[box for box in boxes if box.kind == kind] for kind in ("machine", "package", "numa", "l3")]


def _columns(count: int) -> list[int]:
    """Return the numbers of columns worth trying: those that fill their rows, and all small ones."""
    even = [columns for columns in range(1, count + 1) if count % columns == 0]
    return sorted({*even, *range(1, min(count, 4) + 1)} - set(range(_TOO_WIDE + 1, count)))


def _badness(root: Box, columns: Sequence[int], cell: CellSize) -> tuple[float, tuple[int, ...]]:
    _measure(root, columns, cell)
    uneven = sum(
        (len(box.children) or len(box.cores)) % columns[depth] != 0
        for depth, boxes in enumerate(_by_kind(root))
        for box in boxes
    )
    return abs(log(root.width / (root.height + AROUND) / SLIDE)) + 0.15 * uneven, tuple(
        -count for count in columns
    )


def _measure(box: Box, columns: Sequence[int], cell: CellSize) -> None:
    for child in box.children:
        _measure(child, columns[1:], cell)
    inner_width, inner_height = _inside(box, columns[0], cell)
    pad, head = _frame(box)
    box.width, box.height = inner_width + 2 * pad, inner_height + head + pad


def _inside(box: Box, columns: int, cell: CellSize) -> tuple[float, float]:
    if box.cores:
        across, down = min(columns, len(box.cores)), ceil(len(box.cores) / columns)
        return across * (cell.width + cell.gap) - cell.gap, down * (cell.height + cell.band + 8) - 8
    rows = _rows(box, columns)
    return (
        max(sum(child.width + GAP for child in row) - GAP for row in rows),
        sum(max(child.height for child in row) + GAP for row in rows) - GAP,
    )


def _place(box: Box, x: float, y: float, columns: Sequence[int], cell: CellSize) -> None:
    box.x, box.y = x, y
    pad, head = _frame(box)
    left, top = x + pad, y + head
    for number, core in enumerate(box.cores):
        row, column = divmod(number, columns[0])
        box.cells[core] = (
            left + column * (cell.width + cell.gap),
            top + row * (cell.height + cell.band + 8) + cell.band,
        )
    for children in _rows(box, columns[0]) if box.children else ():
        at = left
        for child in children:
            _place(child, at, top, columns[1:], cell)
            at += child.width + GAP
        top += max(child.height for child in children) + GAP


def _rows(box: Box, columns: int) -> list[list[Box]]:
    return [box.children[start : start + columns] for start in range(0, len(box.children), columns)]


def _frame(box: Box) -> tuple[float, float]:
    """Return the padding and the height of the heading: a box without a title has no frame."""
    return (PAD, HEAD) if box.title else (0.0, 0.0)
