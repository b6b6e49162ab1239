"""Benchmarks for people: how far a run is, and its results as a table.

Layer: bench.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Column, Table
from rich.text import Text

from tallyio.bench.baseline import Drift
from tallyio.bench.compare import Change, Comparison
from tallyio.bench.records import Calls, Figure, Goal, Spread, Surroundings, Verdict
from tallyio.bench.run import Progress

_STYLES: Final = {
    "kept": "green",
    "met": "green",
    "broken": "bold red",
    "missed": "yellow",
    "failed": "red",
    "shown": "dim",
    "absent": "dim",
    "slower": "bold red",
    "faster": "green",
    "same": "dim",
    "undecided": "yellow",
    "alone": "yellow",
}
_WHOLE: Final = 1_000
"""From here on, a figure is shown without decimals."""
_UNITS: Final = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


@contextmanager
def show_progress(console: Console) -> Iterator[Progress]:
    """Give a `Progress`: a bar on a terminal, one line per script anywhere else."""
    if not console.is_terminal:
        yield _lines(console)
        return
    words = TextColumn("{task.description}", markup=False)
    columns = (words, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("")

        def show(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield show


def table_of(verdicts: Iterable[Verdict], figures: Iterable[Figure] = ()) -> Table:
    """Return the results as a table, one row per promise and per figure."""
    # Folded, because a name that is cut short cannot be asked for again.
    heads = ("benchmark", "measured", "p99", "beside", "ratio", "promised", "")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False)
    for verdict in verdicts:
        table.add_row(*_cells(verdict))
    for figure in figures:
        table.add_row(*_figure_cells(figure) if figure.goal is None else _goal_cells(figure, figure.goal))
    return table


def table_of_changes(comparison: Comparison) -> Table:
    """Return a comparison as a table, what changed first."""
    heads = ("benchmark", "B over A", "nine of ten processes", "chance", "processes", "")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False)
    for change in sorted(comparison.changes, key=lambda each: each.outcome in {"same", "alone"}):
        table.add_row(*_change_cells(change))
    return table


def table_of_drifts(found: Iterable[Drift]) -> Table:
    """Return ratios beside those that were kept, as a table."""
    heads = ("benchmark", "ratio", "kept", "now over kept", "")
    table = Table(*(Column(head, overflow="fold") for head in heads), box=None, pad_edge=False)
    for each in found:
        state = Text(each.state, style=_STYLES[each.state])
        table.add_row(
            each.name, _spread_text(each.now), _spread_text(each.kept), f"{each.factor:.2f}x", state
        )
    return table


def about(around: Surroundings) -> Iterator[str]:
    """Yield where a result was measured, in lines."""
    versions = ", ".join(f"{name} {version}" for name, version in around.versions.items())
    yield f"{around.model or 'this machine'}; {around.note}"
    if (cores := around.core_to_core) is not None:
        yield (
            f"core to core {cores.median_ns:.0f} ns ({cores.low_ns:.0f} to {cores.high_ns:.0f},"
            f" {cores.pairs} pairs)"
        )
    yield f"{around.python}, {versions}"


def misses(figures: Iterable[Figure]) -> Iterator[str]:
    """Yield, for each missed goal, where its time goes."""
    for figure in figures:
        if figure.goal is not None and figure.goal.verdict == "missed" and figure.goal.why:
            yield f"{figure.name}: {figure.goal.why}"


def seconds_text(seconds: float) -> str:
    """Return a time with three digits and a unit that suits it."""
    scale, unit = next((each for each in _UNITS if seconds >= each[0]), _UNITS[-1])
    return f"{seconds / scale:.3g} {unit}"


def _lines(console: Console) -> Progress:
    def show(what: str, done: int, total: int) -> None:
        console.print(f"bench {done}/{total}: {what}", markup=False, highlight=False)

    return show


def _cells(verdict: Verdict) -> tuple[str | Text, ...]:
    state = Text(verdict.state, style=_STYLES[verdict.state])
    if verdict.seconds is None or verdict.reference_seconds is None or verdict.ratio is None:
        return (verdict.name or verdict.subject, "", "", "", "", "", state.append(f": {verdict.fault}"))
    return (
        verdict.name,
        f"{seconds_text(verdict.seconds.median)}{_around(verdict.seconds)}",
        _p99(verdict.calls),
        f"{verdict.reference} {seconds_text(verdict.reference_seconds.median)}",
        _spread_text(verdict.ratio),
        f"<= {verdict.max_ratio:g}",
        state,
    )


def _around(seconds: Spread) -> str:
    """Return how far nine of ten values lie from the middle, at most."""
    far = max(seconds.high / seconds.median, seconds.median / seconds.low) - 1
    return f" ±{far:.0%}"


def _p99(calls: Calls | None) -> str:
    return "" if calls is None else seconds_text(calls.p99_ns * 1e-9 / calls.operations)


def _change_cells(change: Change) -> tuple[str | Text, ...]:
    state = Text(change.outcome, style=_STYLES[change.outcome])
    if change.why:
        state.append(f": {change.why}", style="dim")
    if change.factor is None or change.low is None or change.high is None:
        return (change.name, "", "", "", "", state)
    chance = "first look" if change.chance is None else f"{change.chance:.2g}"
    processes = " + ".join(map(str, change.processes))
    return (
        change.name,
        f"{change.factor:.3f}x",
        f"{change.low:.3f} to {change.high:.3f}",
        chance,
        processes,
        state,
    )


def _figure_cells(figure: Figure) -> tuple[str | Text, ...]:
    ratio = figure.ratio
    return (
        figure.name,
        f"{_digits(figure.value)} {figure.unit}",
        "",
        f"{figure.reference} {_digits(figure.reference_value)} {figure.unit}"
        if figure.reference_value
        else "",
        f"{ratio:.3g}" if ratio is not None else "",
        f"<= {figure.budget:g} {figure.unit}" if figure.budget is not None else "",
        Text(figure.state, style=_STYLES[figure.state]),
    )


def _goal_cells(figure: Figure, goal: Goal) -> tuple[str | Text, ...]:
    beside = f"{figure.reference} {_digits(figure.reference_value)}" if figure.reference_value else ""
    return (
        figure.name,
        _judged(figure, goal.values),
        "",
        beside,
        _spread_text(goal.ratios) if goal.ratios else "",
        goal.aim,
        Text(goal.verdict, style=_STYLES[goal.verdict]).append(_aside(goal), style="dim"),
    )


def _judged(figure: Figure, values: Spread) -> str:
    """Return what the goal was held against: where that is the fastest round, the others beside it."""
    if figure.value == values.median:
        return f"{_spread_text(values)} {figure.unit}"
    return (
        f"{_digits(figure.value)} {figure.unit} at best, median {_digits(values.median)}"
        f" ({_digits(values.low)} to {_digits(values.high)})"
    )


def _aside(goal: Goal) -> str:
    cores = "" if goal.core_to_core_ns is None else f"; core to core {goal.core_to_core_ns:.0f} ns"
    return f"{cores}; {goal.calm}"


def _digits(value: float) -> str:
    return f"{value:,.0f}" if value >= _WHOLE else f"{value:.3g}"


def _spread_text(spread: Spread) -> str:
    return f"{_digits(spread.median)} ({_digits(spread.low)} to {_digits(spread.high)})"
