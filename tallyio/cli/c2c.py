"""`tallyio c2c`: measure the latency between every two cores, and keep it for the placer.

Layer: cli.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from tallyio.kernel.core_matrix import CoreMatrix
    from tallyio.kernel.machine import Machine

_NUMBERS_UP_TO = 12
"""PUs whose latencies are shown as numbers; more are shown as colours only."""

_HEAT = ("#1a9850", "#91cf60", "#d9ef8b", "#fee08b", "#fc8d59", "#d73027")


def c2c(*, rounds: int = 300, json: bool = False) -> None:
    """Measure how long a cache line takes from core to core, and keep it for placement.

    Takes about 10 ms for each pair of cores; what else runs on the machine disturbs it.

    Args:
        rounds: samples per pair, 20 or more.
        json: print one JSON object: {path, topology_hash, model, pus, one_way_ns, spread_ns, rounds,
            measured_at}; latencies in ns, 0 where nothing was measured.

    """
    from tallyio.kernel.c2c import pairs_of  # noqa: PLC0415 - numba takes half a second
    from tallyio.kernel.core_matrix import save_matrix  # noqa: PLC0415 - the kernel loads when the command runs
    from tallyio.kernel.machine import Machine  # noqa: PLC0415 - as above

    machine = Machine.this_system()
    matrix = _measure(machine, rounds, len(pairs_of(machine)))
    path = save_matrix(matrix, machine)
    if json:
        from msgspec.structs import asdict  # noqa: PLC0415 - as above

        print_json({"path": str(path), **asdict(matrix)})
        return
    out = console()
    out.print(_heat_table(matrix))
    for line in _summary(machine, matrix):
        out.print(line)
    out.print(f"kept in {path}; placement uses it from now on", style="dim")


def _measure(machine: Machine, rounds: int, pairs: int) -> CoreMatrix:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415 - slow

    from tallyio.kernel.c2c import measure_matrix  # noqa: PLC0415 - as above

    columns = (
        TextColumn("core to core"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=pairs, now="")
        return measure_matrix(
            machine,
            rounds=rounds,
            done=lambda pair: progress.update(task, advance=1, now=f"PU {pair[0]} - PU {pair[1]}"),
        )


def _heat_table(matrix: CoreMatrix) -> Table:
    from rich.table import Table  # noqa: PLC0415 - rich is for people only
    from rich.text import Text  # noqa: PLC0415 - as above

    numbers = len(matrix.pus) <= _NUMBERS_UP_TO
    table = Table.grid(padding=(0, 1 if numbers else 0, 0, 0))
    for _ in range(len(matrix.pus) + 1):
        table.add_column(justify="right", no_wrap=True)
    if numbers:
        table.add_row("ns", *(Text(f"PU {pu}", style="dim") for pu in matrix.pus))
    shortest, longest = (matrix.pairs_ns[end] for end in (0, -1))
    for pu, row in zip(matrix.pus, matrix.one_way_ns, strict=True):
        cells = [
            Text(f"{ns:.0f}" if numbers else "  ", style=_shade(ns, shortest, longest)) if ns else Text(" -")
            for ns in row
        ]
        table.add_row(Text(f"PU {pu}", style="dim"), *cells)
    return table


def _shade(ns: float, shortest: float, longest: float) -> str:
    step = int((ns - shortest) / max(longest - shortest, 1e-9) * (len(_HEAT) - 1) + 0.5)
    return f"black on {_HEAT[step]}"


def _summary(machine: Machine, matrix: CoreMatrix) -> list[str]:
    """Return the medians of what is near, less near, far."""
    kinds: dict[str, list[float]] = {}
    for first, row in zip(matrix.pus, matrix.one_way_ns, strict=True):
        for second, ns in zip(matrix.pus, row, strict=True):
            if first < second and ns:
                kinds.setdefault(_relation(machine, first, second), []).append(ns)
    spread = median(ns for row in matrix.spread_ns for ns in row if ns) if matrix.pairs_ns else 0.0
    lines = [
        f"{kind:<24} {median(values):6.1f} ns   {min(values):.1f} to {max(values):.1f}, {len(values)} pairs"
        for kind, values in kinds.items()
    ]
    return [*lines, f"half of a pair's samples lie within {spread:.1f} ns"]


def _relation(machine: Machine, first: int, second: int) -> str:
    if machine.core_of(first) == machine.core_of(second):
        return "siblings of one core"
    if machine.same_l3(first, second):
        return "under one L3"
    same = machine.package_of(first) == machine.package_of(second)
    return "in one package" if same else "between packages"
