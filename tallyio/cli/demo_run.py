"""One run of `tallyio demo`: the lab on one side, TallyIO on the other, JSON-RPC between them.

Layer: cli.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from string import Template
from typing import Final

import msgspec
import trio
from rich.console import Console

from tallyio.cli import INTERRUPTED
from tallyio.cli.live import plain_teller, show
from tallyio.cli.output import console as output
from tallyio.cli.output import print_json
from tallyio.cli.session import (
    Seat,
    compiling,
    log_to,
    milestones,
    peak_rss_mb,
    settle_process,
    take_seat,
    until_told,
)
from tallyio.engine.assembly import open_engine
from tallyio.engine.config import Config, parse_config
from tallyio.engine.engine import Engine
from tallyio.engine.executor import deployment
from tallyio.engine.report import Report
from tallyio.engine.tokens import decimal_text
from tallyio.engine.trace import TO_SIGNED
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.host import PluginHost
from tallyio.kernel.resources import data_path
from tallyio.lab.lab import WorldKind
from tallyio.lab.progress import show_progress
from tallyio.lab.recipe import UNLIMITED, units
from tallyio.lab.remote import RemoteLab, open_remote_lab
from tallyio.lab.world import OPERATOR
from tallyio.model.erc20 import approve, balance_of, transfer
from tallyio.model.units import ZERO_ADDRESS, Address, checksum, hex_text

GAS_MONEY: Final = 10**18 * 100
OWN_SYMBOL: Final = "USDC"
OWN_AMOUNT: Final = units(OWN_SYMBOL, 5_000)
"""What the account has of its own in a world of lending."""
SETTLING_BLOCKS: Final = 8
"""At most so many blocks without traders at the end, until every transaction has landed and settled."""
NOT_EXACT: Final = 1
TEMPLATES: Final[dict[WorldKind, str]] = {"pools": "tallyio.toml", "lending": "lending.toml"}
Balances = dict[Address, int]


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asked for."""

    blocks: int
    seed: int
    world: WorldKind
    profile: str
    data_dir: Path
    json: bool


async def run_demo(wishes: Wishes) -> int:
    """Run the demo; return the exit code: 0 when every trade and the sum are exact to the last unit."""
    code = INTERRUPTED
    async with until_told():
        code = await _run(wishes)
    return code  # noqa: RET504 - a signal ends the block without one


async def _run(wishes: Wishes) -> int:
    screen = output(stderr=True)
    log_to(screen)
    tell = plain_teller(screen)
    seat = take_seat(wishes.profile)
    tell(f"machine: {seat.machine.name}; {seat.why}")
    with ExitStack() as bars, tempfile.TemporaryDirectory(prefix="tallyio-demo-") as keys:
        progress = bars.enter_context(show_progress(screen))
        async with open_remote_lab(seed=wishes.seed, kind=wishes.world, progress=progress) as lab:
            tell(f"chain: a node of your own at {lab.url}, {len(lab.world.pools)} pools, id {lab.chain_id}")
            host = PluginHost(Catalog.scan())
            config = await _configure(lab, host, Path(keys), wishes)
            account = config.account or ZERO_ADDRESS
            before = await _balances(lab, account)
            async with open_engine(
                config, host, live=True, seat=seat.placement, tell=tell, progress=compiling(progress, screen)
            ) as engine:
                bars.close()  # the live view has the screen from here on
                settle_process(seat)
                await _trade(lab, engine, seat, screen, wishes.blocks)
            moved = await _moved(lab, account, before)
    return _finish(wishes, seat, lab, engine.report, moved)


async def _configure(lab: RemoteLab, host: PluginHost, keys: Path, wishes: Wishes) -> Config:
    """Make the account, fund it, deploy its executor, and fill the demo's configuration."""
    source = data_path("examples") / "demo" / TEMPLATES[wishes.world]
    text = source.read_text(encoding="utf-8")
    facts = {**lab.world.variables, "keys": str(keys), "data_dir": str(wishes.data_dir)}
    draft = parse_config(
        Template(text).substitute(facts, executor="", account=""), source=str(source), folder=keys
    )
    assert draft.signer is not None  # noqa: S101 - the file names one
    account = await host.signer(draft.signer.plugin, draft.signer.settings).create()
    await lab.fund(account, GAS_MONEY)
    executor = await lab.deploy(deployment(account))
    if lab.world.lending is not None:
        await _lend_own(lab, account, executor)
    facts |= {"executor": checksum(executor), "account": checksum(account)}
    return parse_config(Template(text).substitute(facts), source=str(source), folder=keys)


async def _lend_own(lab: RemoteLab, account: Address, executor: Address) -> None:
    """Give the account some tokens, of which the executor may pay for small liquidations."""
    token = lab.world.tokens[OWN_SYMBOL].address
    await lab.act(transfer(token, account, OWN_AMOUNT), sender=OPERATOR)
    await lab.act(approve(token, executor, UNLIMITED), sender=account)


async def _trade(lab: RemoteLab, engine: Engine, seat: Seat, screen: Console, blocks: int) -> None:
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            await show(engine.report, seat.drawing, console=screen, blocks=blocks)

        nursery.start_soon(watch)
        for _ in range(blocks):
            await engine.wait_decided(await lab.step())
        for _ in range(SETTLING_BLOCKS):
            if not engine.under_way:
                break
            await engine.wait_decided(await lab.mine())
        nursery.cancel_scope.cancel()


async def _balances(lab: RemoteLab, account: Address) -> Balances:
    tokens = [token.address for token in lab.world.tokens.values()]
    return {token: int.from_bytes(await lab.call(balance_of(token, account))) for token in tokens}


async def _moved(lab: RemoteLab, account: Address, before: Balances) -> Balances:
    after = await _balances(lab, account)
    return {token: after[token] - before[token] for token in before if after[token] != before[token]}


def is_exact(report: Report, moved: Balances) -> bool:
    """Return whether every trade is exact and the sums are the chain's own balance changes."""
    each = all(trade.predicted == trade.simulated == trade.realised for trade in report.trades)
    sums = {token: line.realised for token, line in report.profit.items() if line.realised}
    return each and sums == moved


def summary(wishes: Wishes, seat: Seat, lab: RemoteLab, report: Report, moved: Balances) -> dict[str, object]:
    """Return the run as the JSON object of `--json`; amounts are exact decimal text."""
    return {
        "seed": wishes.seed,
        "chain": {"id": lab.chain_id, "blocks": report.blocks, "rollbacks": report.rollbacks},
        "opportunities": report.opportunities(),
        "profit": report.profit_text(),
        "balance_change": {
            report.tokens[token].symbol: decimal_text(units, report.tokens[token].decimals)
            for token, units in moved.items()
        },
        "exact": is_exact(report, moved),
        "gas_cost_wei": str(report.gas_cost_wei),
        "trades": [_trade_facts(report, index) for index in range(report.landed)],
        "stages_us": report.times.summary_us(),
        "detect_us": report.detect_summary_us(),
        "milestones_s": milestones(report),
        "placement": seat.placement.to_json(),
        "rss_mb": peak_rss_mb(),
    }


def _trade_facts(report: Report, index: int) -> dict[str, object]:
    trade = report.trades[index]
    token = report.tokens[trade.token]
    amounts = {name: getattr(trade, name) for name in ("predicted", "simulated", "realised")}
    return {
        "opportunity": trade.opportunity,
        "block": trade.block_number,
        "path": trade.path,
        "token": token.symbol,
        **{name: decimal_text(units, token.decimals) for name, units in amounts.items()},
        "transaction": hex_text(trade.transaction),
    }


def _finish(wishes: Wishes, seat: Seat, lab: RemoteLab, report: Report, moved: Balances) -> int:
    exact = is_exact(report, moved)
    if wishes.json:
        print_json(summary(wishes, seat, lab, report, moved))
    else:
        _print(wishes, report, exact=exact)
    return 0 if exact else NOT_EXACT


def _print(wishes: Wishes, report: Report, *, exact: bool) -> None:
    out = output()
    profit = ", ".join(report.amount(token, line.realised) for token, line in report.profit.items())
    equal = "predicted = simulated = realised" if exact else "NOT EXACT: see tallyio why"
    signed = report.times.summary_us().get(TO_SIGNED, {"p50": 0.0})["p50"] / 1_000
    out.print(
        f"{'✔' if exact else '✗'} {report.blocks} blocks · {report.found} opportunities ·"
        f" {report.landed} landed · profit {profit or 'none'} · {equal} ·"
        f" bytes in → signed p50 {signed:.1f} ms",
    )
    died = " · ".join(f"{count} {gate}" for gate, count in report.died.most_common())
    where = "" if wishes.data_dir == Path.cwd() / "tallyio-data" else f" --data-dir {wishes.data_dir}"
    out.print(f"  why not? {died or 'all landed'}   (tallyio why{where})")
    out.print("next:  tallyio init my-bot   ·   tallyio doctor   ·   tallyio topology")
