"""What a plugin's compiled module must define, and whether it does.

Layer: market.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterable, Sequence
from types import ModuleType
from typing import Final, NamedTuple, Protocol

from tallyio.model.errors import PluginError
from tallyio.native.jit import check_compiles, is_hot, signature_of
from tallyio.native.signature import parse, render

Progress = Callable[[int, int, str], None]


class Export(NamedTuple):
    """One function that a plugin's module defines."""

    name: str
    signature: str
    parameters: str
    otherwise: str
    """What the dispatcher returns for a number that no plugin has, or whose plugin leaves it out."""
    is_optional: bool = False


class Compiled(Protocol):
    """What names a plugin's compiled module."""

    @property
    def module(self) -> str:
        """An importable module."""


Plugin = tuple[str, Compiled]
"""A plugin's name, for messages, and its compiled module."""


class Exported(NamedTuple):
    """A plugin's compiled module and which functions it has."""

    name: str
    exports: tuple[str, ...]


class Steps:
    """Counts the functions that were compiled, for `progress`."""

    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def done(self, name: str) -> None:
        """Tell that function `name` is compiled."""
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, name)


def check_present(plugin: str, compiled: Compiled) -> None:
    """Raise PluginError where the package of `compiled` is not installed."""
    # The top-level name is located without running any of it.
    top = compiled.module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise PluginError(
            plugin,
            f"names the compiled module {compiled.module}, but there is no {top}",
            way_out="reinstall it",
        )


def check_exports(
    plugin: str, compiled: Compiled, exports: Sequence[Export], steps: Steps, *, look_at: str
) -> Exported:
    """Compile what a plugin's module defines and return which of `exports` it has.

    `look_at` is the module that states them. Raises: PluginError: it does not import, or a function is
    missing, not compiled by `hot`, of another signature, or does not compile.
    """
    way_out = f"{look_at} states what a plugin's module defines"
    module = _import(plugin, compiled.module, way_out)
    found = []
    for export in exports:
        function = getattr(module, export.name, None)
        if function is not None or not export.is_optional:
            _check_function(plugin, f"{compiled.module}.{export.name}", function, export, way_out)
            found.append(export.name)
        steps.done(f"{plugin}.{export.name}")
    return Exported(compiled.module, tuple(found))


def tops(plugins: Iterable[Plugin]) -> set[str]:
    """Return the packages of the plugins' compiled modules."""
    return {compiled.module.partition(".")[0] for _, compiled in plugins}


def _import(plugin: str, module: str, way_out: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(
            plugin,
            f"has a compiled module {module} that does not import: {_reason(error)}",
            way_out=way_out,
        ) from error


def _check_function(plugin: str, name: str, function: object, export: Export, way_out: str) -> None:
    if function is None:
        raise PluginError(plugin, f"does not define {name}", way_out=way_out)
    if not is_hot(function):
        raise PluginError(
            plugin,
            f"defines {name} without @hot, so it would hold the interpreter's lock",
            way_out=f"decorate it with @hot({export.signature!r}) from tallyio.native.jit",
        )
    if signature_of(function) != render(parse(export.signature)):
        raise PluginError(
            plugin, f"declares {name} as {signature_of(function)}", way_out=f"it must be {export.signature}"
        )
    try:
        check_compiles(function)
    except Exception as error:
        raise PluginError(
            plugin, f"has a {name} that does not compile: {_reason(error)}", way_out="mend the function"
        ) from error


_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_NOISE: Final = ("Failed in nopython", "During:", "File ", "Overload", "- ", "<")


def _reason(error: BaseException) -> str:
    """Return the first sentence of a compiler's message that says something."""
    lines = [" ".join(line.split()) for line in _COLOUR.sub("", str(error)).splitlines()]
    useful = [line for line in lines if line and not line.startswith(_NOISE)]
    return f"{type(error).__name__}: {useful[0]}" if useful else type(error).__name__
