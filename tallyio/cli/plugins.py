"""`tallyio plugins`: what is installed, and whether it keeps its contract.

Layer: cli.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from cyclopts import App

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.authoring.report import Checked
    from tallyio.hooks.catalog import Catalog, Installed

app = App(name="plugins", help="List and check installed plugins.", help_format="plaintext")

BROKEN: Final = 3


@app.command(name="list")
def list_(*, json: bool = False) -> None:
    """List every installed plugin without importing any.

    Args:
        json: Print {plugins: [{kind, name, version, state, summary, distribution, benchmarks,
            capabilities, fault}]}; `fault` is null for a sound plugin.
    """
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - help needs none of it

    installed = Catalog.scan().all()
    if json:
        print_json({"plugins": [_facts(plugin) for plugin in installed]})
        return
    from rich.table import Table  # noqa: PLC0415 - JSON needs no table

    table = Table("kind", "name", "version", "state", "benchmarks", "summary", box=None, pad_edge=False)
    for plugin in installed:
        facts = _facts(plugin)
        table.add_row(
            plugin.kind,
            plugin.name,
            plugin.version,
            str(facts["state"]),
            str(len(plugin.contract.bench) if plugin.contract else 0),
            plugin.fault or str(facts["summary"]),
            style="red" if plugin.fault else "",
        )
    console().print(table)


@app.command
def check(target: str, *, quick: bool = False, json: bool = False) -> int:
    """Check a plugin: contract and hooks; of its source also the conformance cards and the promises of speed.

    Exit code 3 when it is broken, 1 when only a promise of speed is.

    Its hook is called with an empty table, which it may refuse.

    Args:
        target: The name of an installed plugin; all kinds with this name are checked. Or the folder of a
            plugin's source, installed or not: the one with its pyproject.toml.
        quick: Measure for seconds, not for a minute a script.
        json: Print {name, faults: [text]}, or of a folder {folder, sound, plugins: [{kind, name, outcomes:
            [{step: contract|hooks|cards|bench, facts, faults: [{message, way_out}]}]}]}.
    """
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.settings import unknown_name  # noqa: PLC0415 - the same

    catalog = Catalog.scan()
    names = {plugin.name for plugin in catalog.all()}
    if target in names:
        return _check_installed(catalog, target, json=json)
    if not Path(target).exists() and Path(target).name == target:
        raise unknown_name("plugin", target, names, where="plugins check")
    return _check_source(Path(target), quick=quick, json=json)


def _check_installed(catalog: Catalog, name: str, *, json: bool) -> int:
    from tallyio.hooks.described import settings_type  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same
    from tallyio.model.errors import PluginError  # noqa: PLC0415 - the same

    faults = []
    for plugin in catalog.all():
        if plugin.name == name:
            try:
                PluginHost(catalog).check(plugin.kind, name)
                settings_type(plugin)
            except PluginError as error:
                faults.append(str(error))
    if json:
        print_json({"name": name, "faults": faults})
    else:
        console().print("\n".join(faults) or f"{name}: sound")
    return BROKEN if faults else 0


def _check_source(folder: Path, *, quick: bool, json: bool) -> int:
    from tallyio.authoring.check import check_project  # noqa: PLC0415 - help needs none of it

    progress = console(stderr=True)
    report = check_project(folder, quick=quick, tell=lambda what: progress.print(what, style="dim"))
    if json:
        print_json(report)
        return report.exit_code
    for plugin in report.plugins:
        _tell(plugin)
    return report.exit_code


def _tell(plugin: Checked) -> None:
    out, who = console(), f"{plugin.kind} {plugin.name}"
    for outcome in plugin.outcomes:
        said = "passed" if outcome.passed else "failed"
        facts = f": {outcome.facts}" if outcome.facts else ""
        out.print(f"{who}: {outcome.step} {said}{facts}")
        for fault in outcome.faults:
            out.print(f"  {fault.message}\n  way out: {fault.way_out}", style="red")
    out.print(f"{plugin.name}: {'sound' if plugin.passed else 'broken'}")


def _facts(plugin: Installed) -> dict[str, object]:
    contract = plugin.contract
    return {
        "kind": plugin.kind,
        "name": plugin.name,
        "version": plugin.version,
        "state": contract.state if contract else "broken",
        "summary": contract.summary if contract else "",
        "distribution": plugin.distribution,
        "benchmarks": [bench.name for bench in contract.bench] if contract else [],
        "capabilities": list(contract.capabilities) if contract else [],
        "fault": plugin.fault,
    }
