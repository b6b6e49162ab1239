"""`tallyio bench`: measure what the installed plugins promise, and compare two builds.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.bench.compare import Comparison
    from tallyio.bench.records import BenchReport, Job, Surroundings

NOT_KEPT: Final = 1

app = App(name="bench", help="Measure what the installed plugins promise.", help_format="plaintext")


@app.default
def bench(  # noqa: PLR0913 - each is an option of the command line
    *names: str,
    quick: bool = False,
    rigorous: bool = False,
    rounds: int = 1,
    profile: str = "auto",
    against: Path | None = None,
    baseline: Path | None = None,
    json: bool = False,
) -> int:
    """Run the benchmark contracts of installed plugins. Exit code 1 if a promise is not kept.

    Each promise is a ratio to a reference that is measured in the same run, so it holds on any
    machine. Each script runs on the PUs that the placement gives the lane its contract names.

    Args:
        names: Plugins or single benchmarks; all without any, or with "all".
        quick: One process a script, some seconds each: enough to see whether promises are kept.
        rigorous: Twenty times as long as without; surer.
        rounds: Go through everything so often, each time in new processes: `bench compare` needs several.
        profile: Hardware profile whose placement says where; auto takes the one that fits.
        against: Another checkout: measure it and this one in turns, and say what became slower or
            faster. Exit code 1 if anything became slower. Prints {way, changes: [{name, outcome,
            factor, low, high, chance, processes, why}], notes}.
        baseline: A folder of baselines by profile, such as perf/baselines: also say which ratios
            are far from those kept. Exit code 1 if one is larger, on the same chip and Python.
        json: Print one JSON object, also for `bench compare`: {effort, surroundings: {python, pyperf,
            model, topology_hash, pus, placement, note, lanes, profile, core_to_core, versions},
            promises: [{subject, name, state: kept|broken|failed, reference, max_ratio, ratio:
            {median, low, high}, seconds: {...}, reference_seconds: {...}, samples, lane, calls:
            {count, p50_ns, p99_ns, p999_ns, max_ns, operations}, instructions, runs, fault}]}; low and
            high are the 5th and 95th percentile, and what was not measured is null.

    """
    from tallyio.bench.select import select  # noqa: PLC0415 - help needs none of it
    from tallyio.bench.surroundings import look_around, with_core_to_core  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same

    jobs, faults = select(Catalog.scan().all(), names)
    around = with_core_to_core(look_around(profile))
    if against is not None:
        return _print_comparison(_against(jobs, against, around), json=json)

    from tallyio.bench.judge import refused  # noqa: PLC0415 - the same
    from tallyio.bench.records import BenchReport  # noqa: PLC0415 - the same
    from tallyio.bench.run import QUICK, by_effort, run_jobs  # noqa: PLC0415 - the same
    from tallyio.bench.show import show_progress  # noqa: PLC0415 - the same

    effort = QUICK if quick else "rigorous" if rigorous else "fast"
    with show_progress(console(stderr=True)) as progress:
        verdicts = run_jobs(jobs, by_effort(effort), lanes=around.lanes, progress=progress, rounds=rounds)
    report = BenchReport(effort=effort, surroundings=around, promises=(*map(refused, faults), *verdicts))
    if json:
        print_json(report)
    else:
        _print_report(report)
    holds = baseline is None or _beside(report, baseline, to_stderr=json)
    return 0 if report.all_kept and holds else NOT_KEPT


@app.command
def compare(before: Path, after: Path, *, json: bool = False) -> int:
    """Say which benchmarks became slower or faster between two result files of `bench --json`.

    Both need several --rounds. On one machine, `bench --against CHECKOUT` is surer and quicker: it
    measures both in turns. Exit code 1 if anything became slower.

    Args:
        before: Result file of the older build, A.
        after: Result file of the newer build, B.
        json: Print one JSON object: {way, changes: [{name, outcome:
            slower|faster|same|undecided|alone, factor, low, high, chance, processes, why}], notes}.

    """
    from tallyio.bench.compare import apart  # noqa: PLC0415 - help needs none of it
    from tallyio.bench.files import read_report  # noqa: PLC0415 - the same

    return _print_comparison(apart(read_report(before), read_report(after)), json=json)


def _against(jobs: list[Job], root: Path, around: Surroundings) -> Comparison:
    from tallyio.bench.against import compare_in_turns  # noqa: PLC0415 - help needs none of it
    from tallyio.bench.checkout import other, this_one  # noqa: PLC0415 - the same
    from tallyio.bench.show import show_progress  # noqa: PLC0415 - the same

    with show_progress(console(stderr=True)) as progress:
        return compare_in_turns(jobs, (other(root), this_one()), lanes=around.lanes, progress=progress)


def _beside(report: BenchReport, folder: Path, *, to_stderr: bool) -> bool:
    """Print the ratios beside those kept for the profile; tell whether none is larger without an excuse."""
    from tallyio.bench.baseline import differences, drifts, read_baseline  # noqa: PLC0415 - as above
    from tallyio.bench.show import table_of_drifts  # noqa: PLC0415 - as above

    kept = read_baseline(folder, report.surroundings.profile)
    out, found, excuses = console(stderr=to_stderr), drifts(report, kept), list(differences(report, kept))
    out.print(table_of_drifts(found))
    for excuse in excuses:
        out.print(excuse, style="dim")
    return bool(excuses) or all(each.state != "slower" for each in found)


def _print_report(report: BenchReport) -> None:
    from tallyio.bench.show import about, table_of  # noqa: PLC0415 - help needs none of it

    out = console()
    out.print(table_of(report.promises))
    for line in about(report.surroundings):
        out.print(line, style="dim")


def _print_comparison(comparison: Comparison, *, json: bool) -> int:
    from tallyio.bench.show import table_of_changes  # noqa: PLC0415 - help needs none of it

    if json:
        print_json(comparison)
    else:
        out = console()
        out.print(table_of_changes(comparison))
        for note in comparison.notes:
            out.print(note, style="dim")
    return NOT_KEPT if comparison.has_slower else 0
