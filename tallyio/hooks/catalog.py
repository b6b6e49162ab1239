"""Which plugins are installed, found without importing any of them.

Layer: hooks. A plugin announces itself with an entry point in the group `tallyio.<kind>`; the
module's top-level package holds `contract.toml`.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Final

import msgspec

from tallyio.hooks.contract import KINDS, Contract, Kind, read_contract
from tallyio.hooks.settings import did_you_mean
from tallyio.model.errors import PluginError

GROUP_PREFIX: Final = "tallyio."


class Installed(msgspec.Struct, frozen=True, kw_only=True):
    """One installed plugin. `fault` says why it would be refused; then `contract` is None."""

    kind: Kind
    name: str
    module: str
    distribution: str
    version: str
    folder: str | None
    contract: Contract | None
    fault: str | None = None


class Catalog:
    """The installed plugins, by kind and name."""

    def __init__(self, installed: Iterable[Installed]) -> None:
        self._installed = sorted(installed, key=lambda plugin: (KINDS.index(plugin.kind), plugin.name))

    @classmethod
    def scan(cls) -> Catalog:
        """Read the entry points of this environment. Takes milliseconds, imports no plugin."""
        # All at once: each question for one group reads what every distribution has.
        kinds = {GROUP_PREFIX + kind: kind for kind in KINDS}
        return cls(_read(kinds[entry.group], entry) for entry in entry_points() if entry.group in kinds)

    def all(self) -> tuple[Installed, ...]:
        """Return every plugin, sound or not, by kind and name."""
        return tuple(self._installed)

    def sound(self, kind: Kind, name: str) -> Installed:
        """Return the one usable plugin `name` of `kind`.

        Raises: PluginError: not installed (with "did you mean"), installed twice, or broken.
        """
        found = [plugin for plugin in self._installed if (plugin.kind, plugin.name) == (kind, name)]
        if not found:
            names = [plugin.name for plugin in self._installed if plugin.kind == kind]
            raise PluginError(
                name,
                f"is not an installed {kind}{did_you_mean(name, names)}",
                way_out=f"install it, or configure one of: {', '.join(names) or 'none installed'}",
            )
        if len(found) > 1:
            owners = " and ".join(plugin.distribution for plugin in found)
            raise PluginError(name, f"is provided by {owners}", way_out="uninstall one of them")
        plugin = found[0]
        if plugin.fault is not None:
            raise PluginError(
                name, plugin.fault, way_out="`tallyio plugins list` shows the state of all plugins"
            )
        return plugin


def _read(kind: Kind, entry: EntryPoint) -> Installed:
    # `entry.module` would raise where the value does not look like one.
    found = entry.pattern.match(entry.value)
    module = found["module"] if found else entry.value
    folder: Path | None = None
    contract: Contract | None = None
    fault: str | None = None
    try:
        folder = _folder(entry, module)
        contract = read_contract(folder, kind=kind, name=entry.name)
    except PluginError as error:
        fault = f"{error.fault}; {error.way_out}"
    return Installed(
        kind=kind,
        name=entry.name,
        module=module,
        distribution=_distribution(entry),
        version=entry.dist.version if entry.dist else "unknown",
        folder=str(folder) if folder else None,
        contract=contract,
        fault=fault,
    )


def _distribution(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "unknown"


def _folder(entry: EntryPoint, module: str) -> Path:
    if not all(part.isidentifier() for part in module.split(".")):
        raise PluginError(
            entry.name, f"has an entry point {module!r}, which is no module", way_out="correct it"
        )
    package, reinstall = module.partition(".")[0], f"reinstall {_distribution(entry)}"
    try:
        # `find_spec` of a top-level name locates the package and runs none of it.
        spec = importlib.util.find_spec(package)
    except Exception as error:  # finders of other distributions are asked too, and may raise anything
        raise PluginError(
            entry.name, f"has a package {package!r} that cannot be found: {error}", way_out=reinstall
        ) from error
    if spec is None or not spec.submodule_search_locations:
        raise PluginError(entry.name, f"has no package {package!r}", way_out=reinstall)
    return Path(next(iter(spec.submodule_search_locations)))
