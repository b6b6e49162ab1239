"""Check a plugin in source: its contract, its hooks, its conformance cards, its promises of speed.

Layer: authoring. Each step is stricter and slower than the one before, and the first that fails is the last.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from tallyio.authoring.cards import run_cards
from tallyio.authoring.project import Project, as_installed, read_project
from tallyio.authoring.report import Checked, Fault, Outcome, Report, Step
from tallyio.bench.records import Verdict
from tallyio.bench.run import QUICK, by_effort, run_jobs
from tallyio.bench.select import group
from tallyio.bench.surroundings import look_around
from tallyio.hooks.catalog import GROUP_PREFIX, Catalog
from tallyio.hooks.contract import CONTRACT_FILE, Contract, Kind, read_contract
from tallyio.hooks.described import settings_type
from tallyio.hooks.host import PluginHost, import_module
from tallyio.model.errors import PluginError

Tell = Callable[[str], None]
"""Told what is being done."""


class Plugin(NamedTuple):
    """One entry point of a project, and where its package is."""

    kind: Kind
    name: str
    module: str
    folder: Path


def check_project(folder: Path, *, quick: bool = False, tell: Tell = lambda _: None) -> Report:
    """Check every plugin of the project in `folder`; it need not be installed.

    Args:
        folder: With a `pyproject.toml`.
        quick: Measure each promise for seconds, not for a minute.
        tell: Told before each step.

    Raises: PluginError: the folder is no plugin's source. MissingExtraError: pytest or pyperf is missing.
    """
    project = read_project(folder)
    with as_installed(project):
        checked = tuple(_check(project, *each, quick=quick, tell=tell) for each in _entries(project))
    return Report(folder=str(project.folder), sound=all(each.passed for each in checked), plugins=checked)


def _entries(project: Project) -> Iterator[tuple[Kind, str, str]]:
    for group_name in project.groups:
        for name, module in project.entry_points[group_name].items():
            yield cast("Kind", group_name.removeprefix(GROUP_PREFIX)), name, module


def _check(project: Project, kind: Kind, name: str, module: str, *, quick: bool, tell: Tell) -> Checked:
    outcomes: list[Outcome] = []
    for step, work in _steps(project, kind, name, module, quick=quick):
        tell(f"{kind} {name}: {step}")
        try:
            outcomes.append(work())
        except PluginError as error:
            outcomes.append(Outcome(step=step, faults=(Fault.of(error),)))
        if not outcomes[-1].passed:
            break
    return Checked(kind=kind, name=name, outcomes=tuple(outcomes))


def _steps(
    project: Project, kind: Kind, name: str, module: str, *, quick: bool
) -> Iterator[tuple[Step, Callable[[], Outcome]]]:
    package = _package(project, module)
    yield "contract", lambda: _contract(kind, name, module, package)
    yield "hooks", lambda: _hooks(project, kind, name, module)
    assert package is not None  # noqa: S101 - without it the first step failed
    contract = read_contract(package, kind=kind, name=name)
    yield "cards", lambda: run_cards(contract.hook, name, project.folder)
    yield "bench", lambda: _bench(contract, package, quick=quick)


def _package(project: Project, module: str) -> Path | None:
    top = module.partition(".")[0]
    return next((root / top for root in project.roots if (root / top).is_dir()), None)


def _contract(kind: Kind, name: str, module: str, package: Path | None) -> Outcome:
    if package is None:
        raise PluginError(
            name,
            f"names the module {module} as its entry point, but its source has no such package",
            way_out="correct the entry point in pyproject.toml, or add the package",
        )
    contract = read_contract(package, kind=kind, name=name)
    return Outcome(step="contract", facts=f"{contract.state}, hook_api {contract.hook_api}")


def _hooks(project: Project, kind: Kind, name: str, module: str) -> Outcome:
    try:
        import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(
            name,
            f"cannot be imported: {type(error).__name__}: {error} ({_where(error, project)})",
            way_out="mend that line, or add what it needs to dependencies in pyproject.toml",
        ) from error
    catalog = Catalog.scan()
    hook = PluginHost(catalog).check(kind, name)
    record = settings_type(catalog.sound(kind, name))
    read_as = f", settings {record.__name__}" if record else ""
    return Outcome(step="hooks", facts=f"{hook}{read_as}")


def _where(error: BaseException, project: Project) -> str:
    """Return the file and line of the plugin's own that `error` came through last."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [each for each in frames if each.filename.startswith(str(project.folder))]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else "outside of its own source"


def _bench(contract: Contract, package: Path, *, quick: bool) -> Outcome:
    jobs = group(f"{contract.kind} {contract.name}", package, contract.bench)
    measure = by_effort(QUICK if quick else "fast")
    verdicts = run_jobs(jobs, measure, lanes=look_around().lanes, progress=lambda *_: None)
    faults = tuple(_broken_promise(contract, each) for each in verdicts if each.state != "kept")
    facts = ", ".join(
        f"{each.name} {each.ratio.median:.2g} of {each.max_ratio:g}" for each in verdicts if each.ratio
    )
    return Outcome(step="bench", facts=facts, faults=faults)


def _broken_promise(contract: Contract, verdict: Verdict) -> Fault:
    if verdict.ratio is None:
        return Fault.of(
            PluginError(
                contract.name,
                f"cannot be measured: {verdict.name}: {verdict.fault}",
                way_out=f"let the script measure every name and reference of {CONTRACT_FILE}",
            )
        )
    return Fault.of(
        PluginError(
            contract.name,
            f"breaks its promise {verdict.name}: it takes {verdict.ratio.median:.3g} of {verdict.reference},"
            f" at most {verdict.max_ratio:g} is promised",
            way_out=f"make it faster, or promise in {CONTRACT_FILE} what it keeps",
        )
    )
