"""Compile everything that a configuration's lane and queries will call, before the day that counts.

Layer: engine. A start does this by itself; done ahead, the first start after an update of TallyIO, a plugin,
numba or the processor is as quick as any other.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from tallyio.engine.built import build
from tallyio.engine.config import Config
from tallyio.hooks.host import PluginHost
from tallyio.hooks.search import CompiledSearch
from tallyio.lending.fusion import fuse_lending
from tallyio.market.exports import Progress
from tallyio.market.fusion import Fused, fuse
from tallyio.model.errors import EnvironmentFault
from tallyio.native.cache import REMEDY, cache_fault, cache_root
from tallyio.native.jit import HotFunction, own_functions, warm_all

_LANE: Final = "tallyio.engine.market_program"
_ASKED_FROM_PYTHON: Final = (
    "tallyio.market.apply",
    "tallyio.market.quotes",
    "tallyio.market.routing",
    "tallyio.market.edges",
)
_KERNEL: Final = ("tallyio.kernel.ring", "tallyio.kernel.lane_program", "tallyio.market.rows")


class Warmed(msgspec.Struct, frozen=True, kw_only=True):
    """What was compiled or found compiled."""

    functions: int
    seconds: float
    directory: Path
    """Where the machine code is."""


def warm_configuration(config: Config, host: PluginHost, progress: Progress | None = None) -> Warmed:
    """Compile, or load from the cache, all functions that `config` leads to; nothing is connected.

    Raises: ConfigError, PluginError: as a start would. EnvironmentFault: the machine code is not kept.
    """
    _check_kept()
    start = time.perf_counter()
    built = build(config, host, live=False)
    protocols = [(instance.name, adapter.compiled) for instance, adapter in built.protocols]
    strategies = [(instance.name, strategy.compiled) for instance, strategy in built.strategies]
    fused = fuse(protocols, strategies, progress=progress)
    functions = list(_functions(fused))
    if built.lending or built.slow:
        lending = fuse_lending(
            [(instance.name, adapter.compiled) for instance, adapter in built.lending], progress=progress
        )
        functions += own_functions([lending.program])
        functions += own_functions(
            lending.load(name, through=fused.load)
            for _, strategy in built.slow
            if isinstance(strategy, CompiledSearch)
            for name in strategy.compiled
        )
    warm_all(functions, progress)
    _check_kept()
    return Warmed(
        functions=len(functions),
        seconds=round(time.perf_counter() - start, 3),
        directory=cache_root(),
    )


def _check_kept() -> None:
    if fault := cache_fault():
        raise EnvironmentFault(f"compiled code is not kept: {fault}", way_out=REMEDY)


def _functions(fused: Fused) -> Iterator[HotFunction[..., Any]]:
    """Yield the lane's program and what Python calls; the rest is part of them."""
    yield from own_functions(fused.load(name) for name in (_LANE, *_ASKED_FROM_PYTHON, *_KERNEL))
