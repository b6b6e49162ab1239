"""The conformance cards, on markets of the benchmark's pools, which are compiled already."""

from __future__ import annotations

from tallyio_strategy_arbitrage import bench_pools, generate

from tallyio.hooks.interfaces import CompiledProtocol
from tallyio.model.units import checksum
from tallyio.testing import StrategyCards
from tallyio.testing.market_worlds import TOKENS, Protocol


class TestConformance(StrategyCards):
    """Cycles of up to four pools, in two tokens."""

    plugin = "arbitrage"

    def settings(self) -> dict[str, object]:
        """Take profit in two tokens."""
        return {"base_tokens": [checksum(TOKENS[0]), checksum(TOKENS[2])], "max_legs": 4}

    def pairs(self) -> Protocol:
        """Fuse what the strategy's other tests fuse."""
        name, compiled = generate.protocol()
        found = CompiledProtocol(module=compiled.module)
        return Protocol(name, found, bench_pools.RESERVES_TOPIC, bench_pools.pack_row)
