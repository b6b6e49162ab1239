"""Which benchmarks to run: all installed contracts, or those that names choose.

Layer: bench. Imports no plugin: contracts are data.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from tallyio.bench.records import Job, Refused
from tallyio.hooks.catalog import Installed
from tallyio.hooks.contract import Bench
from tallyio.hooks.settings import unknown_name

EVERYTHING: Final = "all"


def select(installed: Iterable[Installed], names: Sequence[str] = ()) -> tuple[list[Job], list[Refused]]:
    """Return the scripts to run, and the plugins whose contract cannot be read.

    Args:
        installed: As `Catalog.all` returns them.
        names: Plugins or single benchmarks; none means everything, and so does "all".

    Raises: ConfigError: a name that is neither, with "did you mean".
    """
    plugins = list(installed)
    if EVERYTHING in names:
        names = ()
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
    """Return one job per script in `folder` and lane, so that promises on the same script share its run."""
    by_script = defaultdict[tuple[str, str], list[Bench]](list)
    for promise in promises:
        by_script[promise.script, promise.lane].append(promise)
    return [
        Job(subject=subject, script=folder / script, promises=tuple(each), lane=lane)
        for (script, lane), each in by_script.items()
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
