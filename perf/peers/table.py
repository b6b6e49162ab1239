"""What other people's code takes for the same work, measured in the same rounds: `make peers`.

    python perf/peers/table.py [--rounds N] [--only NAME ...] [--write]

Each peer is installed into an environment of its own in the cache folder; both sides' answers are compared
before anything is timed. Every round runs every side of every row once. Shown are the fastest rounds, and in
brackets the range of the rounds' own ratios. `--write` keeps the figures in `measured.json` and puts the
table between its markers in README.md. A peer that cannot be had keeps its row and says why.
"""

from __future__ import annotations

import argparse
import datetime as dt
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from perf.bench_market import Result, declared, measure, prepare
from perf.market.row import Row
from perf.peers.lines import Line, Measured, keep, markdown
from perf.peers.session import DEGENBOT, Peers
from tallyio.bench.surroundings import look_around, with_core_to_core

README: Final = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- generated: peers -->", "<!-- end -->"
_REGION: Final = re.compile(rf"{re.escape(BEGIN)}\n.*?{re.escape(END)}", re.DOTALL)

WORK: Final = {
    "v2.quote": "Uniswap V2 quote, compiled loop",
    "v2.quote.from_python": "the same, one call from Python",
    "v2.sync": "a Sync log applied",
    "v3.quote.10_ticks": "Uniswap V3 quote, 10 ticks crossed",
    "optimum.v2_v2": "best input for two V2 pools",
    "v3.quote.lab": "Uniswap V3 quote of a lab pool",
    "evm.v2_amounts_out": "Uniswap V2 quote of a lab pair",
    "sign.type_2": "sign a type-2 transaction, policy and nonce checked",
    "abi.encode": "encode the arguments of a transfer",
    "abi.decode": "decode three words",
    "node.call": "one call of a contract on a local node",
    "ring.one_way": "a word from core to core",
    "ring.single_from_python": "a word through a queue and out, from Python",
    "ring.batch_from_python": "the same in batches of 256, each",
    "trio.wake_up": "wake a sleeping Trio task from a thread",
}
"""The rows, from `perf/market` and `perf/beside`, in words."""

NAMES: Final = {"degenbot": DEGENBOT.name, "quoter": "QuoterV2 on pyrevm"}
"""Peers whose rows call them by a short name."""


def lines(results: list[Result]) -> Iterator[Line]:
    """Yield a line for each peer of each result, there or absent."""
    for result in results:
        ours, work = result.series[""], WORK[result.row.name]
        for name in result.case.peers:
            ratio = result.ratios[name]
            yield Line(
                work=work,
                peer=NAMES.get(name, name),
                ours_ns=min(ours.ns),
                peer_ns=min(result.series[name].ns),
                times=min(result.series[name].ns) / min(ours.ns),
                low=1 / ratio.high,
                high=1 / ratio.low,
            )
        for name, why in result.case.absent.items():
            yield Line(work=work, peer=NAMES.get(name, name), ours_ns=min(ours.ns), absent=why)


def write(text: str, page: Path = README) -> None:
    """Put the table between its markers. Raises: SystemExit: the page has none."""
    old = page.read_text(encoding="utf-8")
    if BEGIN not in old:
        raise SystemExit(f"{page.name} has no {BEGIN}")
    page.write_text(_REGION.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", old), encoding="utf-8")


def chosen(only: list[str]) -> list[Row]:
    """Return the rows of the table, or those whose names start with one of `only`."""
    rows = {row.name: row for family in ("market", "beside") for row in declared(only, family)}
    return [rows[name] for name in WORK if name in rows]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="rows by the start of a name")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    asked = parser.parse_args()
    around = with_core_to_core(look_around())
    with Peers() as peers:
        found = tuple(lines(measure(prepare(chosen(asked.only), peers), asked.rounds)))
    measured = Measured(
        day=dt.datetime.now(tz=dt.UTC).date(),
        model=around.model,
        pus=len({pu for pus in around.lanes.values() for pu in pus}),
        python=around.python,
        core_to_core_ns=around.core_to_core.median_ns if around.core_to_core else None,
        rounds=asked.rounds,
        lines=found,
    )
    text = markdown(measured)
    print(text)
    if asked.write:
        keep(measured)
        write(text)
        print(f"wrote {README.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
