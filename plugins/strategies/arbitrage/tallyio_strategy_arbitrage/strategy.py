"""The strategy object, and the index that its compiled `detect` reads."""

from __future__ import annotations

from collections.abc import Sequence
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
    Edges,
    Ints,
    base_ranks,
    cycles_of_pools,
    directed_edges,
    find_cycles,
)
from tallyio_strategy_arbitrage.hubs import LANES, ROW_LANES, Links, link_edges, round_up
from tallyio_strategy_arbitrage.settings import WHERE, Settings, read_settings

MOST_ENUMERATED: Final = 256
"""Edges (two per pool of two tokens) up to which every cycle is kept; above, the hub index finds them."""


class Arbitrage:
    """Cycles of two to four pools. See `tallyio.hooks.interfaces.Strategy`."""

    def __init__(self, settings: RawSettings) -> None:
        """Read the `[strategies.arbitrage]` table. Raises: ConfigError."""
        self._settings, self._bases = read_settings(settings)

    @property
    def compiled(self) -> CompiledStrategy:
        """The module `hot` of this package."""
        return CompiledStrategy(module="tallyio_strategy_arbitrage.hot")

    def index(self, shape: MarketShape, *, most_enumerated: int = MOST_ENUMERATED) -> ArbitrageIndex:
        """Index `shape`: every cycle of a market of at most `most_enumerated` edges, else the hubs.

        Raises: ConfigError: no pool holds any of the base tokens.
        """
        bases = [shape.token_ids[base] for base in self._bases if base in shape.token_ids]
        if not bases:
            names = ", ".join(checksum(base) for base in self._bases)
            raise ConfigError(
                f"[{WHERE}] no pool of the market holds any of base_tokens ({names})",
                way_out="name tokens that the configured protocols trade",
            )
        if sum(len(pool) * (len(pool) - 1) for pool in shape.pool_tokens) <= most_enumerated:
            cycles = find_cycles(shape, bases, self._settings.max_legs)
            return EnumeratedIndex(shape, bases, cycles, self._settings)
        return HubIndex(shape, bases, self._settings)


class Statistics(NamedTuple):
    """How many cycles the last detection looked at, and how many each sieve let through."""

    looked_at: int
    promising: int
    solved: int
    sized: int
    scans: int
    """Rows of the hub index that were read through; 0 where cycles are enumerated."""


class ArbitrageIndex:
    """What `detect` knows and remembers of the edges, in native memory; owns the memory."""

    def __init__(self, shape: MarketShape, bases: Sequence[int], edges: Edges, settings: Settings) -> None:
        self._regions: list[Region] = []
        self._hubs: npt.NDArray[Any] | None = None
        records = self._edge_records = self._edges(edges)
        self._where: Final = (
            int(records.ctypes.data) + np.arange(len(records), dtype=np.int64) * layout.EDGE.itemsize
        )
        edges_at, pool_edges = _by_pool(edges.pool, len(shape.pool_tokens))
        ranks = base_ranks(shape, bases)
        self._record = self._array(layout.INDEX, 1)
        record = self._record[0]
        record["edges"], record["edge_count"] = records.ctypes.data, len(records)
        record["pool_edges_at"] = self._keep(edges_at)
        record["pool_edges"] = self._keep(self._where[pool_edges])
        record["bases"], record["base_count"] = self._keep(ranks), len(bases)
        record["base_tokens"] = self._keep(np.array(bases, dtype=np.int64))
        record["values"] = self._address("f8", len(ranks))
        record["max_legs"] = settings.max_legs
        record["path"] = self._address(layout.CYCLE, 2)
        record["shortlist"] = self._address(layout.CANDIDATE, settings.top_k)
        record["search"] = self._address(layout.SEARCH, 1)
        record["within"] = settings.within_gas
        record["top_k"], record["plan_gas"] = settings.top_k, settings.plan_gas
        record["min_net"] = settings.min_profit_wei

    @property
    def address(self) -> int:
        """Where the INDEX record is."""
        return int(self._record.ctypes.data)

    @property
    def edges(self) -> npt.NDArray[Any]:
        """The EDGE records."""
        return self._edge_records

    def statistics(self) -> Statistics:
        """Return the counts of the last detection."""
        record = self._record[0]
        return Statistics(
            looked_at=int(record["looked_at"]),
            promising=int(record["promising"]),
            solved=int(record["solved"]),
            sized=int(record["sized"]),
            scans=0 if self._hubs is None else int(self._hubs[0]["scans"]),
        )

    def _edges(self, edges: Edges) -> npt.NDArray[Any]:
        records = self._array(layout.EDGE, len(edges.pool))
        for field in ("pool", "i", "j", "sold", "bought"):
            records[field] = getattr(edges, field)
        records["can_flash"] = edges.flash
        records["number"] = np.arange(len(records))
        records["probe"] = 1.0
        return records

    def _keep(self, values: npt.NDArray[Any]) -> int:
        kept = self._array(values.dtype, len(values))
        kept[:] = values
        return int(kept.ctypes.data)

    def _address(self, dtype: npt.DTypeLike, count: int) -> int:
        return int(self._array(dtype, count).ctypes.data)

    def _array(self, dtype: npt.DTypeLike, count: int) -> npt.NDArray[Any]:
        region = Region(max(1, np.dtype(dtype).itemsize * count))
        self._regions.append(region)
        return region.view(dtype, count)


class EnumeratedIndex(ArbitrageIndex):
    """Every cycle of a small market."""

    def __init__(self, shape: MarketShape, bases: Sequence[int], cycles: Cycles, settings: Settings) -> None:
        super().__init__(shape, bases, cycles.edges, settings)
        self.cycle_count: Final = len(cycles.legs)
        cycles_at, pool_cycles = cycles_of_pools(cycles, len(shape.pool_tokens))
        record = self._record[0]
        record["cycles"] = self._keep(_cycle_records(cycles, self._where))
        record["pool_cycles_at"] = self._keep(cycles_at)
        record["pool_cycles"] = self._keep(pool_cycles)
        record["stamps"] = self._address("i8", self.cycle_count)


class HubIndex(ArbitrageIndex):
    """The edges of a large market, and best rates to and from its hubs."""

    def __init__(self, shape: MarketShape, bases: Sequence[int], settings: Settings) -> None:
        tokens = len(base_ranks(shape, bases))
        links = link_edges(directed_edges(shape), tokens, settings.hubs)
        super().__init__(shape, bases, links.edges, settings)
        self.hub_count: Final = links.hub_count
        self._place_of = links.place_of
        self._hubs = self._array(layout.HUBS, 1)
        self._record[0]["hubs"] = self._hubs.ctypes.data
        self._fill(self._hubs[0], links, tokens)

    def is_hub(self, token: int) -> bool:
        """Return whether a token id is one of the hubs."""
        return bool(self._place_of[token] < self.hub_count)

    def _fill(self, record: Any, links: Links, tokens: int) -> None:
        line, places = round_up(links.hub_count, LANES), round_up(tokens, ROW_LANES)
        record["hub_count"], record["line"] = links.hub_count, line
        record["places"], record["token_count"] = places, tokens
        for name in ("place_of", "links", "links_at", "tails_at", "tail_links"):
            record[name] = self._keep(getattr(links, name))
        record["tail_link_count"] = len(links.tail_links)
        for name in ("to_hub", "from_hub"):
            record[name] = self._address("f4", places * line)
        for name in ("logs", "logs_more"):
            record[name] = self._address("f8", tokens)
        for name in ("out_rows", "in_rows"):
            record[name] = self._address("f4", links.hub_count * places)
        for name in ("two", "two_back", "three"):
            record[name] = self._address("f4", line * line)


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
