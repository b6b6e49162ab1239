"""The strategy object, and the index that its compiled `detect` reads."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tallyio.hooks.interfaces import CompiledStrategy, MarketShape
from tallyio.hooks.interfaces import Settings as RawSettings
from tallyio.model.errors import ConfigError
from tallyio.model.units import checksum
from tallyio.native.memory import Region
from tallyio_strategy_arbitrage import layout
from tallyio_strategy_arbitrage.cycles import (
    NO_LEG,
    Cycles,
    Ints,
    cycles_of_pools,
    find_cycles,
)
from tallyio_strategy_arbitrage.settings import WHERE, Settings, read_settings


class Arbitrage:
    """Cycles of two and three pools. See `tallyio.hooks.interfaces.Strategy`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[strategies.arbitrage]` table. Raises: ConfigError."""
        self._settings, self._bases = read_settings(settings)

    @property
    def compiled(self) -> CompiledStrategy:
        """The module `hot` of this package."""
        return CompiledStrategy(module="tallyio_strategy_arbitrage.hot")

    def index(self, shape: MarketShape) -> ArbitrageIndex:
        """Find every cycle over `shape`. Raises: ConfigError: no pool holds any of the base tokens."""
        bases = [shape.token_ids[base] for base in self._bases if base in shape.token_ids]
        if not bases:
            names = ", ".join(checksum(base) for base in self._bases)
            raise ConfigError(
                f"[{WHERE}] no pool of the market holds any of base_tokens ({names})",
                way_out="name tokens that the configured protocols trade",
            )
        cycles = find_cycles(shape, bases, self._settings.max_legs)
        return ArbitrageIndex(cycles, len(shape.pool_tokens), self._settings)


class Statistics(NamedTuple):
    """How many cycles the last detection looked at, and how many each sieve let through."""

    looked_at: int
    promising: int
    sized: int


class ArbitrageIndex:
    """Cycles in native memory, and what `detect` remembers of each edge; owns the memory."""

    def __init__(self, cycles: Cycles, pools: int, settings: Settings) -> None:
        self.cycle_count: Final = len(cycles.legs)
        self._regions: list[Region] = []
        edges = self._edges(cycles)
        where = int(edges.ctypes.data) + np.arange(len(edges), dtype=np.int64) * layout.EDGE.itemsize
        edges_at, pool_edges = _by_pool(cycles.edges.pool, pools)
        cycles_at, pool_cycles = cycles_of_pools(cycles, pools)
        self._record = self._array(layout.INDEX, 1)
        record = self._record[0]
        record["edges"], record["edge_count"] = edges.ctypes.data, len(edges)
        record["cycles"], record["cycle_count"] = self._keep(_cycle_records(cycles, where)), self.cycle_count
        record["pool_edges_at"] = self._keep(edges_at)
        record["pool_edges"] = self._keep(where[pool_edges])
        record["pool_cycles_at"] = self._keep(cycles_at)
        record["pool_cycles"] = self._keep(pool_cycles)
        record["stamps"] = self._array("i8", self.cycle_count).ctypes.data
        record["considered"] = self._array("i8", self.cycle_count).ctypes.data
        record["shortlist"] = self._array(layout.CANDIDATE, settings.top_k).ctypes.data
        record["amounts"] = self._array("u1", 2 * layout.CHAIN_BYTES).ctypes.data
        record["top_k"], record["plan_gas"] = settings.top_k, settings.plan_gas
        record["min_net"] = settings.min_profit_wei

    @property
    def address(self) -> int:
        """Where the INDEX record is."""
        return int(self._record.ctypes.data)

    def statistics(self) -> Statistics:
        """Return the counts of the last detection."""
        record = self._record[0]
        return Statistics(int(record["looked_at"]), int(record["promising"]), int(record["sized"]))

    def _edges(self, cycles: Cycles) -> npt.NDArray[Any]:
        edges = self._array(layout.EDGE, len(cycles.edges.pool))
        for field in ("pool", "i", "j", "sold"):
            edges[field] = getattr(cycles.edges, field)
        edges["probe"] = 1.0
        return edges

    def _keep(self, values: npt.NDArray[Any]) -> int:
        kept = self._array(values.dtype, len(values))
        kept[:] = values
        return int(kept.ctypes.data)

    def _array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        region = Region(max(1, np.dtype(dtype).itemsize * count))
        self._regions.append(region)
        return region.view(dtype, count)


def _cycle_records(cycles: Cycles, edge_addresses: Ints) -> npt.NDArray[Any]:
    records = np.zeros(len(cycles.legs), dtype=layout.CYCLE)
    present = cycles.legs != NO_LEG
    records["legs"] = np.where(present, edge_addresses[np.where(present, cycles.legs, 0)], 0)
    records["leg_count"] = present.sum(axis=1)
    return records


def _by_pool(pool: Ints, pools: int) -> tuple[Ints, Ints]:
    offsets = np.zeros(pools + 1, dtype=np.int64)
    offsets[1:] = np.cumsum(np.bincount(pool, minlength=pools))
    return offsets, np.argsort(pool, kind="stable")
