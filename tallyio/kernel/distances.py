"""Latencies between parts of a machine as its firmware states them: hwloc's distance matrices.

Layer: kernel. The numbers are relative; only ratios mean anything. What was really measured
between cores is `core_matrix`.
"""

from __future__ import annotations

import msgspec

from tallyio.kernel.cpuset import CpuSet


class Distances(msgspec.Struct, frozen=True, kw_only=True):
    """One latency matrix."""

    between: str
    """What its rows and columns are: "NUMANode", "Package", "Core" or "PU"."""
    os_indexes: tuple[int, ...]
    pus: tuple[CpuSet, ...]
    """The PUs of each row: empty for a memory-only NUMA node."""
    latency: tuple[tuple[float, ...], ...]
    """`latency[i][j]` is from row i to column j; only ratios mean anything."""

    @property
    def local(self) -> float:
        """The smallest latency on the diagonal: what is called near."""
        return min(row[index] for index, row in enumerate(self.latency))

    def row_of(self, pu: int) -> int | None:
        """Return the row of the smallest part that holds `pu`, None where none does."""
        rows = [row for row, pus in enumerate(self.pus) if pu in pus]
        return min(rows, key=lambda row: len(self.pus[row]), default=None)

    def ratio(self, row: int, column: int) -> float:
        """Return how many times farther `column` is from `row` than what is near; at least 1."""
        # Firmware that says 0 for "near" says nothing; ratios would be endless.
        near = self.local if self.local > 0 else 1.0
        return max(1.0, self.latency[row][column] / near)

    def to_json(self) -> dict[str, object]:
        """Return `{between, os_indexes: [n], pus: [[pu]], latency: [[number]]}`."""
        return {
            "between": self.between,
            "os_indexes": list(self.os_indexes),
            "pus": [sorted(pus) for pus in self.pus],
            "latency": [list(row) for row in self.latency],
        }
