"""`tallyio positions`: who is near liquidation.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tallyio.engine.survey import Survey


def positions(config: Path, *, at_risk: bool = False, top: int = 20, json: bool = False) -> None:
    """Read every position of CONFIG's lending protocols once, and show those nearest to liquidation.

    Args:
        config: A TOML file with a protocol of lending.
        at_risk: Show only those that can be liquidated now.
        top: How many to show.
        json: Print {chain, block, positions, near: [{venue, account, part, health, liquidatable, asset,
            dies_at, profit, reason, auction}]}.
    """
    import msgspec  # noqa: PLC0415 - help needs none of it
    import trio  # noqa: PLC0415 - the same

    from tallyio.cli.output import console, print_json  # noqa: PLC0415 - the same
    from tallyio.cli.session import compiling  # noqa: PLC0415 - the same
    from tallyio.engine.config import load_config  # noqa: PLC0415 - the same
    from tallyio.engine.survey import survey  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same
    from tallyio.lab.progress import show_progress  # noqa: PLC0415 - the same
    from tallyio.model.errors import ConfigError  # noqa: PLC0415 - the same

    if top < 1:
        raise ConfigError(f"--top must be at least 1, was {top}")
    parsed = load_config(config)
    screen = console(stderr=True)

    async def ask() -> Survey:
        with show_progress(screen) as bars:
            progress = compiling(bars, screen)
            return await survey(
                parsed, PluginHost(Catalog.scan()), count=top, at_risk=at_risk, progress=progress
            )

    found = trio.run(ask)
    if json:
        print_json(msgspec.to_builtins(found))
    else:
        _print(found)


def _print(found: Survey) -> None:
    from rich.table import Table  # noqa: PLC0415 - only text needs it

    from tallyio.cli.output import console  # noqa: PLC0415 - the same
    from tallyio.engine.tokens import decimal_text  # noqa: PLC0415 - the same

    out = console()
    titles = ["venue", "account", "health", "dies when", "if liquidated now"]
    if any(each.auction for each in found.near):
        titles.append("price sold by")
    table = Table(*titles, box=None, pad_edge=False)
    for each in found.near:
        change = "" if each.dies_at is None else f"{each.asset} {(each.dies_at - 1) * 100:+.2f} %"
        gain = "" if each.profit is None else f"+{decimal_text(int(each.profit), 18)[:12]} native"
        style = "bold red" if each.liquidatable else ""
        cells = [each.venue, each.account, f"{each.health:.4f}", change, gain or each.reason or ""]
        table.add_row(*[*cells, each.auction or ""][: len(titles)], style=style)
    out.print(f"block {found.block}: {found.positions} positions")
    out.print(table)
