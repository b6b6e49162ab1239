"""Read what Linux says in proc and sys, under a root that tests replace.

Layer: kernel. Nothing here raises for what is absent: containers and old kernels leave much out.
"""

from __future__ import annotations

from pathlib import Path

from tallyio.kernel.cpuset import CpuSet, parse_cpuset
from tallyio.model.errors import ConfigError


def read_text(path: Path) -> str | None:
    """Return the stripped text of a file, None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def read_list(path: Path) -> CpuSet | None:
    """Return the PUs (or NUMA nodes) that a file lists, None if it lists none of them legibly.

    Some files say "(null)" for an empty list.
    """
    text = read_text(path)
    try:
        return None if text is None else parse_cpuset(text.replace("(null)", ""))
    except ConfigError:
        return None


def read_mask(path: Path) -> CpuSet | None:
    """Return the PUs of a file that holds a mask in hexadecimal words, such as "ff,ffffffff"."""
    text = read_text(path)
    try:
        mask = int((text or "").replace(",", ""), 16)
    except ValueError:
        return None
    return frozenset(pu for pu in range(mask.bit_length()) if mask >> pu & 1)
