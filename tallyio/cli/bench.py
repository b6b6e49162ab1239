"""`tallyio bench`: measure what the installed plugins promise.

Layer: cli.
"""

from __future__ import annotations

from typing import Final

from tallyio.cli.output import console, print_json

NOT_KEPT: Final = 1


def bench(*names: str, fast: bool = True, json: bool = False) -> int:
    """Run the benchmark contracts of installed plugins. Exit code 1 if a promise is not kept.

    Each promise is a ratio to a reference that is measured in the same run, so it holds on any
    machine.

    Args:
        names: Plugins or single benchmarks; all without any.
        fast: Rough answers, about a minute per script; --no-fast measures thoroughly, ten times
            as long.
        json: Print one JSON object: {effort, surroundings: {python, pyperf, model, topology_hash,
            pus, placement, note}, promises: [{subject, name, state: kept|broken|failed,
            reference, max_ratio, ratio: {median, low, high}, seconds: {...}, reference_seconds:
            {...}, samples, fault}]}; low and high are the 5th and 95th percentile, and the
            spreads are null where nothing was measured.

    """
    from tallyio.bench.judge import refused  # noqa: PLC0415 - help needs none of it
    from tallyio.bench.records import BenchReport  # noqa: PLC0415 - the same
    from tallyio.bench.run import run_jobs  # noqa: PLC0415 - the same
    from tallyio.bench.script import EFFORTS  # noqa: PLC0415 - the same
    from tallyio.bench.select import select  # noqa: PLC0415 - the same
    from tallyio.bench.show import show_progress, table_of  # noqa: PLC0415 - the same
    from tallyio.bench.surroundings import look_around  # noqa: PLC0415 - the same
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - the same

    jobs, faults = select(Catalog.scan().all(), names)
    around = look_around()
    effort = "fast" if fast else "rigorous"
    with show_progress(console(stderr=True)) as progress:
        verdicts = run_jobs(jobs, EFFORTS[effort], pus=around.pus, progress=progress)
    promises = (*map(refused, faults), *verdicts)
    report = BenchReport(effort=effort, surroundings=around, promises=promises)
    if json:
        print_json(report)
    else:
        console().print(table_of(report.promises))
        console().print(around.note, style="dim", markup=False)
    return 0 if report.all_kept else NOT_KEPT
