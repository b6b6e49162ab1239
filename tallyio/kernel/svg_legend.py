"""What stands below the drawing of a machine: every role with its PUs, the signs, the reasons.

Layer: kernel.
"""

from __future__ import annotations

from collections.abc import Iterator

from tallyio.kernel.cpuset import format_cpuset
from tallyio.kernel.draw import size_in_words
from tallyio.kernel.machine import Machine
from tallyio.kernel.placement import LanePlacement, Placement
from tallyio.kernel.profile import LANES
from tallyio.kernel.svg_parts import FAINT, QUIET, arrow, rect, text

COLOURS = dict(
    zip(
        LANES,
        ("#d1344b", "#00798c", "#e09f1f", "#8a4fae", "#2f6db5", "#5b9a3c", "#b5651d", "#6b7686"),
        strict=True,
    )
)
"""Of each role."""

_ROW = 27.0
_NOTE = 21.0
_PUS_MAX = 18
_WAITS = {"park": "parks", "hybrid": "spins, then parks", "poll": "polls"}


def legend(
    machine: Machine, placement: Placement, left: float, top: float, width: float
) -> tuple[list[str], float]:
    """Return the legend's elements, and where they end."""
    roles = list(dict.fromkeys(lane.role for lane in placement.lanes))
    half = (len(roles) + 1) // 2
    drawn: list[str] = []
    for number, role in enumerate(roles):
        x = left + (width - 2 * left) / 2 * (number // half)
        drawn += _row(machine, placement, role, x, top + number % half * _ROW)
    signs_at = top + half * _ROW + 12
    drawn += _signs(placement, left, signs_at)
    notes = [*placement.reasons, *_far_memory(machine)]
    for number, words in enumerate(notes):
        drawn.append(text(left, signs_at + 26 + (number + 1) * _NOTE, words, size=14, fill=QUIET))
    return drawn, signs_at + 26 + len(notes) * _NOTE + 30


def _row(machine: Machine, placement: Placement, role: str, x: float, y: float) -> Iterator[str]:
    lanes = [lane for lane in placement.lanes if lane.role == role]
    pus = format_cpuset(pu for lane in lanes for pu in lane.cpuset)
    several = len(machine.numa_nodes) > 1 and lanes[0].memory_nodes
    memory = f", memory on node {format_cpuset(lanes[0].memory_nodes)}" if several else ""
    yield rect((x, y), 18, 18, radius=4, fill=COLOURS[role])
    yield text(x + 28, y + 14, role if len(lanes) == 1 else f"{role} x{len(lanes)}", size=15, weight=700)
    yield text(x + 140, y + 14, f"PU {_short(pus)}", size=15)
    words = f"{_has(lanes)}, {_WAITS[lanes[0].wait]}{memory}"
    yield text(x + 300, y + 14, words, size=15, fill=QUIET)


def _has(lanes: list[LanePlacement]) -> str:
    first = lanes[0]
    if first.level == "cores":
        return "own core" if len(first.cpuset) == 1 else "own cores"
    if first.level == "pu":
        return "own PU"
    return "shared" if any(lane.reasons[0].startswith("shares") for lane in lanes) else "alone there"


def _signs(placement: Placement, left: float, y: float) -> Iterator[str]:
    x = left
    for near, words in ((True, "ring inside one cache"), (False, "ring between caches")):
        if any(ring.one_cache == near for ring in placement.rings):
            yield arrow(f"M{x:.1f} {y + 9:.1f} h44", width=2.6, near=near)
            yield text(x + 60, y + 14, words, size=14, fill=QUIET)
            x += 230
    idle = any(lane.idle_siblings for lane in placement.lanes)
    for shown, stroke, words in (
        (idle, f'{QUIET}" stroke-dasharray="3 3', "sibling left idle"),
        (bool(placement.free), FAINT, "free"),
    ):
        if shown:
            yield rect((x, y), 30, 20, radius=5, fill="#ffffff", more=f' stroke="{stroke}"')
            yield text(x + 40, y + 14, words, size=14, fill=QUIET)
            x += 186


def _far_memory(machine: Machine) -> list[str]:
    sizes = ((node.os_index, size_in_words(node.memory_bytes)) for node in machine.memory_only_nodes)
    return [f"NUMA node {index} is memory only: {size or 'of unknown size'}" for index, size in sizes]


def _short(pus: str) -> str:
    """Return a list of PUs cut to what its column holds."""
    if len(pus) <= _PUS_MAX:
        return pus
    cut = pus[: _PUS_MAX - 3]
    return f"{cut.rpartition(',')[0] or cut}, …"
