"""Kernels of the market, each beside its goal, plain Python and its peers, measured in turns.

    python perf/bench_market.py [--rounds N] [--only NAME ...] [--no-peers] [--json]

Every round runs every kernel and every peer once, and before each a chain of multiplications that says
how fast the core is at that moment. "calibrated" is the time on a core of 4.5 GHz by that chain; goals are
for it. A ratio is ours over the other's time in the same round. Rows are in `perf/market`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

import msgspec

from perf.market.row import ROWS, Case, Row
from perf.peers.session import Peers
from tallyio.bench.calibrate import chain_timer
from tallyio.bench.instructions import counter, instructions_each
from tallyio.bench.records import Figure, Goal, Spread
from tallyio.bench.rounds import Series, Timer, measure_in_turns

HERE: Final = Path(__file__).resolve().parent

REFERENCE: Final = "python"
MARKET: Final = "market"

type Verdict = Literal["met", "missed", "shown", "absent"]

HEAD: Final = f"{'kernel':<24}{'goal':>7}{'measured':>11}{'calibrated':>12}{'median':>10}  nine of ten rounds"


@dataclass(frozen=True, kw_only=True)
class Result:
    """A row, ready or measured."""

    row: Row
    case: Case
    series: dict[str, Series]
    """Ours under "", the reference and the peers by their names."""
    instructions: float | None = None
    """Of one operation; None where nobody asked, or the machine does not say."""
    family: str = MARKET
    """Which table the row stands in."""

    @property
    def verdict(self) -> str:
        """Whether every goal was met: "met", "missed: ...", "shown" (there is none)."""
        missed = [
            name
            for name, most in self.row.goal_ratios.items()
            if name in self.ratios and self.ratios[name].median > most
        ]
        if self.row.goal_ns is not None and self.series[""].timing.calibrated_minimum > self.row.goal_ns:
            missed.insert(0, "goal")
        if missed:
            return f"missed: {', '.join(missed)}"
        judged = self.row.goal_ns is not None or any(name in self.ratios for name in self.row.goal_ratios)
        return "met" if judged else "shown"

    @property
    def ratios(self) -> dict[str, Spread]:
        """Ours over each other's time."""
        ours = self.series[""]
        return {name: ours.ratio_to(other) for name, other in self.series.items() if name}

    def figures(self) -> Iterator[Figure]:
        """Return the row's time as a figure, then one figure beside each peer, there or absent."""
        yield self._figure(REFERENCE, "", self.row.goal_ns)
        for name in [*self.case.peers, *self.case.absent]:
            yield self._figure(name, f".{name}", None)
        if self.case.bytes_each:
            yield Figure(
                name=f"{self.family}.{self.row.name}.memory", value=self.case.bytes_each, unit="bytes"
            )
        if self.case.counted is not None:
            yield self._instructions()

    def _figure(self, beside: str, suffix: str, goal_ns: float | None) -> Figure:
        timing, other = self.series[""].timing, self.series.get(beside)
        ratio, most = self.ratios.get(beside), self.row.goal_ratios.get(beside)
        missed = (goal_ns is not None and timing.calibrated_minimum > goal_ns) or (
            most is not None and ratio is not None and ratio.median > most
        )
        verdict: Verdict = (
            "missed" if missed else "met" if goal_ns is not None or most is not None else "shown"
        )
        wanted = [f"<= {goal_ns:g} ns"] if goal_ns is not None else []
        wanted += [f"<= {most:.3g}x"] if most is not None else []
        return Figure(
            name=f"{self.family}.{self.row.name}{suffix}",
            value=timing.calibrated_minimum,
            unit="ns",
            reference=beside if other or beside in self.case.absent else None,
            reference_value=other.timing.calibrated_minimum if other else None,
            goal=Goal(
                aim=" and ".join(wanted),
                verdict="absent" if beside in self.case.absent else verdict,
                values=timing.calibrated_spread,
                ratios=ratio,
                calm=self.case.absent.get(beside, f"{timing.minimum:.3g} ns as measured"),
            ),
        )

    def _instructions(self) -> Figure:
        value, (_, how) = self.instructions or 0.0, counter()
        goal = Goal(
            aim="",
            verdict="shown" if self.instructions else "absent",
            values=Spread(median=value, low=value, high=value),
            ratios=None,
            calm=how,
        )
        name = f"{self.family}.{self.row.name}.instructions"
        return Figure(name=name, value=value, unit="instructions", goal=goal)

    def lines(self) -> Iterator[str]:
        """Return the row for people."""
        timing, goal = self.series[""].timing, self.row.goal_ns
        spread = timing.calibrated_spread
        yield (
            f"{self.row.name:<24}{f'{goal:g}' if goal is not None else '':>7}{timing.minimum:>11.2f}"
            f"{timing.calibrated_minimum:>12.2f}{timing.calibrated_median:>10.2f}"
            f"  {spread.low:.2f} .. {spread.high:.2f}   {self.verdict}"
        )
        for name, ratio in self.ratios.items():
            most = self.row.goal_ratios.get(name)
            wanted = f", goal {1 / most:g}" if most else ""
            other = self.series[name].timing.minimum
            yield (
                f"    {1 / ratio.median:>10.1f} times as fast as {name}{wanted}"
                f"  [{1 / ratio.high:.1f} .. {1 / ratio.low:.1f}], which took {other:.0f} ns"
            )
        for name, reason in self.case.absent.items():
            yield f"    without {name}: {reason}"
        if self.case.bytes_each:
            yield f"    {self.case.bytes_each:,} bytes each"
        if self.instructions:
            yield f"    {self.instructions:,.0f} instructions"


def declared(only: list[str], family: str = MARKET) -> list[Row]:
    """Return the rows of every module of `perf.<family>` whose names start with one of `only`, or all."""
    package = importlib.import_module(f"perf.{family}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    own = [row for row in ROWS if row.make.__module__.startswith(f"{package.__name__}.")]
    chosen = [row for row in own if not only or row.name.startswith(tuple(only))]
    return sorted(chosen, key=lambda row: row.name)


def prepare(rows: list[Row], peers: Peers) -> list[tuple[Row, Case]]:
    """Make every case, saying which: the first time much is compiled."""
    made = []
    for number, row in enumerate(rows, 1):
        print(f"\rpreparing {number} of {len(rows)}: {row.name:<40}", end="", file=sys.stderr)
        made.append((row, row.make(peers)))
    return made


def sides(case: Case) -> dict[str, Timer]:
    """Return what is timed for a row."""
    beside = {REFERENCE: case.reference} if case.reference else {}
    return {"": case.ours, **beside, **case.peers}


def measure(cases: list[tuple[Row, Case]], rounds: int, family: str = MARKET) -> list[Result]:
    """Measure all rows in every round."""
    timers = {(row.name, side): timer for row, case in cases for side, timer in sides(case).items()}
    names = {f"{name}\0{side}": timer for (name, side), timer in timers.items()}

    def progress(done: int) -> None:
        print(f"\rround {done} of {rounds}{'':<40}", end="", file=sys.stderr)

    series = measure_in_turns(names, chain_timer(), rounds=rounds, progress=progress)
    print(f"\r{'':60}\r", end="", file=sys.stderr)
    return [
        Result(
            row=row,
            case=case,
            series={side: series[f"{row.name}\0{side}"] for side in sides(case)},
            family=family,
        )
        for row, case in cases
    ]


def counted(result: Result) -> Result:
    """Return the result with its instructions, where its case says how to do a number of operations."""
    if result.case.counted is None:
        return result
    print(f"\rcounting instructions of {result.row.name:<40}", end="", file=sys.stderr)
    return replace(result, instructions=instructions_each(result.case.counted))


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="rows by the start of a name")
    parser.add_argument("--no-peers", action="store_true", help="do not install or start degenbot")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON list")
    return parser.parse_args()


def main(family: str = MARKET) -> None:
    """Measure and print the rows of `perf.<family>`."""
    asked = arguments()
    with Peers(wanted=not asked.no_peers) as peers:
        results = measure(prepare(declared(asked.only, family), peers), asked.rounds, family)
    results = [counted(result) for result in results]
    print(f"\r{'':60}\r", end="", file=sys.stderr)
    if asked.json:
        figures = [figure for result in results for figure in result.figures()]
        print(msgspec.json.format(msgspec.json.encode(figures), indent=1).decode())
        return
    print(HEAD)
    for result in results:
        print("\n".join(result.lines()))
    if any(result.case.counted for result in results):
        print(f"instructions: {counter()[1]}")


if __name__ == "__main__":
    main()
