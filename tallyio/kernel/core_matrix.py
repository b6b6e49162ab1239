"""Core-to-core latencies that were measured on this machine, kept by its topology hash.

Layer: kernel. `c2c` measures; `placement` prefers these numbers to what the firmware says. They are
data about a machine, not about a run: kept where the user's data lies, and found again as long as
the machine has the same shape and the same chip.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from functools import cached_property
from pathlib import Path

import msgspec

from tallyio.kernel.machine import Machine
from tallyio.model.errors import EnvironmentFault


class CoreMatrix(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """One-way latencies between PUs, in nanoseconds."""

    topology_hash: str
    model: str
    """The chip's name: another chip of the same shape has other latencies."""
    pus: tuple[int, ...]
    """The PUs measured, by OS index."""
    one_way_ns: tuple[tuple[float, ...], ...]
    """`one_way_ns[i][j]` is from `pus[i]` to `pus[j]`, the median; 0 where nothing was measured."""
    spread_ns: tuple[tuple[float, ...], ...]
    """Between the quartiles of the same samples."""
    rounds: int
    """Samples per pair."""
    measured_at: int
    """Seconds since 1970."""

    def __post_init__(self) -> None:
        sizes = {len(self.pus)}
        for rows in (self.one_way_ns, self.spread_ns):
            if {len(rows), *map(len, rows)} - sizes:
                raise ValueError(f"a matrix of {len(self.pus)} PUs must be square")

    @cached_property
    def _row(self) -> dict[int, int]:
        return {pu: row for row, pu in enumerate(self.pus)}

    def between(self, first: int, second: int) -> float | None:
        """Return the one-way latency between two PUs in ns, None where it was not measured."""
        row, column = self._row.get(first), self._row.get(second)
        if row is None or column is None:
            return None
        return self.one_way_ns[row][column] or None

    @property
    def pairs_ns(self) -> list[float]:
        """All latencies measured, ascending, each pair once."""
        rows = enumerate(self.one_way_ns)
        return sorted(ns for row, line in rows for ns in line[row + 1 :] if ns)


def data_root() -> Path:
    """Return `$TALLYIO_DATA`, else `$XDG_DATA_HOME/tallyio`, else `~/.local/share/tallyio`.

    Raises: EnvironmentFault: there is no home folder.
    """
    if own := os.environ.get("TALLYIO_DATA"):
        return Path(own).expanduser().absolute()
    if shared := os.environ.get("XDG_DATA_HOME"):
        return Path(shared) / "tallyio"
    try:
        return Path.home() / ".local" / "share" / "tallyio"
    except RuntimeError as fault:
        raise EnvironmentFault(
            "there is no home folder to keep data in", way_out="set TALLYIO_DATA to a folder of your own"
        ) from fault


def matrix_path(machine: Machine) -> Path:
    """Return where the matrix of a machine of this shape is kept."""
    return data_root() / "c2c" / f"{machine.topology_hash}.json"


def load_matrix(machine: Machine) -> CoreMatrix | None:
    """Return what was measured on `machine`, None where nothing (legible) is kept for it."""
    try:
        matrix = msgspec.json.decode(matrix_path(machine).read_bytes(), type=CoreMatrix)
    except (OSError, EnvironmentFault, msgspec.MsgspecError, ValueError):
        return None
    same = matrix.topology_hash == machine.topology_hash and matrix.model == machine.model
    return matrix if same else None


def save_matrix(matrix: CoreMatrix, machine: Machine) -> Path:
    """Keep `matrix` for `load_matrix`, whole or not at all, and return its path.

    Raises: EnvironmentFault: the folder cannot be written.
    """
    path = matrix_path(machine)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(msgspec.json.encode(matrix))
        Path(file.name).replace(path)
    except OSError as fault:
        with contextlib.suppress(OSError, UnboundLocalError):
            Path(file.name).unlink(missing_ok=True)
        raise EnvironmentFault(
            f"cannot keep the measurements in {path}: {fault.strerror}",
            way_out="set TALLYIO_DATA to a folder that you may write to",
        ) from fault
    return path
