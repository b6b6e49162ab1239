"""Fusion: the compiled functions of all enabled plugins become one dispatcher, compiled together.

Layer: market. `fuse` checks every plugin's functions, writes two small modules into the cache
directory, and registers them as `tallyio.market.fused` and `tallyio.market.detectors`. What loops
over pools imports those, so the compiler sees through the dispatch into each plugin.

Machine code is kept by a digest over the sources along a module's imports (`tallyio.native.cache`).
What is built on the fused modules imports them, so an edit of a plugin, or plugins enabled in another
order, give other names to its code and never stale code; a plugin's own functions, and the core's, are
compiled once for all the orders. What was built on an earlier fusion, or edited, is imported afresh.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, Protocol, cast

import msgspec

import tallyio.market
from tallyio.market import abi
from tallyio.market.inverse import LEAST_INPUT
from tallyio.model.errors import PluginError
from tallyio.native.cache import is_edited, usable_directory
from tallyio.native.jit import HotFunction, is_hot, signature_of, warm
from tallyio.native.signature import parse, render

Progress = Callable[[int, int, str], None]

FUSED: Final = "tallyio.market.fused"
DETECTORS: Final = "tallyio.market.detectors"

_LOOK_AT_ABI: Final = "tallyio.market.abi states what a plugin's module defines"


class Export(NamedTuple):
    """One function that a plugin's module defines."""

    name: str
    signature: str
    parameters: str
    otherwise: str
    """What the dispatcher returns for a number that no plugin has, or whose plugin leaves it out."""
    is_optional: bool = False


PROTOCOL_EXPORTS: Final = (
    Export("quote", abi.QUOTE_SIGNATURE, "i, j, amount_in", "NOTHING"),
    Export("curve", abi.CURVE_SIGNATURE, "i, j, amount_in", "0.0, 0.0"),
    Export("gas", abi.GAS_SIGNATURE, "i, j, amount_in", "0"),
    Export("apply_log", abi.APPLY_LOG_SIGNATURE, "event, topics, data, data_bytes", str(abi.LOG_RELOAD)),
    Export(
        "quote_exact_out",
        abi.QUOTE_EXACT_OUT_SIGNATURE,
        "i, j, amount_out",
        "least_input(pool, i, j, amount_out)",
        is_optional=True,
    ),
    Export("advance", abi.ADVANCE_SIGNATURE, "timestamp", str(abi.LOG_IGNORED), is_optional=True),
)
_QUOTE: Final = "quote"
STRATEGY_EXPORT: Final = Export("detect", abi.DETECT_SIGNATURE, "market, index, found, capacity", "0")
_DISPATCH_DETECT: Final = "int64(int64, int64, int64, int64, int64)"


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


# Modules whose compiled functions are built on a fusion: the next fusion forgets them.
_built_on_fusion: set[str] = set()


class Fused(msgspec.Struct, frozen=True, kw_only=True):
    """The enabled plugins as one. Kinds and strategies are numbered in the order given."""

    protocols: tuple[str, ...]
    strategies: tuple[str, ...]
    source: str
    """The generated modules as text."""
    modules: Mapping[str, ModuleType]
    """The generated modules by name, also after another fusion has taken their place."""

    def load(self, module: str) -> ModuleType:
        """Import a module that is built on the fused functions, such as a lane's program."""
        with _noting_what_is_built(module):
            return importlib.import_module(module)

    def function(self, name: str) -> HotFunction[..., Any]:
        """Return a fused function: one of a protocol's, or `detect`."""
        module = DETECTORS if name == STRATEGY_EXPORT.name else FUSED
        return cast("HotFunction[..., Any]", getattr(self.modules[module], name))


def fuse(
    protocols: Sequence[Plugin],
    strategies: Sequence[Plugin] = (),
    *,
    progress: Progress | None = None,
) -> Fused:
    """Fuse the compiled modules of `protocols` and `strategies`; at start, before any lane runs.

    A first call with the same sources compiles (a minute), a later process loads.

    Raises: PluginError: a module is missing, or a function of it is missing, not compiled by `hot`,
    of another signature, or does not compile.
    """
    for plugin in (*protocols, *strategies):
        _check_present(*plugin)
    _forget_outdated(protocols, strategies)
    steps = _Steps(len(protocols) * len(PROTOCOL_EXPORTS) + len(strategies), progress)
    modules = [_check(*plugin, PROTOCOL_EXPORTS, steps) for plugin in protocols]
    texts = {
        FUSED: fused_source(modules),
        DETECTORS: detectors_source([compiled.module for _, compiled in strategies]),
    }
    _register(FUSED, _place(texts[FUSED]))
    for plugin in strategies:
        with _noting_what_is_built(plugin[1].module):
            _check(*plugin, (STRATEGY_EXPORT,), steps)
    _register(DETECTORS, _place(texts[DETECTORS]))
    return Fused(
        protocols=tuple(name for name, _ in protocols),
        strategies=tuple(name for name, _ in strategies),
        source="\n\n".join(texts.values()),
        modules={name: sys.modules[name] for name in texts},
    )


def fused_source(modules: Sequence[Exported]) -> str:
    """Return the text of `tallyio.market.fused` over these protocol modules; their index is the kind."""
    parts = [_heading("protocols", [module.name for module in modules]), _imports(modules)]
    parts.append(
        f"NOTHING = const(0)\nKIND = {abi.word(abi.POOL, 'kind')}\nROW = {abi.word(abi.POOL, 'row')}"
    )
    for export in PROTOCOL_EXPORTS:
        having = [number for number, module in enumerate(modules) if export.name in module.exports]
        parts.append(
            _dispatcher(export, export.signature, ("pool", "load(pool, KIND)", "load(pool, ROW)"), having)
        )
        if export.name == _QUOTE:
            parts.append(LEAST_INPUT)
    return "\n\n".join(parts) + "\n"


def detectors_source(modules: Sequence[str]) -> str:
    """Return the text of `tallyio.market.detectors` over strategy modules; their index is the number."""
    exported = [Exported(module, (STRATEGY_EXPORT.name,)) for module in modules]
    parts = [_heading("strategies", modules), _imports(exported)]
    key = ("strategy", "strategy", "")
    parts.append(_dispatcher(STRATEGY_EXPORT, _DISPATCH_DETECT, key, range(len(modules))))
    return "\n\n".join(parts) + "\n"


def _heading(what: str, modules: Sequence[str]) -> str:
    names = ", ".join(modules) or "none"
    return f'"""Written by tallyio.market.fusion. Fused {what}: {names}."""'


def _imports(modules: Sequence[Exported]) -> str:
    lines = ["from tallyio.native.atomics import load", "from tallyio.native.jit import hot"]
    lines.append("from tallyio.native.u256 import const")
    for number, (module, names) in enumerate(modules):
        lines.append(f"from {module} import " + ", ".join(f"{name} as {name}_{number}" for name in names))
    return "\n".join(lines)


def _dispatcher(export: Export, signature: str, key: tuple[str, str, str], numbers: Iterable[int]) -> str:
    subject, number_of, row = key
    arguments = f"{row}, {export.parameters}" if row else export.parameters
    branches = [
        f"    if key == {number}:\n        return {export.name}_{number}({arguments})" for number in numbers
    ]
    head = [f'@hot("{signature}")', f"def {export.name}({subject}, {export.parameters}):"]
    look = [f"    key = {number_of}"] if branches else []
    return "\n".join([*head, *look, *branches, f"    return {export.otherwise}"])


class _Steps:
    def __init__(self, total: int, progress: Progress | None) -> None:
        self._total, self._progress, self._done = total, progress, 0

    def done(self, name: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, name)


def _check_present(plugin: str, compiled: Compiled) -> None:
    # The top-level name is located without running any of it.
    top = compiled.module.partition(".")[0]
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        raise PluginError(
            plugin,
            f"names the compiled module {compiled.module}, but there is no {top}",
            way_out="reinstall it",
        )


@contextlib.contextmanager
def _noting_what_is_built(module: str) -> Iterator[None]:
    """Note `module` and the compiled modules that are imported with it as built on the fusion."""
    before = set(sys.modules)
    try:
        yield
    finally:
        fresh = [name for name in set(sys.modules) - before if _defines_hot(sys.modules[name])]
        _built_on_fusion.update({module, *fresh})


def _forget_outdated(protocols: Iterable[Plugin], strategies: Iterable[Plugin]) -> None:
    """Drop what is built on an earlier fusion, or may be as strategies are, and what was edited since."""
    own, built = _tops(protocols), _tops(strategies)
    for name, module in list(sys.modules.items()):
        top = name.partition(".")[0]
        if (
            name in _built_on_fusion
            or (top in built and _defines_hot(module))
            or (top in own and is_edited(module))
        ):
            del sys.modules[name]
            # `from package import module` looks at the package first.
            parent, _, last = name.rpartition(".")
            if parent in sys.modules:
                vars(sys.modules[parent]).pop(last, None)
    _built_on_fusion.clear()


def _tops(plugins: Iterable[Plugin]) -> set[str]:
    return {compiled.module.partition(".")[0] for _, compiled in plugins}


def _defines_hot(module: ModuleType) -> bool:
    return any(is_hot(value) and value.__module__ == module.__name__ for value in vars(module).values())


def _check(plugin: str, compiled: Compiled, exports: Sequence[Export], steps: _Steps) -> Exported:
    module = _import(plugin, compiled.module)
    found = []
    for export in exports:
        function = getattr(module, export.name, None)
        if function is not None or not export.is_optional:
            _check_function(plugin, f"{compiled.module}.{export.name}", function, export)
            found.append(export.name)
        steps.done(f"{plugin}.{export.name}")
    return Exported(compiled.module, tuple(found))


def _import(plugin: str, module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except Exception as error:
        raise PluginError(
            plugin,
            f"has a compiled module {module} that does not import: {_reason(error)}",
            way_out=_LOOK_AT_ABI,
        ) from error


def _check_function(plugin: str, name: str, function: object, export: Export) -> None:
    if function is None:
        raise PluginError(plugin, f"does not define {name}", way_out=_LOOK_AT_ABI)
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
        warm(function)
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


def _place(text: str) -> Path:
    """Write a generated module where equal text, and only that, is found; return its file."""
    path = usable_directory(text) / "generated.py"
    _write_once(path, text)
    return path


def _register(name: str, path: Path) -> None:
    spec = cast("Any", importlib.util.spec_from_file_location(name, path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    setattr(tallyio.market, name.rpartition(".")[2], module)
    for function in vars(module).values():
        if is_hot(function) and function.__module__ == name:
            warm(function)


def _write_once(path: Path, text: str) -> None:
    # Other processes may start at the same moment, so the file appears whole or not at all.
    if path.exists():
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, suffix=".new")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    Path(temporary).replace(path)
