"""Show how a fetch comes along: a bar on a terminal, a few plain lines anywhere else.

Layer: lab. Everything goes to standard error, so that `--json` output stays clean.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars

if TYPE_CHECKING:
    from tallyio.lab.fetch import Progress

PLAIN_STEPS = 4


@contextmanager
def show_progress(console: Console | None = None) -> Iterator[Progress]:
    """Give a `Progress` that shows itself on `console` (standard error) while the context lasts."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _plain(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        yield _bar(bars)


def _bar(bars: Bars) -> Progress:
    tasks = {}

    def show(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
        bars.update(tasks[what], completed=done)

    return show


def _plain(console: Console) -> Progress:
    shown = set()

    def show(what: str, done: int, total: int) -> None:
        percent = 100 // PLAIN_STEPS * (done * PLAIN_STEPS // total)
        if (what, percent) not in shown:
            shown.add((what, percent))
            console.print(f"{what}: {percent} %", highlight=False)

    return show
