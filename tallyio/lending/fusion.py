"""Fuse lending protocols: their compiled functions become one dispatcher, and the loops are built on it.

Layer: lending. The counterpart of `tallyio.market.fusion`; books and pools are compiled apart.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Final

import msgspec

from tallyio.lending import abi, margins
from tallyio.market.exports import Export, Plugin, Progress, Steps, check_exports, check_present, tops
from tallyio.market.generated import (
    OutdatedFusionError,
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
from tallyio.native.jit import own_functions, warm_all

FUSED: Final = "tallyio.lending.fused"
PROGRAM: Final = "tallyio.lending.program"

EXPORTS: Final = (
    Export("values", abi.VALUES_SIGNATURE, "reserve, time, number, out", str(abi.UNKNOWN)),
    Export("weight", abi.WEIGHT_SIGNATURE, "position, k", "0.0"),
    Export("health", abi.HEALTH_SIGNATURE, "position, time, number, out", str(abi.UNKNOWN)),
    Export(
        "liquidate",
        abi.LIQUIDATE_SIGNATURE,
        "position, collateral, debt, repay, time, number, out",
        str(abi.OUT_OF_DOMAIN),
    ),
)


class FusedLending(msgspec.Struct, frozen=True, kw_only=True):
    """The enabled lending protocols as one. Their place in `protocols` is their kind."""

    protocols: tuple[str, ...]
    program: ModuleType
    """The loops, `tallyio.lending.program`."""
    fused: ModuleType
    """The generated module that they are built on."""

    def is_current(self) -> bool:
        """Whether no other fusion has taken its place in this process since; an equal one may have."""
        return is_same(self.fused, sys.modules.get(FUSED))

    def load(
        self, module: str, *, through: Callable[[str], ModuleType] = importlib.import_module
    ) -> ModuleType:
        """Import a module that is built on the fused functions; the next fusion forgets it.

        What is built on a market as well is imported `through` that fusion's `load`.

        Raises: OutdatedFusionError: it would be built on another fusion.
        """
        if not self.is_current():
            raise OutdatedFusionError(self.protocols)
        with noting(module, _built_on_fusion):
            return through(module)


# Modules, besides the program, whose compiled functions are built on a fusion.
_built_on_fusion: set[str] = set()


def fuse_lending(protocols: Sequence[Plugin], *, progress: Progress | None = None) -> FusedLending:
    """Fuse the compiled modules of `protocols`; at start, before any book is made.

    Raises: PluginError: a module is missing, or a function of it is missing, not compiled by `hot`, of
    another signature, or does not compile.
    """
    for plugin in protocols:
        check_present(*plugin)
    forget_edited(tops(protocols))
    forget([FUSED, PROGRAM, *_built_on_fusion])
    _built_on_fusion.clear()
    steps = Steps(len(protocols) * len(EXPORTS) + 1, progress)
    modules = [check_exports(*plugin, EXPORTS, steps, look_at=abi.__name__) for plugin in protocols]
    parts = [heading("lending protocols", [each.name for each in modules], by=__name__), imports(modules)]
    parts.append(f"KIND = {abi.KIND}")
    key = ("book", "load(book, KIND)", "book")
    parts += [dispatcher(export, export.signature, key, range(len(modules))) for export in EXPORTS]
    register(FUSED, place("\n\n".join(parts) + "\n"))
    program = importlib.import_module(PROGRAM)
    warm_all(own_functions((program, margins)))
    steps.done(PROGRAM)
    return FusedLending(
        protocols=tuple(name for name, _ in protocols), program=program, fused=sys.modules[FUSED]
    )
