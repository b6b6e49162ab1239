"""Measure: every script of this folder and every plugin's contract, in one table.

    python perf/run.py [NAME ...] [--quick | --rigorous] [--list] [--baseline] [--keep-baseline WORDS]

A name is a script here (`startup` for bench_startup.py), a plugin, one of its benchmarks, or `all` for
all plugins; none means everything. Results are also written to perf/results/<name>.json, with the machine
they were measured on. Exit code 1 if a promise is not kept.

`--baseline` shows the plugins' ratios beside those that perf/baselines keeps for this profile, and
`--keep-baseline` keeps them; its words are of the changelog's line that says why.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rich.console import Console

from tallyio.bench.baseline import baseline_of, differences, drifts, read_baseline, write_baseline
from tallyio.bench.judge import refused
from tallyio.bench.records import BenchReport, Figure, Job, Surroundings, Verdict
from tallyio.bench.run import QUICK, Progress, by_effort, run_jobs
from tallyio.bench.select import EVERYTHING, group, known_names, select
from tallyio.bench.show import about, misses, show_progress, table_of, table_of_drifts
from tallyio.bench.surroundings import look_around, with_core_to_core
from tallyio.hooks.catalog import Catalog
from tallyio.hooks.contract import Bench
from tallyio.hooks.settings import unknown_name
from tallyio.model.errors import TallyError

HERE: Final = Path(__file__).resolve().parent
RESULTS: Final = HERE / "results"
BASELINES: Final = HERE / "baselines"
WIDTH: Final = 120
"""Columns of the table where no terminal says how many."""

PROMISES: Final = {
    "startup": (
        Bench(name="startup.help", script="bench_startup.py", reference="startup.cyclopts", max_ratio=1.0),
        Bench(name="startup.help", script="bench_startup.py", reference="startup.python", max_ratio=4.0),
    )
}
"""Scripts here that are pyperf programs, and what the core promises with them."""

CORE: Final = "perf "
"""What the subjects of the core's own promises start with."""

FIGURES: Final = ("demo", "kernel", "lending", "market")
"""Scripts here that print a JSON list of figures with --json; all others print text."""


ENDS_WITH: Final = {"lending": ("demo", "--world", "lending")}
"""With whose figures a script's table ends, where that one is not chosen itself."""


class Found(msgspec.Struct, kw_only=True):
    """What one run measured."""

    verdicts: list[Verdict] = []
    figures: dict[str, list[Figure]] = {}
    texts: dict[str, str] = {}
    """What scripts printed, by name."""
    failed: list[str] = []
    """Scripts that ended with an error and without a result, in words."""

    @property
    def all_kept(self) -> bool:
        """Whether everything was measured and no promise was broken."""
        figures = (figure for each in self.figures.values() for figure in each)
        kept = all(verdict.state == "kept" for verdict in self.verdicts)
        return kept and not self.failed and all(figure.state != "broken" for figure in figures)


def scripts() -> dict[str, Path]:
    """Return the scripts of this folder by name."""
    return {path.stem.removeprefix("bench_"): path for path in sorted(HERE.glob("bench_*.py"))}


def plan(names: Sequence[str]) -> tuple[list[str], list[Job], list[Verdict]]:
    """Return the scripts to run by name, the jobs of contracts, and the plugins that cannot be read.

    Raises: ConfigError: a name that is none of them, with "did you mean".
    """
    here, installed = scripts(), Catalog.scan().all()
    known = {*here, *known_names(installed), EVERYTHING}
    for name in names:
        if name not in known:
            raise unknown_name("script, plugin or benchmark", name, known, where="perf")
    ours = [name for name in here if not names or name in names]
    others = [name for name in names if name not in here]
    jobs, faults = select(installed, others) if others or not names else ([], [])
    core = [job for name in ours for job in group(f"{CORE}{name}", HERE, PROMISES.get(name, ()))]
    return [name for name in ours if name not in PROMISES], [*core, *jobs], [refused(each) for each in faults]


def run_scripts(names: Iterable[str], found: Found, progress: Progress) -> None:
    """Run the scripts that are not pyperf programs and keep what they print."""
    chosen = list(names)
    for done, name in enumerate(chosen):
        progress(f"perf {name}", done, len(chosen))
        _run_script(name, found)
        if name in ENDS_WITH:
            more, *arguments = ENDS_WITH[name]
            if more not in chosen:
                progress(f"perf {more} {' '.join(arguments)}", done, len(chosen))
                _run_script(more, found, arguments, table=name)


def _run_script(name: str, found: Found, arguments: Sequence[str] = (), *, table: str = "") -> None:
    """Run one script; its figures go to the end of `table`, or of its own."""
    command = [sys.executable, str(scripts()[name]), *arguments, *(["--json"] if name in FIGURES else [])]
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False, text=True)
    if name in FIGURES and ran.stdout.startswith("["):
        figures = msgspec.json.decode(ran.stdout, type=list[Figure])
        found.figures.setdefault(table or name, []).extend(figures)
    elif ran.returncode:
        found.failed.append(f"{scripts()[name].name} ended with exit code {ran.returncode}")
    else:
        found.texts[name] = ran.stdout


def save(found: Found, around: Surroundings, effort: str) -> None:
    """Write one file per script or plugin, so that a run of some leaves the results of others."""
    RESULTS.mkdir(exist_ok=True)
    # What one machine measured is no baseline for another: it stays out of the repository.
    (RESULTS / ".gitignore").write_text("*\n", encoding="utf-8")
    by_subject = defaultdict[str, list[Verdict]](list)
    for verdict in found.verdicts:
        by_subject[verdict.subject.rpartition(" ")[2]].append(verdict)
    parts: list[Mapping[str, object]] = [by_subject, found.figures, found.texts]
    for kind, part in zip(("promises", "figures", "text"), parts, strict=True):
        for name, content in part.items():
            record = {"effort": effort, "surroundings": around, kind: content}
            text = msgspec.json.format(msgspec.json.encode(record))
            (RESULTS / f"{name}.json").write_bytes(text + b"\n")


def measure(names: Sequence[str], effort: str) -> tuple[Found, BenchReport]:
    """Measure what `names` choose, print it, write it; return it all, and the plugins' part of it.

    Raises: TallyError.
    """
    plain, jobs, faults = plan(names)
    around = with_core_to_core(look_around())
    found = Found(verdicts=faults)
    with show_progress(Console(stderr=True)) as progress:
        found.verdicts += run_jobs(jobs, by_effort(effort), lanes=around.lanes, progress=progress)
        run_scripts(plain, found, progress)
    save(found, around, effort)
    show(found, around)
    plugins = tuple(each for each in found.verdicts if not each.subject.startswith(CORE))
    return found, BenchReport(effort=effort, surroundings=around, promises=plugins)


def beside_baseline(report: BenchReport) -> bool:
    """Print the plugins' ratios beside those kept; tell whether none is larger without an excuse."""
    kept = read_baseline(BASELINES, report.surroundings.profile)
    out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    found, excuses = drifts(report, kept), list(differences(report, kept))
    out.print(table_of_drifts(found))
    for excuse in excuses:
        out.print(excuse, markup=False)
    return bool(excuses) or all(each.state != "slower" for each in found)


def show(found: Found, around: Surroundings) -> None:
    """Print everything for people."""
    out = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for name, text in found.texts.items():
        out.print(f"{name}:\n{text}", markup=False)
    figures = [each for part in found.figures.values() for each in part]
    out.print(table_of(found.verdicts, figures))
    for missed in misses(figures):
        out.print(f"missed: {missed}", markup=False)
    for line in about(around):
        out.print(line, markup=False)
    for fault in found.failed:
        out.print(f"failed: {fault}", style="red", markup=False)


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    effort = parser.add_mutually_exclusive_group()
    effort.add_argument("--quick", dest="effort", action="store_const", const=QUICK, help="some seconds each")
    effort.add_argument("--rigorous", dest="effort", action="store_const", const="rigorous", help="surer")
    parser.add_argument("--baseline", action="store_true", help="show the ratios beside those kept")
    parser.add_argument("--keep-baseline", metavar="WORDS", help="keep them; words of the changelog's line")
    parser.add_argument("--list", action="store_true", help="say what there is, measure nothing")
    asked = parser.parse_args()
    try:
        if asked.list:
            plain, jobs, _ = plan(asked.names)
            promised = dict.fromkeys(each.name for job in jobs for each in job.promises)
            print("\n".join([*plain, *promised]))
            sys.exit(0)
        found, report = measure(asked.names, asked.effort or "fast")
        holds = not asked.baseline or beside_baseline(report)
        if asked.keep_baseline:
            print("wrote", write_baseline(BASELINES, baseline_of(report, asked.keep_baseline)).name)
        sys.exit(0 if found.all_kept and holds else 1)
    except TallyError as error:
        print(f"perf: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
