"""The table of peers, as it was measured and kept in `measured.json`, and as the README shows it.

Needs nothing that measures, so that the documentation can be written where no peer is.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Final

import msgspec

from tallyio.bench.show import seconds_text

MEASURED: Final = Path(__file__).with_name("measured.json")
_WHOLE: Final = 20
"""From here on, how many times as fast is a whole number."""


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table: one operation beside one peer."""

    work: str
    peer: str
    ours_ns: float
    peer_ns: float | None = None
    times: float | None = None
    """How many times as fast ours is, by the fastest round of each."""
    low: float | None = None
    high: float | None = None
    absent: str = ""
    """Why nothing was measured beside it."""


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All rows, and where they were measured."""

    day: dt.date
    model: str
    pus: int
    python: str
    core_to_core_ns: float | None
    rounds: int
    lines: tuple[Line, ...]


def read(path: Path = MEASURED) -> Measured:
    """Return what was kept."""
    return msgspec.json.decode(path.read_bytes(), type=Measured)


def keep(measured: Measured, path: Path = MEASURED) -> None:
    """Write what `read` reads."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(measured)) + b"\n")


def markdown(measured: Measured) -> str:
    """Return the table, and below it where it was measured."""
    heads = "| work | TallyIO | beside | which took | times as fast |"
    where = f"{measured.model or 'this machine'}, {measured.pus} PUs of a machine shared with others"
    where += f", {measured.python}, {measured.rounds} rounds"
    if measured.core_to_core_ns is not None:
        where += f", core to core {measured.core_to_core_ns:.0f} ns"
    note = (
        f"Measured on {measured.day:%Y-%m-%d} by `make peers`: {where}.\n"
        "Times are those of the fastest round. In brackets, the range of nine of ten rounds' own ratios:"
        " it is wide where others used the machine meanwhile."
    )
    rows = [heads, "| --- | --- | --- | --- | --- |", *map(_row, measured.lines)]
    return "\n".join([*rows, "", note])


def _row(line: Line) -> str:
    ours = seconds_text(line.ours_ns * 1e-9)
    if line.peer_ns is None or line.times is None or line.low is None or line.high is None:
        return f"| {line.work} | {ours} | {line.peer} | | not measured: {line.absent} |"
    times = f"{_digits(line.times)} ({_digits(line.low)} to {_digits(line.high)})"
    return f"| {line.work} | {ours} | {line.peer} | {seconds_text(line.peer_ns * 1e-9)} | {times} |"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.2g}"
