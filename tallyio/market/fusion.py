"""Fusion: the compiled functions of all enabled plugins become one dispatcher, compiled together.

Layer: market. `fuse` checks every plugin's functions, writes two small modules into the cache
directory, and registers them as `tallyio.market.fused` and `tallyio.market.detectors`. What loops
over pools imports those, so the compiler sees through the dispatch into each plugin.

Machine code is kept by a digest over the sources along a module's imports (`tallyio.native.cache`).
What is built on the fused modules imports them, so an edit of a plugin, or plugins enabled in another
order, give other names to its code and never stale code. The fused functions are late: linkable code of
what is built on them, of plugins and of the core is compiled once for all fusions. What was built on an
earlier fusion, or edited, is imported afresh.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, cast

import msgspec

from tallyio.market import abi
from tallyio.market.exports import (
    Export,
    Exported,
    Plugin,
    Progress,
    Steps,
    check_exports,
    check_present,
    tops,
)
from tallyio.market.generated import (
    OutdatedFusionError,
    defines_hot,
    dispatcher,
    forget,
    forget_edited,
    heading,
    imports,
    is_same,
    noting,
    place,
    register,
)
from tallyio.market.inverse import LEAST_INPUT
from tallyio.native.jit import HotFunction

FUSED: Final = "tallyio.market.fused"
DETECTORS: Final = "tallyio.market.detectors"


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

    def is_current(self) -> bool:
        """Whether no other fusion has taken its place in this process since; an equal one may have."""
        return is_same(self.modules[FUSED], sys.modules.get(FUSED))

    def load(self, module: str) -> ModuleType:
        """Import a module that is built on the fused functions, such as a lane's program.

        Raises: OutdatedFusionError: it would be built on another fusion, whose kinds mean something else.
        """
        if not self.is_current():
            raise OutdatedFusionError(self.protocols)
        with noting(module, _built_on_fusion):
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
        check_present(*plugin)
    _forget_outdated(protocols, strategies)
    steps = Steps(len(protocols) * len(PROTOCOL_EXPORTS) + len(strategies), progress)
    modules = [check_exports(*plugin, PROTOCOL_EXPORTS, steps, look_at=abi.__name__) for plugin in protocols]
    texts = {
        FUSED: fused_source(modules),
        DETECTORS: detectors_source([compiled.module for _, compiled in strategies]),
    }
    register(FUSED, place(texts[FUSED]))
    for plugin in strategies:
        with noting(plugin[1].module, _built_on_fusion):
            check_exports(*plugin, (STRATEGY_EXPORT,), steps, look_at=abi.__name__)
    register(DETECTORS, place(texts[DETECTORS]))
    return Fused(
        protocols=tuple(name for name, _ in protocols),
        strategies=tuple(name for name, _ in strategies),
        source="\n\n".join(texts.values()),
        modules={name: sys.modules[name] for name in texts},
    )


def fused_source(modules: Sequence[Exported]) -> str:
    """Return the text of `tallyio.market.fused` over these protocol modules; their index is the kind."""
    parts = [heading("protocols", [module.name for module in modules]), imports(modules)]
    parts.append(
        f"NOTHING = const(0)\nKIND = {abi.word(abi.POOL, 'kind')}\nROW = {abi.word(abi.POOL, 'row')}"
    )
    for export in PROTOCOL_EXPORTS:
        having = [number for number, module in enumerate(modules) if export.name in module.exports]
        parts.append(
            dispatcher(export, export.signature, ("pool", "load(pool, KIND)", "load(pool, ROW)"), having)
        )
        if export.name == _QUOTE:
            parts.append(LEAST_INPUT)
    return "\n\n".join(parts) + "\n"


def detectors_source(modules: Sequence[str]) -> str:
    """Return the text of `tallyio.market.detectors` over strategy modules; their index is the number."""
    exported = [Exported(module, (STRATEGY_EXPORT.name,)) for module in modules]
    parts = [heading("strategies", modules), imports(exported)]
    key = ("strategy", "strategy", "")
    parts.append(dispatcher(STRATEGY_EXPORT, _DISPATCH_DETECT, key, range(len(modules)), brief=False))
    return "\n\n".join(parts) + "\n"


def _forget_outdated(protocols: Iterable[Plugin], strategies: Iterable[Plugin]) -> None:
    """Drop what is built on an earlier fusion, or may be as strategies are, and what was edited since."""
    built = tops(strategies)
    forget_edited(tops(protocols) | built)
    forget(
        name
        for name, module in list(sys.modules.items())
        if name in _built_on_fusion or (name.partition(".")[0] in built and defines_hot(module))
    )
    _built_on_fusion.clear()
