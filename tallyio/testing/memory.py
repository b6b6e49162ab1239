"""Search the memory of a running process, as whoever got into it could.

Layer: testing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

CHUNK_BYTES = 1 << 22
_REGION = re.compile(r"([0-9a-f]+)-([0-9a-f]+) r")


Needle = bytes | memoryview
NOWHERE = range(0)


def hits(pid: int, needles: Mapping[str, Needle], *, beside: range = NOWHERE) -> dict[str, int]:
    """Return how often each of `needles` stands in the readable memory of process `pid`.

    Regions that begin in the addresses `beside` are left out: there the searcher may keep its needles.
    """
    found = dict.fromkeys(needles, 0)
    overlap = max(map(len, needles.values())) - 1
    for start, end in _regions(pid):
        if start in beside:
            continue
        rest = b""
        for data in _read(pid, start, end):
            text = rest + data
            for name, needle in needles.items():
                # What lies whole in the overlap was counted with the chunk before.
                found[name] += text.count(needle) - rest.count(needle)
            rest = text[-overlap:]
    return found


def _regions(pid: int) -> Iterator[tuple[int, int]]:
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        place = _REGION.match(line)
        if place:
            yield int(place[1], 16), int(place[2], 16)


def _read(pid: int, start: int, end: int) -> Iterator[bytes]:
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for at in range(start, end, CHUNK_BYTES):
            try:
                memory.seek(at)
                yield memory.read(min(CHUNK_BYTES, end - at))
            except (OSError, OverflowError, ValueError):
                return  # a region of the kernel, or one that has gone since
