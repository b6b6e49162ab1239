"""One run of `tallyio run`.

Layer: cli.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import trio

from tallyio.cli import INTERRUPTED
from tallyio.cli.live import plain_teller, show
from tallyio.cli.output import console as output
from tallyio.cli.output import print_json
from tallyio.cli.session import Seat, compiling, log_to, peak_rss_mb, settle_process, take_seat, until_told
from tallyio.engine.assembly import open_engine
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.lab.progress import show_progress

if TYPE_CHECKING:
    from rich.console import Console

    from tallyio.engine.config import Config
    from tallyio.engine.engine import Engine
    from tallyio.engine.report import Report


async def run_configuration(
    config: Config,
    profile: str,
    live: bool,  # noqa: FBT001 - the same
    blocks: int | None,
    json: bool,  # noqa: FBT001 - the same
) -> int:
    """Run until the goal, Ctrl-C or SIGTERM; then stop in order and print what happened.

    Returns the exit code: a signal before the first block interrupts the start, of which there is nothing
    to print.
    """
    code = INTERRUPTED
    screen = output(stderr=True)
    log_to(screen)
    tell = plain_teller(screen)
    seat = take_seat(profile)
    tell(f"machine: {seat.machine.name}; {seat.why}")
    tell("LIVE: transactions are signed and sent" if live else "paper: nothing is signed, nothing is sent")
    host = PluginHost(Catalog.scan())
    async with until_told():
        with ExitStack() as bars:
            progress = compiling(bars.enter_context(show_progress(screen)), screen)
            async with open_engine(
                config, host, live=live, seat=seat.placement, tell=tell, progress=progress
            ) as engine:
                code = 0
                bars.close()  # the live view has the screen from here on
                settle_process(seat)
                await _watch(engine, seat, screen, blocks)
    if code == 0:
        _finish(engine.report, seat, live=live, json=json)
    return code


async def _watch(engine: Engine, seat: Seat, screen: Console, blocks: int | None) -> None:
    async with trio.open_nursery() as nursery:

        async def draw() -> None:
            await show(engine.report, seat.drawing, console=screen, blocks=blocks)

        nursery.start_soon(draw)
        if blocks is None:
            await trio.sleep_forever()
        await engine.wait_blocks(blocks)
        nursery.cancel_scope.cancel()


def _finish(report: Report, seat: Seat, *, live: bool, json: bool) -> None:
    facts = {
        "mode": "live" if live else "paper",
        "chain": {"blocks": report.blocks, "rollbacks": report.rollbacks},
        "opportunities": report.opportunities(),
        "profit": report.profit_text(),
        "stages_us": report.times.summary_us(),
        "detect_us": report.detect_summary_us(),
        "placement": seat.placement.to_json(),
        "rss_mb": peak_rss_mb(),
    }
    if json:
        print_json(facts)
        return
    died = " · ".join(f"{count} {gate}" for gate, count in report.died.most_common())
    output().print(
        f"{facts['mode']}: {report.blocks} blocks · {report.found} opportunities ·"
        f" {report.landed} landed · {died or 'none died'}   (tallyio why)",
    )
