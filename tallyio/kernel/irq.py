"""Which PUs the devices interrupt: how often so far, and how many lines may do so.

Layer: kernel. Sources: proc(5) on /proc/interrupts; the OS kernel's
Documentation/core-api/irq/irq-affinity.rst on /proc/irq/*/smp_affinity_list.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tallyio.kernel.cpuset import CpuSet
from tallyio.kernel.os_files import read_list, read_text


class PuInterrupts(msgspec.Struct, frozen=True, kw_only=True):
    """What devices do to one PU. The OS's own interrupts (timers, wake-ups) are not counted."""

    pu: int
    count: int
    """Device interrupts handled here since the system started."""
    lines: int
    """Interrupt lines that may be handled here."""


def read_interrupts(root: Path = Path("/")) -> tuple[PuInterrupts, ...]:
    """Return the interrupts of every PU that the OS lists, ascending; empty where it says nothing."""
    rows = (read_text(root / "proc/interrupts") or "").splitlines()
    # The heading names online PUs only, so columns are found by name, never counted from zero.
    pus = [int(name.removeprefix("CPU")) for name in (rows[0].split() if rows else []) if _is_pu(name)]
    counts: Counter[int] = Counter()
    for row in rows[1:]:
        name, *fields = row.split()
        if name.rstrip(":").isdecimal():
            counts.update({pu: int(n) for pu, n in zip(pus, fields, strict=False) if n.isdecimal()})
    lines = Counter(pu for affinity in _affinities(root) for pu in affinity)
    return tuple(PuInterrupts(pu=pu, count=counts[pu], lines=lines[pu]) for pu in sorted(pus))


def _affinities(root: Path) -> Iterator[CpuSet]:
    for path in (root / "proc/irq").glob("[0-9]*/smp_affinity_list"):
        if affinity := read_list(path):
            yield affinity


def _is_pu(name: str) -> bool:
    return name.startswith("CPU") and name[3:].isdecimal()
