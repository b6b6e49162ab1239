"""Which benchmarks to run: all installed contracts, or those that names choose.

Layer: bench. Imports no plugin: contracts are data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from tallyio.bench.records import Job, Refused
from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import Bench
from tallyio.hooks.settings import unknown_name


def select(installed: Iterable[Installed], names: Sequence[str] = ()) -> tuple[list[Job], list[Refused]]:
    """Return the scripts to run, and the plugins whose contract cannot be read.

    Args:
        installed: As `Catalog.all` returns them.
        names: Plugins or single benchmarks; none means everything.

    Raises: ConfigError: a name that is neither, with "did you mean".
    """
    plugins = list(installed)
    _check_names(plugins, names)
    jobs: list[Job] = []
    faults: list[Refused] = []
    for plugin in plugins:
        subject = f"{plugin.kind} {plugin.name}"
        whole = not names or plugin.name in names
        if plugin.contract is None or plugin.folder is None:
            if whole:
                faults.append(Refused(subject=subject, fault=plugin.fault or "has no contract"))
            continue
        wanted = [bench for bench in plugin.contract.bench if whole or bench.name in names]
        jobs += group(subject, Path(plugin.folder), wanted)
    return jobs, faults


def group(subject: str, folder: Path, promises: Iterable[Bench]) -> list[Job]:
    """Return one job per script in `folder`, so that promises on the same script share its run."""
    by_script = defaultdict[str, list[Bench]](list)
    for promise in promises:
        by_script[promise.script].append(promise)
    return [
        Job(subject=subject, script=folder / script, promises=tuple(each))
        for script, each in by_script.items()
    ]


def known_names(installed: Iterable[Installed]) -> set[str]:
    """Return every name that `select` understands."""
    plugins = list(installed)
    promises = {bench.name for plugin in plugins if plugin.contract for bench in plugin.contract.bench}
    return promises | {plugin.name for plugin in plugins}


def _check_names(plugins: Sequence[Installed], names: Sequence[str]) -> None:
    known = known_names(plugins)
    for name in names:
        if name not in known:
            raise unknown_name("plugin or benchmark", name, known, where="bench")
