"""`tallyio plugins`: what is installed, and whether it keeps its contract.

Layer: cli.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cyclopts import App

from tallyio.cli.output import console, print_json

if TYPE_CHECKING:
    from tallyio.hooks.catalog import Installed

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
def check(name: str, *, json: bool = False) -> int:
    """Check a plugin: contract, benchmark, import, hooks. Exit code 3 when it fails.

    Args:
        name: The plugin's name; all kinds with this name are checked.
        json: Print {name, faults: [text]}.
    """
    from tallyio.hooks.catalog import Catalog  # noqa: PLC0415 - help needs none of it
    from tallyio.hooks.host import PluginHost  # noqa: PLC0415 - the same
    from tallyio.hooks.settings import unknown_name  # noqa: PLC0415 - the same
    from tallyio.model.errors import PluginError  # noqa: PLC0415 - the same

    catalog = Catalog.scan()
    named = [plugin for plugin in catalog.all() if plugin.name == name]
    if not named:
        raise unknown_name("plugin", name, {plugin.name for plugin in catalog.all()}, where="plugins check")
    faults = []
    for plugin in named:
        try:
            PluginHost(catalog).load(plugin.kind, name)
        except PluginError as error:
            faults.append(str(error))
    if json:
        print_json({"name": name, "faults": faults})
    else:
        console().print("\n".join(faults) or f"{name}: sound", markup=False)
    return BROKEN if faults else 0


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
