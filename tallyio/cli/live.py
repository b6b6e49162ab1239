"""What a run shows while it goes on: a live screen on a terminal, plain lines anywhere else.

Layer: cli. Everything goes to standard error, so that `--json` output stays clean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from rich.columns import Columns
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tallyio.engine.report import Report
from tallyio.engine.tokens import decimal_text
from tallyio.engine.trace import TO_SIGNED, TOTAL

if TYPE_CHECKING:
    from collections.abc import Callable

REFRESH_S: Final = 0.25
EVENTS: Final = 8
PLAIN_EVERY: Final = 10
"""Blocks between two plain lines."""


async def show(report: Report, machine: RenderableType, *, console: Console, blocks: int | None) -> None:
    """Show `report` until cancelled. `machine` is the drawn placement; `blocks` the goal, if there is one."""
    if not console.is_terminal:
        await _lines(report, console, blocks)
        return
    with Live(screen(report, machine, blocks), console=console, auto_refresh=False) as live:
        try:
            while True:
                await trio.sleep(REFRESH_S)
                live.update(screen(report, machine, blocks), refresh=True)
        finally:
            live.update(screen(report, machine, blocks), refresh=True)


def screen(report: Report, machine: RenderableType, blocks: int | None) -> RenderableType:
    """Return one frame."""
    events = "\n".join(list(report.recent)[-EVENTS:]) or "waiting for the first opportunity"
    return Group(
        Columns([counts(report, blocks), stages(report)], equal=False, expand=False),
        Panel(events, title="events", border_style="dim", height=EVENTS + 2),
        Panel(machine, title="machine and lanes", border_style="dim"),
    )


def counts(report: Report, blocks: int | None) -> Table:
    """Return the run's counts and profit as a table."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    goal = f" of {blocks}" if blocks and report.blocks <= blocks else ""  # more: the last trades settle
    head = f"#{report.head.number}" if report.head else "none yet"
    table.add_row("blocks", f"{report.blocks}{goal}, head {head}")
    table.add_row(
        "opportunities", f"{report.found} found, {report.simulated} simulated, {report.signed} signed"
    )
    table.add_row("landed", Text(str(report.landed), style="bold green"))
    died = ", ".join(f"{count} {gate}" for gate, count in report.died.most_common())
    table.add_row("died", died or "none")
    for token, line in report.profit.items():
        table.add_row("profit", Text(report.amount(token, line.realised), style="bold"))
    table.add_row("gas paid", f"{decimal_text(report.gas_cost_wei, 18)} native")
    return table


def stages(report: Report) -> Table:
    """Return p50 and p99 per stage as a table."""
    table = Table("stage", "p50 µs", "p99 µs", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name, figures in report.times.summary_us().items():
        style = "bold" if name in (TO_SIGNED, TOTAL) else ""
        table.add_row(name, f"{figures['p50']:,.0f}", f"{figures['p99']:,.0f}", style=style)
    return table


async def _lines(report: Report, console: Console, blocks: int | None) -> None:
    said = 0
    while True:
        await trio.sleep(REFRESH_S)
        if report.blocks >= said + PLAIN_EVERY:
            said = report.blocks
            goal = f"/{blocks}" if blocks and said <= blocks else ""
            console.print(
                f"block {said}{goal}: {report.found} found, {report.landed} landed",
            )


def plain_teller(console: Console) -> Callable[[str], None]:
    """Return a function that prints one line of progress."""

    def tell(text: str) -> None:
        console.print(f"· {text}")

    return tell
